#include "crew.hpp"

#include <algorithm>

namespace pa::interleave {

Crew::Crew(const JobConfig& config) : job_(config) {
  if (!config.fetched) items_.resize(config.count);
}

Crew::Item& Crew::item(uint64_t index) {
  if (index >= items_.size()) fail("index " + std::to_string(index) + " does not exist");
  return items_[index];
}

// ---------------------------------------------------------------- what a driver does

void Crew::taker() {
  Lease lease;
  active_++;
  for (;;) {
    const uint32_t seen = epoch_.load();
    const bool over = ended_;
    Wake wakes;
    const Take answer = job_.take(now_, lease, wakes);
    if (over && answer != Take::done) fail("something is handed out after the end");
    if (answer == Take::lease) begin(lease);  // before anybody else can see that it is out
    wake(wakes);
    switch (answer) {
      case Take::lease:
        running_++;
        run(lease);
        running_--;
        break;
      case Take::pull:
        pull(lease);
        break;
      case Take::again:
        if (active_ > 1 && leaves()) {
          active_--;
          Wake on_leaving;
          job_.leave(lease, on_leaving);
          return wake(on_leaving);
        }
        sleep(seen, lease.come_back);
        break;
      case Take::done:
        active_--;
        return;
    }
  }
}

void Crew::consumer() {
  for (;;) {
    const uint32_t seen = consumer_epoch_.load();
    Chunk chunk;
    Wake wakes;
    const Next answer = job_.next(now_, chunk, wakes);
    wake(wakes);
    if (answer == Next::done) return;
    if (answer == Next::chunk) {
      receive(chunk);
    } else if (consumer_epoch_.load() == seen) {
      consumer_asleep_ = true;
      wait_until([this] { return !consumer_asleep_; });
    }
  }
}

void Crew::wake(Wake wake) {
  if (wake.takers == kEveryone && job_.end() != End::none) ended_ = true;
  if (wake.owner && job_.config().stream) {
    consumer_epoch_.fetch_add(1);
    consumer_asleep_ = false;
  }
  if (!wake.takers) return;
  epoch_.fetch_add(1);
  for (uint32_t left = wake.takers; left; left--) {
    std::vector<Sleeper*> asleep;
    for (Sleeper& sleeper : sleepers_)
      if (sleeper.asleep) asleep.push_back(&sleeper);
    if (asleep.empty()) return;
    asleep[choose(static_cast<uint32_t>(asleep.size()))]->asleep = false;
  }
}

// Like a futex: to see that the epoch is unchanged and to fall asleep is one step.
void Crew::sleep(uint32_t seen, nanos until) {
  if (epoch_.load() != seen) return;
  const uint32_t me = this_fiber();
  if (sleepers_.size() <= me) sleepers_.resize(me + 1);
  sleepers_[me] = {true, until};
  wait_until([this, me] { return !sleepers_[me].asleep; });
}

void Crew::run(Lease& lease) {
  uint64_t left = runs_of(lease);
  for (uint64_t done = 0; left; left--) {
    const uint64_t index = lease.first + done;
    body(index);
    now_ += lease_takes_;
    if (fails(index, lease.attempt)) {
      Wake wakes;
      resolve(lease.first, done);
      item(index).attempts++;
      const Verdict verdict = job_.fail(now_, lease, index, {}, *this, wakes);
      if (!item(index).told) fail("a failure was not told");
      if (verdict == Verdict::final && job_.end() == End::completed && job_.config().max_errors == 1)
        fail("a run with an error too many was completed");
      done = 0;
      wake(wakes);
    } else {
      done++;
    }
    if (left > 1 && job_.needs_step(now_, lease)) {
      Wake wakes;
      const uint64_t first = lease.first, rest = lease.count - done;
      resolve(first, done);
      const Span all = {first + done, rest};
      put_back(all.first, all.count);  // what a step gives away can be taken before it returns
      const bool goes_on = job_.step(now_, lease, done, *this, wakes);
      if (!goes_on) return wake(wakes);
      for (uint64_t i = 0; i < lease.count; i++) item(lease.first + i).state = State::leased;
      left = std::min(left, lease.count + 1);
      done = 0;
      wake(wakes);
    }
    if (left == 1) {
      Wake wakes;
      resolve(lease.first, done);
      put_back(lease.first + done, lease.count - done);
      job_.complete(now_, lease, done, *this, wakes);
      return wake(wakes);
    }
  }
  Wake wakes;
  put_back(lease.first, lease.count);
  job_.complete(now_, lease, 0, *this, wakes);
  wake(wakes);
}

void Crew::pull(Lease& lease) {
  const uint64_t asked = lease.count;
  if (slow(UINT64_MAX)) body(UINT64_MAX);
  const uint64_t got = std::min(inputs_left_, gets(asked));
  inputs_left_ -= got;
  Wake wakes;
  items_.resize(items_.size() + got);
  job_.supply(now_, got, inputs_left_ == 0, 0, wakes);
  wake(wakes);
}

void Crew::body(uint64_t index) {
  if (!slow(index)) return;
  const uint32_t me = this_fiber();
  in_slow_body_.push_back(me);
  wait_until([this, me] { return std::find(in_slow_body_.begin(), in_slow_body_.end(), me) == in_slow_body_.end(); });
}

// ---------------------------------------------------------------- what must hold

void Crew::begin(const Lease& lease) {
  if (!lease.count) fail("an empty lease");
  for (uint64_t i = 0; i < lease.count; i++) {
    Item& it = item(lease.first + i);
    if (it.state != State::untaken && it.state != State::waiting)
      fail("index " + std::to_string(lease.first + i) + " is taken twice");
    if (it.attempts + 1 != lease.attempt) fail("index " + std::to_string(lease.first + i) + " has the wrong attempt");
    it.state = State::leased;
  }
}

void Crew::resolve(uint64_t first, uint64_t count) {
  for (uint64_t i = 0; i < count; i++) {
    Item& it = item(first + i);
    if (it.state != State::leased) fail("index " + std::to_string(first + i) + " is resolved twice");
    it.state = State::resolved;
    it.attempts++;
  }
}

void Crew::put_back(uint64_t first, uint64_t count) {
  for (uint64_t i = 0; i < count; i++) item(first + i).state = item(first + i).attempts ? State::waiting : State::untaken;
}

void Crew::receive(const Chunk& chunk) {
  if (job_.config().ordered && chunk.first != whose_turn_ && job_.end() == End::none) fail("handed out before its turn");
  whose_turn_ = chunk.first + chunk.count;
  for (uint64_t i = 0; i < chunk.count; i++) {
    Item& it = item(chunk.first + i);
    if (it.state != State::resolved) fail("index " + std::to_string(chunk.first + i) + " is handed out, and is not done");
    it.state = State::handed_out;
  }
}

// Called under the job's lock, before the failure is counted.
void Crew::failed(uint64_t index, Verdict verdict) noexcept {
  items_[index].told = true;
  items_[index].state = verdict == Verdict::final ? State::resolved : State::waiting;
}

// Everybody sleeps, or is in the body of an item that takes long.
bool Crew::idle() {
  const bool asleep = std::any_of(sleepers_.begin(), sleepers_.end(), [](const Sleeper& sleeper) { return sleeper.asleep; });
  if (asleep && job_.end() == End::none && work_is_available()) fail("missed wake-up: a taker sleeps, and there is work");
  if (consumer_asleep_ && result_is_available()) fail("missed wake-up: the consumer sleeps, and something is done");
  if (!in_slow_body_.empty()) {
    in_slow_body_.erase(in_slow_body_.begin() + choose(static_cast<uint32_t>(in_slow_body_.size())));
    return true;
  }
  nanos next = kNever;
  for (const Sleeper& sleeper : sleepers_)
    if (sleeper.asleep) next = std::min(next, sleeper.until);
  if (next == kNever) return false;
  now_ = std::max(now_, next);
  for (Sleeper& sleeper : sleepers_)
    if (sleeper.asleep && sleeper.until <= now_) sleeper.asleep = false;
  return true;
}

bool Crew::work_is_available() {
  const JobConfig& config = job_.config();
  if ((config.fetched || config.stream) && running_ >= config.workers) return false;
  if (job_.next_due() <= now_) return true;
  if (config.stream && job_.in_window() >= config.window) return false;
  return std::any_of(items_.begin(), items_.end(), [](const Item& it) { return it.state == State::untaken; });
}

bool Crew::result_is_available() {
  const auto done = [](const Item& it) { return it.state == State::resolved; };
  if (job_.config().ordered) return whose_turn_ < items_.size() && done(items_[whose_turn_]);
  return std::any_of(items_.begin(), items_.end(), done);
}

void Crew::drain() {
  while (const std::optional<Unrun> unrun = job_.drain()) {
    for (uint64_t i = 0; i < unrun->count; i++) {
      Item& it = item(unrun->first + i);
      if (it.state != State::untaken && it.state != State::waiting)
        fail("index " + std::to_string(unrun->first + i) + " is drained, and was taken");
      if (it.attempts != unrun->attempts)
        fail("index " + std::to_string(unrun->first + i) + " is drained with the wrong attempts");
      it.state = State::placeholder;
    }
  }
}

void Crew::finish() {
  if (job_.end() == End::none) fail("all takers have gone, and the run has not ended");
  drain();
  // What a stream has not admitted is nobody's.
  const bool stream = job_.config().stream;
  const uint64_t count = stream ? job_.admitted() : items_.size();
  const State done = stream ? State::handed_out : State::resolved;
  for (size_t i = 0; i < count; i++)
    if (items_[i].state != done && items_[i].state != State::placeholder) fail("index " + std::to_string(i) + " is lost");
  if (!job_.settled()) fail("the run is not settled");
  if (job_.end() == End::completed && job_.resolved() != items_.size()) fail("completed too early");
}

}  // namespace pa::interleave
