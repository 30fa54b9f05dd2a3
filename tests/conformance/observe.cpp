#include "observe.hpp"

#include <algorithm>
#include <cmath>
#include <functional>
#include <map>
#include <memory>
#include <stdexcept>

#include "functions.hpp"

namespace conformance {

namespace {

constexpr int32_t kSourceFailed = 77, kCallbackFailed = 78, kKeyFailed = 79, kWorkerFailed = 80;

std::string without(const char* prefix, const char* name) { return std::string(name).substr(std::string(prefix).size()); }

double number(const json& from) {
  if (from == "NaN") return std::nan("");
  if (from == "Infinity") return HUGE_VAL;
  return from.get<double>();
}

// A run of a case: options, source and callbacks, and what they saw.
class Run {
 public:
  Run(const Case& c, const std::string& call) : case_(c), call_(call) {
    if (pa_stop_new(&stop_, nullptr) != PA_STATUS_OK) throw std::bad_alloc();
    program_ = std::make_unique<Program>(c.function, stop_);
    pa_options_init(&options_, sizeof options_);
    options_.release_value = [](void*, void* value) { delete static_cast<Value*>(value); };
    options_.release_ctx = this;
    options_.on_quiescent = [](void* run) { static_cast<Run*>(run)->owners_--; };
    options_.quiescent_ctx = this;
    if (c.function.name == "fail_for_good_on_odd") options_.retry.retry_if = not_final;
    for (const auto& [name, value] : c.options.items()) set(name, value);
  }
  Run(const Run&) = delete;
  ~Run() {
    pa_stop_release(stop_);
    pa_limiter_release(options_.limiter);
  }

  Observed go() {
    if (seen_.error.empty()) start();
    seen_.calls = program_->calls;
    seen_.most_at_once = program_->most_at_once;
    seen_.values_left = Value::living;
    seen_.items_left = items_;
    seen_.owners_left = owners_;
    std::sort(seen_.outcomes.begin(), seen_.outcomes.end(), [](auto& a, auto& b) { return a.index < b.index; });
    return seen_;
  }

 private:
  // ---------------------------------------------------------------- options

  void set(const std::string& name, const json& value) {
    using Setter = std::function<void(Run&, const json&)>;
    static const std::map<std::string, Setter> setters = {
        {"workers", [](Run& r, const json& v) { r.options_.workers = v; }},
        {"window", [](Run& r, const json& v) { r.options_.window = v; }},
        {"batch_size", [](Run& r, const json& v) { r.options_.batch_size = v; }},
        {"rate_cost", [](Run& r, const json& v) { r.options_.rate_cost = v; }},
        {"timeout_ns", [](Run& r, const json& v) { r.options_.timeout_ns = v; }},
        {"item_timeout_ns", [](Run& r, const json& v) { r.options_.item_timeout_ns = v; }},
        {"max_errors", [](Run& r, const json& v) { r.options_.max_errors = v; }},
        {"inline", [](Run& r, const json& v) { r.options_.executor = v ? PA_EXECUTOR_INLINE : PA_EXECUTOR_THREADS; }},
        {"batch", [](Run& r, const json& v) { r.set_batch(v); }},
        {"rate", [](Run& r, const json& v) { r.options_.rate = rate(v); }},
        {"limiter", [](Run& r, const json& v) { r.set_limiter(v); }},
        {"retry", [](Run& r, const json& v) { r.set_retry(v); }},
        {"stop", [](Run& r, const json& v) { r.set_stop(v); }},
        {"on_progress", [](Run& r, const json& v) { r.set_on_progress(v); }},
        {"on_result", [](Run& r, const json& v) { r.set_on_result(v); }},
        {"item_key", [](Run& r, const json& v) { r.set_item_key(v); }},
        {"worker_start", [](Run& r, const json& v) { r.set_worker_start(v); }},
    };
    const auto setter = setters.find(name);
    if (setter == setters.end()) throw std::invalid_argument(case_.name + ": nobody knows the option " + name);
    setter->second(*this, value);
  }

  static pa_rate rate(const json& v) {
    expect_fields(v, {"count", "per_ns", "burst"}, "rate");
    return {number(v.at("count")), v.value("per_ns", int64_t{1000000000}), v.value("burst", uint64_t{1})};
  }

  void set_limiter(const json& v) {
    const pa_rate wanted = rate(v);
    pa_error error{};
    note_status(pa_limiter_new(&wanted, &options_.limiter, &error), error);
  }

  void set_batch(const json& v) {
    expect_fields(v, {"max_items", "linger_ns"}, "batch");
    options_.batch = {v.value("max_items", uint64_t{0}), v.value("linger_ns", int64_t{0})};
  }

