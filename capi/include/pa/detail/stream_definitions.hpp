// The bodies of what stream.hpp declares.
#ifndef PA_DETAIL_STREAM_DEFINITIONS_HPP
#define PA_DETAIL_STREAM_DEFINITIONS_HPP

#ifndef PA_PA_HPP
#error "include pa/pa.hpp"
#endif

namespace pa {
inline namespace v0 {
namespace detail {

// Opens streams.
struct stream_starter {
  // open(ctx, source, options, &iter, &error) is a function of pa.h.
  template <class T, class Next, class Fn, class Key, class Open>
  static streamed<T> start(Next&& next, Fn&& fn, options&& options, Key&& key, Open open) {
    using Run = source_run<T, std::decay_t<Next>, std::decay_t<Fn>, std::decay_t<Key>, stream_record<T>>;
    const std::optional<std::uint64_t> size_hint = options.size_hint;
    auto run = std::make_shared<Run>(std::forward<Next>(next), std::forward<Fn>(fn), std::move(options), std::move(key));
    const pa_source source = run->source(run, size_hint);
    pa_error error = {};
    pa_iter* handle = nullptr;
    run->begin(run);
    const pa_status status =
        open(type<Run>{}, static_cast<detail::run*>(run.get()), &source, run->options(), &handle, &error);
    if (!handle) run->abandon();
    check(status, error);
    return streamed<T>(run, run->kept(), handle);
  }

  template <class Run>
  struct type {};
  struct one_by_one {
    template <class Run>
    pa_status operator()(type<Run>, void* ctx, const pa_source* source, const pa_options* options, pa_iter** iter,
                         pa_error* error) const {
      return pa_iter_open_loop(pa_item_loop, Run::one, ctx, source, options, iter, error);
    }
  };
  struct in_batches {
    template <class Run>
    pa_status operator()(type<Run>, void* ctx, const pa_source* source, const pa_options* options, pa_iter** iter,
                         pa_error* error) const {
      return pa_iter_open_batch(Run::batch, ctx, source, options, iter, error);
    }
  };

  template <class Range>
  static range_source<Range> source_of(Range&& range, options& options) {
    range_source<Range> source(std::forward<Range>(range));
    if (!options.size_hint) options.size_hint = source.size();
    return source;
  }
};

}  // namespace detail

// ------------------------------------------------------------------ streamed

template <class T>
void streamed<T>::swap(streamed& other) noexcept {
  std::swap(run_, other.run_);
  std::swap(record_, other.record_);
  std::swap(handle_, other.handle_);
  std::swap(ended_, other.ended_);
  std::swap(first_, other.first_);
  std::swap(values_, other.values_);
  std::swap(count_, other.count_);
  std::swap(at_, other.at_);
  std::swap(held_, other.held_);
}

// The outcome that was handed out last is not needed any more.
template <class T>
void streamed<T>::put_away() noexcept {
  if (!held_) return;
  held_ = false;
  const pa_outcome last = neighbour(at_ - 1);
  if (last.state != PA_ITEM_OK || last.attempts > 1) record_->drop(last.index);
  if constexpr (record::released) {
    if (last.state == PA_ITEM_OK) record::release_value(nullptr, last.value);
  }
}

template <class T>
pa_outcome streamed<T>::neighbour(std::size_t i) const noexcept {
  pa_outcome outcome = first_;
  outcome.index += i;
  if (values_) outcome.value = values_[i];
  return outcome;
}

// Returns false if nothing came.
template <class T>
bool streamed<T>::fetch(std::int64_t timeout_ns) {
  at_ = count_ = 0;
  if (!handle_) return false;
  pa_error error = {};
  pa_status status;
  if (timeout_ns < 0) {
    status = pa_iter_next_many(handle_, &first_, &values_, &count_, &error);
  } else {
    status = pa_iter_next_timeout(handle_, timeout_ns, &first_, &error);
    values_ = nullptr;
    count_ = 1;
  }
  if (status == PA_STATUS_OK) return true;
  count_ = 0;
  if (status < 0) {
    if (const std::exception_ptr thrown = run_->thrown()) std::rethrow_exception(thrown);
    throw pa::error(error);
  }
  return false;
}

template <class T>
std::optional<outcome<T>> streamed<T>::next_ns(std::int64_t timeout_ns) {
  put_away();
  if (at_ == count_ && !fetch(timeout_ns)) return std::nullopt;
  const pa_outcome current = neighbour(at_++);
  held_ = true;
  record_->show(current);
  return outcome<T>(record_->make_item(current));
}

template <class T>
void streamed<T>::check() {
  const std::optional<ending> end = ended();
  if (end == ending::timed_out) throw error(PA_STATUS_TIMED_OUT, 0, "the stream timed out");
  if (end == ending::aborted) throw error(PA_STATUS_ABORTED, 0, "the stream was aborted: max_errors items had failed");
  if (end == ending::cancelled) throw error(PA_STATUS_CANCELLED, 0, "the stream was stopped");
  if (end == ending::failed && handle_) fetch(-1);  // says it again
}

template <class T>
int streamed<T>::fd() {
  pa_error error = {};
  const std::int32_t descriptor = pa_iter_fd(handle_, &error);
  detail::check(descriptor, error);
  return descriptor;
}

template <class T>
void streamed<T>::close() noexcept {
  if (!handle_) return;
  for (put_away(); at_ < count_; put_away()) {
    at_++;
    held_ = true;
  }
  ended_ = pa_iter_end(handle_);
  pa_iter_close(std::exchange(handle_, nullptr));
  run_.reset();
}

// ------------------------------------------------------------------ stream

template <class Range, class Fn, class Key>
detail::stream_result<Range, Fn> stream(Range&& range, Fn&& fn, options options, Key key) {
  using T = typename detail::stream_result<Range, Fn>::value_type;
  using starter = detail::stream_starter;
  auto source = starter::source_of(std::forward<Range>(range), options);
  return starter::start<T>(std::move(source), std::forward<Fn>(fn), std::move(options), std::move(key),
                           starter::one_by_one());
}

template <class Range, class Fn, class Key>
detail::stream_batch_result<Range, Fn> stream_batch(Range&& range, Fn&& fn, options options, Key key) {
  using T = typename detail::stream_batch_result<Range, Fn>::value_type;
  using starter = detail::stream_starter;
  auto source = starter::source_of(std::forward<Range>(range), options);
  return starter::start<T>(std::move(source), std::forward<Fn>(fn), std::move(options), std::move(key),
                           starter::in_batches());
}

template <class Next, class Fn, class Key>
detail::stream_source_result<Next, Fn> stream_source(Next&& next, Fn&& fn, options options, Key key) {
  using T = typename detail::stream_source_result<Next, Fn>::value_type;
  using starter = detail::stream_starter;
  return starter::start<T>(std::forward<Next>(next), std::forward<Fn>(fn), std::move(options), std::move(key),
                           starter::one_by_one());
}

template <class Next, class Fn, class Key>
detail::stream_batch_source_result<Next, Fn> stream_batch_source(Next&& next, Fn&& fn, options options, Key key) {
  using T = typename detail::stream_batch_source_result<Next, Fn>::value_type;
  using starter = detail::stream_starter;
  return starter::start<T>(std::forward<Next>(next), std::forward<Fn>(fn), std::move(options), std::move(key),
                           starter::in_batches());
}

}  // namespace v0
}  // namespace pa

#endif
