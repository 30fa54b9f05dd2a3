// libpa for C++17 and newer: apply a function to every item of a range, in parallel, and get one outcome for every item.
//
//     #include <pa/pa.hpp>
//
//     pa::options options;
//     options.workers = 64;
//     options.rate.count = 100;                                            // 100 calls a second
//     options.retry.attempts = 3;
//     auto pages = pa::map(urls, [](const std::string& url) { return fetch(url); }, options);
//
//     for (auto page : pages) {
//       if (page.ok()) use(page.value());
//       else std::cerr << urls[page.index()] << ": " << page.message() << '\n';  // what fetch threw
//     }
//     std::vector<Page> all = std::move(pages).values();                   // throws unless every item is there
//
// and with C++20, pa::map(urls, fetch, {.workers = 64, .rate = {100}, .retry = {.attempts = 3}}).
//
// It is all in headers, and calls the C functions of pa.h, whose rules hold here, too: there stands what an option means to
// the last detail.
//
// RULES THAT HOLD EVERYWHERE, and are not repeated at each function
//
// Your function  It is called as fn(item) or, if it can be, as fn(item, call) with a pa::call&, by several threads at once.
//                It is copied or moved into the run (std::ref avoids that). It may return anything, also what can be neither
//                copied nor moved, or nothing. An exception that it throws makes that item fail, and no other: it is kept,
//                and its what() is the item's message. pa::failure gives the item a code of yours as well; where failures
//                are so many that throwing would cost too much, return pa::answer<T>.
// Items          A range that is an lvalue is referred to, and must stay as it is until the run has ended; an rvalue is
//                moved into the run. The function gets the elements themselves, and copies only where a range can be read
//                but once.
// Results        T is what the function returns, without reference and const. Values are made in place, and belong to the
//                result; what is called borrowed is valid as long as the result is.
// Errors         Wrong options and the like are thrown as pa::error before any work starts; missing memory as
//                std::bad_alloc, or as pa::error with PA_STATUS_NO_MEMORY where libpa had none. What a callback of
//                pa::options, a key function or a source throws ends the run, and is thrown again by the call that started
//                it (by pending::get); the results are then lost, so keep them in on_result where that matters. Failed items
//                are data: they throw where you ask for their values.
// Threads        As in pa.h: anything may be called from any thread. A result that nobody changes may be read by many.
// Time           std::chrono durations; an optional one without a value means "none".
#ifndef PA_PA_HPP
#define PA_PA_HPP

#include <algorithm>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <exception>
#include <functional>
#include <memory>
#include <new>
#include <optional>
#include <stdexcept>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>
#include <variant>
#include <vector>

#include "pa/detail/ranges.hpp"
#include "pa/detail/storage.hpp"
#include "pa/pa.h"

