// The bodies of what pa.hpp declares.
#ifndef PA_DETAIL_DEFINITIONS_HPP
#define PA_DETAIL_DEFINITIONS_HPP

#ifndef PA_PA_HPP
#error "include pa/pa.hpp"
#endif

namespace pa {
inline namespace v0 {
namespace detail {

inline void check(pa_status status, const pa_error& error) {
  if (status < 0) throw pa::error(error);
}

struct free_result {
  void operator()(pa_result* result) const noexcept { pa_result_free(result); }
};

// Starts runs, and turns what they hand out into results.
struct starter {
  // begin(ctx, options, &result, &error) is a function of pa.h.
  template <class Run, class Begin>
  static auto map(const std::shared_ptr<Run>& run, Begin&& begin) {
    pa_error error = {};
    pa_result* handle = nullptr;
    run->begin(run);
    const pa_status status = begin(static_cast<detail::run*>(run.get()), run->options(), &handle, &error);
    if (!handle) run->abandon();
    return finish(*run, run->kept(), status, handle, error);
  }

  template <class T>
  static result<T> finish(const run& run, const std::shared_ptr<record<T>>& record, pa_status status, pa_result* handle,
                          const pa_error& error) {
    std::unique_ptr<pa_result, free_result> owned(handle);
    if (const std::exception_ptr thrown = run.thrown()) std::rethrow_exception(thrown);
    check(status, error);
    record->prune(owned.get());
    return result<T>(record, owned.release());
  }

  template <class Run>
  static auto start(const std::shared_ptr<Run>& run) {
    using T = typename Run::value_type;
    pa_error error = {};
    pa_pending* handle = nullptr;
    run->make_table();  // its loop is libpa's own
    run->begin(run);
    const pa_status status = pa_map_start(Run::one, static_cast<detail::run*>(run.get()), run->table(), run->size(),
                                          run->options(), &handle, &error);
    if (!handle) run->abandon();
    check(status, error);
    return pending<T>(run, run->kept(), handle);
  }
};

}  // namespace detail

// ------------------------------------------------------------------ errors and outcomes

inline item_error::item_error(const item& from)
    : error(PA_STATUS_ITEMS_FAILED, 0, "item " + std::to_string(from.index()) + ": " + std::string(from.message())),
      index_(from.index()),
      state_(from.state()),
      code_(from.code()),
      exception_(from.exception()) {}

inline std::exception_ptr item::exception() const { return ok() ? nullptr : record_->thrown(index()); }

template <class E>
bool item::threw() const {
  const std::exception_ptr thrown = exception();
  if (!thrown) return false;
  try {
    std::rethrow_exception(thrown);
  } catch (const E&) {
    return true;
  } catch (...) {
    return false;
  }
}

inline void item::rethrow() const {
  if (ok()) return;
  if (const std::exception_ptr thrown = exception()) std::rethrow_exception(thrown);
  throw item_error(*this);
}

template <class T>
T& item::value() const {
  rethrow();
  if (record_->type() != &detail::type_tag<std::remove_const_t<T>>)
    throw error(PA_STATUS_INVALID, 0, "item::value<T>: T is not the type that the function returns");
  return *static_cast<T*>(record_->value(index()));
}

template <class T>
std::add_lvalue_reference_t<T> outcome<T>::value() const {
  rethrow();
  if constexpr (!std::is_void_v<T>) return *static_cast<T*>(record_->value(index()));
}

// ------------------------------------------------------------------ results

template <class T>
item result<T>::at(std::uint64_t index) const {
  pa_outcome outcome;
  pa_error error;
  detail::check(pa_result_at(handle_, index, &outcome, &error), error);
  return record_->make_item(outcome);
}

template <class T>
std::vector<outcome<const T>> result<T>::failures() const {
  std::vector<outcome<const T>> failures;
  failures.reserve(static_cast<std::size_t>(failed()));
  std::uint64_t cursor = 0;
  pa_outcome outcome;
  while (pa_result_next_failure(handle_, &cursor, &outcome, nullptr) == PA_STATUS_OK)
    failures.push_back(pa::outcome<const T>(record_->make_item(outcome)));
  return failures;
}

template <class T>
void result<T>::check() const {
  pa_error error;
  const pa_status status = pa_result_check(handle_, &error);
  if (status == PA_STATUS_ITEMS_FAILED) {
    std::vector<item_error> errors;
    errors.reserve(static_cast<std::size_t>(failed()));
    for (const item& failure : failures()) errors.emplace_back(failure);
    throw items_failed(error, std::move(errors));
  }
  detail::check(status, error);
}

template <class T>
detail::values_or_void<T, values_view<T>> result<T>::values() & {
  check();
  if constexpr (!std::is_void_v<T>) return values_view<T>({&record_->values}, static_cast<std::size_t>(size()));
}

template <class T>
detail::values_or_void<T, values_view<const T>> result<T>::values() const& {
  check();
  if constexpr (!std::is_void_v<T>) return values_view<const T>({&record_->values}, static_cast<std::size_t>(size()));
}

template <class T>
detail::values_or_void<T, std::vector<T>> result<T>::values() && {
  check();
  if constexpr (!std::is_void_v<T>) {
    const values_view<T> mine({&record_->values}, static_cast<std::size_t>(size()));
    if (T* const array = mine.data())
      return std::vector<T>(std::make_move_iterator(array), std::make_move_iterator(array + mine.size()));
    return std::vector<T>(std::make_move_iterator(mine.begin()), std::make_move_iterator(mine.end()));
  }
}

template <class T>
bool pending<T>::wait_ns(std::int64_t timeout_ns) const {
  pa_error error;
  const pa_status status = pa_pending_wait(handle_, timeout_ns, &error);
  detail::check(status, error);
  return status == PA_STATUS_OK;
}

template <class T>
result<T> pending<T>::get() {
  wait();
  pa_result* handle = nullptr;
  pa_error error = {};
  const pa_status status = pa_pending_take(handle_, &handle, &error);
  if (status == PA_STATUS_DONE) throw pa::error(PA_STATUS_INVALID, 0, "pending::get: the result was taken before");
  return detail::starter::finish(*run_, record_, status, handle, error);
}

// ------------------------------------------------------------------ limiters and stop tokens

inline std::optional<std::chrono::nanoseconds> parse_retry_after(const char* text) {
  const std::int64_t ns = pa_parse_retry_after(text, -1);
  return ns < 0 ? std::nullopt : std::optional(std::chrono::nanoseconds(ns));
}

inline limiter::limiter(const pa::rate& rate) {
  const pa_rate c = detail::to_c(rate);
  pa_error error;
  detail::check(pa_limiter_new(&c, &handle_, &error), error);
}

inline bool limiter::acquire_ns(std::uint64_t tokens, std::int64_t timeout_ns) {
  pa_error error;
  const pa_status status = pa_limiter_acquire(handle_, tokens, timeout_ns, &error);
  detail::check(status, error);
  return status == PA_STATUS_OK;
}

inline std::optional<std::chrono::nanoseconds> limiter::try_acquire(std::uint64_t tokens) {
  std::int64_t wait_ns = 0;
  pa_error error;
  const pa_status status = pa_limiter_try(handle_, tokens, &wait_ns, &error);
  detail::check(status, error);
  return status == PA_STATUS_OK ? std::nullopt : std::optional(std::chrono::nanoseconds(wait_ns));
}

inline void limiter::pause(std::chrono::nanoseconds wait) {
  pa_error error;
  detail::check(pa_limiter_pause(handle_, wait.count(), &error), error);
}

inline void limiter::set_rate(const pa::rate& rate) {
  const pa_rate c = detail::to_c(rate);
  pa_error error;
  detail::check(pa_limiter_set_rate(handle_, &c, &error), error);
}

inline void limiter::settle(std::int64_t tokens) {
  pa_error error;
  detail::check(pa_limiter_settle(handle_, tokens, &error), error);
}

inline stop::stop() {
  pa_error error;
  detail::check(pa_stop_new(&handle_, &error), error);
}

// ------------------------------------------------------------------ map

template <class Range, class Fn, class Key>
detail::map_result<Range, Fn> map(Range&& range, Fn&& fn, options options, Key key) {
  using T = typename detail::map_result<Range, Fn>::value_type;
  using Run = detail::range_run<T, Range, std::decay_t<Fn>, Key>;
  auto run = std::make_shared<Run>(std::forward<Range>(range), std::forward<Fn>(fn), std::move(options), std::move(key));
  return detail::starter::map(run, [&](void* ctx, const pa_options* c, pa_result** result, pa_error* error) {
    return pa_map_loop(Run::loop, Run::one, ctx, run->table(), run->size(), c, result, error);
  });
}

template <class Range, class Fn, class Key>
detail::map_batch_result<Range, Fn> map_batch(Range&& range, Fn&& fn, options options, Key key) {
  using T = typename detail::map_batch_result<Range, Fn>::value_type;
  using Run = detail::range_run<T, Range, std::decay_t<Fn>, Key>;
  auto run = std::make_shared<Run>(std::forward<Range>(range), std::forward<Fn>(fn), std::move(options), std::move(key));
  return detail::starter::map(run, [&](void* ctx, const pa_options* c, pa_result** result, pa_error* error) {
    return pa_map_batch(Run::batch, ctx, run->table(), run->size(), c, result, error);
  });
}

template <class Fn>
result<void> map_range(std::uint64_t n, Fn&& fn, options options) {
  using Run = detail::index_run<std::decay_t<Fn>>;
  auto run = std::make_shared<Run>(std::forward<Fn>(fn), std::move(options));
  return detail::starter::map(run, [&](void* ctx, const pa_options* c, pa_result** result, pa_error* error) {
    return pa_map_range(Run::part, ctx, n, c, result, error);
  });
}

template <class Next, class Fn, class Key>
detail::map_source_result<Next, Fn> map_source(Next&& next, Fn&& fn, options options, Key key) {
  using T = typename detail::map_source_result<Next, Fn>::value_type;
  using Run = detail::source_run<T, std::decay_t<Next>, std::decay_t<Fn>, Key>;
  const std::optional<std::uint64_t> size_hint = options.size_hint;
  auto run = std::make_shared<Run>(std::forward<Next>(next), std::forward<Fn>(fn), std::move(options), std::move(key));
  const pa_source source = run->source(run, size_hint);
  return detail::starter::map(run, [&](void* ctx, const pa_options* c, pa_result** result, pa_error* error) {
    return pa_map_source(Run::one, ctx, &source, c, result, error);
  });
}

template <class Next, class Fn, class Key>
detail::map_batch_source_result<Next, Fn> map_batch_source(Next&& next, Fn&& fn, options options, Key key) {
  using T = typename detail::map_batch_source_result<Next, Fn>::value_type;
  using Run = detail::source_run<T, std::decay_t<Next>, std::decay_t<Fn>, Key>;
  const std::optional<std::uint64_t> size_hint = options.size_hint;
  auto run = std::make_shared<Run>(std::forward<Next>(next), std::forward<Fn>(fn), std::move(options), std::move(key));
  const pa_source source = run->source(run, size_hint);
  return detail::starter::map(run, [&](void* ctx, const pa_options* c, pa_result** result, pa_error* error) {
    return pa_map_batch_source(Run::batch, ctx, &source, c, result, error);
  });
}

template <class Range, class Fn, class Key>
detail::start_result<Range, Fn> start(Range&& range, Fn&& fn, options options, Key key) {
  using T = typename detail::map_result<Range, Fn>::value_type;
  using Run = detail::range_run<T, Range, std::decay_t<Fn>, Key>;
  return detail::starter::start(
      std::make_shared<Run>(std::forward<Range>(range), std::forward<Fn>(fn), std::move(options), std::move(key)));
}

inline bool drain(std::optional<std::chrono::nanoseconds> timeout) {
  pa_error error;
  const pa_status status = pa_drain(detail::to_ns(timeout), &error);
  detail::check(status, error);
  return status == PA_STATUS_OK;
}

}  // namespace v0
}  // namespace pa

#endif
