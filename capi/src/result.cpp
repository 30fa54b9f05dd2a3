// Reading the outcomes of a run.
#include <cstring>

#include "capi/src/run_record.hpp"
#include "capi/src/workforce.hpp"

uint64_t pa_result::count() const {
  if (!growing_) return work_.count;
  const bool padded = work_.count != PA_UNSIZED && job.end() != pa::End::completed;
  return padded ? std::max(stored_, work_.count) : stored_;
}

bool pa_result::ok() const { return end() == PA_END_COMPLETED && job.failures() == 0; }

uint64_t pa_result::not_ok() const { return job.failures() + unrun_.load(std::memory_order_relaxed); }

uint8_t pa_result::state_at(uint64_t index) const {
  return index < stored_ ? slots(index, 1).states[0] : pa::state_of_unrun(job.end());
}

void** pa_result::value_slot(uint64_t index) const {
  if (index >= stored_ || !has_items()) return nullptr;
  const pa::Slots slot = slots(index, 1);
  return slot.states[0] == PA_ITEM_OK ? slot.values : nullptr;
}

// `receipt` is used where the item succeeded.
void pa_result::fill_outcome(uint64_t index, const pa::Receipt& receipt, pa_outcome& outcome) const {
  const pa::Slots slot = slots(index, 1);
  outcome.index = index;
  outcome.state = slot.states[0];
  outcome.message = "";
  if (settings_.item_key) outcome.key = keys_.find(index, from_before_fork());
  if (outcome.state == PA_ITEM_OK) {
    if (has_items()) outcome.value = slot.values[0];
    outcome.attempts = receipt.attempts;
    outcome.duration_ns = receipt.duration_ns;
    return;
  }
  const pa::Note* note = notes.find(index, from_before_fork());
  if (note) {
    outcome.code = note->code;
    outcome.attempts = note->attempts;
    outcome.duration_ns = note->duration_ns;
  }
  if (note && note->message)
    outcome.message = note->message.get();
  else if (outcome.state == PA_ITEM_FAILED)
    outcome.message = "the function returned a failure";
  else
    outcome.message = placeholder_message_;
}

void pa_result::outcome_at(uint64_t index, pa_outcome& outcome) const {
  outcome = {};
  if (index < stored_) return fill_outcome(index, receipts_.find(index), outcome);
  outcome.index = index;
  outcome.state = pa::state_of_unrun(job.end());
  outcome.message = placeholder_message_;
}

pa_status pa_result::check(pa_error* error) const noexcept {
  const auto number = [](uint64_t value) { return static_cast<unsigned long long>(value); };
  const uint64_t total = count(), unrun = unrun_.load(std::memory_order_relaxed);
  switch (end()) {
    case PA_END_TIMED_OUT:
      return pa::report(error, PA_STATUS_TIMED_OUT, 0, "the run timed out: %llu of %llu items were not done", number(unrun),
                        number(total));
    case PA_END_ABORTED:
      return pa::report(error, PA_STATUS_ABORTED, 0,
                        "the run was aborted after %llu failures (max_errors %llu): %llu of %llu items were not done",
                        number(job.failures()), number(settings_.max_errors), number(unrun), number(total));
    case PA_END_CANCELLED:
      return pa::report(error, PA_STATUS_CANCELLED, 0, "the run was cancelled: %llu of %llu items were not done",
                        number(unrun), number(total));
    case PA_END_FAILED:
      return report_failure(error);
    default:
      break;
  }
  if (job.failures() == 0) return PA_STATUS_OK;
  uint64_t first = 0;
  while (state_at(first) == PA_ITEM_OK) first++;
  pa_outcome outcome;
  outcome_at(first, outcome);
  return pa::report(error, PA_STATUS_ITEMS_FAILED, outcome.code,
                    "%llu of %llu items failed; the first, index %llu: %.120s (code %d)", number(job.failures()),
                    number(total), number(first), outcome.message, outcome.code);
}