namespace pa {
inline namespace v0 {

class item;
template <class T>
class outcome;
template <class T>
class result;
template <class T>
class pending;
template <class T>
class streamed;

// ------------------------------------------------------------------ errors

enum class item_state : std::int32_t {
  ok = PA_ITEM_OK,
  failed = PA_ITEM_FAILED,
  timed_out = PA_ITEM_TIMED_OUT,
  aborted = PA_ITEM_ABORTED,
  cancelled = PA_ITEM_CANCELLED,
  crashed = PA_ITEM_CRASHED,
};

// Why a run ended.
enum class ending : std::int32_t {
  completed = PA_END_COMPLETED,
  timed_out = PA_END_TIMED_OUT,
  aborted = PA_END_ABORTED,
  cancelled = PA_END_CANCELLED,
  failed = PA_END_FAILED,
};

// What libpa reports: a wrong argument, or a run that has ended early.
class error : public std::runtime_error {
 public:
  error(pa_status status, std::int32_t detail, const std::string& message)
      : std::runtime_error(message), status_(status), detail_(detail) {}
  explicit error(const pa_error& from) : error(from.status, from.detail, from.message) {}

  pa_status status() const noexcept { return status_; }
  // errno, the code of the first item that failed, or 0.
  std::int32_t detail() const noexcept { return detail_; }

 private:
  pa_status status_;
  std::int32_t detail_;
};

// Thrown by your function, makes its item fail with a code of yours: throw pa::failure(404, "gone").
class failure : public std::runtime_error {
 public:
  failure(std::int32_t code, const std::string& message) : std::runtime_error(message), code_(code) {}

  std::int32_t code() const noexcept { return code_; }

 private:
  std::int32_t code_;
};

// An item without a value: what outcome::value() throws if your function threw nothing, and what items_failed lists.
class item_error : public error {
 public:
  explicit item_error(const item& from);

  std::uint64_t index() const noexcept { return index_; }
  item_state state() const noexcept { return state_; }
  std::int32_t code() const noexcept { return code_; }
  // What your function threw; null if it threw nothing.
  const std::exception_ptr& exception() const noexcept { return exception_; }

 private:
  std::uint64_t index_;
  item_state state_;
  std::int32_t code_;
  std::exception_ptr exception_;
};

// Thrown where values are asked for and every item was run, but some failed.
class items_failed : public error {
 public:
  items_failed(const pa_error& from, std::vector<item_error> failures)
      : error(from), failures_(std::make_shared<const std::vector<item_error>>(std::move(failures))) {}

  // All of them, in the order of their indices.
  const std::vector<item_error>& failures() const noexcept { return *failures_; }

 private:
  std::shared_ptr<const std::vector<item_error>> failures_;  // shared, because copying an exception must not throw
};

// A value or a failure: what a function may return where throwing would cost too much, and an element of what a batch
// function returns where some of its items failed. Both convert to it: return pa::failure(409, "exists already").
template <class T>
class answer {
 public:
  using value_type = T;

  template <class U = T,
            std::enable_if_t<std::is_constructible_v<T, U&&> && !std::is_same_v<detail::remove_cvref_t<U>, answer> &&
                                 !std::is_same_v<detail::remove_cvref_t<U>, pa::failure>,
                             int> = 0>
  answer(U&& value) : kept_(std::in_place_index<0>, std::forward<U>(value)) {}
  answer(pa::failure why) : kept_(std::in_place_index<1>, std::move(why)) {}

  bool ok() const noexcept { return kept_.index() == 0; }
  T& value() { return std::get<0>(kept_); }
  const pa::failure& failure() const { return std::get<1>(kept_); }

 private:
  std::variant<T, pa::failure> kept_;
};

template <>
class answer<void> {
 public:
  using value_type = void;

  answer() = default;
  answer(pa::failure why) : kept_(std::move(why)) {}

  bool ok() const noexcept { return !kept_; }
  const pa::failure& failure() const { return *kept_; }

 private:
  std::optional<pa::failure> kept_;
};

// ------------------------------------------------------------------ limiters and stop tokens

// How often: at most `count` calls in `per`, spread evenly, of which up to `burst` may come at once after idling.
struct rate {
  double count = 0;  // finite, > 0; in pa::options, 0 means no limit
  std::chrono::nanoseconds per = std::chrono::seconds(1);
  std::uint64_t burst = 1;
};

// Reads the value of an HTTP Retry-After header, seconds or a date; no value for anything malformed.
inline std::optional<std::chrono::nanoseconds> parse_retry_after(const char* text);

// A token bucket that any number of runs and threads share. Copies are the same bucket.
class limiter {
 public:
  // Throws pa::error for a rate that is not finite and positive, or a burst below 1.
  explicit limiter(const pa::rate& rate);
  limiter(const limiter& other) noexcept : handle_(other.handle_) { pa_limiter_retain(handle_); }
  limiter& operator=(limiter other) noexcept {
    std::swap(handle_, other.handle_);
    return *this;
  }
  ~limiter() { pa_limiter_release(handle_); }

  // Waits until `tokens` can be taken, and takes them. Throws pa::error for 0 or more than the burst, as the next two do.
  void acquire(std::uint64_t tokens = 1) { acquire_ns(tokens, -1); }
  // The same, but returns false, at once, and takes nothing, when the wait would be longer than `timeout`.
  bool acquire_for(std::chrono::nanoseconds timeout, std::uint64_t tokens = 1) {
    return acquire_ns(tokens, timeout.count() < 0 ? 0 : timeout.count());
  }
  // Takes `tokens` if they are there. If not, returns how long to wait before it is worth another try.
  std::optional<std::chrono::nanoseconds> try_acquire(std::uint64_t tokens = 1);
  // Lets nothing through for so long from now; of several pauses the one that ends last holds.
  void pause(std::chrono::nanoseconds wait);
  // Changes the rate from now on. Throws as the constructor does.
  void set_rate(const pa::rate& rate);
  // Corrects what calls have cost, once it is known: above 0 charges more, below 0 gives back.
  void settle(std::int64_t tokens);

  // Borrowed: for the C functions.
  pa_limiter* get() const noexcept { return handle_; }

 private:
  bool acquire_ns(std::uint64_t tokens, std::int64_t timeout_ns);

  pa_limiter* handle_ = nullptr;
};

// A latch that ends runs: once requested it stays so. Copies are the same latch, and any number of runs may share it.
class stop {
 public:
  stop();
  stop(const stop& other) noexcept : handle_(other.handle_) { pa_stop_retain(handle_); }
  stop& operator=(stop other) noexcept {
    std::swap(handle_, other.handle_);
    return *this;
  }
  ~stop() { pa_stop_release(handle_); }

  // Ends every run that uses this token. Safe in a signal handler, as long as the token outlives the handler's use of it.
  void request() const noexcept { pa_stop_request(handle_); }
  // Safe in a signal handler.
  bool requested() const noexcept { return pa_stop_requested(handle_) != 0; }

  // Borrowed: for the C functions.
  pa_stop* get() const noexcept { return handle_; }

 private:
  pa_stop* handle_ = nullptr;
};

// ------------------------------------------------------------------ options

struct retry {
  std::uint32_t attempts = 1;                                  // tries in all, the first included
  std::chrono::nanoseconds backoff = std::chrono::seconds(1);  // before the second attempt; it doubles each time
  std::chrono::nanoseconds max_delay = std::chrono::seconds(60);
  bool jitter = true;  // multiply each delay by a random factor of 0.5 to 1.5
  std::optional<std::chrono::nanoseconds> max_server_wait = std::chrono::seconds(600);  // the cap of call::retry_after
  // Decides whether a failed attempt may be repeated; empty: always. item::threw<E>() says what the function threw. If it
  // throws itself, the item fails with its own error. Threads: on workers, several at a time.
  std::function<bool(const item& failed)> retry_if;
};

struct batch {
  std::uint64_t max_items = 0;        // items that one call gets at most; 0: libpa finds a size that pays
  std::chrono::nanoseconds linger{};  // how long the first item of a batch waits for a slow source to fill it
};

enum class executor : std::int32_t {
  threads = PA_EXECUTOR_THREADS,  // libpa's persistent pool; the calling thread may help
  inlined = PA_EXECUTOR_INLINE,   // the calling thread alone, in input order
};

// How to run; the fields mean what those of pa_options in pa.h do.
struct options {
  std::uint32_t workers = 0;                // calls at a time; 0: the CPUs that this process may use
  std::uint64_t window = 0;                 // items admitted but not done, at most; 0: automatic
  bool ordered = false;                     // for streams: outcomes in the order of the inputs, not as items finish
  std::uint64_t batch_size = 0;             // admit items in chunks of so many, each finished before the next; 0: do not
  pa::batch batch = {};                     // for batch functions
  std::optional<pa::limiter> limiter = {};  // shared with others
  pa::rate rate = {};                       // a limiter of this run's own; not together with `limiter`
  std::uint64_t rate_cost = 1;              // tokens: of an item, of an index of a range, of a call of a batch function
  pa::retry retry = {};
  std::optional<std::chrono::nanoseconds> timeout = {};       // for the whole run
  std::optional<std::chrono::nanoseconds> item_timeout = {};  // for each attempt; the function must look at call::stopped
  std::uint64_t max_errors = 0;                               // end the run when so many items have failed; 0: never
  std::optional<pa::stop> stop = {};
  pa::executor executor = pa::executor::threads;
  std::optional<std::uint64_t> size_hint = {};  // for sources: how many inputs there will be

  // Called after each item that was done, on the thread that called pa::map (pa::start: on one thread of libpa), never two
  // at a time, on_result first. The item is borrowed for the call.
  std::function<void(std::uint64_t done, std::uint64_t total)> on_progress = {};
  std::function<void(const item& done)> on_result = {};
  // Called on each worker before its first item of this run, and after its last.
  std::function<void()> worker_start = {};
  std::function<void()> worker_stop = {};
  // An early end does not wait for the calls that are running. What the run refers to (a range that was not moved in, what
  // fn captured by reference) must then stay valid until on_quiescent, which is called exactly once, on any thread.
  bool detach = false;
  std::function<void()> on_quiescent = {};
};

// ------------------------------------------------------------------ inside your function

// One call of your function. Valid only until the function returns, and only on its thread.
class call {
 public:
  explicit call(pa_call* handle) noexcept : handle_(handle) {}
  call(const call&) = delete;
  call& operator=(const call&) = delete;

  // The index of the item that is being run; of the first one for a batch or a range.
  std::uint64_t index() const noexcept { return pa_call_index(handle_); }
  // Which attempt this is; the first is 1.
  std::uint32_t attempt() const noexcept { return pa_call_attempt(handle_); }
  // Whether the run has ended or this attempt has outrun item_timeout: return early then.
  bool stopped() const noexcept { return pa_call_stopped(handle_) != 0; }
  // Time until the first of the deadlines that hold for this call, to be handed on as a timeout; no value without any.
  std::optional<std::chrono::nanoseconds> remaining() const noexcept {
    const std::int64_t ns = pa_call_remaining_ns(handle_);
    return ns < 0 ? std::nullopt : std::optional(std::chrono::nanoseconds(ns));
  }
  // Says that the server asked for this wait before the next attempt, and then throw. It replaces the backoff, and pauses
  // the run's limiter. No value is ignored, so that what parse_retry_after returns can be handed on.
  void retry_after(std::optional<std::chrono::nanoseconds> wait) noexcept {
    if (wait) pa_call_retry_after(handle_, wait->count());
  }

  // Borrowed: for the C functions.
  pa_call* get() const noexcept { return handle_; }

 private:
  pa_call* handle_;
};

// What functions over ranges, and batch functions that return nothing, may ask for in place of pa::call&.
class batch_call : public call {
 public:
  using call::call;

  // The item at `position` of this call succeeded, even if the function throws later. The last answer for a position holds.
  void ok_at(std::size_t position) noexcept { pa_call_ok_at(get(), position); }
  // The item at `position` of this call failed.
  void fail_at(std::size_t position, const pa::failure& why) noexcept {
    pa_call_fail_at(get(), position, why.code(), why.what());
  }
};

// ------------------------------------------------------------------ outcomes

namespace detail {

class run;
class record_base;
template <class T>
class record;
struct starter;

template <class Result>
struct outcome_access {
  Result* result = nullptr;
  auto operator[](std::uint64_t i) const { return (*result)[i]; }
};

// A function that returns nothing has no values: values() then only checks.
template <class T, class Values>
using values_or_void = std::conditional_t<std::is_void_v<T>, void, Values>;

}  // namespace detail

// What became of one item. The texts are borrowed from the result.
class item {
 public:
  std::uint64_t index() const noexcept { return outcome_.index; }
  item_state state() const noexcept { return static_cast<item_state>(outcome_.state); }
  bool ok() const noexcept { return outcome_.state == PA_ITEM_OK; }
  // 0 if it is ok; PA_CODE_EXCEPTION, or the code of the pa::failure that your function threw or returned.
  std::int32_t code() const noexcept { return outcome_.code; }
  // Empty if it is ok, else why not: what() of the exception, where there is one.
  std::string_view message() const noexcept { return outcome_.message; }
  // Attempts that were started; 0 if the item never ran.
  std::uint32_t attempts() const noexcept { return outcome_.attempts; }
  // From the start of the first attempt to the end of the last.
  std::chrono::nanoseconds duration() const noexcept { return std::chrono::nanoseconds(outcome_.duration_ns); }
  // What the key function returned; of kind PA_KEY_NONE without one.
  const pa_key& key() const noexcept { return outcome_.key; }

  // What the last attempt threw; null if it threw nothing.
  std::exception_ptr exception() const;
  // Whether the last attempt threw an E, or something derived from it.
  template <class E>
  bool threw() const;
  // Throws what the last attempt threw, or item_error if there is no such thing. Does nothing if the item is ok.
  void rethrow() const;

  // The value, where its type is not known to the compiler, such as in on_result: item.value<Page>(). Throws as rethrow()
  // does, and pa::error if T is not exactly what the function returns.
  template <class T>
  T& value() const;

 protected:
  friend class detail::record_base;
  item(const pa_outcome& outcome, const detail::record_base& record) noexcept : outcome_(outcome), record_(&record) {}

  pa_outcome outcome_;
  const detail::record_base* record_;
};

// What became of one item of a result<T>. Borrowed from the result; T is const if the result is. That of a stream is valid
// until the next one.
template <class T>
class outcome : public item {
 public:
  // The value. Throws, if there is none, what the function threw, or item_error if it threw nothing.
  std::add_lvalue_reference_t<T> value() const;

 private:
  friend class result<std::remove_const_t<T>>;
  friend class streamed<T>;
  explicit outcome(const item& from) noexcept : item(from) {}
};

// The values of a result in which no item failed. Borrowed from the result.
template <class T>
class values_view {
 public:
  using iterator = detail::index_iterator<detail::slots_access<T>>;

  std::size_t size() const noexcept { return size_; }
  bool empty() const noexcept { return size_ == 0; }
  T& operator[](std::size_t i) const noexcept { return access_[i]; }
  iterator begin() const noexcept { return iterator(access_, 0); }
  iterator end() const noexcept { return iterator(access_, size_); }
  // The values as one array; nullptr for those of a source, which are not kept in one.
  T* data() const noexcept { return access_.slots->data(); }

 private:
  friend class result<std::remove_const_t<T>>;
  values_view(detail::slots_access<T> access, std::size_t size) noexcept : access_(access), size_(size) {}

  detail::slots_access<T> access_;
  std::size_t size_;
};

// The outcomes of a run, in input order: one for each input, those that were not done included. It owns the values.
template <class T>
class result {
 public:
  using value_type = T;
  using iterator = detail::index_iterator<detail::outcome_access<result>>;
  using const_iterator = detail::index_iterator<detail::outcome_access<const result>>;

  result(result&& other) noexcept : record_(std::move(other.record_)), handle_(std::exchange(other.handle_, nullptr)) {}
  result& operator=(result&& other) noexcept {
    std::swap(record_, other.record_);
    std::swap(handle_, other.handle_);
    return *this;
  }
  ~result() { pa_result_free(handle_); }

  std::uint64_t size() const noexcept { return pa_result_count(handle_); }
  bool empty() const noexcept { return size() == 0; }
  // Whether the run completed and no item failed: what ended early is never ok.
  bool ok() const noexcept { return pa_result_ok(handle_) != 0; }
  // Why the run ended.
  ending ended() const noexcept { return static_cast<ending>(pa_result_end(handle_)); }
  // How many items are not ok, those that were not done included.
  std::uint64_t failed() const noexcept { return pa_result_failed(handle_); }
  // For batch functions: the number of items per call, as in pa_result_batch_size.
  std::uint64_t batch_size() const noexcept { return pa_result_batch_size(handle_); }

  // What became of item `index`. Throws pa::error for an index that is not below size().
  outcome<T> operator[](std::uint64_t index) { return outcome<T>(at(index)); }
  outcome<const T> operator[](std::uint64_t index) const { return outcome<const T>(at(index)); }
  iterator begin() { return {{this}, 0}; }
  iterator end() { return {{this}, size()}; }
  const_iterator begin() const { return {{this}, 0}; }
  const_iterator end() const { return {{this}, size()}; }
  // The outcomes that are not ok, in the order of their indices.
  std::vector<outcome<const T>> failures() const;

  // Throws unless ok(): pa::error with PA_STATUS_TIMED_OUT, PA_STATUS_ABORTED or PA_STATUS_CANCELLED if the run ended early,
  // whatever else happened; else pa::items_failed.
  void check() const;

  // All values, in input order; throws as check() does. Borrowed from the result, or moved out of it by
  // std::move(result).values(), which is a std::vector<T>.
  detail::values_or_void<T, values_view<T>> values() &;
  detail::values_or_void<T, values_view<const T>> values() const&;
  detail::values_or_void<T, std::vector<T>> values() &&;

  // Borrowed: for the C functions. The values are not in there.
  const pa_result* get() const noexcept { return handle_; }

 private:
  friend struct detail::starter;
  result(std::shared_ptr<detail::record<T>> record, pa_result* handle) noexcept
      : record_(std::move(record)), handle_(handle) {}
  item at(std::uint64_t index) const;

  std::shared_ptr<detail::record<T>> record_;  // outlives handle_, whose release destroys the values in it
  pa_result* handle_;
};

// A run in the background.
template <class T>
class [[nodiscard]] pending {
 public:
  pending(pending&& other) noexcept
      : run_(std::move(other.run_)), record_(std::move(other.record_)), handle_(std::exchange(other.handle_, nullptr)) {}
  pending& operator=(pending&& other) noexcept {
    std::swap(run_, other.run_);
    std::swap(record_, other.record_);
    std::swap(handle_, other.handle_);
    return *this;
  }
  // Stops a run that is still going, and waits for its calls in progress (not with options.detach). Not from within the
  // run's own callbacks.
  ~pending() { pa_pending_free(handle_); }

  // Waits until the run has ended.
  void wait() const { wait_ns(-1); }
  // The same, for so long at most. Returns whether it has ended.
  bool wait_for(std::chrono::nanoseconds timeout) const { return wait_ns(timeout.count() < 0 ? 0 : timeout.count()); }
  bool ready() const { return wait_ns(0); }

  // Waits, and hands out the result, once: later calls throw pa::error. Throws what pa::map would have thrown.
  result<T> get();

 private:
  friend struct detail::starter;
  pending(std::shared_ptr<detail::run> run, std::shared_ptr<detail::record<T>> record, pa_pending* handle) noexcept
      : run_(std::move(run)), record_(std::move(record)), handle_(handle) {}
  bool wait_ns(std::int64_t timeout_ns) const;

  std::shared_ptr<detail::run> run_;
  std::shared_ptr<detail::record<T>> record_;
  pa_pending* handle_;
};

}  // namespace v0
}  // namespace pa

