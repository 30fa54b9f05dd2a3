// How pa.hpp reaches item number i of any range, from any thread, and without copying items where that can be avoided:
//
//   contiguous     vector, array, string, span, ...    pointer + i
//   random access  deque, views, iterator pairs, ...   first[i]
//   forward        list, set, map, ...                 a table of pointers to the elements is made first
//   single pass    istream_iterator, ...               the elements are copied first
#ifndef PA_DETAIL_RANGES_HPP
#define PA_DETAIL_RANGES_HPP

#include <cstddef>
#include <cstdint>
#include <iterator>
#include <memory>
#include <type_traits>
#include <utility>
#include <vector>

namespace pa {
inline namespace v0 {

// Some neighbouring objects: what std::span is in C++20, to which it converts. It owns nothing.
template <class T>
class view {
 public:
  using element_type = T;
  using value_type = std::remove_cv_t<T>;
  using iterator = T*;

  view(T* data, std::size_t size) noexcept : data_(data), size_(size) {}

  T* data() const noexcept { return data_; }
  std::size_t size() const noexcept { return size_; }
  bool empty() const noexcept { return size_ == 0; }
  T& operator[](std::size_t i) const noexcept { return data_[i]; }
  T* begin() const noexcept { return data_; }
  T* end() const noexcept { return data_ + size_; }

 private:
  T* data_;
  std::size_t size_;
};

// A pair of iterators as a range: pa::map(pa::subrange(first, last), fn).
template <class Iterator, class Sentinel = Iterator>
class subrange {
 public:
  subrange(Iterator first, Sentinel last) : first_(std::move(first)), last_(std::move(last)) {}

  Iterator begin() const { return first_; }
  Sentinel end() const { return last_; }

 private:
  Iterator first_;
  Sentinel last_;
};

namespace detail {

template <class T>
using remove_cvref_t = std::remove_cv_t<std::remove_reference_t<T>>;

// A random access iterator over whatever an Access reaches by its operator[]. It keeps a copy of the Access.
template <class Access>
class index_iterator {
 public:
  using reference = decltype(std::declval<const Access&>()[std::uint64_t{}]);
  using value_type = remove_cvref_t<reference>;
  using difference_type = std::ptrdiff_t;
  using pointer = void;
  // The older category demands true references; C++20 does not.
  using iterator_category =
      std::conditional_t<std::is_lvalue_reference_v<reference>, std::random_access_iterator_tag, std::input_iterator_tag>;
  using iterator_concept = std::random_access_iterator_tag;

  index_iterator() = default;
  index_iterator(Access access, std::uint64_t at) : access_(std::move(access)), at_(at) {}

  reference operator*() const { return access_[at_]; }
  reference operator[](difference_type n) const { return access_[at_ + static_cast<std::uint64_t>(n)]; }

  index_iterator& operator+=(difference_type n) {
    at_ += static_cast<std::uint64_t>(n);
    return *this;
  }
  index_iterator& operator-=(difference_type n) { return *this += -n; }
  index_iterator& operator++() { return *this += 1; }
  index_iterator& operator--() { return *this += -1; }
  index_iterator operator++(int) {
    index_iterator old = *this;
    ++*this;
    return old;
  }
  index_iterator operator--(int) {
    index_iterator old = *this;
    --*this;
    return old;
  }
  friend index_iterator operator+(index_iterator it, difference_type n) { return it += n; }
  friend index_iterator operator+(difference_type n, index_iterator it) { return it += n; }
  friend index_iterator operator-(index_iterator it, difference_type n) { return it -= n; }
  friend difference_type operator-(const index_iterator& a, const index_iterator& b) {
    return static_cast<difference_type>(a.at_ - b.at_);
  }
  friend bool operator==(const index_iterator& a, const index_iterator& b) { return a.at_ == b.at_; }
  friend bool operator!=(const index_iterator& a, const index_iterator& b) { return a.at_ != b.at_; }
  friend bool operator<(const index_iterator& a, const index_iterator& b) { return a.at_ < b.at_; }
  friend bool operator>(const index_iterator& a, const index_iterator& b) { return a.at_ > b.at_; }
  friend bool operator<=(const index_iterator& a, const index_iterator& b) { return a.at_ <= b.at_; }
  friend bool operator>=(const index_iterator& a, const index_iterator& b) { return a.at_ >= b.at_; }

 private:
  Access access_{};
  std::uint64_t at_ = 0;
};

// ------------------------------------------------------------------ accessors: small, copied into each loop

template <class Iterator>
struct iterator_access {
  Iterator first;
  decltype(auto) operator[](std::uint64_t i) const {
    return first[static_cast<typename std::iterator_traits<Iterator>::difference_type>(i)];
  }
};

template <class T>
struct table_access {
  T* const* table;
  T& operator[](std::uint64_t i) const { return *table[i]; }
};

// The copies that are kept of a single pass range. (In a struct each, because a vector of bool has no elements to refer to.)
template <class T>
struct copied {
  T item;
};
template <class T>
struct copy_access {
  copied<T>* first;
  T& operator[](std::uint64_t i) const { return first[i].item; }
};

// `count` items from number `first` on.
template <class Access>
class slice {
 public:
  using iterator = index_iterator<Access>;

  slice(Access access, std::uint64_t first, std::size_t count) : access_(std::move(access)), first_(first), count_(count) {}

  std::size_t size() const noexcept { return count_; }
  bool empty() const noexcept { return count_ == 0; }
  decltype(auto) operator[](std::size_t i) const { return access_[first_ + i]; }
  iterator begin() const { return iterator(access_, first_); }
  iterator end() const { return iterator(access_, first_ + count_); }

 private:
  Access access_;
  std::uint64_t first_;
  std::size_t count_;
};

// ------------------------------------------------------------------ what kind of range it is

template <class R>
using iterator_of = decltype(std::begin(std::declval<R&>()));
template <class R>
using reference_of = decltype(*std::declval<iterator_of<R>&>());

template <class R, class = void>
struct has_array : std::is_pointer<iterator_of<R>> {};
template <class R>
struct has_array<R, std::void_t<decltype(std::data(std::declval<R&>())), decltype(std::size(std::declval<R&>()))>>
    : std::is_same<decltype(*std::data(std::declval<R&>())), reference_of<R>> {};

template <class Iterator, class = void>
struct category_of {
  using type = std::input_iterator_tag;
};
template <class Iterator>
struct category_of<Iterator, std::void_t<typename std::iterator_traits<Iterator>::iterator_category>> {
  using type = typename std::iterator_traits<Iterator>::iterator_category;
};
template <class Iterator, class Tag>
inline constexpr bool is_category = std::is_base_of_v<Tag, typename category_of<Iterator>::type>;

template <class R, class = void>
struct has_distance : std::false_type {};
template <class R>
struct has_distance<R, std::void_t<decltype(std::end(std::declval<R&>()) - std::begin(std::declval<R&>()))>>
    : std::true_type {};

#if defined(__cpp_lib_ranges)
template <class Iterator>
inline constexpr bool is_random_access = std::random_access_iterator<Iterator>;
template <class Iterator>
inline constexpr bool is_forward = std::forward_iterator<Iterator>;
#else
template <class Iterator>
inline constexpr bool is_random_access = is_category<Iterator, std::random_access_iterator_tag>;
template <class Iterator>
inline constexpr bool is_forward = is_category<Iterator, std::forward_iterator_tag>;
#endif

// The items of a range. Range is as deduced for `Range&&`: an lvalue is referred to, an rvalue is moved in and kept.
template <class Range>
class items {
  using range_type = std::remove_reference_t<Range>;
  using iterator = iterator_of<range_type>;
  using reference = reference_of<range_type>;
  using value_type = remove_cvref_t<reference>;

  static constexpr bool contiguous = has_array<range_type>::value;
  static constexpr bool random_access = is_random_access<iterator> && has_distance<range_type>::value;
  static constexpr bool has_addresses =
      std::is_lvalue_reference_v<reference> && is_category<iterator, std::forward_iterator_tag>;

 public:
  explicit items(Range&& range) : range_(std::forward<Range>(range)) {
    if constexpr (contiguous && std::is_pointer_v<iterator>) {
      access_ = std::begin(range_);
      size_ = static_cast<std::uint64_t>(std::end(range_) - access_);
    } else if constexpr (contiguous) {
      access_ = std::data(range_);
      size_ = std::size(range_);
    } else if constexpr (random_access) {
      access_.first = std::begin(range_);
      size_ = static_cast<std::uint64_t>(std::end(range_) - std::begin(range_));
    } else {
      auto last = std::end(range_);
      for (auto it = std::begin(range_); it != last; ++it) {
        if constexpr (has_addresses)
          kept_.push_back(std::addressof(*it));
        else
          kept_.push_back({*it});
      }
      size_ = kept_.size();
      if constexpr (has_addresses)
        access_.table = kept_.data();
      else
        access_.first = kept_.data();
    }
  }
  items(const items&) = delete;
  items& operator=(const items&) = delete;

  std::uint64_t size() const noexcept { return size_; }

  // Reaches each item by operator[].
  auto access() const { return access_; }

  // What a batch function gets.
  auto part(std::uint64_t first, std::size_t count) const {
    if constexpr (std::is_pointer_v<access_type>)
      return view<std::remove_pointer_t<access_type>>(access_ + first, count);
    else
      return slice<access_type>(access_, first, count);
  }

 private:
  using element_type = std::remove_reference_t<reference>;
  using access_type = std::conditional_t<
      contiguous, element_type*,
      std::conditional_t<random_access, iterator_access<iterator>,
                         std::conditional_t<has_addresses, table_access<element_type>, copy_access<value_type>>>>;
  using kept_type = std::conditional_t<has_addresses, element_type*, copied<value_type>>;
  struct nothing {};

  Range range_;
  std::conditional_t<contiguous || random_access, nothing, std::vector<kept_type>> kept_;
  access_type access_{};
  std::uint64_t size_ = 0;
};

// What a function gets for one item, and for a batch.
template <class Range>
using item_of = decltype(std::declval<const items<Range>&>().access()[std::uint64_t{}]);
template <class Range>
using part_of = decltype(std::declval<const items<Range>&>().part(0, 0));

}  // namespace detail
}  // namespace v0
}  // namespace pa

#endif
