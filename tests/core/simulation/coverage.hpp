// What the schedules have visited. A feature that no schedule visits is not tested, so that a zero fails the test.
#pragma once
#include <cstdint>

namespace pa::simulation {

#define PA_SIMULATION_FEATURES(X) \
  X(leases)                       \
  X(lane_runs)                    \
  X(counter_runs)                 \
  X(sized_sources)                \
  X(unsized_sources)              \
  X(hints_too_high)               \
  X(hints_too_low)                \
  X(pushed_sources)               \
  X(serial_runs)                  \
  X(chunked_runs)                 \
  X(shared_limiters)              \
  X(pulls)                        \
  X(pulls_after_the_end)          \
  X(source_failures)              \
  X(pushes)                       \
  X(pushes_without_room)          \
  X(pushes_after_the_end)         \
  X(retries)                      \
  X(server_waits)                 \
  X(final_failures)               \
  X(stopped_retries)              \
  X(steps)                        \
  X(halves_shared)                \
  X(steps_refused)                \
  X(give_backs)                   \
  X(full_batches)                 \
  X(automatic_batches)            \
  X(batches_that_lingered)        \
  X(parked)                       \
  X(woken)                        \
  X(left)                         \
  X(went_early)                   \
  X(left_with_a_lease)            \
  X(completed_and_took)           \
  X(gated_runs)                   \
  X(waited_for_a_place)           \
  X(probes)                       \
  X(pauses)                       \
  X(charges)                      \
  X(gifts)                        \
  X(rate_changes)                 \
  X(revoked)                      \
  X(late_calls)                   \
  X(drained)                      \
  X(observed)                     \
  X(concluded)                    \
  X(streams)                      \
  X(ordered_streams)              \
  X(automatic_windows)            \
  X(chunks)                       \
  X(failures_handed_out)          \
  X(handed_out_after_the_end)     \
  X(stragglers)                   \
  X(gaps_skipped)                 \
  X(consumer_waited)              \
  X(consumer_woken)               \
  X(consumer_stalled)             \
  X(consumer_closed)              \
  X(streams_cut_at_max_errors)    \
  X(results_drained)              \
  X(ends_completed)               \
  X(ends_timed_out)               \
  X(ends_predicted_late)          \
  X(ends_aborted)                 \
  X(ends_cancelled)               \
  X(ends_failed)

struct Coverage {
#define X(feature) uint64_t feature = 0;
  PA_SIMULATION_FEATURES(X)
#undef X
};

}  // namespace pa::simulation