#include "pa/detail/run.hpp"
#include "pa/detail/source_run.hpp"

namespace pa {
inline namespace v0 {

// ------------------------------------------------------------------ map

// Applies fn to each item of a range, waits, and returns one outcome for each.
//   range  any range; a pair of iterators is pa::subrange(first, last).
//   key    names the items, for their outcomes: key(item) returns an integer, a string or a std::vector<std::byte>. It is
//          called once for each item that is admitted, one call at a time.
// Returns a result also when items failed, or the run ended early by a timeout, a stop or max_errors: ask result::ok, ended
// or check, or let result::values throw.
template <class Range, class Fn, class Key = detail::no_key>
detail::map_result<Range, Fn> map(Range&& range, Fn&& fn, options options = {}, Key key = {});

// Like map, for a function that takes several items in one call; options.batch says how many.
//   fn  is called as fn(items) or fn(items, call), and returns nothing, or a vector (or another range that has a size) of
//       results, one for each item. `items` is a pa::view<T> of a contiguous range, which converts to std::span<T>; of
//       others, something that also has size(), operator[] and iterators.
//       An element of type pa::answer<T> lets its item fail alone. If fn throws, all items of the call fail; if it returns
//       too few results, those without one, with PA_CODE_UNANSWERED; too many count as a std::length_error that it threw.
// Failed items are retried one by one, each as a batch of one.
template <class Range, class Fn, class Key = detail::no_key>
detail::map_batch_result<Range, Fn> map_batch(Range&& range, Fn&& fn, options options = {}, Key key = {});

// Like map, for a function that works on ranges of the indices 0 ... n-1 of arrays that you keep yourself.
//   fn  is called as fn(first, count), or fn(first, count, call) with a pa::batch_call&. If it throws, all its indices fail.
//
//     pa::map_range(n, [&](std::uint64_t first, std::uint64_t count) {
//       for (auto i = first; i < first + count; i++) out[i] = in[i] * in[i];   // the compiler vectorises this
//     });
template <class Fn>
result<void> map_range(std::uint64_t n, Fn&& fn, options options = {});

// Like map, for inputs that are made on demand: pulled by one call at a time, on any thread, and destroyed when done.
//   next  is called without arguments. It returns std::optional<Item>, no value being the end; or a vector of items, as many
//         as are there without waiting but at least one, an empty one being the end: faster where items are cheap to make.
//         If it throws, the run ends, and map_source throws the same.
//   fn    gets each item as Item&, or as Item if that is a plain type no larger than a pointer.
template <class Next, class Fn, class Key = detail::no_key>
detail::map_source_result<Next, Fn> map_source(Next&& next, Fn&& fn, options options = {}, Key key = {});

// Like map_source, for a batch function.
template <class Next, class Fn, class Key = detail::no_key>
detail::map_batch_source_result<Next, Fn> map_batch_source(Next&& next, Fn&& fn, options options = {}, Key key = {});

// Starts what map does, and returns at once. A range that is an lvalue must stay as it is until the run has ended. Callbacks
// of the options are called on one thread of libpa.
template <class Range, class Fn, class Key = detail::no_key>
detail::start_result<Range, Fn> start(Range&& range, Fn&& fn, options options = {}, Key key = {});

// Waits for work that was detached, ends the idle threads of libpa's pool, and gives cached memory back. Returns false if
// detached calls are still running after `timeout`; no value waits for as long as it takes. Not from within a callback.
bool drain(std::optional<std::chrono::nanoseconds> timeout = std::nullopt);

}  // namespace v0
}  // namespace pa

#include "pa/detail/definitions.hpp"
#include "pa/stream.hpp"

#endif
