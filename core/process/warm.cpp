#include "core/process/warm.hpp"

#include <poll.h>

#include <algorithm>
#include <atomic>
#include <mutex>
#include <new>
#include <utility>

#include "core/os.hpp"
#include "core/sync.hpp"

namespace pa::process {
namespace {

constexpr nanos kIdleLimit = 10'000'000'000;    // before a worker is dismissed
constexpr nanos kFarewell = 5'000'000'000;      // before one that was dismissed is killed
constexpr nanos kLockAtUnload = 1'000'000'000;  // how long unloading waits for the lock

// One thread, from the first worker that is kept until all are dismissed, buries those that die and dismisses those that
// nobody wants.
class Warm {
 public:
  std::unique_ptr<Child> take(const Kind& kind) noexcept;
  void keep(std::unique_ptr<Child> child, nanos time) noexcept;
  void dismiss_all() noexcept;
  void dismiss_at_unload() noexcept;

  const uint32_t generation = os::fork_generation();

 private:
  struct Guest {
    std::unique_ptr<Child> child;
    nanos until;
    bool leaving;
  };
  static void main(void* warm) { static_cast<Warm*>(warm)->attend(); }
  void attend() noexcept;
  bool start() noexcept;
  void end(std::unique_lock<Mutex>& lock) noexcept;
  nanos look_after(nanos now, std::vector<Guest>& gone) noexcept;

  Mutex mutex_;
  std::vector<Guest> guests_;
  std::vector<int> watched_;  // descriptors that the caretaker sleeps on: a worker that comes and goes need not wake it
  int bell_ = -1;
  os::ThreadHandle caretaker_{};
  bool has_caretaker_ = false;
  bool closing_ = false;
};

std::unique_ptr<Child> Warm::take(const Kind& kind) noexcept {
  const std::lock_guard lock(mutex_);
  for (auto guest = guests_.rbegin(); guest != guests_.rend(); ++guest) {
    if (guest->leaving || guest->child->kind() != kind) continue;
    std::unique_ptr<Child> child = std::move(guest->child);
    guests_.erase(std::next(guest).base());
    return child;
  }
  return nullptr;
}

void Warm::keep(std::unique_ptr<Child> child, nanos time) noexcept {
  try {
    const std::lock_guard lock(mutex_);
    if (closing_ || !start()) return;
    const bool leaving = time == 0;
    if (leaving) child->dismiss();
    const bool watched = std::find(watched_.begin(), watched_.end(), child->end_descriptor()) != watched_.end();
    guests_.push_back({std::move(child), os::now() + (leaving ? kFarewell : time), leaving});
    if (!watched || leaving) os::set_event(bell_);
  } catch (const std::bad_alloc&) {  // then it is not kept
  }
}

bool Warm::start() noexcept {
  if (bell_ < 0) bell_ = os::make_event();
  if (bell_ >= 0 && !has_caretaker_) has_caretaker_ = os::start_thread(main, this, caretaker_);
  return has_caretaker_;
}

// Returns when to come again.
nanos Warm::look_after(nanos now, std::vector<Guest>& gone) noexcept {
  nanos again = kNever;
  for (size_t i = 0; i < guests_.size();) {
    Guest& guest = guests_[i];
    if (!guest.leaving && (closing_ || now >= guest.until)) {
      guest.child->dismiss();
      guest.leaving = true;
      guest.until = now + kFarewell;
    }
    if (guest.child->is_dead() || now >= guest.until) {
      gone.push_back(std::move(guest));
      guests_.erase(guests_.begin() + static_cast<ptrdiff_t>(i));
      continue;
    }
    again = std::min(again, guest.until);
    i++;
  }
  return again;
}

void Warm::attend() noexcept {
  std::vector<pollfd> ends;
  std::vector<Guest> gone;
  for (;;) {
    nanos again = kNever;
    try {
      const std::lock_guard lock(mutex_);
      gone.reserve(guests_.size());
      again = look_after(os::now(), gone);
      if (closing_ && guests_.empty()) break;
      ends.assign(1, {bell_, POLLIN, 0});
      watched_.clear();
      for (const Guest& guest : guests_) {
        watched_.push_back(guest.child->end_descriptor());
        ends.push_back({watched_.back(), POLLIN, 0});
      }
    } catch (const std::bad_alloc&) {
      ends.clear();
      again = os::now() + 100'000'000;
    }
    gone.clear();
    const nanos wait = again == kNever ? 0 : std::max<nanos>(0, again - os::now());
    const timespec patience{static_cast<time_t>(wait / 1'000'000'000), static_cast<long>(wait % 1'000'000'000)};
    // A worker that was taken meanwhile may be gone, and its descriptor be somebody else's: then this wakes once too often.
    ppoll(ends.data(), ends.size(), again == kNever ? nullptr : &patience, nullptr);
    if (!ends.empty() && ends[0].revents) os::clear_event(bell_);
  }
}

void Warm::end(std::unique_lock<Mutex>& lock) noexcept {
  if (!has_caretaker_ || closing_) return;
  closing_ = true;
  os::set_event(bell_);
  lock.unlock();
  os::join_thread(caretaker_);
  lock.lock();
  has_caretaker_ = closing_ = false;
}

void Warm::dismiss_all() noexcept {
  std::unique_lock lock(mutex_);
  end(lock);
}

// A thread that was interrupted by a signal handler that has called exit may hold the lock for ever.
void Warm::dismiss_at_unload() noexcept {
  std::unique_lock lock(mutex_, std::defer_lock);
  for (const nanos give_up = os::now() + kLockAtUnload; !lock.try_lock();) {
    if (os::now() >= give_up) return;
    os::nap(50'000);
  }
  for (Guest& guest : guests_) guest.child->kill();
  end(lock);
  std::vector<Guest>().swap(guests_);  // the memory, too
  std::vector<int>().swap(watched_);
  if (bell_ >= 0) os::close_event(std::exchange(bell_, -1));
}

// As the pool of threads: a forked child starts with one of its own. The first one is never destroyed: at the exit of the process
// other threads may go on for a moment.
alignas(Warm) unsigned char first_one[sizeof(Warm)];
std::once_flag first_is_made;
std::atomic<Warm*> current{nullptr};

Warm* warm() noexcept {
  std::call_once(first_is_made, [] { current.store(new (first_one) Warm, std::memory_order_release); });
  Warm* warm = current.load(std::memory_order_acquire);
  if (warm->generation == os::fork_generation()) return warm;
  Warm* fresh = new (std::nothrow) Warm;
  if (!fresh || current.compare_exchange_strong(warm, fresh, std::memory_order_acq_rel)) return fresh;
  delete fresh;
  return warm;
}

const struct AtUnload {
  ~AtUnload() {
    Warm* warm = current.load(std::memory_order_acquire);
    if (warm && warm->generation == os::fork_generation()) warm->dismiss_at_unload();
  }
} at_unload;

}  // namespace

std::unique_ptr<Child> take_warm(const Kind& kind) noexcept {
  for (;;) {
    Warm* all = warm();
    std::unique_ptr<Child> child = all ? all->take(kind) : nullptr;
    if (!child || !child->is_dead()) return child;
  }
}

void keep_warm(std::unique_ptr<Child> child) noexcept {
  if (Warm* all = warm()) all->keep(std::move(child), kIdleLimit);
}

void retire(std::unique_ptr<Child> child) noexcept {
  if (Warm* all = warm()) all->keep(std::move(child), 0);
}

void dismiss_warm() noexcept {
  if (Warm* all = current.load(std::memory_order_acquire); all && all->generation == os::fork_generation())
    all->dismiss_all();
}

}  // namespace pa::process
