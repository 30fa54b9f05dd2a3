// Those at the two ends of a stream: its consumer, and whoever pushes inputs.
#include <algorithm>

#include "check.hpp"
#include "run.hpp"
#include "trace.hpp"

namespace pa::simulation {

// ---------------------------------------------------------------- the consumer

// Nobody will bring him anything more.
bool Run::nothing_comes() const {
  const bool over = job_.end() != End::none || job_.all_resolved();
  return over && (revoked_ || (!count(Doing::running) && !pulling_));
}

void Run::come() {
  const bool was_told = consumer_.told;
  ledger_.came_back();
  Chunk chunk;
  Wake wake;
  const Next answer = job_.next(around_.now, chunk, wake);
  if (answer == Next::chunk)
    PA_TRACE("the consumer gets [%llu +%llu)%s, wake %u", ull{chunk.first}, ull{chunk.count}, chunk.failed ? " failed" : "",
             wake.takers);
  else
    PA_TRACE("the consumer %s, wake %u", answer == Next::again ? "waits" : "is told that it is over", wake.takers);
  PA_CHECK(!was_told || answer == Next::done, "something is handed out after the stream was over");
  consumer_.at = around_.now + draw_rest();
  switch (answer) {
    case Next::chunk:
      coverage_.gaps_skipped += ledger_.handed_out(chunk, nothing_comes());
      coverage_.chunks++;
      coverage_.failures_handed_out += chunk.failed;
      coverage_.handed_out_after_the_end += job_.end() != End::none && job_.end() != End::completed;
      break;
    case Next::again:
      PA_CHECK(!ledger_.consumer_is_over() && !nothing_comes(), "the consumer shall wait, and nothing comes");
      PA_CHECK(!ledger_.deliverable(false), "the consumer shall wait, and something is done");
      consumer_ = {kNever, true, false};
      coverage_.consumer_waited++;
      coverage_.stragglers += ledger_.holds_back();
      break;
    case Next::done:
      PA_CHECK(ledger_.consumer_is_over() || (nothing_comes() && !ledger_.deliverable(true)),
               "the consumer is sent away, and there is something for him");
      coverage_.streams_cut_at_max_errors += !was_told && !closed_ && ledger_.consumer_is_over();
      if (was_told) consumer_.at = kNever;  // he has asked a second time
      consumer_.told = true;
      break;
  }
  after_call(wake);
}

nanos Run::draw_rest() {
  Random& random = around_.random;
  if (chance(random, plan_.stalling)) {
    coverage_.consumer_stalled++;
    return span_below(random, 20 * plan_.rest_longest + 1'000'000);
  }
  return chance(random, plan_.bursting) ? 0 : span_below(random, plan_.rest_longest);
}

void Run::close_stream() {
  PA_TRACE("the consumer closes the stream");
  job_.abandon();
  ledger_.abandoned();
  Wake wake;
  closed_ = true;
  job_.end_as(End::cancelled, wake);
  coverage_.consumer_closed++;
  consumer_ = {around_.now, false, true};
  after_call(wake);
}

// He sleeps until he is told: so he must have been.
void Run::check_consumer() {
  if (!consumer_.waits) return;
  PA_CHECK(!ledger_.deliverable(nothing_comes()), "missed wake-up: the consumer sleeps, and something is done");
  PA_CHECK(!nothing_comes(), "missed wake-up: the consumer sleeps, and the stream is over");
}

// ---------------------------------------------------------------- inputs that are pushed

uint64_t Run::draw_cookie() { return plan_.cookies ? around_.random.below(plan_.cookies) : ++supplies_; }

void Run::push() {
  Random& random = around_.random;
  const uint64_t left = plan_.inputs - ledger_.supplied();
  const uint64_t room = job_.room_for_inputs();
  pusher_.at = kNever;
  if (left && !room) {
    pusher_.waits = ended_ == End::none;
    coverage_.pushes_without_room += pusher_.waits;
    return;
  }
  const uint64_t got = left ? 1 + random.below(std::min(left, room)) : 0;
  const bool end = got == left && (!got || chance(random, plan_.says_end_early));
  const uint64_t cookie = draw_cookie();
  const bool must = must_end();
  Wake wake;
  const bool part_of_it = job_.admit(around_.now, got, end, cookie, wake);
  PA_TRACE("%llu inputs are pushed%s%s, wake %u", ull{got}, end ? ", the last" : "", part_of_it ? "" : ", too late",
           wake.takers);
  PA_CHECK(part_of_it == !must, "inputs that are pushed %s the end are%s part of the run", must ? "after" : "before",
           part_of_it ? "" : " not");
  coverage_.pushes++;
  coverage_.pushes_after_the_end += !part_of_it;
  if (part_of_it) {
    ledger_.supplied(around_.now, got, end, cookie);
    if (!end) pusher_.at = around_.now + span_below(random, plan_.push_longest);
  }
  after_call(wake);
}

}  // namespace pa::simulation
