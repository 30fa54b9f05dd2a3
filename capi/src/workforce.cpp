#include "capi/src/workforce.hpp"

#include <algorithm>
#include <cerrno>
#include <csignal>
#include <cstring>
#include <utility>

#include "capi/src/record.hpp"
#include "core/process/warm.hpp"

namespace pa {

using process::Child;
using process::Death;
using process::FailureHead;
using process::Op;
using process::RecordHead;
using process::Request;

namespace {

// A request of several items that takes longer is cut short: what was done can be handed on, and the rest to others.
constexpr nanos kPatience = 4'000'000;
// How often a waiting thread looks whether its run has ended.
constexpr nanos kGlance = 20'000'000;
// A function that ends by itself when pa_call_stopped says so need not be killed.
constexpr nanos kGrace = 20'000'000;
// One request has so many bytes of items at most, or one item; but a batch is never cut.
constexpr uint64_t kMostBytes = 1u << 20;
// A worker that shares more with the program than that is not kept.
constexpr uint64_t kMostFootprint = 64u << 20;
constexpr uint32_t kMostFalseStarts = 5;
// Values of a map lie so many bytes at a time: less than what malloc would return to the system each time.
constexpr size_t kRoom = 64u << 10;

process::Kind kind_of(const pa_process& options) {
  process::Kind kind;
  if (!options.command && !asks_to_be_worker()) kind.command = {"pa", "worker"};
  for (const char* const* word = options.command; word && *word; word++) kind.command.emplace_back(*word);
  if (options.environment) {
    kind.environment.emplace();
    for (const char* const* entry = options.environment; *entry; entry++) kind.environment->emplace_back(*entry);
  }
  if (options.directory) kind.directory = options.directory;
  kind.memory_limit = options.memory_limit;
  return kind;
}

}  // namespace

Workforce::Workforce(const Task& task, const pa_process& options, bool batch)
    : task(task), origin(&task), batch(batch), options(options), kind(kind_of(options)) {}

bool Workforce::may_crash_again(uint64_t index) noexcept {
  try {
    const std::lock_guard lock(mutex_);
    return ++crashes_[index] < options.crash_attempts;
  } catch (const std::bad_alloc&) {
    return false;
  }
}

char* Workforce::make_room(size_t size) noexcept {
  try {
    const std::lock_guard lock(mutex_);
    rooms_.emplace_back(new char[size]);
    return rooms_.back().get();
  } catch (const std::bad_alloc&) {
    return nullptr;
  }
}

std::string describe(const Death& death) {
  switch (death.how) {
    case Death::exited:
      return "exited with status " + std::to_string(death.number);
    case Death::killed: {
      std::string text = "was killed by signal " + std::to_string(death.number);
#if defined(__GLIBC__) && __GLIBC_PREREQ(2, 32)
      if (const char* name = sigabbrev_np(death.number)) text += std::string(" (SIG") + name + ")";
#endif
      return text;
    }
    default:
      return "has ended, and somebody else has waited for it";
  }
}

int32_t code_of(const Death& death) noexcept {
  switch (death.how) {
    case Death::exited:
      return death.number ? death.number : PA_CODE_EXITED;
    case Death::killed:
      return -death.number;
    default:
      return PA_CODE_EXITED;
  }
}

// ---------------------------------------------------------------------------------------------------------- start and end

// The task was begun in this worker, with this context.
bool Remote::is_begun() const noexcept {
  return child_->begun_task == workforce_.task.name && child_->begun_context == workforce_.context;
}

bool Remote::is_ready() noexcept {
  if (ready_ && !is_worn()) return true;
  if (ready_) let_go();
  if (child_ && child_->is_dead()) child_.reset();
  while (!child_) {
    child_ = process::take_warm(workforce_.kind);
    if (!child_) return false;
    if (is_worn()) let_go();
  }
  ready_ = is_begun();
  return ready_;
}

void Remote::let_go() noexcept {
  if (!child_) return;
  if (is_worn() || child_->footprint() > kMostFootprint)
    process::retire(std::move(child_));
  else
    process::keep_warm(std::move(child_));
  ready_ = false;
}

// `busy`: the run has ended, or the time is over.
Child::State Remote::wait_until(nanos deadline) noexcept {
  for (nanos now = os::now(); now < deadline && !run_.has_ended(); now = os::now()) {
    const Child::State state = child_->wait(now, std::min(deadline, now + kGlance));
    if (state != Child::State::busy) return state;
  }
  return Child::State::busy;
}

bool Remote::fail_start(const char* why) noexcept {
  child_.reset();
  if (workforce_.false_starts.fetch_add(1, std::memory_order_relaxed) + 1 < kMostFalseStarts) return true;
  run_.end_failed(PA_STATUS_WORKERS_LOST, 0, "no worker process comes to serve: the last one %s", why);
  return false;
}

bool Remote::start() noexcept {
  while (!run_.has_ended()) {
    try {
      const bool fresh = !child_;
      if (fresh) child_ = Child::start(workforce_.kind);
      if (!child_) {
        const int why = errno;
        const char* program = workforce_.kind.command.empty() ? "/proc/self/exe" : workforce_.kind.command[0].c_str();
        run_.end_failed(PA_STATUS_SYSTEM, why, "a worker process could not be started from %.80s: %s", program,
                        std::strerror(why));
        return false;
      }
      if (fresh) {
        const Child::State state = wait_until(after(os::now(), workforce_.options.start_timeout_ns));
        if (run_.has_ended()) break;
        if (state == Child::State::dead) {
          const Death death = child_->bury();
          const std::string how = describe(death) + " before it called pa_worker_serve";
          if (death.how == Death::killed && death.number == SIGKILL)
            count_loss(how.c_str());  // from outside, which says nothing about the program
          else if (!fail_start(how.c_str()))
            return false;
          continue;
        }
        if (state == Child::State::busy) {
          if (!fail_start("did not call pa_worker_serve within options.process->start_timeout_ns")) return false;
          continue;
        }
        workforce_.false_starts.store(0, std::memory_order_relaxed);
      }
      bool lost = false;
      if (!is_begun() && !begin(lost)) {
        if (!lost) return false;
        continue;
      }
      ready_ = true;
      return true;
    } catch (const std::bad_alloc&) {
      run_.end_failed(PA_STATUS_NO_MEMORY, 0, "out of memory for a worker process");
    }
  }
  child_.reset();  // it may be busy
  return false;
}

// Tells the worker what it is to run. False: it died, or the run has ended.
bool Remote::begin(bool& lost) {
  child_->begun_task.clear();
  process::Writer& records = child_->records();
  const auto write = [&](const std::string& bytes) {
    return records.open() && records.append(bytes.data(), bytes.size()) && records.close(RecordHead::bytes, 0);
  };
  const auto write_null = [&] { return records.open() && records.close(RecordHead::null, 0); };
  const bool room = write(workforce_.task.name) && write(workforce_.task.module) &&
                    (workforce_.context ? write(*workforce_.context) : write_null());
  if (!room) throw std::bad_alloc();
  Request request;
  request.op = Op::begin;
  child_->post(request);
  if (wait_until(kNever) == Child::State::dead) {
    lost = true;
    const std::string how = describe(child_->bury()) + " while it began";
    child_.reset();
    count_loss(how.c_str());
    return false;
  }
  if (run_.has_ended()) {
    child_.reset();  // it may be busy
    return false;
  }
  child_->reread_answers();
  const RemoteAnswer answer = next();
  if (answer.kind == RemoteAnswer::value) {
    child_->begun_task = workforce_.task.name;
    child_->begun_context = workforce_.context;
    return true;
  }
  if (answer.kind == RemoteAnswer::garbage)
    run_.end_failed(PA_STATUS_WORKER_START, 0, "a worker process answered with garbage");
  else
    run_.end_failed(PA_STATUS_WORKER_START, answer.code, "a worker process can't run \"%.60s\": %.*s (code %d)",
                    workforce_.task.name.c_str(), static_cast<int>(std::min<size_t>(answer.size, 100)), answer.data,
                    answer.code);
  return false;
}

// ---------------------------------------------------------------------------------------------------------- items

uint64_t Remote::send(const Lease& lease, int32_t& code) noexcept {
  uint64_t most = std::min(lease.count, process::kMostAtOnce);
  if (const uint64_t allowed = workforce_.options.max_items) most = std::min(most, allowed - child_->items_run);
  if (workforce_.must_be_careful()) most = 1;
  process::Writer& records = child_->records();
  const pa_codec& codec = workforce_.task.item;
  const uint64_t bytes = workforce_.batch ? UINT64_MAX : kMostBytes;
  sent_ = 0;
  while (sent_ < most && records.position() < bytes) {
    const Slots slots = run_.slots(lease, lease.first + sent_, most - sent_);
    uint64_t i = 0;
    for (; i < slots.count && records.position() < bytes; i++) {
      const void* item = slots.items[i];
      if (!records.open()) code = ENOMEM;
      if (!code && item) code = encode(codec, item, records);
      if (!code && !records.close(item ? RecordHead::bytes : RecordHead::null, 0)) code = ENOMEM;
      if (code) break;
    }
    sent_ += i;
    if (code) break;
  }
  if (!sent_) return 0;
  code = 0;
  Request request;
  request.op = workforce_.batch ? Op::batch : Op::items;
  request.attempt = lease.attempt;
  request.first = lease.first;
  request.count = sent_;
  request.deadline = run_.run_deadline();
  if (run_.settings().item_timeout_ns > 0) request.item_timeout = run_.settings().item_timeout_ns;
  sent_at_ = os::now();
  recalled_ = sent_ == 1;
  stopped_ = false;
  child_->post(request);
  child_->reread_answers();
  return sent_;
}

// When the item began that runs. What has not begun yet is under way since it was sent.
nanos Remote::start_of(const Child::Progress& progress, nanos now) const noexcept {
  return progress.running ? std::clamp(progress.started, sent_at_, std::max(sent_at_, now)) : sent_at_;  // it may be noise
}

Remote::Report Remote::wait(uint64_t known) noexcept {
  const nanos item_timeout = run_.settings().item_timeout_ns;
  const nanos limit = item_timeout > 0 ? after(item_timeout, kGrace) : kNever;
  Report report;
  nanos now = sent_at_;
  Child::State state;
  for (;;) {
    nanos until = after(now, recalled_ ? kGlance : kPatience);
    const Child::Progress progress = child_->progress();
    if (limit != kNever) until = std::min(until, after(start_of(progress, now), limit));
    state = child_->wait(now, until);
    if (state != Child::State::busy) break;
    now = os::now();
    const bool ended = run_.has_ended();
    if (!recalled_ && (ended || now - sent_at_ >= kPatience)) {
      child_->recall();
      recalled_ = true;
    }
    if (ended && !stopped_) {
      child_->stop();
      stopped_ = true;
    }
    const Child::Progress later = child_->progress();
    if (later.finished > known && later.finished < sent_ && later.running) {
      report.over = false;
      report.finished = later.finished;
      return report;
    }
    if (limit == kNever) continue;
    if (later.running == progress.running && later.finished == progress.finished && now - start_of(later, now) >= limit) {
      report.timed_out = true;
      child_->kill();
      state = Child::State::dead;
      break;
    }
  }
  if (state == Child::State::dead) {
    report.dead = true;
    report.death = child_->bury();
  }
  Child::Progress progress = child_->progress();
  const uint64_t least = !recalled_ || sent_ == 1 ? sent_ : 1;
  if (progress.finished > sent_ || progress.finished < known || (!report.dead && progress.finished < least && !stopped_)) {
    return give_up_mad();  // it counts otherwise than we
  }
  report.finished = progress.finished;
  report.running = progress.running && report.finished < sent_;
  if (report.dead) ready_ = false;
  child_->items_run += report.finished;
  return report;
}

void Remote::await_end(Report& report) noexcept {
  while (!report.over) report = wait(report.finished);
  if (report.dead) child_.reset();
}

RemoteAnswer Remote::next() noexcept {
  RemoteAnswer answer;
  RecordHead head{};
  if (!child_->next_answer(head, answer.data)) return answer;
  answer.size = head.size;
  switch (head.kind) {
    case RecordHead::null:
      answer.data = nullptr;
      [[fallthrough]];
    case RecordHead::bytes:
      answer.kind = RemoteAnswer::value;
      return answer;
    default:
      break;
  }
  FailureHead failure{};
  if (head.size < sizeof failure) return answer;
  std::memcpy(&failure, answer.data, sizeof failure);
  answer.kind = RemoteAnswer::failure;
  answer.data += sizeof failure;
  answer.size -= sizeof failure;
  answer.code = head.code;
  answer.late = failure.late != 0;
  answer.server_wait_ns = failure.server_wait_ns;
  return answer;
}

void* Remote::keep(const RemoteAnswer& answer) noexcept {
  constexpr size_t kAlignment = 16;
  const ReadyMade& made = *workforce_.task.value_made;
  const size_t size = (answer.size + made.overhead + kAlignment - 1) / kAlignment * kAlignment;
  if (size > room_left_) {
    const size_t whole = std::max(size, kRoom);
    room_ = workforce_.make_room(whole);
    room_left_ = room_ ? whole : 0;
    if (!room_) return nullptr;
  }
  void* value = made.place(workforce_.task.value.ctx, answer.data, answer.size, room_);
  room_ += size;
  room_left_ -= size;
  return value;
}

Remote::Report Remote::give_up_mad() noexcept {
  child_->kill();
  ready_ = false;
  Report report;
  report.dead = true;
  report.running = sent_ == 1;
  if (!report.running) workforce_.be_careful(sent_);
  return report;
}

void Remote::count_loss(const char* how) noexcept {
  child_.reset();
  const uint64_t losses = workforce_.worker_was_lost();
  if (losses >= workforce_.options.max_crashes)
    run_.end_failed(PA_STATUS_WORKERS_LOST, 0, "%llu worker processes died in a row without an item done; the last one %s",
                    static_cast<unsigned long long>(losses), how);
}

}  // namespace pa