pa_status pa_result::take_value(void*& kept, void*& taken, pa_error* error) noexcept {
  void* value = kept;
  if (kept && keeps_values()) {
    const pa::Task& task = workforce()->task;
    const pa_bytes bytes = task.value_made->bytes_of(task.value.ctx, kept);
    if (task.value.decode(task.value.ctx, bytes.data, bytes.size, &value)) return pa::no_memory(error);
  }
  taken = value;
  kept = nullptr;
  return PA_STATUS_OK;
}

void pa_result::release_values() noexcept {
  if (!releases_values() || !has_items()) return;
  for (uint64_t index = 0; index < stored_; index++)
    if (void** value = value_slot(index)) release_value(*value);
}

// ---------------------------------------------------------------------------------------------------------- the ABI

static_assert(sizeof(pa_outcome) == 112 && sizeof(pa_key) == 32, "frozen");

namespace {

pa_status check_index(const pa_result* result, uint64_t index, pa_error* error) noexcept {
  if (!result) return PA_INVALID(error, "result must not be NULL");
  if (index >= result->count())
    return PA_INVALID(error, "index must be below the count of %llu, got %llu",
                      static_cast<unsigned long long>(result->count()), static_cast<unsigned long long>(index));
  return PA_STATUS_OK;
}

}  // namespace

uint64_t pa_result_count(const pa_result* result) { return result ? result->count() : 0; }

int32_t pa_result_end(const pa_result* result) { return result ? result->end() : PA_END_NONE; }

int32_t pa_result_ok(const pa_result* result) { return result && result->ok(); }

uint64_t pa_result_failed(const pa_result* result) { return result ? result->not_ok() : 0; }

pa_status pa_result_at(const pa_result* result, uint64_t index, pa_outcome* outcome, pa_error* error) {
  return pa::guarded(error, [&]() -> pa_status {
    if (const pa_status status = check_index(result, index, error)) return status;
    if (!outcome) return PA_INVALID(error, "outcome must not be NULL");
    result->outcome_at(index, *outcome);
    return PA_STATUS_OK;
  });
}

void* pa_result_value(const pa_result* result, uint64_t index) {
  void** slot = result ? result->value_slot(index) : nullptr;
  return slot ? *slot : nullptr;
}

pa_status pa_result_take(pa_result* result, uint64_t index, void** value, pa_error* error) {
  if (const pa_status status = check_index(result, index, error)) return status;
  if (!value) return PA_INVALID(error, "value must not be NULL");
  *value = nullptr;
  void** slot = result->value_slot(index);
  return slot ? result->take_value(*slot, *value, error) : PA_STATUS_OK;
}

pa_status pa_result_next_failure(const pa_result* result, uint64_t* cursor, pa_outcome* outcome, pa_error* error) {
  return pa::guarded(error, [&]() -> pa_status {
    if (!result) return PA_INVALID(error, "result must not be NULL");
    if (!cursor) return PA_INVALID(error, "cursor must not be NULL");
    if (!outcome) return PA_INVALID(error, "outcome must not be NULL");
    const uint64_t count = result->count();
    if (result->not_ok() == 0) *cursor = count;
    while (*cursor < count && result->state_at(*cursor) == PA_ITEM_OK) ++*cursor;
    if (*cursor >= count) return PA_STATUS_DONE;
    result->outcome_at((*cursor)++, *outcome);
    return PA_STATUS_OK;
  });
}

pa_status pa_result_check(const pa_result* result, pa_error* error) {
  return pa::guarded(error, [&]() -> pa_status {
    if (!result) return PA_INVALID(error, "result must not be NULL");
    return result->check(error);
  });
}

uint64_t pa_result_batch_size(const pa_result* result) { return result ? result->batch_size() : 0; }

void pa_result_free(pa_result* result) {
  if (!result) return;
  result->release_values();
  result->release();
}
