// Real signals: a stream that is stopped from a handler, while its consumer waits.
#include <poll.h>
#include <signal.h>
#include <unistd.h>

#include "streams.h"

static pa_stop* to_stop;

static void stop_stream(int number) {
  (void)number;
  pa_stop_request(to_stop);
}

static int32_t say_ready_and_wait(void* ctx, void* item, void** value, pa_call* call) {
  if (pa_call_index(call) == 0) CHECK(write(1, "r", 1) == 1);
  wait_until_stopped(call);
  return store(ctx, item, value, call);
}

static void open_until_a_signal(stream* s, int executor) {
  struct sigaction action;
  memset(&action, 0, sizeof action);
  action.sa_handler = stop_stream;
  action.sa_flags = SA_RESTART;
  CHECK(sigaction(SIGINT, &action, NULL) == 0);
  if (!CHECK(pa_stop_new(&to_stop, NULL) == PA_STATUS_OK)) abort();
  stream_init(s, UINT64_MAX, 0);
  s->options.executor = executor;
  s->options.workers = 2;
  s->options.stop = to_stop;
  stream_open(s, say_ready_and_wait);
}

static void close_stopped(stream* s) {
  CHECK(s->count >= 1);
  CHECK_EQ(s->count, ledger_total(s->l.calls, s->l.n));
  stream_close(s);
  pa_stop_release(to_stop);
}

ROLE(read_until_a_signal) {
  stream s;
  open_until_a_signal(&s, PA_EXECUTOR_THREADS);
  stream_read_to(&s, PA_STATUS_DONE, PA_END_CANCELLED);
  close_stopped(&s);
}

ROLE(read_inline_until_a_signal) {
  stream s;
  open_until_a_signal(&s, PA_EXECUTOR_INLINE);
  stream_read_to(&s, PA_STATUS_DONE, PA_END_CANCELLED);
  close_stopped(&s);
}

ROLE(poll_until_a_signal) {
  stream s;
  open_until_a_signal(&s, PA_EXECUTOR_THREADS);
  struct pollfd one = {pa_iter_fd(s.iter, NULL), POLLIN, 0};
  pa_status status = PA_STATUS_TIMEOUT;
  while (status == PA_STATUS_TIMEOUT) {
    poll(&one, 1, -1);  // EINTR is one more reason to look
    do status = stream_next_timeout(&s, 0);
    while (status == PA_STATUS_OK);
  }
  CHECK_EQ(status, PA_STATUS_DONE);
  CHECK_EQ(pa_iter_end(s.iter), PA_END_CANCELLED);
  close_stopped(&s);
}

static void signal_when_ready(const char* role) {
  int output;
  char byte;
  const pid_t process = check_role_start(role, &output);
  CHECK(read(output, &byte, 1) == 1);
  kill(process, SIGINT);
  check_exit(process);
  close(output);
}

TEST(a_real_sigint_stops_a_stream_whose_consumer_waits) { signal_when_ready("read_until_a_signal"); }

TEST(a_real_sigint_stops_an_inline_stream) { signal_when_ready("read_inline_until_a_signal"); }

TEST(a_real_sigint_stops_a_stream_whose_consumer_polls) { signal_when_ready("poll_until_a_signal"); }
