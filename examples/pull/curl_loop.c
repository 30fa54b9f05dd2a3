#define _POSIX_C_SOURCE 200809L
#include "curl_loop.h"

#include <errno.h>
#include <sys/epoll.h>
#include <unistd.h>

#include "common/progress.h"

enum { EVENTS_AT_A_TIME = 256 };

/* curl says which of its sockets it wants to hear of. */
static int watch_socket(CURL* transfer, curl_socket_t socket, int what, void* ctx, void* known) {
  curl_loop* loop = ctx;
  (void)transfer;
  if (what == CURL_POLL_REMOVE) {
    epoll_ctl(loop->epoll, EPOLL_CTL_DEL, socket, NULL);
    curl_multi_assign(loop->multi, socket, NULL);
    return 0;
  }
  struct epoll_event event = {.data.fd = socket};
  if (what & CURL_POLL_IN) event.events |= EPOLLIN;
  if (what & CURL_POLL_OUT) event.events |= EPOLLOUT;
  if (epoll_ctl(loop->epoll, known ? EPOLL_CTL_MOD : EPOLL_CTL_ADD, socket, &event)) return -1;
  curl_multi_assign(loop->multi, socket, loop); /* from now on it is known */
  return 0;
}

static int set_timer(CURLM* multi, long wait_ms, void* ctx) {
  curl_loop* loop = ctx;
  (void)multi;
  loop->due_ns = wait_ms < 0 ? -1 : progress_now_ns() + wait_ms * 1000000;
  return 0;
}

int curl_loop_open(curl_loop* loop) {
  *loop = (curl_loop){.watched = -1, .due_ns = -1};
  loop->epoll = epoll_create1(EPOLL_CLOEXEC);
  loop->multi = curl_multi_init();
  if (!loop->multi) errno = ENOMEM;
  if (loop->epoll < 0 || !loop->multi) return -1;
  curl_multi_setopt(loop->multi, CURLMOPT_SOCKETFUNCTION, watch_socket);
  curl_multi_setopt(loop->multi, CURLMOPT_SOCKETDATA, loop);
  curl_multi_setopt(loop->multi, CURLMOPT_TIMERFUNCTION, set_timer);
  curl_multi_setopt(loop->multi, CURLMOPT_TIMERDATA, loop);
  return 0;
}

void curl_loop_close(curl_loop* loop) {
  curl_multi_cleanup(loop->multi);
  if (loop->epoll >= 0) close(loop->epoll);
}

int curl_loop_watch(curl_loop* loop, int descriptor) {
  struct epoll_event event = {.events = EPOLLIN, .data.fd = descriptor};
  loop->watched = descriptor;
  return epoll_ctl(loop->epoll, EPOLL_CTL_ADD, descriptor, &event);
}

static int64_t earlier(int64_t a_ns, int64_t b_ns) { return a_ns < 0 || (b_ns >= 0 && b_ns < a_ns) ? b_ns : a_ns; }

/* epoll counts milliseconds: rounded up, so as not to come too early over and over. */
static int wait_ms(int64_t until_ns) {
  if (until_ns < 0) return -1;
  const int64_t wait_ns = until_ns - progress_now_ns();
  if (wait_ns <= 0) return 0;
  return wait_ns < INT64_C(1000000000000) ? (int)((wait_ns + 999999) / 1000000) : 1000000;
}

int curl_loop_wait(curl_loop* loop, int64_t until_ns) {
  struct epoll_event events[EVENTS_AT_A_TIME];
  int watched = 0, transfers = 0;
  const int count = epoll_wait(loop->epoll, events, EVENTS_AT_A_TIME, wait_ms(earlier(loop->due_ns, until_ns)));
  for (int i = 0; i < count; i++) {
    if (events[i].data.fd == loop->watched) {
      watched = 1;
      continue;
    }
    int what = 0;
    if (events[i].events & EPOLLIN) what |= CURL_CSELECT_IN;
    if (events[i].events & EPOLLOUT) what |= CURL_CSELECT_OUT;
    if (events[i].events & (EPOLLERR | EPOLLHUP)) what |= CURL_CSELECT_ERR;
    curl_multi_socket_action(loop->multi, events[i].data.fd, what, &transfers);
  }
  if (loop->due_ns >= 0 && progress_now_ns() >= loop->due_ns) {
    loop->due_ns = -1; /* curl may set it again */
    curl_multi_socket_action(loop->multi, CURL_SOCKET_TIMEOUT, 0, &transfers);
  }
  return watched;
}

void curl_loop_add(curl_loop* loop, CURL* transfer) { curl_multi_add_handle(loop->multi, transfer); }

void curl_loop_remove(curl_loop* loop, CURL* transfer) { curl_multi_remove_handle(loop->multi, transfer); }

CURL* curl_loop_finished(curl_loop* loop, CURLcode* result) {
  CURLMsg* message;
  int more;
  while ((message = curl_multi_info_read(loop->multi, &more)))
    if (message->msg == CURLMSG_DONE) {
      *result = message->data.result;
      return message->easy_handle;
    }
  return NULL;
}
