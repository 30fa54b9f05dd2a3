#include "page.h"

#include <pa/pa.h>
#include <stdio.h>
#include <string.h>

static const long kTimeoutMs = 30000; /* a server that says nothing for so long has failed this attempt */

static size_t receive(char* data, size_t size, size_t count, void* ctx) {
  page_transfer* page = ctx;
  page->size_bytes += size * count;
  return EVP_DigestUpdate(page->digest, data, size * count) ? size * count : 0; /* less than it was given: an error */
}

int page_open(page_transfer* page, void* owner) {
  page->curl = curl_easy_init();
  page->digest = EVP_MD_CTX_new();
  if (!page->curl || !page->digest) return -1;
  curl_easy_setopt(page->curl, CURLOPT_NOSIGNAL, 1L);
  curl_easy_setopt(page->curl, CURLOPT_TIMEOUT_MS, kTimeoutMs);
  curl_easy_setopt(page->curl, CURLOPT_WRITEFUNCTION, receive);
  curl_easy_setopt(page->curl, CURLOPT_WRITEDATA, page);
  curl_easy_setopt(page->curl, CURLOPT_PRIVATE, owner);
  return 0;
}

void page_close(page_transfer* page) {
  curl_easy_cleanup(page->curl);
  EVP_MD_CTX_free(page->digest);
}

void* page_owner(CURL* curl) {
  char* owner = NULL;
  curl_easy_getinfo(curl, CURLINFO_PRIVATE, &owner);
  return owner;
}

int page_begin(page_transfer* page, const char* url) {
  page->size_bytes = 0;
  return sha256_begin(page->digest) && curl_easy_setopt(page->curl, CURLOPT_URL, url) == CURLE_OK;
}

/* ------------------------------------------------------------------ what the end of a transfer means */

static page_answer no_answer(CURLcode result) {
  page_answer answer = {.code = -(int32_t)result, .retry_after_ns = -1};
  switch (result) {
    case CURLE_OPERATION_TIMEDOUT:
      answer.fail_flags = PA_FAIL_TIMED_OUT;
      break;
    case CURLE_COULDNT_CONNECT: /* these may go better the next time */
    case CURLE_GOT_NOTHING:
    case CURLE_PARTIAL_FILE:
    case CURLE_SEND_ERROR:
    case CURLE_RECV_ERROR:
      break;
    default:
      answer.fail_flags = PA_FAIL_FINAL;
  }
  snprintf(answer.message, sizeof answer.message, "%s", curl_easy_strerror(result));
  return answer;
}

/* An address that is wrong (404, say) stays wrong; a server that is busy may have time later. */
static int is_busy(long status) { return status == 429 || (status >= 502 && status <= 504); }

static int64_t retry_after(CURL* curl) {
  struct curl_header* header = NULL;
  if (curl_easy_header(curl, "Retry-After", 0, CURLH_HEADER, -1, &header) != CURLHE_OK) return -1;
  return pa_parse_retry_after(header->value, -1);
}

page_answer page_end(page_transfer* page, CURLcode result) {
  long status = 0;
  if (result != CURLE_OK) return no_answer(result);
  curl_easy_getinfo(page->curl, CURLINFO_RESPONSE_CODE, &status);
  if (status == 200)
    return sha256_finish(page->digest, page->sha256) ? (page_answer){.retry_after_ns = -1} : no_answer(CURLE_WRITE_ERROR);
  page_answer answer = {.code = (int32_t)status, .retry_after_ns = -1};
  if (!is_busy(status)) answer.fail_flags = PA_FAIL_FINAL;
  if (status == 429 || status == 503) answer.retry_after_ns = retry_after(page->curl);
  snprintf(answer.message, sizeof answer.message, "the server answered %ld", status);
  return answer;
}
