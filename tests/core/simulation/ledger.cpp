#include "ledger.hpp"

#include <algorithm>
#include <cmath>

#include "check.hpp"

namespace pa::simulation {

Ledger::Ledger(const RunPlan& plan) : plan_(plan), config_(plan.config) {
  uint64_t size = config_.count == kUnsized ? 0 : config_.count;
  if (config_.fetched) size = std::max(size, plan.inputs);
  items_.resize(size);
  input_done_ = !config_.fetched;
  if (!config_.fetched) supplied_ = config_.count;
}

Ledger::Item& Ledger::item(uint64_t index) {
  PA_CHECK(index < items_.size(), "index %llu does not exist", ull{index});
  return items_[index];
}

void Ledger::put(Item& item, State state) {
  if (item.state == State::leased) leased_--;
  if (state == State::leased) leased_++;
  item.state = state;
}

// ---------------------------------------------------------------- admission

void Ledger::asked_for(uint64_t first, uint64_t count) const {
  PA_CHECK(first == supplied_, "a pull for index %llu after %llu inputs", ull{first}, ull{supplied_});
  PA_CHECK(count > 0, "a pull of nothing");
  PA_CHECK(!input_done_, "a pull after the source had ended");
  const uint64_t out = admitted_ - resolved_;
  if (config_.window)
    PA_CHECK(out + count <= config_.window, "a pull of %llu with %llu out, beyond the window of %llu", ull{count}, ull{out},
             ull{config_.window});
  check_chunk(count);
  if (config_.serial) PA_CHECK(out == 0, "a serial job pulls while %llu are out", ull{out});
  if (config_.batch_max)
    PA_CHECK(count <= config_.batch_max, "a pull of %llu for batches of %llu", ull{count}, ull{config_.batch_max});
}

void Ledger::supplied(nanos now, uint64_t count, bool end) {
  admit(supplied_, count);
  for (uint64_t i = 0; i < count; i++) {
    Item& fresh = item(supplied_ + i);
    PA_CHECK(fresh.state == State::unseen, "index %llu is supplied twice", ull{supplied_ + i});
    fresh.state = State::ready;
    fresh.supplied_at = now;
  }
  supplied_ += count;
  input_done_ = end;
}

void Ledger::admit(uint64_t first, uint64_t count) {
  PA_CHECK(first == admitted_, "index %llu is admitted after %llu inputs", ull{first}, ull{admitted_});
  const uint64_t out = admitted_ - resolved_;
  if (config_.window)
    PA_CHECK(out + count <= config_.window, "%llu admitted, the window is %llu", ull{out + count}, ull{config_.window});
  if (count) check_chunk(count);
  admitted_ += count;
}

// Chunks are [0, chunk), [chunk, 2 * chunk), ...: each is done before the next begins.
void Ledger::check_chunk(uint64_t count) const {
  if (!config_.chunk) return;
  const uint64_t position = admitted_ % config_.chunk;
  PA_CHECK(position + count <= config_.chunk, "%llu inputs from index %llu on are more than the rest of the chunk",
           ull{count}, ull{admitted_});
  if (position == 0)
    PA_CHECK(resolved_ == admitted_, "a chunk begins with index %llu, and %llu are out", ull{admitted_},
             ull{admitted_ - resolved_});
}

// ---------------------------------------------------------------- leases

void Ledger::granted(nanos now, const Lease& lease) {
  PA_CHECK(lease.count > 0, "an empty lease");
  if (config_.batch_max)
    PA_CHECK(lease.count <= config_.batch_max, "a lease of %llu, batches have %llu", ull{lease.count},
             ull{config_.batch_max});
  else
    PA_CHECK(lease.count <= std::max(config_.lease_max, config_.fixed_lease), "a lease of %llu", ull{lease.count});
  if (lease.attempt == 1)
    check_first_attempt(now, lease);
  else
    PA_CHECK(lease.count == 1, "a retry of %llu indices in one lease", ull{lease.count});
  const State expected = lease.attempt > 1 ? State::waiting : State::ready;
  const bool fresh = !config_.fetched && item(lease.first).state == State::unseen;
  if (lease.attempt == 1) check_batch(now, lease, fresh);
  // On the lanes the whole job is admitted at once, and any part of it may be stolen first.
  const bool in_order = config_.window || config_.chunk || config_.serial;
  if (fresh && in_order) admit(lease.first, lease.count);

  for (uint64_t i = 0; i < lease.count; i++) {
    const uint64_t index = lease.first + i;
    Item& it = item(index);
    PA_CHECK(it.state == expected || (fresh && it.state == State::unseen), "index %llu is leased in state %d", ull{index},
             static_cast<int>(it.state));
    PA_CHECK(it.attempts + 1 == lease.attempt, "index %llu: attempt %u after %u", ull{index}, lease.attempt, it.attempts);
    if (lease.attempt == 1) {
      it.first_started = now;
    } else {
      PA_CHECK(now >= it.due_earliest, "index %llu is retried %lld ns early", ull{index}, ll{it.due_earliest - now});
    }
    PA_CHECK(lease.first_started == it.first_started, "index %llu started at %lld, the lease says %lld", ull{index},
             ll{it.first_started}, ll{lease.first_started});
    put(it, State::leased);
  }
}

void Ledger::check_first_attempt(nanos, const Lease& lease) const {
  if (!config_.serial) return;
  for (uint64_t i = 0; i < lease.first; i++)
    PA_CHECK(items_[i].state == State::succeeded || items_[i].state == State::failed,
             "a serial job starts index %llu before %llu has its outcome", ull{lease.first}, ull{i});
}

// A batch is full, unless there is a reason.
void Ledger::check_batch(nanos now, const Lease& lease, bool fresh) const {
  if (!config_.batch_max || lease.count == config_.batch_max) return;
  const bool pays_by_item = plan_.limited && config_.tokens_per_lease == 0;
  if (pays_by_item || given_back_) return;
  if (fresh) {
    uint64_t most = std::min(config_.batch_max, config_.count - lease.first);
    if (config_.chunk) most = std::min(most, config_.chunk - lease.first % config_.chunk);
    PA_CHECK(lease.count == most, "a batch of %llu where %llu were to be had", ull{lease.count}, ull{most});
  } else if (config_.fetched && config_.linger_ns && !input_done_) {
    const nanos waited = now - items_[lease.first].supplied_at;
    PA_CHECK(waited >= config_.linger_ns, "a batch of %llu went after %lld ns, it should linger for %lld", ull{lease.count},
             ll{waited}, ll{config_.linger_ns});
  }
}

void Ledger::succeeded(uint64_t first, uint64_t count) {
  for (uint64_t i = 0; i < count; i++) {
    Item& it = item(first + i);
    PA_CHECK(it.state == State::leased, "index %llu succeeds in state %d", ull{first + i}, static_cast<int>(it.state));
    put(it, State::succeeded);
    it.attempts++;
  }
  resolved_ += count;
}

void Ledger::failed_for_good(uint64_t index) {
  Item& it = item(index);
  PA_CHECK(it.state == State::leased, "index %llu fails in state %d", ull{index}, static_cast<int>(it.state));
  put(it, State::failed);
  it.attempts++;
  resolved_++;
  failures_++;
}

void Ledger::failed_attempt(nanos now, uint64_t index, Verdict verdict, nanos server_wait_ns) {
  Item& it = item(index);
  PA_CHECK(it.state == State::leased, "index %llu fails in state %d", ull{index}, static_cast<int>(it.state));
  put(it, State::waiting);
  it.attempts++;
  const RetryPolicy& retry = config_.retry;
  if (verdict == Verdict::stopped) {
    it.due_earliest = it.due_latest = kNever;
  } else if (server_wait_ns >= 0) {
    it.due_earliest = it.due_latest = now + std::min(server_wait_ns, retry.max_server_wait_ns);
  } else {
    const double doubled = static_cast<double>(retry.backoff_ns) * std::exp2(it.attempts - 1);
    const double wait = std::min(doubled, static_cast<double>(retry.max_delay_ns));
    it.due_earliest = now + static_cast<nanos>(retry.jitter ? std::floor(wait * 0.5) : wait);
    it.due_latest = now + static_cast<nanos>(retry.jitter ? wait * 1.5 : wait);
  }
}

void Ledger::given_back(uint64_t first, uint64_t count) {
  for (uint64_t i = 0; i < count; i++) {
    Item& it = item(first + i);
    PA_CHECK(it.state == State::leased, "index %llu is given back in state %d", ull{first + i}, static_cast<int>(it.state));
    put(it, it.attempts ? State::waiting : State::ready);
    it.due_earliest = it.due_latest = 0;
  }
  if (count) given_back_ = true;
}

// ---------------------------------------------------------------- after the end

void Ledger::taken_back(const Unrun& unrun) {
  for (uint64_t i = 0; i < unrun.count; i++) {
    Item& it = item(unrun.first + i);
    PA_CHECK(it.state == State::leased, "index %llu is taken back in state %d", ull{unrun.first + i},
             static_cast<int>(it.state));
    put(it, State::placeholder);
  }
  placeholders_ += unrun.count;
}

void Ledger::drained(const Unrun& unrun) {
  for (uint64_t i = 0; i < unrun.count; i++) {
    Item& it = item(unrun.first + i);
    PA_CHECK(it.state == State::unseen || it.state == State::ready || it.state == State::waiting,
             "index %llu is drained in state %d", ull{unrun.first + i}, static_cast<int>(it.state));
    PA_CHECK(it.attempts == unrun.attempts, "index %llu is drained with %u attempts, it had %u", ull{unrun.first + i},
             unrun.attempts, it.attempts);
    put(it, State::placeholder);
  }
  placeholders_ += unrun.count;
}

// A run that ended early has one outcome for each declared input, pulled or not, and for each that was pulled beyond that.
uint64_t Ledger::total(End end) const {
  if (config_.count == kUnsized || end == End::completed) return supplied_;
  return std::max(config_.count, supplied_);
}

void Ledger::close(End end) const {
  const uint64_t count = total(end);
  for (uint64_t i = 0; i < count; i++) {
    const State state = items_[i].state;
    PA_CHECK(state == State::succeeded || state == State::failed || state == State::placeholder,
             "index %llu has no outcome, state %d", ull{i}, static_cast<int>(state));
  }
  PA_CHECK(resolved_ + placeholders_ == count, "%llu outcomes for %llu indices", ull{resolved_ + placeholders_}, ull{count});
  if (end == End::completed) PA_CHECK(placeholders_ == 0, "a completed run with %llu placeholders", ull{placeholders_});
}

bool Ledger::anything_to_lease() const {
  return std::any_of(items_.begin(), items_.begin() + static_cast<std::ptrdiff_t>(supplied_),
                     [](const Item& it) { return it.state == State::unseen || it.state == State::ready; });
}

bool Ledger::only_retries_after(nanos instant) const {
  if (!input_done_) return false;
  return std::all_of(items_.begin(), items_.begin() + static_cast<std::ptrdiff_t>(supplied_), [&](const Item& it) {
    const bool resolved = it.state == State::succeeded || it.state == State::failed;
    return resolved || (it.state == State::waiting && it.due_latest >= instant);
  });
}

}  // namespace pa::simulation
