// Streams: outcomes that are handed out one by one, while others are still being made, in constant memory. pa.hpp includes this.
//
//     for (auto page : pa::stream(urls, fetch, {.workers = 64, .ordered = true}))
//       if (page.ok()) save(page.value());
//       else std::cerr << page.message() << '\n';
//
// The rules of pa.hpp hold. What an option means for a stream, and how it ends, stands in pa.h, section "streams". But:
//
// Items    A range is walked only as far as the window reaches, by one thread at a time: elements that stay where they are (those
//          of a vector or a list) are referred to, others are moved or copied. A range that can be walked but once (a generator,
//          an istream_iterator) gives one element at a time, because the next one may keep it waiting: where its elements are
//          cheap, give stream_source a function that returns vectors of them.
// Errors   What a callback, a key function or a source throws is thrown again by the call that asks for the next outcome, once all
//          that was done before is handed out.
#ifndef PA_STREAM_HPP
#define PA_STREAM_HPP

#ifndef PA_PA_HPP
#error "include pa/pa.hpp"
#endif

#include "pa/detail/stream_run.hpp"

namespace pa {
inline namespace v0 {

// A stream that has been opened. It is a range that can be walked once, and can be moved. Its functions must not be called by two
// threads at a time.
template <class T>
class [[nodiscard]] streamed {
 public:
  using value_type = T;
  class iterator;

  streamed(streamed&& other) noexcept { swap(other); }
  streamed& operator=(streamed&& other) noexcept {
    streamed old = std::move(*this);
    swap(other);
    return *this;
  }
  // Closes the stream. Not from within its own callbacks.
  ~streamed() { close(); }

  // Waits for the next outcome; no value when the stream is over. The outcome, and the value in it, are borrowed until the next
  // one is asked for: move the value out to keep it.
  std::optional<outcome<T>> next() { return next_ns(-1); }
  // The same, but waits no longer than `timeout`. No value also if nothing came: ended() tells the two apart.
  std::optional<outcome<T>> next_for(std::chrono::nanoseconds timeout) {
    return next_ns(timeout.count() < 0 ? 0 : timeout.count());
  }

  // Asks for the first outcome that was not handed out yet, as ++ does for each further one. An iterator refers to the stream: do
  // not move it meanwhile.
  iterator begin() { return iterator(*this); }
  iterator end() noexcept { return iterator(); }

  // Why the stream ended; no value until it is over.
  std::optional<ending> ended() const noexcept {
    const std::int32_t end = handle_ ? pa_iter_end(handle_) : ended_;
    return end == PA_END_NONE ? std::nullopt : std::optional(static_cast<ending>(end));
  }
  // Throws pa::error with PA_STATUS_TIMED_OUT, PA_STATUS_ABORTED or PA_STATUS_CANCELLED if the stream ended early. A loop over a
  // stream that ended early looks like one over a stream that completed.
  void check();

  // For batch functions: the number of items per call, so far.
  std::uint64_t batch_size() const noexcept { return pa_iter_batch_size(handle_); }

  // A descriptor for poll and the like, readable when next() would not wait. It belongs to the stream. After it was readable,
  // call next_for(0ns) until it has no value. Throws pa::error.
  int fd();

  // Ends the stream at any moment: what is queued never starts. Waits for the calls that are running (not with options.detach).
  // From then on there is no next outcome.
  void close() noexcept;

  // Borrowed: for the C functions. To be left alone by pa_iter_next and pa_iter_close; null once the stream is closed.
  pa_iter* get() const noexcept { return handle_; }

 private:
  friend struct detail::stream_starter;
  using record = detail::stream_record<T>;

  streamed(std::shared_ptr<detail::run> run, std::shared_ptr<record> given, pa_iter* handle) noexcept
      : run_(std::move(run)), record_(std::move(given)), handle_(handle) {}

  void swap(streamed& other) noexcept;
  std::optional<outcome<T>> next_ns(std::int64_t timeout_ns);
  bool fetch(std::int64_t timeout_ns);
  void put_away() noexcept;
  pa_outcome neighbour(std::size_t i) const noexcept;

  std::shared_ptr<detail::run> run_;
  std::shared_ptr<record> record_;
  pa_iter* handle_ = nullptr;
  std::int32_t ended_ = PA_END_NONE;  // once it is closed
  // What libpa has handed out: the outcomes of `count_` neighbours, of which `at_` were asked for, and the last of these is held.
  pa_outcome first_ = {};
  void** values_ = nullptr;  // null: there is but one, in first_
  std::size_t count_ = 0;
  std::size_t at_ = 0;
  bool held_ = false;
};

// An input iterator.
template <class T>
class streamed<T>::iterator {
 public:
  using iterator_category = std::input_iterator_tag;
  using value_type = outcome<T>;
  using difference_type = std::ptrdiff_t;
  using reference = outcome<T>;
  using pointer = const outcome<T>*;

  iterator() = default;

  reference operator*() const { return *current_; }
  pointer operator->() const { return &*current_; }
  iterator& operator++() {
    current_ = stream_->next();
    return *this;
  }
  void operator++(int) { ++*this; }
  // Whether both are at the end.
  friend bool operator==(const iterator& a, const iterator& b) noexcept { return !a.current_ && !b.current_; }
  friend bool operator!=(const iterator& a, const iterator& b) noexcept { return !(a == b); }

 private:
  friend class streamed;
  explicit iterator(streamed& stream) : stream_(&stream), current_(stream.next()) {}

  streamed* stream_ = nullptr;
  std::optional<outcome<T>> current_;
};

// Applies fn to each item of a range, as map does, and hands out the outcomes one by one. It begins at once, and checks all
// arguments before.
//   range  a range that is an lvalue must stay as it is until the stream is closed.
template <class Range, class Fn, class Key = detail::no_key>
detail::stream_result<Range, Fn> stream(Range&& range, Fn&& fn, options options = {}, Key key = {});

// Like stream, for a function that takes several items in one call, as map_batch has it.
template <class Range, class Fn, class Key = detail::no_key>
detail::stream_batch_result<Range, Fn> stream_batch(Range&& range, Fn&& fn, options options = {}, Key key = {});

// Like stream, for inputs that a function delivers, as map_source has it.
template <class Next, class Fn, class Key = detail::no_key>
detail::stream_source_result<Next, Fn> stream_source(Next&& next, Fn&& fn, options options = {}, Key key = {});

// Like stream_source, for a batch function.
template <class Next, class Fn, class Key = detail::no_key>
detail::stream_batch_source_result<Next, Fn> stream_batch_source(Next&& next, Fn&& fn, options options = {}, Key key = {});

}  // namespace v0
}  // namespace pa

#include "pa/detail/stream_definitions.hpp"

#endif
