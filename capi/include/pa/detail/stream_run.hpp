// What a stream has of its own: a record that holds one value at a time, and the range as a source.
#ifndef PA_DETAIL_STREAM_RUN_HPP
#define PA_DETAIL_STREAM_RUN_HPP

#ifndef PA_PA_HPP
#error "include pa/pa.hpp"
#endif

#include "pa/detail/source_run.hpp"

namespace pa {
inline namespace v0 {
namespace detail {

// Values travel in boxes. The record opens that of the outcome which was handed out last; who consumes the stream discards it.
template <class T>
class stream_record final : public record_base {
 public:
  stream_record() : record_base(&type_tag<T>) {}

  static constexpr bool released = !box<T>::fits;
  static void release_value(void* ctx, void* value) noexcept { box<T>::discard(ctx, value); }

  std::nullptr_t place(std::uint64_t) noexcept { return nullptr; }
  template <class Make>
  static void keep(std::nullptr_t, void** slot, Make&& make) {
    if constexpr (released) {
      *slot = nullptr;
      *slot = new T(std::forward<Make>(make)());
    } else {
      T value(std::forward<Make>(make)());
      std::memcpy(slot, &value, sizeof value);
    }
  }

  void show(const pa_outcome& outcome) noexcept override {
    if (outcome.state != PA_ITEM_OK) return;
    if constexpr (released) {
      current_ = static_cast<T*>(outcome.value);
    } else {
      std::memcpy(bytes_, &outcome.value, sizeof(T));
      current_ = std::launder(reinterpret_cast<T*>(bytes_));
    }
  }
  void* value(std::uint64_t) const noexcept override { return const_cast<std::remove_const_t<T>*>(current_); }

 private:
  T* current_ = nullptr;
  alignas(void*) unsigned char bytes_[sizeof(void*)];
};

template <>
class stream_record<void> final : public record_base {
 public:
  stream_record() : record_base(&type_tag<void>) {}

  static constexpr bool released = false;
  std::nullptr_t place(std::uint64_t) noexcept { return nullptr; }
  void* value(std::uint64_t) const noexcept override { return nullptr; }
};

// A range as a source function. Range is as deduced for `Range&&`. The next element is looked for when it is asked for, and not
// before.
template <class Range>
class range_source {
  using range_type = std::remove_reference_t<Range>;
  using iterator = iterator_of<range_type>;
  using sentinel = decltype(std::end(std::declval<range_type&>()));
  using reference = reference_of<range_type>;
  // Elements of what can be walked again stay where they are.
  static constexpr bool has_addresses = std::is_lvalue_reference_v<reference> && is_forward<iterator>;
  using item = std::conditional_t<has_addresses, referred<std::remove_reference_t<reference>>, remove_cvref_t<reference>>;

 public:
  static constexpr bool never_waits = is_forward<iterator>;

  explicit range_source(Range&& range) : range_(std::forward<Range>(range)) {}
  range_source(range_source&& other) : range_(std::forward<Range>(other.range_)) {}  // before the first call

  std::optional<item> operator()() {
    if (!at_) {
      at_.emplace(std::begin(range_));
      end_.emplace(std::end(range_));
    } else if (!over_) {
      ++*at_;
    }
    over_ = over_ || *at_ == *end_;
    if (over_) return std::nullopt;
    if constexpr (has_addresses)
      return item{std::addressof(**at_)};
    else
      return std::optional<item>(std::in_place, **at_);
  }

  // How many elements there are, if that can be told without a walk.
  std::optional<std::uint64_t> size() {
    if constexpr (is_random_access<iterator> && has_distance<range_type>::value)
      return static_cast<std::uint64_t>(std::end(range_) - std::begin(range_));
    else
      return std::nullopt;
  }

 private:
  Range range_;
  std::optional<iterator> at_;
  std::optional<sentinel> end_;
  bool over_ = false;
};

struct stream_starter;

// ------------------------------------------------------------------ what the functions of stream.hpp return

template <class Range, class Fn>
using stream_result = streamed<value_of<returned<call, Fn, source_item_of<range_source<Range>>>>>;
template <class Range, class Fn>
using stream_batch_result = streamed<batch_value_of<returned<batch_call, Fn, source_part_of<range_source<Range>>&>>>;
template <class Next, class Fn>
using stream_source_result = streamed<value_of<returned<call, Fn, source_item_of<Next>>>>;
template <class Next, class Fn>
using stream_batch_source_result = streamed<batch_value_of<returned<batch_call, Fn, source_part_of<Next>&>>>;

}  // namespace detail
}  // namespace v0
}  // namespace pa

#endif