  void set_retry(const json& v) {
    expect_fields(v, {"attempts", "backoff_ns", "max_delay_ns", "jitter", "max_server_wait_ns"}, "retry");
    pa_retry& retry = options_.retry;
    retry.attempts = v.value("attempts", retry.attempts);
    retry.backoff_ns = v.value("backoff_ns", retry.backoff_ns);
    retry.max_delay_ns = v.value("max_delay_ns", retry.max_delay_ns);
    retry.jitter = v.value("jitter", retry.jitter != 0);
    retry.max_server_wait_ns = v.value("max_server_wait_ns", retry.max_server_wait_ns);
  }

  void set_stop(const json& v) {
    options_.stop = stop_;
    if (v == "requested") pa_stop_request(stop_);
  }

  void set_on_progress(const json& v) {
    progress_fails_at_ = v.is_object() ? v.at("fails_at").get<uint64_t>() : 0;
    options_.progress_ctx = this;
    options_.on_progress = [](void* ctx, uint64_t done, uint64_t total) {
      Run& run = *static_cast<Run*>(ctx);
      run.seen_.progress = {run.seen_.progress[0] + 1, done, total};
      return run.seen_.progress[0] == run.progress_fails_at_ ? kCallbackFailed : 0;
    };
  }

  void set_on_result(const json& v) {
    result_fails_at_ = v.is_object() ? v.at("fails_at").get<uint64_t>() : 0;
    options_.result_ctx = this;
    options_.on_result = [](void* ctx, const pa_outcome*) {
      Run& run = *static_cast<Run*>(ctx);
      return ++run.seen_.results == run.result_fails_at_ ? kCallbackFailed : 0;
    };
  }

  void set_item_key(const json& v) {
    key_ = v;
    options_.key_ctx = this;
    options_.item_key = [](void* ctx, void* item, pa_key* key) {
      return static_cast<Run*>(ctx)->name_item(*static_cast<int64_t*>(item), *key);
    };
  }

  int32_t name_item(int64_t x, pa_key& key) {
    key_text_ = key_ == "mixed" ? std::to_string(x) : "k" + std::to_string(x);
    int32_t kind = PA_KEY_INT;
    if (key_ == "string") kind = PA_KEY_STRING;
    if (key_ == "mixed") kind = x % 3 == 0 ? PA_KEY_INT : x % 3 == 1 ? PA_KEY_STRING : PA_KEY_BYTES;
    key = {kind, 0, x, key_text_.data(), key_text_.size()};
    return key_.is_object() && key_.at("fails_at") == x ? kKeyFailed : 0;
  }

  void set_worker_start(const json& v) {
    worker_fails_ = v.is_object() && v.at("fails").get<bool>();
    options_.worker_ctx = this;
    options_.worker_start = [](void* ctx) {
      Run& run = *static_cast<Run*>(ctx);
      if (run.worker_fails_) return kWorkerFailed;
      run.started_++;
      return 0;
    };
    options_.worker_stop = [](void* ctx) { static_cast<Run*>(ctx)->stopped_++; };
  }

  // ---------------------------------------------------------------- inputs

  void* new_item(int64_t x) {
    items_++;
    return new int64_t(x);
  }

  static void release_item(void* ctx, void* item) {
    static_cast<Run*>(ctx)->items_--;
    delete static_cast<int64_t*>(item);
  }

  pa_source source() {
    pa_source source;
    pa_source_init(&source, sizeof source);
    source.ctx = this;
    source.next = [](void* ctx, void** items, size_t max, size_t* got) {
      return static_cast<Run*>(ctx)->deliver(items, max, *got);
    };
    source.release_item = release_item;
    source.release = [](void* ctx) { static_cast<Run*>(ctx)->owners_--; };
    if (case_.inputs.hint) source.size_hint = *case_.inputs.hint;
    return source;
  }

  int32_t deliver(void** items, size_t max, size_t& got) {
    const Inputs& in = case_.inputs;
    uint64_t& at = seen_.delivered;
    if (in.one_by_one) max = 1;
    for (got = 0; got < max && (in.endless || at < in.items.size()); got++, at++) {
      if (at == in.fails_at) break;
      items[got] = new_item(in.endless ? static_cast<int64_t>(at) : in.items[at]);
    }
    return got == 0 && at == in.fails_at ? kSourceFailed : 0;
  }

  // ---------------------------------------------------------------- the calls

  void start() {
    owners_ = 1;
    if (call_ == "map" || call_ == "batch")
      map();
    else if (call_ == "source" || call_ == "batch_source")
      map_source();
    else
      stream();
    seen_.workers_started = started_;
    seen_.workers_stopped = stopped_;
  }

