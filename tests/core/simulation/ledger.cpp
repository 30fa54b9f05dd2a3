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
  const uint64_t out = in_window();
  PA_CHECK(count <= window() && out + count <= window(), "a pull of %llu with %llu out, beyond the window of %llu",
           ull{count}, ull{out}, ull{window()});
  check_chunk(count);
  for (uint64_t i = first - out; config_.serial && i < first; i++)  // one that lingers has not begun
    PA_CHECK(config_.batch_max && items_[i].state == State::ready, "a serial job pulls while index %llu is out", ull{i});
  if (config_.batch_max)
    PA_CHECK(count <= config_.batch_max, "a pull of %llu for batches of %llu", ull{count}, ull{config_.batch_max});
}

// Without a bound where there is none. That of a stream grows with the leases.
uint64_t Ledger::window() const {
  if (config_.window) return config_.window;
  if (!config_.stream) return UINT64_MAX;
  const uint64_t lease = std::max(largest_lease_, config_.batch_max);
  const uint64_t two_each = 2 * uint64_t{config_.workers} * std::max<uint64_t>(1, config_.batch_max);
  return std::max(two_each, std::min<uint64_t>(262'144, 16 * uint64_t{config_.workers} * lease));
}

void Ledger::supplied(nanos now, uint64_t count, bool end, uint64_t cookie) {
  admit(supplied_, count);
  for (uint64_t i = 0; i < count; i++) {
    Item& fresh = item(supplied_ + i);
    PA_CHECK(fresh.state == State::unseen, "index %llu is supplied twice", ull{supplied_ + i});
    fresh.state = State::ready;
    fresh.supplied_at = now;
    fresh.cookie = cookie;
  }
  supplied_ += count;
  input_done_ = end;
}

void Ledger::admit(uint64_t first, uint64_t count) {
  PA_CHECK(first == admitted_, "index %llu is admitted after %llu inputs", ull{first}, ull{admitted_});
  const uint64_t out = in_window();
  PA_CHECK(count <= window() && out + count <= window(), "%llu admitted, the window is %llu", ull{out + count},
           ull{window()});
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
  const bool in_order = config_.window || config_.chunk || config_.serial || config_.stream;
  if (fresh && in_order) admit(lease.first, lease.count);
  largest_lease_ = std::max(largest_lease_, lease.count);

  for (uint64_t i = 0; i < lease.count; i++) {
    const uint64_t index = lease.first + i;
    Item& it = item(index);
    PA_CHECK(it.state == expected || (fresh && it.state == State::unseen), "index %llu is leased in state %d", ull{index},
             static_cast<int>(it.state));
    PA_CHECK(it.cookie == lease.cookie, "index %llu was supplied with cookie %llu and is leased with %llu", ull{index},
             ull{it.cookie}, ull{lease.cookie});
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
    PA_CHECK(is_resolved(items_[i]), "a serial job starts index %llu before %llu has its outcome", ull{lease.first}, ull{i});
}

// A batch is full, unless there is a reason.
void Ledger::check_batch(nanos now, const Lease& lease, bool fresh) const {
  if (!config_.batch_max || lease.count == config_.batch_max) return;
  const bool pays_by_item = plan_.limited && config_.tokens_per_lease == 0;
  // What is left over when a full batch is cut from several pushes goes when the first of them should.
  const bool joined = config_.pushed && plan_.cookies != 0;
  if (pays_by_item || given_back_ || joined) return;
  if (fresh) {
    uint64_t most = std::min(config_.batch_max, config_.count - lease.first);
    if (config_.chunk) most = std::min(most, config_.chunk - lease.first % config_.chunk);
    PA_CHECK(lease.count == most, "a batch of %llu where %llu were to be had", ull{lease.count}, ull{most});
  } else if (config_.fetched && config_.linger_ns && !input_done_) {
    if (config_.chunk && supplied_ % config_.chunk == 0) return;  // nothing more can join it
    const nanos waited = now - items_[lease.first].supplied_at;
    PA_CHECK(waited >= config_.linger_ns, "a batch of %llu went after %lld ns, it should linger for %lld", ull{lease.count},
             ll{waited}, ll{config_.linger_ns});
  }
}

void Ledger::resolve(nanos now, uint64_t index, State state) {
  Item& it = item(index);
  PA_CHECK(it.state == State::leased, "index %llu has the outcome %d in state %d", ull{index}, static_cast<int>(state),
           static_cast<int>(it.state));
  put(it, state);
  it.attempts++;
  it.resolved_at = now;
  resolved_++;
  if (!config_.stream) return;
  done_.push_back(index);
  pending_++;
}

void Ledger::succeeded(nanos now, uint64_t first, uint64_t count) {
  for (uint64_t i = 0; i < count; i++) resolve(now, first + i, State::succeeded);
}

void Ledger::failed_for_good(nanos now, uint64_t index) {
  resolve(now, index, State::failed);
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

// ---------------------------------------------------------------- the consumer of a stream

bool Ledger::consumer_is_over() const {
  return abandoned_ || (config_.max_errors && failures_handed_out_ >= config_.max_errors);
}

bool Ledger::deliverable(bool skip) const {
  if (consumer_is_over()) return false;
  if (!config_.ordered || skip) return pending_ != 0;
  return whose_turn_ < items_.size() && has_result(items_[whose_turn_]);
}

uint64_t Ledger::handed_out(const Chunk& chunk, bool skip) {
  PA_CHECK(chunk.count > 0, "an empty chunk");
  PA_CHECK(!consumer_is_over(), "index %llu is handed out after the stream was over", ull{chunk.first});
  PA_CHECK(!chunk.failed || chunk.count == 1, "%llu failed items in one chunk", ull{chunk.count});
  check_duration(chunk);
  uint64_t skipped = 0;
  if (config_.ordered) {
    PA_CHECK(chunk.first >= whose_turn_, "index %llu is handed out after %llu", ull{chunk.first}, ull{whose_turn_});
    PA_CHECK(chunk.first == whose_turn_ || skip, "index %llu is handed out, and %llu may still come", ull{chunk.first},
             ull{whose_turn_});
    for (; whose_turn_ < chunk.first; whose_turn_++, skipped++)
      PA_CHECK(!has_result(items_[whose_turn_]), "index %llu is skipped, and has a result", ull{whose_turn_});
    whose_turn_ += chunk.count;
  }
  for (uint64_t index = chunk.first; index < chunk.first + chunk.count; index++) {
    Item& it = item(index);
    PA_CHECK(it.state == (chunk.failed ? State::failed : State::succeeded), "index %llu is handed out in state %d",
             ull{index}, static_cast<int>(it.state));
    PA_CHECK(it.attempts == chunk.attempts, "index %llu is handed out with %u attempts, it had %u", ull{index},
             chunk.attempts, it.attempts);
    PA_CHECK(it.cookie == chunk.cookie, "index %llu is handed out with the cookie %llu", ull{index}, ull{chunk.cookie});
    if (!config_.ordered) {
      PA_CHECK(index == done_.front(), "index %llu is handed out, and %llu was done first", ull{index}, ull{done_.front()});
      done_.pop_front();
    }
    put(it, State::handed_out);
  }
  handed_out_ += chunk.count;
  pending_ -= chunk.count;
  failures_handed_out_ += chunk.failed;
  return skipped;
}

// From the start of the first attempt; the items of a lease share its time, those of a batch have all of it.
void Ledger::check_duration(const Chunk& chunk) const {
  const Item& it = items_[chunk.first];
  const nanos most = it.resolved_at - it.first_started;
  if (chunk.attempts > 1 || config_.batched)
    PA_CHECK(chunk.duration_ns == most, "index %llu took %lld ns, the chunk says %lld", ull{chunk.first}, ll{most},
             ll{chunk.duration_ns});
  else
    PA_CHECK(chunk.duration_ns >= 0 && chunk.duration_ns * static_cast<nanos>(chunk.count) <= most,
             "%llu items took %lld ns, the chunk says %lld each", ull{chunk.count}, ll{most}, ll{chunk.duration_ns});
}

// ---------------------------------------------------------------- after the end

void Ledger::taken_back(const Unrun& unrun) {
  for (uint64_t i = 0; i < unrun.count; i++) {
    Item& it = item(unrun.first + i);
    PA_CHECK(it.state == State::leased, "index %llu is taken back in state %d", ull{unrun.first + i},
             static_cast<int>(it.state));
    PA_CHECK(it.cookie == unrun.cookie, "index %llu is taken back with the cookie %llu", ull{unrun.first + i},
             ull{unrun.cookie});
    put(it, State::placeholder);
  }
  placeholders_ += unrun.count;
}

uint64_t Ledger::drained(const Unrun& unrun) {
  uint64_t results = 0;
  for (uint64_t index = unrun.first; index < unrun.first + unrun.count; index++) {
    Item& it = item(index);
    if (config_.stream && has_result(it)) {
      PA_CHECK(consumer_is_over(), "index %llu is drained, and the consumer may still come for it", ull{index});
      results++;
      pending_--;
    } else {
      PA_CHECK(it.state == State::unseen || it.state == State::ready || it.state == State::waiting,
               "index %llu is drained in state %d", ull{index}, static_cast<int>(it.state));
      PA_CHECK(!config_.stream || it.state != State::unseen, "index %llu is drained, and was never admitted", ull{index});
    }
    PA_CHECK(it.attempts == unrun.attempts, "index %llu is drained with %u attempts, it had %u", ull{index}, unrun.attempts,
             it.attempts);
    PA_CHECK(it.cookie == unrun.cookie, "index %llu is drained with the cookie %llu", ull{index}, ull{unrun.cookie});
    put(it, State::placeholder);
  }
  placeholders_ += unrun.count;
  return results;
}

// A run that ended early has one outcome for each declared input, pulled or not, and for each that was pulled beyond that. A
// stream is simply shorter.
uint64_t Ledger::total(End end) const {
  if (config_.stream) return admitted_;
  if (config_.count == kUnsized || end == End::completed) return supplied_;
  return std::max(config_.count, supplied_);
}

void Ledger::close(End end) const {
  const uint64_t count = total(end);
  for (uint64_t i = 0; i < count; i++) {
    const State state = items_[i].state;
    const bool resolved = config_.stream ? state == State::handed_out : has_result(items_[i]);
    PA_CHECK(resolved || state == State::placeholder, "index %llu has no outcome, state %d", ull{i},
             static_cast<int>(state));
  }
  PA_CHECK(outcomes() == count, "%llu outcomes for %llu indices", ull{outcomes()}, ull{count});
  if (end == End::completed && !abandoned_)
    PA_CHECK(placeholders_ == 0, "a completed run with %llu placeholders", ull{placeholders_});
}

bool Ledger::anything_to_lease() const {
  return std::any_of(items_.begin(), items_.begin() + static_cast<std::ptrdiff_t>(supplied_),
                     [](const Item& it) { return it.state == State::unseen || it.state == State::ready; });
}

bool Ledger::only_retries_after(nanos instant) const {
  if (!input_done_) return false;
  return std::all_of(items_.begin(), items_.begin() + static_cast<std::ptrdiff_t>(supplied_), [&](const Item& it) {
    return is_resolved(it) || (it.state == State::waiting && it.due_latest >= instant);
  });
}

}  // namespace pa::simulation
