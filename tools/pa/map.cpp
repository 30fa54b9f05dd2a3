#include "map.hpp"

#include <fcntl.h>
#include <pa/pa.h>
#include <signal.h>
#include <unistd.h>

#include <cerrno>
#include <chrono>
#include <cmath>
#include <cstring>
#include <memory>
#include <nlohmann/json.hpp>
#include <stdexcept>

#include "command.hpp"

namespace cli {
namespace {

using FilePointer = std::unique_ptr<FILE, int (*)(FILE*)>;

int64_t nanoseconds(double seconds) { return seconds < 0 ? -1 : std::llround(std::min(seconds, 9e9) * 1e9); }

[[noreturn]] void give_up(const pa_error& error) { throw std::runtime_error(error.message); }

// ---------------------------------------------------------------- Ctrl-C

pa_stop* stop = nullptr;

void land(int signal_number) {
  pa_stop_request(stop);
  signal(signal_number, SIG_DFL);  // the second one ends at once
}

// ---------------------------------------------------------------- what is run

bool uses(const pa_codec& codec, void (*ready_made)(pa_codec*)) {
  pa_codec other;
  ready_made(&other);
  return codec.encode == other.encode && codec.decode == other.decode;
}

// A function, and what its items and values are.
struct Function {
  pa_fn fn = nullptr;
  void* ctx = nullptr;
  pa_task task{};  // of a module
  bool takes_bytes = false, gives_bytes = false, gives_words = false, gives_nothing = false;

  std::string text_of(const void* value) const {
    if (gives_nothing) return {};
    if (gives_words) return std::to_string(reinterpret_cast<intptr_t>(value));
    if (!value) return {};
    if (!gives_bytes) return static_cast<const char*>(value);
    const auto& bytes = *static_cast<const pa_bytes*>(value);
    return {static_cast<const char*>(bytes.data), bytes.size};
  }
  void release(void* value) const {
    if (value && task.value.release) task.value.release(task.value.ctx, value);
  }
};

Function find_task(const MapOptions& options) {
  pa_error error;
  Function function;
  pa_task& task = function.task;
  pa_task_init(&task, sizeof task);
  if (pa_module_load(options.module.c_str(), &error) || pa_task_find(options.task.c_str(), &task, &error)) give_up(error);
  if (!task.fn) throw std::runtime_error("the task " + options.task + " takes only batches");
  function.fn = task.fn;
  function.takes_bytes = uses(task.item, pa_codec_bytes);
  if (!function.takes_bytes && !uses(task.item, pa_codec_string))
    throw std::runtime_error("the task " + options.task + " takes neither strings nor bytes");
  function.gives_nothing = !task.value.encode;
  function.gives_bytes = uses(task.value, pa_codec_bytes);
  function.gives_words = uses(task.value, pa_codec_word);
  if (!function.gives_nothing && !function.gives_bytes && !function.gives_words && !uses(task.value, pa_codec_string))
    throw std::runtime_error("the values of the task " + options.task + " are neither strings, bytes nor numbers");
  return function;
}

Function function_of(Command& command) {
  Function function;
  function.fn = run_command;
  function.ctx = &command;
  function.gives_bytes = true;
  pa_codec_bytes(&function.task.value);
  return function;
}

// ---------------------------------------------------------------- what comes of it

class Output {
 public:
  Output(const MapOptions& options, const Function& function)
      : options_(options), function_(function), failures_(nullptr, std::fclose) {
    if (options.failures.empty()) return;
    failures_.reset(std::fopen(options.failures.c_str(), "we"));
    if (!failures_) throw std::runtime_error(options.failures + ": " + std::strerror(errno));
  }

  void write(const pa_outcome& outcome) {
    done_++;
    const bool ok = outcome.state == PA_ITEM_OK;
    failed_ += !ok;
    if (options_.json)
      write_json(outcome);
    else if (ok)
      write_value(function_.text_of(outcome.value));
    if (!ok) write_failure(outcome);
    if (options_.progress) show_progress(false);
  }
  void end() {
    if (options_.progress) show_progress(true);
    std::fflush(stdout);
    if (ferror(stdout)) throw std::runtime_error("the output can't be written");
  }
  uint64_t done() const { return done_; }
  uint64_t failed() const { return failed_; }

