/* batch_function: a function that answers many items in one call, like one SQL statement for many rows. A row with a
 * wrong value fails alone. A row that breaks the whole statement makes the call fail as a whole: what the call had
 * answered before keeps its answer, the others are retried one by one, so that only the breaking row fails in the end.
 * Shown with several fixed sizes and with the automatic one; what was chosen is printed. */
#include <pa/pa.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define ITEMS 2000

static int wrong = 0;
#define CHECK(what) ((what) ? (void)0 : (void)(wrong++, fprintf(stderr, "line %d: not so: %s\n", __LINE__, #what)))

/* The rows are the numbers 0, 1, 2, ... */
static int is_wrong(int n) { return n % 100 == 13; }
static int breaks_statement(int n) { return n % 500 == 77; }

struct database {
  pthread_mutex_t lock;
  uint64_t calls, rows, broken, largest, made, released;
};

static int32_t square_rows(void *ctx, void *const *items, size_t count, void **values, pa_call *call) {
  struct database *db = ctx;
  uint64_t made = 0;
  size_t i;
  for (i = 0; i < count; i++) {
    int n = *(const int *)items[i];
    if (breaks_statement(n)) break;
    if (is_wrong(n)) {
      pa_call_fail_at(call, i, 22, "value not allowed");
      continue;
    }
    int *square = malloc(sizeof *square);
    if (!square) return pa_call_fail(call, 12, "no memory");
    *square = n * n;
    values[i] = square;
    made++;
    pa_call_ok_at(call, i); /* committed: a later failure of this call does not undo it */
  }
  pthread_mutex_lock(&db->lock);
  CHECK(*(const int *)items[0] == (int)pa_call_index(call));
  CHECK(pa_call_attempt(call) == 1 || count == 1);
  db->calls++, db->rows += count, db->made += made, db->broken += i < count;
  if (count > db->largest) db->largest = count;
  pthread_mutex_unlock(&db->lock);
  return i < count ? pa_call_fail(call, 500, "statement failed") : 0;
}

static int32_t retry_broken(void *ctx, const pa_outcome *failure) {
  (void)ctx;
  return failure->code == 500;
}

static void release_value(void *ctx, void *value) {
  struct database *db = ctx;
  pthread_mutex_lock(&db->lock);
  db->released++;
  pthread_mutex_unlock(&db->lock);
  free(value);
}

static void run(void *const *items, uint64_t max_items, uint32_t attempts) {
  struct database db = {.lock = PTHREAD_MUTEX_INITIALIZER};
  uint64_t ok = 0, bad = 0, broken = 0, tries = 0;
  pa_options options;
  pa_result *result;
  pa_error error;

  pa_options_init(&options, sizeof options);
  options.workers = 4;
  options.batch.max_items = max_items;
  options.retry.attempts = attempts, options.retry.backoff_ns = 0, options.retry.retry_if = retry_broken;
  options.release_value = release_value, options.release_ctx = &db;
  if (pa_map_batch(square_rows, &db, items, ITEMS, &options, &result, &error)) {
    fprintf(stderr, "%s\n", error.message);
    exit(1);
  }
  CHECK(pa_result_count(result) == ITEMS && pa_result_end(result) == PA_END_COMPLETED);
  for (int n = 0; n < ITEMS; n++) {
    pa_outcome o;
    CHECK(pa_result_at(result, (uint64_t)n, &o, &error) == PA_STATUS_OK);
    tries += o.attempts;
    if (o.state == PA_ITEM_OK) {
      ok++;
      CHECK(!is_wrong(n) && !breaks_statement(n) && *(int *)o.value == n * n);
    } else if (o.code == 22) {
      bad++;
      CHECK(is_wrong(n) && o.state == PA_ITEM_FAILED && o.attempts <= 2 && !strcmp(o.message, "value not allowed"));
    } else {
      broken++;
      CHECK(o.state == PA_ITEM_FAILED && o.code == 500 && o.attempts == attempts && !strcmp(o.message, "statement failed"));
      if (attempts > 1) CHECK(breaks_statement(n));
    }
  }
  CHECK(ok + bad + broken == ITEMS && tries == db.rows);
  if (attempts > 1) CHECK(bad == ITEMS / 100 && broken == ITEMS / 500);
  if (max_items) CHECK(db.largest <= max_items);
  printf(
      "max_items %4llu, attempts %u: %4llu calls (%llu broke), largest %4llu, pa_result_batch_size %4llu; %llu rows ok, "
      "%llu wrong, %llu broken\n",
      (unsigned long long)max_items, (unsigned)attempts, (unsigned long long)db.calls, (unsigned long long)db.broken,
      (unsigned long long)db.largest, (unsigned long long)pa_result_batch_size(result), (unsigned long long)ok,
      (unsigned long long)bad, (unsigned long long)broken);
  pa_result_free(result);
  CHECK(db.made == ok && db.released == db.made);
}

int main(void) {
  static const uint64_t sizes[] = {1, 7, 64, ITEMS, 0};
  static int rows[ITEMS];
  static void *items[ITEMS];
  for (int n = 0; n < ITEMS; n++) rows[n] = n, items[n] = &rows[n];
  for (size_t s = 0; s < sizeof sizes / sizeof *sizes; s++) run(items, sizes[s], 3), run(items, sizes[s], 1);
  return wrong != 0;
}
