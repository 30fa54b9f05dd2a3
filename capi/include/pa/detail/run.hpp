// What stands between the C library and a C++ function: the object that a run's `ctx` points to, and the functions that
// libpa calls with it. They are the exception wall: whatever is thrown behind them is caught in them.
//
//   record  what outlives the run, because results read it: values, and what was thrown
//   run     what libpa calls while it runs: the function, the items, the callbacks. It owns itself until it is quiescent
#ifndef PA_DETAIL_RUN_HPP
#define PA_DETAIL_RUN_HPP

#ifndef PA_PA_HPP
#error "include pa/pa.hpp"
#endif

#include <iterator>
#include <mutex>
#include <unordered_map>

namespace pa {
inline namespace v0 {
namespace detail {

// ------------------------------------------------------------------ types of functions

// Calls fn with the call, if it can take it.
template <class Call, class Fn, class... Items>
decltype(auto) invoke(Fn& fn, Call& call, Items&&... items) {
  if constexpr (std::is_invocable_v<Fn&, Items..., Call&>)
    return std::invoke(fn, std::forward<Items>(items)..., call);
  else
    return std::invoke(fn, std::forward<Items>(items)...);
}

template <class Call, class Fn, class... Items>
struct returned_by {
  static_assert(std::is_invocable_v<Fn&, Items..., Call&> || std::is_invocable_v<Fn&, Items...>,
                "the function takes neither (item) nor (item, pa::call&)");
  using type = decltype(detail::invoke(std::declval<Fn&>(), std::declval<Call&>(), std::declval<Items>()...));
};
template <class Call, class Fn, class... Items>
using returned = typename returned_by<Call, std::decay_t<Fn>, Items...>::type;

template <class T>
struct is_answer : std::false_type {};
template <class T>
struct is_answer<answer<T>> : std::true_type {};

// The T of the result<T> for a function that returns R.
template <class R>
struct value_type_of {
  using type = R;
};
template <class T>
struct value_type_of<answer<T>> {
  using type = T;
};
template <class R>
using value_of = typename value_type_of<remove_cvref_t<R>>::type;

// The same for a batch function that returns a range.
template <class R, bool = std::is_void_v<R>>
struct element_of {
  using type = typename std::iterator_traits<iterator_of<remove_cvref_t<R>>>::value_type;
};
template <class R>
struct element_of<R, true> {
  using type = void;
};
template <class R>
using batch_value_of = value_of<typename element_of<R>::type>;

// ------------------------------------------------------------------ what outlives a run

template <class T>
inline const char type_tag = 0;  // its address stands for T, also where there is no RTTI

class record_base {
 public:
  explicit record_base(const void* type) : type_(type) {}
  virtual ~record_base() = default;
  record_base(const record_base&) = delete;
  record_base& operator=(const record_base&) = delete;

  // In a catch block: keeps what was thrown for the items [first, first + count), and says so to libpa.
  std::int32_t fail(pa_call* call, std::uint64_t first, std::uint64_t count) noexcept {
    const std::exception_ptr thrown = std::current_exception();
    try {
      const std::lock_guard<std::mutex> lock(mutex_);
      for (std::uint64_t i = 0; i < count; i++) thrown_[first + i] = thrown;
    } catch (...) {
      // There was no memory for it: the item still fails with its message.
    }
    try {
      throw;
    } catch (const pa::failure& why) {
      return pa_call_fail(call, why.code(), why.what());
    } catch (const std::exception& why) {
      return pa_call_fail(call, PA_CODE_EXCEPTION, why.what());
    } catch (...) {
      return pa_call_fail(call, PA_CODE_EXCEPTION, "an exception that is no std::exception");
    }
  }
  // An attempt failed without throwing: what an earlier one threw is no longer the reason.
  void forget(std::uint64_t index, const call& call) noexcept {
    if (call.attempt() == 1) return;
    const std::lock_guard<std::mutex> lock(mutex_);
    thrown_.erase(index);
  }
  // Drops what the attempts of items threw that succeeded later.
  void prune(const pa_result* result) noexcept {
    const std::lock_guard<std::mutex> lock(mutex_);
    for (auto it = thrown_.begin(); it != thrown_.end();) {
      pa_outcome outcome;
      const bool ok = pa_result_at(result, it->first, &outcome, nullptr) == PA_STATUS_OK && outcome.state == PA_ITEM_OK;
      it = ok ? thrown_.erase(it) : std::next(it);
    }
  }
  std::exception_ptr thrown(std::uint64_t index) const {
    const std::lock_guard<std::mutex> lock(mutex_);
    const auto found = thrown_.find(index);
    return found == thrown_.end() ? nullptr : found->second;
  }

  // Item `index` will not be asked for any more.
  void drop(std::uint64_t index) noexcept {
    const std::lock_guard<std::mutex> lock(mutex_);
    thrown_.erase(index);
  }

  // on_result is about to be called with this outcome.
  virtual void show(const pa_outcome&) noexcept {}
  virtual void* value(std::uint64_t index) const noexcept = 0;
  const void* type() const noexcept { return type_; }
  item make_item(const pa_outcome& outcome) const noexcept { return item(outcome, *this); }

 private:
  const void* const type_;
  mutable std::mutex mutex_;
  std::unordered_map<std::uint64_t, std::exception_ptr> thrown_;
};

template <class T>
class record final : public record_base {
 public:
  record() : record_base(&type_tag<T>) {}

  // Values that need no destructor are left alone: libpa's slots then stay empty, and cost nothing.
  static constexpr bool released = !std::is_trivially_destructible_v<T> && !std::is_void_v<T>;

  // Where the value of item `index` is made.
  T* place(std::uint64_t index) { return values.make(index); }
  void* value(std::uint64_t index) const noexcept override { return values.at(index); }
  static void release_value(void*, void* value) noexcept {
    if constexpr (released) std::destroy_at(static_cast<T*>(value));
  }

  // Makes a value at `place`, and hands it to libpa, which sees to its release.
  template <class Make>
  static void keep(T* place, void** slot, Make&& make) {
    if constexpr (released) *slot = nullptr;
    ::new (static_cast<void*>(place)) T(std::forward<Make>(make)());
    if constexpr (released) *slot = place;
  }

  slots<T> values;
};

// ------------------------------------------------------------------ runs

inline std::int64_t to_ns(const std::optional<std::chrono::nanoseconds>& time) noexcept {
  // -1 means "none" to libpa; a negative duration is an error of which it can tell.
  if (!time) return -1;
  return time->count() < 0 ? std::min<std::int64_t>(time->count(), -2) : time->count();
}

inline pa_rate to_c(const rate& from) noexcept { return {from.count, from.per.count(), from.burst}; }

class run {
 public:
  run(pa::options&& options, record_base& record) : options_(std::move(options)), record_(record) {
    pa_options_init(&c_, sizeof c_);
    c_.executor = static_cast<std::int32_t>(options_.executor);
    c_.workers = options_.workers;
    c_.detach = options_.detach;
    c_.window = options_.window;
    c_.ordered = options_.ordered;
    c_.batch_size = options_.batch_size;
    c_.batch.max_items = options_.batch.max_items;
    c_.batch.linger_ns = options_.batch.linger.count();
    c_.limiter = options_.limiter ? options_.limiter->get() : nullptr;
    c_.rate = to_c(options_.rate);
    c_.rate_cost = options_.rate_cost;
    c_.retry.attempts = options_.retry.attempts;
    c_.retry.jitter = options_.retry.jitter;
    c_.retry.backoff_ns = options_.retry.backoff.count();
    c_.retry.max_delay_ns = options_.retry.max_delay.count();
    c_.retry.max_server_wait_ns = to_ns(options_.retry.max_server_wait);
    c_.retry.retry_if = options_.retry.retry_if ? retry_if : nullptr;
    c_.timeout_ns = to_ns(options_.timeout);
    c_.item_timeout_ns = to_ns(options_.item_timeout);
    c_.max_errors = options_.max_errors;
    c_.stop = options_.stop ? options_.stop->get() : nullptr;
    c_.on_progress = options_.on_progress ? on_progress : nullptr;
    c_.on_result = options_.on_result ? on_result : nullptr;
    c_.worker_start = options_.worker_start ? worker_start : nullptr;
    c_.worker_stop = options_.worker_stop ? worker_stop : nullptr;
    c_.on_quiescent = on_quiescent;
    c_.retry.retry_ctx = c_.progress_ctx = c_.result_ctx = c_.worker_ctx = c_.quiescent_ctx = this;
  }
  run(const run&) = delete;
  run& operator=(const run&) = delete;
  virtual ~run() = default;

  // From now on the run owns itself, until it is quiescent or abandoned. `ctx` is what libpa gets as its context.
  void begin(std::shared_ptr<run> self) noexcept { self_ = std::move(self); }
  virtual void abandon() noexcept { self_.reset(); }

  const pa_options* options() const noexcept { return &c_; }

  // What a callback threw first.
  std::exception_ptr thrown() const {
    const std::lock_guard<std::mutex> lock(mutex_);
    return thrown_;
  }

 protected:
  // Runs a callback; whatever it throws is kept for the caller. Returns 0 or -1.
  template <class Callback>
  std::int32_t guard(Callback&& callback) noexcept {
    try {
      callback();
      return 0;
    } catch (...) {
      const std::lock_guard<std::mutex> lock(mutex_);
      if (!thrown_) thrown_ = std::current_exception();
      return -1;
    }
  }

  // Fills `out` from what a key function returned. What it points to stays valid until the next call.
  template <class Key>
  void write_key(const Key& key, pa_key* out) {
    if constexpr (std::is_integral_v<Key> && !std::is_same_v<Key, bool>) {
      if (std::is_unsigned_v<Key> && static_cast<std::uint64_t>(key) > std::uint64_t{INT64_MAX})
        throw std::out_of_range("a key above 9223372036854775807");
      out->kind = PA_KEY_INT;
      out->number = static_cast<std::int64_t>(key);
    } else if constexpr (std::is_convertible_v<const Key&, std::string_view>) {
      key_text_ = std::string_view(key);
      out->kind = PA_KEY_STRING;
      out->data = key_text_.data();
      out->size = key_text_.size();
    } else {
      static_assert(std::is_same_v<Key, std::vector<std::byte>>,
                    "a key is an integer, a string, or a std::vector<std::byte>");
      key_text_.assign(reinterpret_cast<const char*>(key.data()), key.size());
      out->kind = PA_KEY_BYTES;
      out->data = key_text_.data();
      out->size = key_text_.size();
    }
  }

  pa_options c_;

 private:
  static run& of(void* ctx) noexcept { return *static_cast<run*>(ctx); }

  static std::int32_t retry_if(void* ctx, const pa_outcome* failed) noexcept {
    try {
      return of(ctx).options_.retry.retry_if(of(ctx).record_.make_item(*failed)) ? 1 : 0;
    } catch (...) {
      return -1;
    }
  }
  static std::int32_t on_progress(void* ctx, std::uint64_t done, std::uint64_t total) noexcept {
    return of(ctx).guard([&] { of(ctx).options_.on_progress(done, total); });
  }
  static std::int32_t on_result(void* ctx, const pa_outcome* done) noexcept {
    of(ctx).record_.show(*done);
    return of(ctx).guard([&] { of(ctx).options_.on_result(of(ctx).record_.make_item(*done)); });
  }
  static std::int32_t worker_start(void* ctx) noexcept {
    return of(ctx).guard([&] { of(ctx).options_.worker_start(); });
  }
  static void worker_stop(void* ctx) noexcept {
    of(ctx).guard([&] { of(ctx).options_.worker_stop(); });
  }
  static void on_quiescent(void* ctx) noexcept {
    if (of(ctx).options_.on_quiescent) of(ctx).guard([&] { of(ctx).options_.on_quiescent(); });
    of(ctx).self_.reset();  // perhaps the last owner
  }

  pa::options options_;
  record_base& record_;
  mutable std::mutex mutex_;
  std::exception_ptr thrown_;
  std::string key_text_;
  std::shared_ptr<run> self_;
};

// A run of a function: with the record of what it returned.
template <class T, class Fn, class Record = record<T>>
class run_of : public run {
 public:
  using value_type = T;

  template <class F>
  run_of(std::shared_ptr<Record> record, F&& fn, pa::options&& options)
      : run(std::move(options), *record), record_(std::move(record)), fn_(std::forward<F>(fn)) {
    if constexpr (Record::released) c_.release_value = Record::release_value;
  }

  const std::shared_ptr<Record>& kept() const noexcept { return record_; }

 protected:
  // Calls the function for one item, and keeps what it returns at `place`. Returns 0 or the code of a failure. May throw.
  template <class Place, class Item>
  std::int32_t run_one(Place place, void** slot, std::uint64_t index, Item&& item, call& call) {
    using R = returned<pa::call, Fn, Item>;
    if constexpr (std::is_void_v<R>) {
      detail::invoke(fn_, call, std::forward<Item>(item));
    } else if constexpr (is_answer<remove_cvref_t<R>>::value) {
      auto&& answer = detail::invoke(fn_, call, std::forward<Item>(item));
      if constexpr (Record::released) *slot = nullptr;
      if (!answer.ok()) {
        record_->forget(index, call);
        return pa_call_fail(call.get(), answer.failure().code(), answer.failure().what());
      }
      if constexpr (!std::is_void_v<T>) Record::keep(place, slot, [&]() -> T&& { return std::move(answer.value()); });
    } else {
      Record::keep(place, slot, [&]() -> R { return detail::invoke(fn_, call, std::forward<Item>(item)); });
    }
    return 0;
  }

  // Calls a batch function for the items from index `first` on, and distributes its answers.
  template <class Items>
  std::int32_t run_batch(Items items, std::uint64_t first, std::size_t count, void** slots, pa_call* handle) noexcept {
    try {
      batch_call call(handle);
      using R = returned<batch_call, Fn, Items&>;
      if constexpr (std::is_void_v<R>) {
        detail::invoke(fn_, call, items);
        return 0;
      } else {
        // It does not get a batch_call: an item that it called ok there would have no value.
        static_assert(
            std::is_invocable_v<Fn&, Items&, pa::call&> || std::is_invocable_v<Fn&, Items&>,
            "a batch function that returns results takes (items) or (items, pa::call&), and returns pa::answer<T>s "
            "where single items may fail");
        pa::call& plain = call;
        auto&& answers = detail::invoke(fn_, plain, items);
        return distribute(answers, first, count, slots, call);
      }
    } catch (...) {
      return record_->fail(handle, first, count);
    }
  }

  const std::shared_ptr<Record> record_;
  Fn fn_;

 private:
  template <class Answers>
  std::int32_t distribute(Answers& answers, std::uint64_t first, std::size_t count, void** slots, batch_call& call) {
    using Element = typename std::iterator_traits<iterator_of<Answers>>::value_type;
    const std::size_t answered = std::size(answers);
    if (answered > count) {
      throw std::length_error("the batch function returned " + std::to_string(answered) + " results for " +
                              std::to_string(count) + " items");
    }
    auto it = std::begin(answers);
    for (std::size_t i = 0; i < answered; i++, ++it) {
      if constexpr (is_answer<Element>::value) {
        if (!it->ok()) {
          record_->forget(first + i, call);
          call.fail_at(i, it->failure());
          continue;
        }
        if constexpr (!std::is_void_v<T>)
          Record::keep(record_->place(first + i), &slots[i], [&]() -> T&& { return std::move(it->value()); });
      } else {
        Record::keep(record_->place(first + i), &slots[i], [&]() -> T { return *std::make_move_iterator(it); });
      }
      if (answered < count) call.ok_at(i);
    }
    if (answered == count) return 0;
    const std::string message =
        "the batch function returned " + std::to_string(answered) + " results for " + std::to_string(count) + " items";
    return pa_call_fail(call.get(), PA_CODE_UNANSWERED, message.c_str());
  }
};

struct no_key {};

// A run over a range. Items and values are reached by their index, so that libpa needs no pointers to them.
template <class T, class Range, class Fn, class Key>
class range_run final : public run_of<T, Fn> {
 public:
  template <class F>
  range_run(Range&& range, F&& fn, pa::options&& options, Key key)
      : run_of<T, Fn>(std::make_shared<record<T>>(), std::forward<F>(fn), std::move(options)),
        items_(std::forward<Range>(range)),
        key_(std::move(key)) {
    this->record_->values.reserve(items_.size());
    if constexpr (!std::is_same_v<Key, no_key>) {
      this->c_.item_key = item_key;
      this->c_.key_ctx = this;
      make_table();
    }
  }

  std::uint64_t size() const noexcept { return items_.size(); }

  // What libpa takes for the items. The functions below do not look at them; only the key function does, which is called
  // with an item alone: then, and where libpa's own loop reads the table, each item is its index.
  void make_table() {
    table_.resize(static_cast<std::size_t>(items_.size()));
    for (std::size_t i = 0; i < table_.size(); i++) table_[i] = reinterpret_cast<void*>(i);
  }
  void* const* table() const noexcept {
    static void* const none = nullptr;
    return table_.empty() ? &none : table_.data();
  }

  // The pa_loop_fn. All that it needs is in locals or in the function itself, so that small functions can be inlined and
  // vectorised here.
  static void loop(pa_span* span) noexcept {
    range_run& run = of(span->ctx);
    const auto items = run.items_.access();
    T* const values = run.record_->values.data();
    void** const slots = span->values;
    const std::uint64_t count = span->count;
    std::uint64_t at = span->at;
    const std::uint64_t before = pa_call_index(span->call) - at;  // the index of position 0
    pa::call call(span->call);
    try {
      for (; at < count; at++) {
        if constexpr (needs_position) span->at = at;
        const std::int32_t code = run.run_one(place(values, before + at), slots + at, before + at, items[before + at], call);
        if (code != 0) {
          span->at = at;
          span->code = code;
          return;
        }
      }
      span->at = at;
      span->code = 0;
    } catch (...) {
      span->at = at;
      span->code = run.record_->fail(span->call, before + at, 1);
    }
  }

  // The pa_fn: the same for one item.
  static std::int32_t one(void* ctx, void*, void** slot, pa_call* handle) noexcept {
    range_run& run = of(ctx);
    const std::uint64_t index = pa_call_index(handle);
    try {
      pa::call call(handle);
      return run.run_one(place(run.record_->values.data(), index), slot, index, run.items_.access()[index], call);
    } catch (...) {
      return run.record_->fail(handle, index, 1);
    }
  }

  // The pa_batch_fn.
  static std::int32_t batch(void* ctx, void* const*, std::size_t count, void** slots, pa_call* handle) noexcept {
    range_run& run = of(ctx);
    const std::uint64_t first = pa_call_index(handle);
    return run.run_batch(run.items_.part(first, count), first, count, slots, handle);
  }

 private:
  using item_type = item_of<Range>;
  // Whether pa_call_index must be right while the function runs, or when it has returned a failure.
  static constexpr bool needs_position =
      std::is_invocable_v<Fn&, item_type, pa::call&> || is_answer<remove_cvref_t<returned<pa::call, Fn, item_type>>>::value;

  static range_run& of(void* ctx) noexcept { return *static_cast<range_run*>(static_cast<run*>(ctx)); }

  static T* place(T* values, std::uint64_t index) noexcept {
    if constexpr (std::is_void_v<T>)
      return nullptr;
    else
      return values + index;
  }

  static std::int32_t item_key(void* ctx, void* item, pa_key* out) noexcept {
    range_run& run = *static_cast<range_run*>(ctx);
    return run.guard(
        [&] { run.write_key(std::invoke(run.key_, run.items_.access()[reinterpret_cast<std::uintptr_t>(item)]), out); });
  }

  detail::items<Range> items_;
  Key key_;
  std::vector<void*> table_;
};

// A run over parts of 0 ... n-1.
template <class Fn>
class index_run final : public run_of<void, Fn> {
 public:
  template <class F>
  index_run(F&& fn, pa::options&& options)
      : run_of<void, Fn>(std::make_shared<record<void>>(), std::forward<F>(fn), std::move(options)) {}

  static std::int32_t part(void* ctx, std::uint64_t first, std::uint64_t count, pa_call* handle) noexcept {
    index_run& run = *static_cast<index_run*>(static_cast<detail::run*>(ctx));
    try {
      batch_call call(handle);
      detail::invoke(run.fn_, call, first, count);
      return 0;
    } catch (...) {
      return run.record_->fail(handle, first, count);
    }
  }
};

}  // namespace detail
}  // namespace v0
}  // namespace pa

#endif
