// One schedule: a fake clock, the jobs of a scenario, and what happens to all of them.
#pragma once
#include <memory>
#include <vector>

#include "run.hpp"

namespace pa::simulation {

class World {
 public:
  World(const Scenario& scenario, Coverage& coverage, bool trace);
  ~World();
  void play();  // throws Violation

 private:
  // Stands for a driver: notes that it was told, so that the world can wake whoever waits.
  struct Doorbell final : Listener {
    bool rang = false;
    void notified() noexcept override { rang = true; }
  };
  void disturb();
  void answer_doorbells();
  bool act();
  bool over() const;
  bool drain();
  void advance(bool probing);

  const Scenario& scenario_;
  Coverage& coverage_;
  Limiter limiter_;
  TokenBudget budget_;
  StopToken stop_;
  Doorbell limiter_bell_;
  Doorbell stop_bell_;
  Surroundings around_;
  std::vector<std::unique_ptr<Run>> runs_;
};

}  // namespace pa::simulation
