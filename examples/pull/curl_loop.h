/* libcurl on epoll: the usual glue, of which nothing knows libpa. One thread, any number of transfers. */
#ifndef EXAMPLES_CURL_LOOP_H
#define EXAMPLES_CURL_LOOP_H

#include <curl/curl.h>
#include <stdint.h>

typedef struct curl_loop {
  CURLM* multi;
  int epoll;
  int watched;    /* a descriptor of somebody else's */
  int64_t due_ns; /* when curl wants to be called, or -1 */
} curl_loop;

/* Returns 0, or -1 with errno. Close it in both cases. */
int curl_loop_open(curl_loop* loop);
void curl_loop_close(curl_loop* loop);

/* curl_loop_wait shall also return when this descriptor is readable. */
int curl_loop_watch(curl_loop* loop, int descriptor);

/* Waits until something happened to a transfer, the watched descriptor is readable, or it is until_ns (-1: never). Returns 1 if
 * the descriptor is readable, else 0. */
int curl_loop_wait(curl_loop* loop, int64_t until_ns);

/* Starts a transfer; takes one back, whether it is over or not. */
void curl_loop_add(curl_loop* loop, CURL* transfer);
void curl_loop_remove(curl_loop* loop, CURL* transfer);

/* A transfer that is over, and how it ended; NULL: none. It is to be removed. */
CURL* curl_loop_finished(curl_loop* loop, CURLcode* result);

#endif
