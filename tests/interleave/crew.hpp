// A job and its takers, as a driver runs them, for the explorer: takers sleep on an epoch that they read before they take,
// and are woken as often as the job says; so does the consumer of a stream. What the explorer looks for is an index that is lost, run
// or handed out twice, a taker that sleeps while there is work, and a consumer who sleeps beside what is done.
#pragma once
#include <string>
#include <vector>

#include "core/job.hpp"
#include "explorer.hpp"

namespace pa::interleave {

class Crew : public Program, private Witness {
 public:
  bool idle() override;
  void finish() override;

 protected:
  explicit Crew(const JobConfig& config);
  void taker();     // the body of a fiber
  void consumer();  // another; of a stream
  void wake(Wake wake);
  void wake_all() { wake({kEveryone, true}); }

  // How an item runs.
  virtual bool slow(uint64_t) { return false; }  // it takes until nobody else can go on
  virtual bool fails(uint64_t, uint32_t /*attempt*/) { return false; }
  virtual uint64_t runs_of(const Lease& lease) { return lease.count; }  // how many of a lease, before the rest goes back
  virtual bool leaves() { return false; }                               // instead of sleeping

  // Inputs of a fetched job.
  uint64_t inputs_left_ = 0;
  virtual uint64_t gets(uint64_t asked) { return asked; }

  Job job_;
  nanos now_ = 1;
  nanos lease_takes_ = 1;  // how much later it is after each item

 private:
  enum class State { untaken, leased, waiting, resolved, handed_out, placeholder };
  struct Item {
    State state = State::untaken;
    uint32_t attempts = 0;
    bool told = false;  // of its failure
  };
  struct Sleeper {
    bool asleep = false;
    nanos until = kNever;
  };
  void failed(uint64_t index, Verdict verdict) noexcept override;
  void succeeded(uint64_t, uint64_t) noexcept override {}

  void sleep(uint32_t seen, nanos until);
  void run(Lease& lease);
  void pull(Lease& lease);
  void body(uint64_t index);
  void begin(const Lease& lease);
  void resolve(uint64_t first, uint64_t count);
  void put_back(uint64_t first, uint64_t count);
  void receive(const Chunk& chunk);
  void drain();
  bool work_is_available();
  bool result_is_available();
  Item& item(uint64_t index);

  bool ended_ = false;  // some call has said so
  std::vector<Item> items_;
  std::vector<Sleeper> sleepers_;
  std::vector<uint32_t> in_slow_body_;
  uint32_t active_ = 0;   // takers that have not gone
  uint32_t running_ = 0;  // of those, with a lease
  Atomic<uint32_t> epoch_{0};
  bool consumer_asleep_ = false;
  uint64_t whose_turn_ = 0;  // in an ordered stream
  Atomic<uint32_t> consumer_epoch_{0};
};

}  // namespace pa::interleave