  void map() {
    std::vector<void*> items;
    for (int64_t x : case_.inputs.items) items.push_back(new_item(x));
    options_.release_item = release_item;
    pa_result* result = nullptr;
    pa_error error{};
    const uint64_t n = items.size();
    note_status(call_ == "map" ? pa_map(run_item, program_.get(), items.data(), n, &options_, &result, &error)
                               : pa_map_batch(run_batch, program_.get(), items.data(), n, &options_, &result, &error),
                error);
    if (!result) {
      for (void* item : items) release_item(this, item);
      owners_ = 0;
    }
    note_result(result);
  }

  void map_source() {
    const pa_source from = source();
    owners_ = 2;
    pa_result* result = nullptr;
    pa_error error{};
    note_status(call_ == "source" ? pa_map_source(run_item, program_.get(), &from, &options_, &result, &error)
                                  : pa_map_batch_source(run_batch, program_.get(), &from, &options_, &result, &error),
                error);
    if (!result) owners_ = 0;
    note_result(result);
  }

  void stream() {
    const pa_source from = source();
    owners_ = 2;
    seen_.is_stream = true;
    options_.ordered = call_ == "ordered" || call_ == "batch_ordered";
    const bool batch = call_ == "batch_stream" || call_ == "batch_ordered";
    if (!batch && call_ != "stream" && call_ != "ordered") throw std::invalid_argument("nobody knows the call " + call_);
    pa_iter* iter = nullptr;
    pa_error error{};
    note_status(batch ? pa_iter_open_batch(run_batch, program_.get(), &from, &options_, &iter, &error)
                      : pa_iter_open(run_item, program_.get(), &from, &options_, &iter, &error),
                error);
    if (!iter) {
      owners_ = 0;
      return;
    }
    pa_outcome outcome;
    pa_status status;
    while ((status = pa_iter_next(iter, &outcome, &error)) == PA_STATUS_OK) {
      if (!seen_.outcomes.empty() && outcome.index < seen_.outcomes.back().index) seen_.in_order = false;
      note_outcome(outcome);
      delete static_cast<Value*>(outcome.value);
    }
    note_status(status, error);
    seen_.end = without("PA_END_", pa_end_name(pa_iter_end(iter)));
    seen_.ok = seen_.end == "COMPLETED" &&
               std::all_of(seen_.outcomes.begin(), seen_.outcomes.end(), [](auto& o) { return o.state == "OK"; });
    pa_iter_close(iter);
  }

  // ---------------------------------------------------------------- what is seen

  void note_status(pa_status status, const pa_error& error) {
    if (status >= 0) return;
    seen_.error = without("PA_STATUS_", pa_status_name(status));
    seen_.message = error.message;
    seen_.detail = error.detail;
  }

  void note_result(pa_result* result) {
    if (!result) return;
    seen_.end = without("PA_END_", pa_end_name(pa_result_end(result)));
    seen_.ok = pa_result_ok(result) == 1;
    pa_outcome outcome;
    for (uint64_t i = 0; i < pa_result_count(result); i++)
      if (pa_result_at(result, i, &outcome, nullptr) == PA_STATUS_OK) note_outcome(outcome);
    pa_result_free(result);
  }

  void note_outcome(const pa_outcome& from) {
    Outcome& to = seen_.outcomes.emplace_back();
    to.index = from.index;
    to.state = without("PA_ITEM_", pa_item_name(from.state));
    if (from.value) to.value = static_cast<Value*>(from.value)->number;
    to.message = from.message;
    to.attempts = from.attempts;
    const std::string text(static_cast<const char*>(from.key.data ? from.key.data : ""), from.key.size);
    if (from.key.kind == PA_KEY_INT) to.key = from.key.number;
    if (from.key.kind == PA_KEY_STRING) to.key = text;
    if (from.key.kind == PA_KEY_BYTES) to.key = {{"bytes", text}};
  }

  const Case& case_;
  const std::string call_;
  std::unique_ptr<Program> program_;
  pa_options options_;
  pa_stop* stop_ = nullptr;
  Observed seen_;
  json key_;
  std::string key_text_;
  uint64_t progress_fails_at_ = 0, result_fails_at_ = 0;
  bool worker_fails_ = false;
  std::atomic<uint64_t> started_{0}, stopped_{0};
  std::atomic<int64_t> items_{0}, owners_{0};
};

}  // namespace

Observed observe(const Case& c, const std::string& call) { return Run(c, call).go(); }

}  // namespace conformance
