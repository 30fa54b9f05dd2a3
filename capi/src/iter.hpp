// A run that hands its outcomes out: what stands behind pa_iter.
#pragma once
#include <memory>
#include <vector>

#include "capi/src/record.hpp"
#include "capi/src/stream_storage.hpp"
#include "capi/src/worker.hpp"

struct pa_iter final : pa::Record {
  // The settings have been checked. Throws std::bad_alloc, and has then taken nothing over.
  pa_iter(const pa::Work& work, const pa::Settings& settings, pa::nanos now);

  // Lets takers come. False with errno: not even one thread could be made, and nothing has happened.
  bool start() noexcept;

  // ---- the consumer; one call at a time
  pa_status next(pa::nanos timeout_ns, pa_outcome& outcome, pa_error* error) noexcept;
  pa_status next_many(pa_outcome& first, void**& values, size_t& count, pa_error* error) noexcept;
  pa_status drain(pa_outcome& outcome, pa_error* error) noexcept;
  int32_t fd(pa_error* error) noexcept;
  void close() noexcept;

  int32_t end() const { return over_ ? pa::public_end(job.end()) : PA_END_NONE; }
  uint64_t batch_size() const { return work_.kind == pa::Kind::batch ? job.batch_size() : 0; }

 private:
  pa_iter(const pa::Work& work, const pa::Settings& settings, pa::nanos now, std::unique_ptr<pa_limiter> own);
  ~pa_iter() override = default;

  enum class Got { chunk, nothing, over };
  // What became of the items of a chunk.
  enum class Fate : uint8_t { done, unrun, left_running };

  // ---- for workers
  pa::Slots slots(const pa::Lease& lease, uint64_t first, uint64_t count) const override {
    return storage_.slots(lease.cookie, first, count);
  }
  pa::Slots room_for(pa::Lease& lease, uint64_t want) override;
  void delivered(const pa::Lease& lease, uint64_t got) noexcept override;
  void refuse_inputs(const pa::Lease& lease, uint64_t first, uint64_t count) noexcept override;
  void name(const pa::Lease& lease, uint64_t index, const pa_key& key) override;
  pa_key key_of(const pa::Lease& lease, uint64_t index) const override { return key_at(lease.cookie, index); }
  bool note_success(pa::Receipts::Pen&, const pa::Receipt&) noexcept override { return true; }  // the job's chunks say it
  void failed(uint64_t, int32_t, uint32_t, pa::nanos) noexcept override {}
  void succeeded(uint64_t, uint64_t, uint32_t, pa::nanos) noexcept override {}
  void release_items(const pa::Lease& lease, uint64_t first, uint64_t count) noexcept override;
  void quiescent() noexcept override;

  pa_key key_at(uint64_t cookie, uint64_t index) const;

  // ---- the consumer
  Got wait_for_chunk(pa::nanos until) noexcept;
  void put_chunk_away() noexcept;
  pa_status refill(pa::nanos timeout_ns, pa_error* error) noexcept;
  void describe_chunk() noexcept;
  void fill(pa_outcome& outcome) const noexcept;
  void announce(const pa_outcome& outcome) noexcept;
  pa_status say_over(pa_error* error) noexcept;
  void let_go() noexcept;
  void come_to_rest() noexcept;
  bool next_remnant() noexcept;
  void fill_unrun(pa_outcome& outcome) const noexcept;

  pa::StreamStorage storage_;
  std::unique_ptr<pa::Worker> visitor_;  // inline executor: the consumer as a taker

  // What the consumer reads from with each call.
  pa::Chunk chunk_;
  uint64_t at_ = 0;  // of the chunk
  void** values_ = nullptr;
  pa_outcome common_{};  // of the chunk: all but index, value and key
  bool announces_;       // on_result or on_progress, until one of them fails
  bool over_ = false;
  bool let_go_ = false;
  bool at_rest_ = false;
  Fate fate_ = Fate::done;               // of the chunk
  std::vector<pa::Unrun> left_running_;  // by a run that was detached
  uint64_t announced_ = 0;
  void* none_ = nullptr;  // the value of an item that failed
};
