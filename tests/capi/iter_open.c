// pa_iter_open checks everything before anything happens; the other functions check what they are given.
#include "streams.h"

static stream s;

// Opening must fail; the source is still the caller's, and untouched.
static void refused(const char* part) {
  for (int batch = 0; batch <= 1; batch++) {
    s.iter = (pa_iter*)&s;
    memset(&s.error, 0, sizeof s.error);
    const pa_status status = batch ? pa_iter_open_batch(store_batch, &s, &s.source, &s.options, &s.iter, &s.error)
                                   : pa_iter_open(store, &s, &s.source, &s.options, &s.iter, &s.error);
    CHECK_STATUS(status, PA_STATUS_INVALID, &s.error);
    CHECK_EQ(s.error.status, PA_STATUS_INVALID);
    CHECK_CONTAINS(s.error.message, part);
    CHECK(s.iter == NULL);
  }
  CHECK_EQ(s.from.pulls, 0);
  CHECK_EQ(s.from.released, 0);
  CHECK_EQ(s.l.quiescent, 0);
  stream_free(&s);
  stream_init(&s, 10, 0);
}

TEST(each_option_is_checked_and_named) {
  const pa_rate rate = {10, SECONDS, 3};
  stream_init(&s, 10, 0);
  s.options.struct_size = 3;
  refused("options.struct_size");
  s.options.executor = 7;
  refused("options.executor");
  s.options.workers = PA_WORKERS_MAX + 1;
  refused("options.workers");
  s.options.detach = 2;
  refused("options.detach");
  s.options.ordered = 2;
  refused("options.ordered must be 0 or 1, got 2");
  s.options.reserved0 = 1;
  refused("options.reserved0");
  s.options.timeout_ns = -2;
  refused("options.timeout_ns");
  s.options.item_timeout_ns = 0;
  refused("options.item_timeout_ns");
  s.options.batch.max_items = UINT64_C(1) << 40;
  refused("options.batch.max_items");
  s.options.batch.max_items = 11;
  s.options.window = 10;
  refused("options.batch.max_items must be at most options.window of 10, got 11");
  s.options.batch.max_items = 11;
  s.options.batch_size = 10;
  refused("options.batch.max_items must be at most options.batch_size of 10, got 11");
  s.options.batch.linger_ns = -1;
  refused("options.batch.linger_ns");
  s.options.retry.attempts = 0;
  refused("options.retry.attempts");
  s.options.retry.jitter = 2;
  refused("options.retry.jitter");
  s.options.retry.backoff_ns = -1;
  refused("options.retry.backoff_ns");
  s.options.retry.max_delay_ns = -1;
  refused("options.retry.max_delay_ns");
  s.options.retry.max_server_wait_ns = -2;
  refused("options.retry.max_server_wait_ns");
  s.options.rate.count = -1;
  refused("options.rate.count");
  s.options.rate_cost = 0;
  refused("options.rate_cost");
  s.options.release_item = ledger_release_item;
  refused("options.release_item must be NULL with a source");
  pa_limiter* limiter;
  REQUIRE(pa_limiter_new(&rate, &limiter, NULL) == PA_STATUS_OK);
  s.options.limiter = limiter;
  s.options.rate.count = 1;
  refused("options.limiter and options.rate");
  s.options.limiter = limiter;
  s.options.rate_cost = 4;
  refused("options.rate_cost must be at most the burst of 3, got 4");
  pa_limiter_release(limiter);
  stream_free(&s);
}

TEST(the_source_is_checked_and_named) {
  stream_init(&s, 10, 0);
  s.source.struct_size = 0;
  refused("source.struct_size");
  s.source.next = NULL;
  refused("source.next must not be NULL");
  s.source.reserved = 1;
  refused("source.reserved");
  stream_free(&s);
}

