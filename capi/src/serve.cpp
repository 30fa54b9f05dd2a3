// What a worker process does: begins runs, runs items, answers.
#include <signal.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <string>
#include <vector>

#include "capi/src/call.hpp"
#include "capi/src/error.hpp"
#include "capi/src/modules.hpp"
#include "capi/src/tasks.hpp"
#include "core/process/station.hpp"

namespace pa {
namespace {

constexpr size_t kLongestName = 255;

using process::FailureHead;
using process::Op;
using process::Reader;
using process::RecordHead;
using process::Request;
using process::Station;

class Service final : private Bounds {
 public:
  explicit Service(Station& station) : station_(station), answers_(station.answers()) {
    call_.bounds = this;
    single_.count = 1;
  }
  // False: the program sent what makes no sense.
  bool serve();

 private:
  // An item as the function gets it.
  struct Item {
    void* object = nullptr;
    int32_t code = 0;  // it could not be decoded
  };

  bool has_ended() const noexcept override { return station_.is_stopped(); }
  nanos run_deadline() const noexcept override { return request_.deadline; }

  bool answer_request();
  bool begin();
  int32_t begin(const std::string& name, const std::string& module, const char* context, size_t size, std::string& problem);
  void end_task();
  bool run_items();
  bool run_batch();
  uint64_t run_part(uint64_t at);
  // At least one item is run, unless the run has ended.
  bool is_recalled(uint64_t done) const { return station_.is_recalled() && (done || station_.is_stopped()); }
  bool views_items() const { return task_->item_made && task_->item_made->view; }
  Item decode(const RecordHead& head, const char* data) const;
  void release_item(void* object) const;
  void start_call(uint64_t position, uint64_t count);
  bool is_late() const { return call_.deadline != kNever && os::now() > call_.deadline; }
  void answer(void* value, int32_t code, bool late, const char* message, bool with_wait);
  void answer_failure(int32_t code, bool late, const char* message, bool with_wait = false);

