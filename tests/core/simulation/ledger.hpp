// What became of each index of one job, as its takers saw it: exactly one outcome each (I3), never beyond the window (I1),
// in pull order (I2), with the attempts that were really made, and with the cookie it was supplied with. Of a stream, each goes to
// the consumer once, in the promised order, or is drained.
#pragma once
#include <cstdint>
#include <deque>
#include <vector>

#include "core/job.hpp"
#include "scenario.hpp"

namespace pa::simulation {

class Ledger {
 public:
  explicit Ledger(const RunPlan& plan);

  // What the job may hand out, checked as it happens.
  void asked_for(uint64_t first, uint64_t count) const;  // a pull begins
  void supplied(nanos now, uint64_t count, bool end, uint64_t cookie);
  void granted(nanos now, const Lease& lease);

  // What takers make of it.
  void succeeded(nanos now, uint64_t first, uint64_t count);
  void failed_for_good(nanos now, uint64_t index);
  void failed_attempt(nanos now, uint64_t index, Verdict verdict, nanos server_wait_ns);
  void given_back(uint64_t first, uint64_t count);

  // The consumer of a stream. `skip`: what has no outcome yet gets none.
  void came_back() { released_ = handed_out_; }
  uint64_t handed_out(const Chunk& chunk, bool skip);  // how many were skipped
  void abandoned() { abandoned_ = true; }
  bool consumer_is_over() const;
  bool deliverable(bool skip) const;
  bool holds_back() const { return !deliverable(false) && pending_ != 0; }  // a straggler does

  // After the end.
  void taken_back(const Unrun& unrun);   // by revoke
  uint64_t drained(const Unrun& unrun);  // how many of them had a result
  void close(End end) const;             // nothing is missing

  bool is_taken_back(uint64_t index) const { return items_[index].state == State::placeholder; }
  bool anything_leased() const { return leased_ != 0; }
  bool anything_to_lease() const;  // apart from retries
  bool settled(End end) const { return outcomes() >= total(end); }
  uint64_t window() const;
  uint64_t in_window() const { return admitted_ - (config_.stream ? released_ : resolved_); }
  // Do all unresolved indices wait for a retry that can't come before `instant`?
  bool only_retries_after(nanos instant) const;
  uint64_t resolved() const { return resolved_; }
  uint64_t failures() const { return failures_; }
  uint64_t supplied() const { return supplied_; }
  bool input_done() const { return input_done_; }
  bool was_given_back() const { return given_back_; }

 private:
  enum class State : uint8_t { unseen, ready, leased, waiting, succeeded, failed, handed_out, placeholder };
  struct Item {
    State state = State::unseen;
    uint32_t attempts = 0;  // that have ended
    nanos first_started = 0;
    nanos supplied_at = 0;
    nanos due_earliest = 0;  // with jitter, the job alone knows
    nanos due_latest = 0;
    nanos resolved_at = 0;
    uint64_t cookie = 0;
  };
  static bool has_result(const Item& item) { return item.state == State::succeeded || item.state == State::failed; }
  static bool is_resolved(const Item& item) { return has_result(item) || item.state == State::handed_out; }
  Item& item(uint64_t index);
  void admit(uint64_t first, uint64_t count);
  void check_chunk(uint64_t count) const;
  void check_first_attempt(nanos now, const Lease& lease) const;
  void check_batch(nanos now, const Lease& lease, bool fresh) const;
  void put(Item& item, State state);
  uint64_t total(End end) const;
  uint64_t outcomes() const { return (config_.stream ? handed_out_ : resolved_) + placeholders_; }
  void resolve(nanos now, uint64_t index, State state);
  void check_duration(const Chunk& chunk) const;

  const RunPlan& plan_;
  const JobConfig& config_;
  std::vector<Item> items_;
  uint64_t admitted_ = 0;
  uint64_t supplied_ = 0;
  uint64_t resolved_ = 0;
  uint64_t failures_ = 0;
  uint64_t placeholders_ = 0;
  uint64_t leased_ = 0;
  uint64_t largest_lease_ = 1;
  std::deque<uint64_t> done_;  // and not handed out, in order of completion
  uint64_t pending_ = 0;       // so many
  uint64_t whose_turn_ = 0;    // in the order of inputs
  uint64_t handed_out_ = 0;
  uint64_t released_ = 0;
  uint64_t failures_handed_out_ = 0;
  bool abandoned_ = false;
  bool input_done_ = false;
  bool given_back_ = false;
};

}  // namespace pa::simulation
