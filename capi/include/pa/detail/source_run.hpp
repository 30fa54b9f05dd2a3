// Runs over items that a function delivers. See run.hpp.
#ifndef PA_DETAIL_SOURCE_RUN_HPP
#define PA_DETAIL_SOURCE_RUN_HPP

#include <cstring>
#include <new>
#include <optional>
#include <vector>

#include "pa/detail/run.hpp"

namespace pa {
inline namespace v0 {
namespace detail {

// How an item of a source travels through a void pointer: as its bytes where they fit, else as an object on the heap.
template <class Item>
struct box {
  static constexpr bool fits = sizeof(Item) <= sizeof(void*) && std::is_trivially_copyable_v<Item>;

  static void* close(Item&& item) {
    if constexpr (fits) {
      void* bytes = nullptr;
      std::memcpy(&bytes, &item, sizeof item);
      return bytes;
    } else {
      return new Item(std::move(item));
    }
  }
  // The item itself, or a copy of one that fits.
  static std::conditional_t<fits, Item, Item&> open(void* closed) noexcept {
    if constexpr (fits) {
      alignas(Item) unsigned char bytes[sizeof(Item)];
      std::memcpy(bytes, &closed, sizeof(Item));
      return *std::launder(reinterpret_cast<Item*>(bytes));
    } else {
      return *static_cast<Item*>(closed);
    }
  }
  static void discard(void*, void* closed) noexcept { delete static_cast<Item*>(closed); }
};

// An element of a range that stays where it is.
template <class T>
struct referred {
  T* element;
};
template <class T>
struct box<referred<T>> {
  static constexpr bool fits = true;

  static void* close(referred<T>&& item) noexcept { return const_cast<void*>(static_cast<const void*>(item.element)); }
  static T& open(void* closed) noexcept { return *static_cast<T*>(closed); }
};

template <class Item>
struct box_access {
  void* const* boxes;
  decltype(auto) operator[](std::uint64_t i) const { return box<Item>::open(boxes[i]); }
};

// What a source function returns: std::optional<Item>, or a vector of items.
template <class Produced>
struct produced {
  using item = typename Produced::value_type;
  static constexpr bool many = true;
};
template <class Item>
struct produced<std::optional<Item>> {
  using item = Item;
  static constexpr bool many = false;
};
template <class Next>
using produced_by = produced<remove_cvref_t<std::invoke_result_t<std::decay_t<Next>&>>>;

// Whether a source function can be called again and again without a wait, so that one call of libpa's gets many items.
template <class Next, class = void>
struct never_waits : std::false_type {};
template <class Next>
struct never_waits<Next, std::void_t<decltype(Next::never_waits)>> : std::bool_constant<Next::never_waits> {};

// A run over what a source delivers.
template <class T, class Next, class Fn, class Key, class Record = record<T>>
class source_run final : public run_of<T, Fn, Record> {
  using produced_type = remove_cvref_t<std::invoke_result_t<Next&>>;
  using item_type = typename produced<produced_type>::item;
  using box_type = box<item_type>;

 public:
  template <class N, class F>
  source_run(N&& next, F&& fn, pa::options&& options, Key key)
      : run_of<T, Fn, Record>(std::make_shared<Record>(), std::forward<F>(fn), std::move(options)),
        next_(std::forward<N>(next)),
        key_(std::move(key)) {
    if constexpr (!std::is_same_v<Key, no_key>) {
      this->c_.item_key = item_key;
      this->c_.key_ctx = this;
    }
  }

  // The run's source, which owns the run, too, until libpa releases it.
  pa_source source(std::shared_ptr<run> self, std::optional<std::uint64_t> size_hint) noexcept {
    source_self_ = std::move(self);
    pa_source source;
    pa_source_init(&source, sizeof source);
    source.next = next;
    source.ctx = this;
    if (size_hint) source.size_hint = *size_hint;
    if constexpr (!box_type::fits) source.release_item = box_type::discard;
    source.release = release;
    return source;
  }
  void abandon() noexcept override {
    source_self_.reset();
    run::abandon();
  }

  static std::int32_t one(void* ctx, void* item, void** slot, pa_call* handle) noexcept {
    source_run& run = *static_cast<source_run*>(static_cast<detail::run*>(ctx));
    const std::uint64_t index = pa_call_index(handle);
    try {
      pa::call call(handle);
      return run.run_one(run.record_->place(index), slot, index, box_type::open(item), call);
    } catch (...) {
      return run.record_->fail(handle, index, 1);
    }
  }
  static std::int32_t batch(void* ctx, void* const* items, std::size_t count, void** slots, pa_call* handle) noexcept {
    source_run& run = *static_cast<source_run*>(static_cast<detail::run*>(ctx));
    return run.run_batch(slice<box_access<item_type>>({items}, 0, count), pa_call_index(handle), count, slots, handle);
  }

 private:
  static std::int32_t next(void* ctx, void** items, std::size_t max, std::size_t* got) noexcept {
    source_run& run = *static_cast<source_run*>(ctx);
    std::size_t count = 0;
    const std::int32_t failed = run.guard([&] {
      if constexpr (produced<produced_type>::many) {
        if (run.taken_ == run.buffer_.size()) {
          run.buffer_ = std::invoke(run.next_);
          run.taken_ = 0;
        }
        while (count < max && run.taken_ < run.buffer_.size()) {
          items[count] = box_type::close(std::move(run.buffer_[run.taken_++]));
          count++;
        }
      } else {
        do {
          auto item = std::invoke(run.next_);
          if (!item) break;
          items[count] = box_type::close(std::move(*item));
          count++;
        } while (never_waits<Next>::value && count < max);
      }
    });
    if (failed) {
      if constexpr (!box_type::fits) {
        while (count > 0) box_type::discard(nullptr, items[--count]);
      }
      return failed;
    }
    *got = count;
    return 0;
  }
  static void release(void* ctx) noexcept { static_cast<source_run*>(ctx)->source_self_.reset(); }

  static std::int32_t item_key(void* ctx, void* item, pa_key* out) noexcept {
    source_run& run = *static_cast<source_run*>(ctx);
    return run.guard([&] { run.write_key(std::invoke(run.key_, box_type::open(item)), out); });
  }

  Next next_;
  Key key_;
  std::conditional_t<produced<produced_type>::many, produced_type, no_key> buffer_;
  std::size_t taken_ = 0;
  std::shared_ptr<run> source_self_;
};

// What a function gets for an item of a source, and for a batch of them.
template <class Next>
using source_item_of = decltype(box<typename produced_by<Next>::item>::open(nullptr));
template <class Next>
using source_part_of = slice<box_access<typename produced_by<Next>::item>>;

// ------------------------------------------------------------------ what the functions of pa.hpp return

template <class Range, class Fn>
using map_result = result<value_of<returned<call, Fn, item_of<Range>>>>;
template <class Range, class Fn>
using start_result = pending<value_of<returned<call, Fn, item_of<Range>>>>;
template <class Range, class Fn>
using map_batch_result = result<batch_value_of<returned<batch_call, Fn, part_of<Range>&>>>;
template <class Next, class Fn>
using map_source_result = result<value_of<returned<call, Fn, source_item_of<Next>>>>;
template <class Next, class Fn>
using map_batch_source_result = result<batch_value_of<returned<batch_call, Fn, source_part_of<Next>&>>>;

}  // namespace detail
}  // namespace v0
}  // namespace pa

#endif