TEST(arguments_must_not_be_null) {
  stream_init(&s, 10, 0);
  pa_iter* iter = (pa_iter*)&s;
  CHECK_STATUS(pa_iter_open(NULL, &s, &s.source, &s.options, &iter, &s.error), PA_STATUS_INVALID, &s.error);
  CHECK_CONTAINS(s.error.message, "fn must not be NULL");
  CHECK(iter == NULL);
  CHECK_STATUS(pa_iter_open_batch(NULL, &s, &s.source, &s.options, &iter, &s.error), PA_STATUS_INVALID, &s.error);
  CHECK_CONTAINS(s.error.message, "fn must not be NULL");
  CHECK_STATUS(pa_iter_open(store, &s, NULL, &s.options, &iter, &s.error), PA_STATUS_INVALID, &s.error);
  CHECK_CONTAINS(s.error.message, "source must not be NULL");
  CHECK_STATUS(pa_iter_open(store, &s, &s.source, &s.options, NULL, &s.error), PA_STATUS_INVALID, &s.error);
  CHECK_CONTAINS(s.error.message, "iter must not be NULL");
  CHECK_STATUS(pa_iter_open_loop(NULL, store, &s, &s.source, &s.options, &iter, &s.error), PA_STATUS_INVALID, &s.error);
  CHECK_CONTAINS(s.error.message, "loop must not be NULL");
  CHECK_STATUS(pa_iter_open(store, &s, NULL, NULL, &iter, NULL), PA_STATUS_INVALID, NULL);
  CHECK_EQ(s.from.pulls, 0);
  CHECK_EQ(s.from.released, 0);
  stream_free(&s);
}

TEST(a_stream_that_was_refused_may_be_opened_after_all) {
  stream_init(&s, 100, 0);
  s.options.ordered = 5;
  CHECK_STATUS(pa_iter_open(store, &s, &s.source, &s.options, &s.iter, &s.error), PA_STATUS_INVALID, &s.error);
  s.options.ordered = 1;
  stream_open(&s, store);
  stream_read_to(&s, PA_STATUS_DONE, PA_END_COMPLETED);
  CHECK_EQ(s.count, 100);
  stream_close(&s);
}

TEST(next_checks_its_arguments_and_the_stream_goes_on) {
  stream_init(&s, 100, 0);
  stream_open(&s, store);
  pa_outcome outcome;
  void** values;
  size_t count;
  CHECK_STATUS(pa_iter_next(NULL, &outcome, &s.error), PA_STATUS_INVALID, &s.error);
  CHECK_CONTAINS(s.error.message, "iter must not be NULL");
  CHECK_STATUS(pa_iter_next(s.iter, NULL, &s.error), PA_STATUS_INVALID, &s.error);
  CHECK_CONTAINS(s.error.message, "outcome must not be NULL");
  CHECK_STATUS(pa_iter_next_timeout(NULL, 0, &outcome, &s.error), PA_STATUS_INVALID, &s.error);
  CHECK_CONTAINS(s.error.message, "iter must not be NULL");
  CHECK_STATUS(pa_iter_next_timeout(s.iter, 0, NULL, &s.error), PA_STATUS_INVALID, &s.error);
  CHECK_CONTAINS(s.error.message, "outcome must not be NULL");
  CHECK_STATUS(pa_iter_next_timeout(s.iter, -2, &outcome, &s.error), PA_STATUS_INVALID, &s.error);
  CHECK_CONTAINS(s.error.message, "timeout_ns must be >= 0, or -1 for none, got -2");
  CHECK_STATUS(pa_iter_next_many(NULL, &outcome, &values, &count, &s.error), PA_STATUS_INVALID, &s.error);
  CHECK_CONTAINS(s.error.message, "iter must not be NULL");
  CHECK_STATUS(pa_iter_next_many(s.iter, NULL, &values, &count, &s.error), PA_STATUS_INVALID, &s.error);
  CHECK_CONTAINS(s.error.message, "first must not be NULL");
  CHECK_STATUS(pa_iter_next_many(s.iter, &outcome, NULL, &count, &s.error), PA_STATUS_INVALID, &s.error);
  CHECK_CONTAINS(s.error.message, "values must not be NULL");
  CHECK_STATUS(pa_iter_next_many(s.iter, &outcome, &values, NULL, &s.error), PA_STATUS_INVALID, &s.error);
  CHECK_CONTAINS(s.error.message, "count must not be NULL");
  CHECK_EQ(pa_iter_end(NULL), PA_END_NONE);
  stream_read_to(&s, PA_STATUS_DONE, PA_END_COMPLETED);
  CHECK_EQ(s.count, 100);
  stream_close(&s);
}

TEST(errors_may_be_ignored) {
  stream_init(&s, UINT64_MAX, 0);
  s.options.max_errors = 1;
  REQUIRE(pa_iter_open(store_and_fail, &s, &s.source, &s.options, &s.iter, NULL) == PA_STATUS_OK);
  pa_outcome outcome;
  CHECK_EQ(pa_iter_next(s.iter, &outcome, NULL), PA_STATUS_OK);
  CHECK_EQ(outcome.state, PA_ITEM_FAILED);
  CHECK_EQ(pa_iter_next(s.iter, &outcome, NULL), PA_STATUS_DONE);
  stream_close(&s);
}
