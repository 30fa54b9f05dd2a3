/* One transfer of a page with libcurl: how it is set up, and what its end means. Nothing here knows libpa's job, but the codes and
 * flags of failures are made for pa_job_fail. */
#ifndef EXAMPLES_PAGE_H
#define EXAMPLES_PAGE_H

#include <curl/curl.h>
#include <openssl/evp.h>
#include <stdint.h>

#include "common/sha256.h"

/* A curl handle keeps its connection open between requests. The body is hashed as it comes in, and not kept. */
typedef struct page_transfer {
  CURL* curl;
  EVP_MD_CTX* digest;
  uint64_t size_bytes;
  char sha256[SHA256_HEX_SIZE]; /* of a page that came */
} page_transfer;

/* How an attempt ended. */
typedef struct page_answer {
  int32_t code;           /* 0: the page is here. The HTTP status, or the CURLcode made negative where there was no answer */
  uint32_t fail_flags;    /* PA_FAIL_* */
  int64_t retry_after_ns; /* what the server asked for, or -1 */
  char message[64];
} page_answer;

/* Returns 0, or -1 if there is no memory. `owner` comes back from page_owner. */
int page_open(page_transfer* page, void* owner);
void page_close(page_transfer* page);
void* page_owner(CURL* curl);

/* Returns 1, or 0 if the transfer can't begin. */
int page_begin(page_transfer* page, const char* url);
page_answer page_end(page_transfer* page, CURLcode result);

#endif