 private:
  // What a command writes ends with a newline of its own.
  void write_value(const std::string& text) const {
    if (function_.fn == run_command && options_.format == Format::lines)
      std::fwrite(text.data(), 1, text.size(), stdout);
    else
      write_record(stdout, options_.format, text.data(), text.size());
  }
  void write_json(const pa_outcome& outcome) const {
    nlohmann::ordered_json line{{"index", outcome.index}, {"state", pa_item_name(outcome.state) + sizeof "PA_ITEM"}};
    if (outcome.state == PA_ITEM_OK)
      line["value"] = function_.text_of(outcome.value);
    else
      line.update({{"code", outcome.code}, {"message", outcome.message}});
    line["attempts"] = outcome.attempts;
    line["seconds"] = static_cast<double>(outcome.duration_ns) * 1e-9;
    const std::string text = line.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace);
    std::fprintf(stdout, "%s\n", text.c_str());
  }
  void write_failure(const pa_outcome& outcome) const {
    if (!failures_ && options_.json) return;
    std::fprintf(failures_ ? failures_.get() : stderr, "%s%llu\t%s\t%d\t%s\n", failures_ ? "" : "pa: record ",
                 static_cast<unsigned long long>(outcome.index), pa_item_name(outcome.state) + sizeof "PA_ITEM",
                 outcome.code, outcome.message);
  }
  void show_progress(bool last) {
    const auto now = std::chrono::steady_clock::now();
    if (!last && now - shown_ < (on_terminal_ ? std::chrono::milliseconds(100) : std::chrono::seconds(5))) return;
    shown_ = now;
    const double seconds = std::chrono::duration<double>(now - began_).count();
    std::fprintf(stderr, "%s%llu done, %llu failed, %.0f a second%s", on_terminal_ ? "\r\033[K" : "",
                 static_cast<unsigned long long>(done_), static_cast<unsigned long long>(failed_),
                 seconds > 0 ? static_cast<double>(done_) / seconds : 0, last || !on_terminal_ ? "\n" : "");
  }

  const MapOptions& options_;
  const Function& function_;
  FilePointer failures_;
  uint64_t done_ = 0, failed_ = 0;
  const bool on_terminal_ = isatty(STDERR_FILENO) == 1;
  const std::chrono::steady_clock::time_point began_ = std::chrono::steady_clock::now();
  std::chrono::steady_clock::time_point shown_ = began_;
};

pa_options options_of(const MapOptions& given) {
  pa_options options;
  pa_options_init(&options, sizeof options);
  options.workers = given.workers;
  options.rate.count = given.rate;
  options.rate.burst = given.burst;
  options.retry.attempts = given.attempts;
  options.retry.backoff_ns = nanoseconds(given.backoff);
  options.timeout_ns = nanoseconds(given.timeout);
  options.item_timeout_ns = nanoseconds(given.item_timeout);
  options.max_errors = given.max_errors;
  options.ordered = !given.unordered;
  options.stop = stop;
  return options;
}

int exit_status(int32_t end, uint64_t failed) {
  switch (end) {
    case PA_END_COMPLETED:
      return failed ? some_failed : all_ok;
    case PA_END_CANCELLED:
      return interrupted;
    case PA_END_TIMED_OUT:
      return timed_out;
    case PA_END_ABORTED:
      return some_failed;
    default:
      return run_failed;
  }
}

}  // namespace

int map(const MapOptions& given) {
  pa_error error;
  Command command{given.command};
  const Function function = given.command.empty() ? find_task(given) : function_of(command);
  const int descriptor = given.input == "-" ? STDIN_FILENO : open(given.input.c_str(), O_RDONLY | O_CLOEXEC);
  if (descriptor < 0) throw std::runtime_error(given.input + ": " + std::strerror(errno));
  Input input(descriptor, given.format, function.takes_bytes);
  Output output(given, function);

  if (pa_stop_new(&stop, &error)) give_up(error);
  signal(SIGINT, land);
  signal(SIGTERM, land);
  pa_options options = options_of(given);
  options.release_value = function.task.value.release;
  options.release_ctx = function.task.value.ctx;
  if (given.processes) {
    options.executor = PA_EXECUTOR_PROCESSES;
    options.task = given.task.c_str();
  }
  const pa_source source = input.source();
  pa_iter* iter = nullptr;
  if (pa_iter_open(function.fn, function.ctx, &source, &options, &iter, &error)) give_up(error);
  pa_outcome outcome;
  pa_status status;
  while ((status = pa_iter_next(iter, &outcome, &error)) == PA_STATUS_OK) {
    output.write(outcome);
    function.release(outcome.value);
  }
  const int32_t end = pa_iter_end(iter);
  pa_iter_close(iter);
  pa_drain(-1, nullptr);
  output.end();
  if (status < 0) {
    std::fprintf(stderr, "pa: %s\n", input.problem().empty() ? error.message : input.problem().c_str());
    return run_failed;
  }
  if (end != PA_END_COMPLETED)
    std::fprintf(stderr, "pa: stopped early (%s) after %llu records\n", pa_end_name(end) + sizeof "PA_END",
                 static_cast<unsigned long long>(output.done()));
  return exit_status(end, output.failed());
}

}  // namespace cli
