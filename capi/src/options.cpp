#include "capi/src/options.hpp"

#include <algorithm>
#include <cstddef>
#include <cstring>

namespace pa {
namespace {

constexpr uint64_t kMostBatchItems = 1u << 20;
// What goes to a worker process and back takes two wake-ups besides.
constexpr nanos kProcessLease = 1'000'000;
// A batch of automatic size has at most so many items.
constexpr uint64_t kMostAutomaticBatch = 1u << 16;

pa_options defaults() {
  pa_options o{};
  o.struct_size = sizeof o;
  o.rate.per_ns = 1'000'000'000;
  o.rate.burst = 1;
  o.rate_cost = 1;
  o.retry.attempts = 1;
  o.retry.jitter = 1;
  o.retry.backoff_ns = 1'000'000'000;
  o.retry.max_delay_ns = 60'000'000'000;
  o.retry.max_server_wait_ns = 600'000'000'000;
  o.timeout_ns = -1;
  o.item_timeout_ns = -1;
  return o;
}

// The size of the first published version: no caller has less.
constexpr size_t kFirstSize = offsetof(pa_options, quiescent_ctx) + sizeof(void*);
static_assert(sizeof(pa_options) == kFirstSize + 2 * sizeof(uint32_t) + 2 * sizeof(void*),
              "new fields go to the end, with defaults above");

pa_status copy_known(const pa_options& given, pa_options& out, pa_error* error) noexcept {
  const size_t size = given.struct_size;
  if (size < sizeof(uint32_t) * 2)
    return PA_INVALID(error, "options.struct_size must be sizeof(pa_options), set by pa_options_init, got %zu", size);
  if (size < sizeof out) out = defaults();
  std::memcpy(&out, &given, std::min(size, sizeof out));
  out.struct_size = sizeof out;
  const auto* bytes = reinterpret_cast<const unsigned char*>(&given);
  for (size_t i = sizeof out; i < size; i++)
    if (bytes[i])
      return PA_INVALID(error, "options has a non-zero byte at offset %zu, beyond the %zu that this version of libpa knows",
                        i, sizeof out);
  return PA_STATUS_OK;
}

long long as_signed(int64_t value) { return static_cast<long long>(value); }
unsigned long long as_unsigned(uint64_t value) { return static_cast<unsigned long long>(value); }

pa_status check_how(const pa_options& o, pa_error* error) noexcept {
  if (o.executor < PA_EXECUTOR_THREADS || o.executor > PA_EXECUTOR_PROCESSES)
    return PA_INVALID(error, "options.executor must be PA_EXECUTOR_THREADS, _INLINE or _PROCESSES, got %d", o.executor);
  if (o.executor != PA_EXECUTOR_PROCESSES && o.task)
    return PA_INVALID(error, "options.task must be NULL but for PA_EXECUTOR_PROCESSES, got \"%.80s\"", o.task);
  if (o.executor != PA_EXECUTOR_PROCESSES && o.process)
    return PA_INVALID(error, "options.process must be NULL but for PA_EXECUTOR_PROCESSES");
  if (o.workers > PA_WORKERS_MAX)
    return PA_INVALID(error, "options.workers must be 0 (the usable CPUs) to %d, got %u", PA_WORKERS_MAX, o.workers);
  if (o.detach > 1) return PA_INVALID(error, "options.detach must be 0 or 1, got %u", o.detach);
  if (o.ordered > 1) return PA_INVALID(error, "options.ordered must be 0 or 1, got %u", o.ordered);
  if (o.reserved0) return PA_INVALID(error, "options.reserved0 must be 0, got %u", o.reserved0);
  if (o.timeout_ns < -1)
    return PA_INVALID(error, "options.timeout_ns must be >= 0, or -1 for none, got %lld", as_signed(o.timeout_ns));
  if (o.item_timeout_ns < -1 || o.item_timeout_ns == 0)
    return PA_INVALID(error, "options.item_timeout_ns must be > 0, or -1 for none, got %lld", as_signed(o.item_timeout_ns));
  return PA_STATUS_OK;
}

pa_status check_batch(const pa_options& o, pa_error* error) noexcept {
  if (o.batch.max_items > kMostBatchItems)
    return PA_INVALID(error, "options.batch.max_items must be 0 (automatic) to %llu, got %llu", as_unsigned(kMostBatchItems),
                      as_unsigned(o.batch.max_items));
  if (o.batch.linger_ns < 0)
    return PA_INVALID(error, "options.batch.linger_ns must be >= 0, got %lld", as_signed(o.batch.linger_ns));
  if (o.window && o.batch.max_items > o.window)
    return PA_INVALID(error, "options.batch.max_items must be at most options.window of %llu, got %llu",
                      as_unsigned(o.window), as_unsigned(o.batch.max_items));
  if (o.batch_size && o.batch.max_items > o.batch_size)
    return PA_INVALID(error, "options.batch.max_items must be at most options.batch_size of %llu, got %llu",
                      as_unsigned(o.batch_size), as_unsigned(o.batch.max_items));
  return PA_STATUS_OK;
}

pa_status check_retry(const pa_retry& r, pa_error* error) noexcept {
  if (r.attempts < 1) return PA_INVALID(error, "options.retry.attempts must be >= 1, got 0");
  if (r.jitter > 1) return PA_INVALID(error, "options.retry.jitter must be 0 or 1, got %u", r.jitter);
  if (r.backoff_ns < 0) return PA_INVALID(error, "options.retry.backoff_ns must be >= 0, got %lld", as_signed(r.backoff_ns));
  if (r.max_delay_ns < 0)
    return PA_INVALID(error, "options.retry.max_delay_ns must be >= 0, got %lld", as_signed(r.max_delay_ns));
  if (r.max_server_wait_ns < -1)
    return PA_INVALID(error, "options.retry.max_server_wait_ns must be >= 0, or -1 for no cap, got %lld",
                      as_signed(r.max_server_wait_ns));
  return PA_STATUS_OK;
}

pa_status check_limits(Settings& o, pa_error* error) noexcept {
  const bool own = o.rate.count != 0;  // NaN, too, is not 0
  if (own) {
    if (!(o.rate.count > 0) || o.rate.count > 1.7976931348623157e308)
      return PA_INVALID(error, "options.rate.count must be finite and > 0, or 0 for no limit, got %g", o.rate.count);
    if (const pa_status status = read_rate(o.rate, "options.rate", o.own_rate, error)) return status;
    if (o.limiter)
      return PA_INVALID(error, "options.limiter and options.rate must not both be set, got rate.count %g", o.rate.count);
  }
  if (o.limiter && o.limiter->from_before_fork()) return forked(error, "options.limiter");
  if (o.stop && o.stop->from_before_fork()) return forked(error, "options.stop");
  if (o.rate_cost < 1) return PA_INVALID(error, "options.rate_cost must be >= 1, got 0");
  if (own || o.limiter) {
    const uint64_t burst = own ? o.rate.burst : o.limiter->limiter.burst();
    if (o.rate_cost > burst)
      return PA_INVALID(error, "options.rate_cost must be at most the burst of %llu, got %llu", as_unsigned(burst),
                        as_unsigned(o.rate_cost));
  }
  return PA_STATUS_OK;
}

}  // namespace

pa_status read_options(const pa_options* options, Kind kind, bool from_source, Settings& settings,
                       pa_error* error) noexcept {
  Settings& o = settings;
  if (!options)
    static_cast<pa_options&>(o) = defaults();
  else if (const pa_status status = copy_known(*options, o, error))
    return status;
  if (const pa_status status = check_how(o, error)) return status;
  if (const pa_status status = check_batch(o, error)) return status;
  if (const pa_status status = check_retry(o.retry, error)) return status;
  if (const pa_status status = check_limits(o, error)) return status;
  if (from_source && o.release_item)
    return PA_INVALID(error, "options.release_item must be NULL with a source, which has its own release_item");
  if (kind == Kind::range && o.release_item) return PA_INVALID(error, "options.release_item must be NULL for pa_map_range");
  if (kind == Kind::range && o.item_key) return PA_INVALID(error, "options.item_key must be NULL for pa_map_range");
  if (!o.workers) o.workers = os::usable_cpus();
  if (o.executor == PA_EXECUTOR_INLINE) o.workers = 1;
  return PA_STATUS_OK;
}

std::unique_ptr<pa_limiter> make_own_limiter(const Settings& settings) {
  return settings.rate.count > 0 ? std::make_unique<pa_limiter>(settings.own_rate) : nullptr;
}

Limiter* limiter_of(const Settings& settings, const std::unique_ptr<pa_limiter>& own) {
  return own ? &own->limiter : settings.limiter ? &settings.limiter->limiter : nullptr;
}

JobConfig job_config(const Settings& o, Kind kind, uint64_t count, bool fetched, nanos now, nanos cost, Limiter* limiter) {
  const bool is_inline = o.executor == PA_EXECUTOR_INLINE;
  JobConfig c;
  c.count = count;
  c.fetched = fetched;
  c.observed = o.on_progress || o.on_result;
  c.detachable = o.detach && !is_inline;
  c.serial = is_inline;
  c.owner_concludes = true;
  c.batched = kind != Kind::items;
  c.workers = o.workers;
  c.cpus = os::usable_cpus();
  c.window = o.window;
  c.chunk = o.batch_size;
  if (kind == Kind::batch) {
    c.batch_max = o.batch.max_items;
    c.linger_ns = o.batch.linger_ns;
    c.lease_max = std::min(c.lease_max, kMostAutomaticBatch);
    c.tokens_per_item = 0;
    c.tokens_per_lease = o.rate_cost;
  } else {
    c.tokens_per_item = o.rate_cost;
  }
  // One item at a time: whoever detaches the run must know which has been started; and inline, an item is retried before the
  // next begins.
  if (kind == Kind::items && (c.detachable || (is_inline && o.retry.attempts > 1))) c.lease_max = 1;
  // What was cheap the last time may wait for something now: only where workers compute is that worth the risk.
  if (kind == Kind::items && cost && c.workers <= c.cpus)
    c.first_lease = std::clamp<uint64_t>(static_cast<uint64_t>(kLookEvery / cost), 1, c.lease_max);
  if (o.executor == PA_EXECUTOR_PROCESSES) {
    c.lease_target_ns = kProcessLease;
    if (cost) c.first_lease = std::clamp<uint64_t>(static_cast<uint64_t>(kProcessLease / 2 / cost), 1, c.lease_max);
  }
  c.max_errors = o.max_errors;
  if (o.timeout_ns >= 0) c.deadline = after(now, o.timeout_ns);
  c.retry.attempts = o.retry.attempts;
  c.retry.jitter = o.retry.jitter != 0;
  c.retry.backoff_ns = o.retry.backoff_ns;
  c.retry.max_delay_ns = o.retry.max_delay_ns;
  c.retry.max_server_wait_ns = o.retry.max_server_wait_ns < 0 ? kNever : o.retry.max_server_wait_ns;
  c.stop = o.stop ? &o.stop->token : nullptr;
  c.limiter = limiter;
  c.seed = static_cast<uint64_t>(now);
  return c;
}

}  // namespace pa

void pa_options_init(pa_options* options, size_t size) {
  if (!options) return;
  const pa_options defaults = pa::defaults();
  std::memset(options, 0, size);
  std::memcpy(options, &defaults, std::min(size, sizeof defaults));
  if (size >= sizeof options->struct_size) options->struct_size = static_cast<uint32_t>(size);
}

void pa_source_init(pa_source* source, size_t size) {
  if (!source) return;
  pa_source defaults{};
  defaults.size_hint = PA_UNSIZED;
  std::memset(source, 0, size);
  std::memcpy(source, &defaults, std::min(size, sizeof defaults));
  if (size >= sizeof source->struct_size) source->struct_size = static_cast<uint32_t>(size);
}