  Station& station_;
  process::Writer& answers_;
  Request request_;
  const Task* task_ = nullptr;
  void* context_ = nullptr;
  bool started_ = false;  // worker_start has succeeded
  pa_call call_;
  pa_span single_{};  // says that a call is none of a batch
  std::vector<Item> items_;
  std::vector<void*> objects_, values_;
};

bool Service::serve() {
  bool sane = true;
  while (sane && station_.next(request_)) sane = answer_request();
  end_task();
  return sane;
}

bool Service::answer_request() {
  if (request_.op == Op::begin) return begin();
  if (!task_ || !request_.count || request_.count > process::kMostAtOnce) return false;
  if (request_.op == Op::items) return task_->fn && run_items();
  return request_.op == Op::batch && task_->batch_fn && run_batch();
}

// ---------------------------------------------------------------------------------------------------------- a run begins

bool Service::begin() {
  RecordHead name{}, context{}, module{};
  const char *data = nullptr, *path = nullptr;
  Reader& records = station_.records();
  if (!records.next(name, data) || name.size > kLongestName) return false;
  const std::string wanted(data, name.size);
  if (!records.next(module, path)) return false;
  const std::string from(path, module.size);
  if (!records.next(context, data)) return false;
  std::string problem;
  const bool has_context = context.kind == RecordHead::bytes;
  const int32_t code = begin(wanted, from, has_context ? data : nullptr, context.size, problem);
  if (code) {
    answer_failure(code, false, problem.c_str());
  } else {
    answers_.open();
    answers_.close(RecordHead::null, 0);
  }
  return true;
}

int32_t Service::begin(const std::string& name, const std::string& module, const char* context, size_t size,
                       std::string& problem) {
  end_task();
  task_ = find_task(name.c_str());
  if (!task_ && !module.empty()) {
    pa_error error{};
    if (load_module(module.c_str(), &error)) {
      problem = error.message;
      return EINVAL;
    }
    task_ = find_task(name.c_str());
  }
  problem = "no task of that name is registered in the worker";
  if (!task_) return EINVAL;
  if (context) {
    problem = "the context could not be decoded";
    if (!task_->context.decode) return EINVAL;
    if (const int32_t code = task_->context.decode(task_->context.ctx, context, size, &context_)) return code;
  }
  if (task_->worker_start) {
    problem = "worker_start failed";
    if (const int32_t code = task_->worker_start(context_)) return code;
  }
  started_ = true;
  return 0;
}

void Service::end_task() {
  if (started_ && task_->worker_stop) task_->worker_stop(context_);
  started_ = false;
  if (context_ && task_->context.release) task_->context.release(task_->context.ctx, context_);
  context_ = nullptr;
}

// ---------------------------------------------------------------------------------------------------------- items

Service::Item Service::decode(const RecordHead& head, const char* data) const {
  if (head.kind == RecordHead::null) return {};
  if (views_items()) {
    void* object = task_->item_made->view(task_->item.ctx, data, head.size);
    return {object, object ? 0 : EBADMSG};
  }
  void* object = nullptr;
  const int32_t code = task_->item.decode(task_->item.ctx, data, head.size, &object);
  return {code ? nullptr : object, code};
}

void Service::release_item(void* object) const {
  if (object && !views_items() && task_->item.release) task_->item.release(task_->item.ctx, object);
}

void Service::start_call(uint64_t position, uint64_t count) {
  call_.first = request_.first + position;
  call_.count = count;
  call_.attempt = request_.attempt;
  call_.deadline = request_.item_timeout == kNever ? kNever : after(station_.item_started(), request_.item_timeout);
  call_.noted_for = call_.wait_for = pa_call::kNobody;
  call_.out_of_memory = false;
  call_.answers.clear();
}

bool Service::run_items() {
  call_.span = &single_;
  Reader& records = station_.records();
  for (uint64_t i = 0; i < request_.count && !is_recalled(i); i++) {
    station_.begin_item(i);
    RecordHead head{};
    const char* data = nullptr;
    if (!records.next(head, data)) return false;
    const Item item = decode(head, data);
    if (item.code) {
      answer_failure(item.code, false, "the item could not be decoded");
    } else {
      start_call(i, 1);
      void* value = nullptr;
      int32_t code = 0;
      try {
        code = task_->fn(context_, item.object, &value, &call_);
      } catch (...) {
        code = call_.note_exception();
      }
      release_item(item.object);
      answer(value, code, is_late(), call_.noted_for == call_.first ? call_.message : "", call_.wait_for == call_.first);
    }
    station_.end_items(i + 1);
  }
  return true;
}

// ---------------------------------------------------------------------------------------------------------- batches

bool Service::run_batch() {
  station_.begin_item(0);
  call_.span = nullptr;
  RecordHead head{};
  const char* data = nullptr;
  Reader& all = station_.records();
  for (uint64_t i = 0; i < request_.count; i++)
    if (!all.next(head, data)) return false;  // after this they stay where they are
  Reader& records = station_.records();
  items_.clear();
  for (uint64_t i = 0; i < request_.count; i++) {
    records.next(head, data);
    items_.push_back(decode(head, data));
  }
  for (uint64_t at = 0; at < request_.count;) at = run_part(at);
  station_.end_items(request_.count);
  return true;
}

// Calls the function for the items from `at` on, up to one that could not be decoded. Returns where to go on.
uint64_t Service::run_part(uint64_t at) {
  if (items_[at].code) {
    answer_failure(items_[at].code, false, "the item could not be decoded");
    return at + 1;
  }
  objects_.clear();
  uint64_t end = at;
  for (; end < request_.count && !items_[end].code; end++) objects_.push_back(items_[end].object);
  const uint64_t count = end - at;
  values_.assign(count, nullptr);
  start_call(at, count);
  int32_t code = 0;
  try {
    code = task_->batch_fn(context_, objects_.data(), count, values_.data(), &call_);
  } catch (...) {
    code = call_.note_exception();
  }
  if (call_.out_of_memory) {
    call_.answers.clear();
    code = ENOMEM;
    call_.note("out of memory for the answers of a batch");
  }
  const bool late = is_late();
  const bool waits = call_.wait_for != pa_call::kNobody;
  for (uint64_t i = 0; i < count; i++) {
    release_item(objects_[i]);
    const Answers::Mark mark = call_.answers.mark(i);
    if (mark == Answers::failed) {
      const Answers::Failed& failure = call_.answers.failure(i);
      answer(values_[i], failure.code, late, failure.message ? failure.message.get() : "", waits);
    } else {
      const int32_t own = mark == Answers::ok ? 0 : code;
      answer(values_[i], own, late, call_.noted_for != pa_call::kNobody ? call_.message : "", waits);
    }
  }
  return end;
}

// ---------------------------------------------------------------------------------------------------------- answers

void Service::answer(void* value, int32_t code, bool late, const char* message, bool with_wait) {
  const pa_codec& codec = task_->value;
  if (code || late) {
    answer_failure(code, late, message, with_wait);
  } else {
    answers_.open();
    const bool bytes = value && codec.encode;
    const int32_t problem = bytes ? encode(codec, value, answers_) : 0;
    if (problem)
      answer_failure(problem, false, "the value could not be encoded");
    else if (!answers_.close(bytes ? RecordHead::bytes : RecordHead::null, 0))
      answer_failure(ENOMEM, false, "there is no room for the value");
  }
  if (value && codec.release) codec.release(codec.ctx, value);
}

void Service::answer_failure(int32_t code, bool late, const char* message, bool with_wait) {
  const FailureHead head{with_wait ? call_.server_wait_ns : -1, late, 0};
  answers_.open();
  answers_.append(&head, sizeof head);
  answers_.append(message, std::strlen(message));
  if (!answers_.close(RecordHead::failure, code)) kill(getpid(), SIGKILL);  // the program sees that
}

}  // namespace
}  // namespace pa

pa_status pa_worker_serve(pa_error* error) {
  return pa::guarded(error, [&]() -> pa_status {
    pa::process::Station station;
    const char* problem = nullptr;
    if (!station.open(problem)) {
      const int why = errno;
      return why ? pa::report(error, PA_STATUS_SYSTEM, why, "%s: %s", problem, std::strerror(why))
                 : PA_INVALID(error, "%s", problem);
    }
    if (!pa::Service(station).serve()) return PA_INVALID(error, "the program sent a request that makes no sense");
    return PA_STATUS_OK;
  });
}
