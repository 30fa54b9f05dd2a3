/* Where a batch function pays: rows into SQLite. What costs is not the row but the transaction around it, which has to reach
 * the disk; and SQLite lets one connection write at a time, so that more workers would only wait for each other. Hence one
 * worker with one connection, and the question is how many rows a transaction should have. This program measures
 *
 *   one transaction for each row          pa_map
 *   one transaction for each batch        pa_map_batch, automatic size, then fixed ones
 *
 * on a database in a temporary file, in WAL mode, and synced at each commit: an item that succeeded is on the disk. Rows
 * that violate a constraint fail alone, with SQLite's own message; the rest of their batch is kept.
 *
 * The automatic size starts at one row and has to be found on the way: that is why it comes out behind the best fixed one,
 * the more so the fewer rows there are. What it settled on (pa_result_batch_size) is a good options.batch.max_items for the
 * next time.
 *
 * usage: sqlite_insert [ROWS]        exits with 1 if a database does not hold exactly the rows that it should */
#define _POSIX_C_SOURCE 200809L
#include <pa/pa.h>
#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

typedef struct row {
  int64_t id;
  int64_t amount; /* the table demands >= 0 */
  char text[40];
} row;

static void die(const char *what, const char *why) {
  fprintf(stderr, "sqlite_insert: %s: %s\n", what, why);
  exit(2);
}

static double now_s(void) {
  struct timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

/* ------------------------------------------------------------------ the database */

typedef struct store {
  char path[64];
  sqlite3 *connection;
  sqlite3_stmt *begin, *insert, *commit, *rollback;
} store;

static sqlite3_stmt *prepare(store *s, const char *sql) {
  sqlite3_stmt *statement;
  if (sqlite3_prepare_v2(s->connection, sql, -1, &statement, NULL) != SQLITE_OK) die(sql, sqlite3_errmsg(s->connection));
  return statement;
}

static void store_open(store *s) {
  const char *folder = getenv("TMPDIR");
  int file;
  snprintf(s->path, sizeof s->path, "%s/sqlite_insert.XXXXXX", folder && strlen(folder) < 32 ? folder : "/tmp");
  file = mkstemp(s->path);
  if (file < 0) die(s->path, "no temporary file could be made");
  close(file);
  if (sqlite3_open(s->path, &s->connection) != SQLITE_OK) die(s->path, sqlite3_errmsg(s->connection));
  if (sqlite3_exec(s->connection,
                   "PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL;"
                   "CREATE TABLE rows (id INTEGER PRIMARY KEY, amount INTEGER CHECK (amount >= 0), text TEXT)",
                   NULL, NULL, NULL) != SQLITE_OK)
    die(s->path, sqlite3_errmsg(s->connection));
  s->begin = prepare(s, "BEGIN IMMEDIATE");
  s->insert = prepare(s, "INSERT INTO rows VALUES (?, ?, ?)");
  s->commit = prepare(s, "COMMIT");
  s->rollback = prepare(s, "ROLLBACK");
}

static void store_close(store *s) {
  char side_file[80];
  sqlite3_finalize(s->begin);
  sqlite3_finalize(s->insert);
  sqlite3_finalize(s->commit);
  sqlite3_finalize(s->rollback);
  sqlite3_close(s->connection);
  unlink(s->path);
  snprintf(side_file, sizeof side_file, "%s-wal", s->path);
  unlink(side_file);
  snprintf(side_file, sizeof side_file, "%s-shm", s->path);
  unlink(side_file);
}

static int execute(sqlite3_stmt *statement) {
  int code = sqlite3_step(statement);
  int reset = sqlite3_reset(statement);
  return code == SQLITE_DONE ? SQLITE_OK : reset != SQLITE_OK ? reset : code;
}

static int insert(store *s, const row *r) {
  sqlite3_bind_int64(s->insert, 1, r->id);
  sqlite3_bind_int64(s->insert, 2, r->amount);
  sqlite3_bind_text(s->insert, 3, r->text, -1, SQLITE_STATIC);
  return execute(s->insert);
}

/* ------------------------------------------------------------------ the functions that are mapped */

/* One row, in a transaction of its own (SQLite's default). */
static int32_t insert_one(void *ctx, void *item, void **value, pa_call *call) {
  store *s = ctx;
  int code = insert(s, item);
  (void)value;
  return code == SQLITE_OK ? 0 : pa_call_fail(call, code, sqlite3_errmsg(s->connection));
}

/* Many rows in one transaction. */
static int32_t insert_many(void *ctx, void *const *items, size_t count, void **values, pa_call *call) {
  store *s = ctx;
  int code = execute(s->begin);
  (void)values;
  if (code != SQLITE_OK) return pa_call_fail(call, code, sqlite3_errmsg(s->connection));
  for (size_t i = 0; i < count; i++) {
    code = insert(s, items[i]);
    if (code != SQLITE_OK) pa_call_fail_at(call, i, code, sqlite3_errmsg(s->connection)); /* this row alone */
  }
  code = execute(s->commit);
  if (code == SQLITE_OK) return 0;
  pa_call_fail(call, code, sqlite3_errmsg(s->connection)); /* nothing is in the database: all of them failed */
  execute(s->rollback);
  return code;
}

/* ------------------------------------------------------------------ measuring, and checking against the input */

static int64_t query(store *s, const char *sql) {
  sqlite3_stmt *statement = prepare(s, sql);
  int64_t number;
  if (sqlite3_step(statement) != SQLITE_ROW) die(sql, sqlite3_errmsg(s->connection));
  number = sqlite3_column_int64(statement, 0);
  sqlite3_finalize(statement);
  return number;
}

/* Whether each outcome is what its row deserves, and the database holds the good rows and no other. */
static int is_right(store *s, const row *rows, uint64_t count, const pa_result *result) {
  int64_t good = 0, amounts = 0, ids = 0;
  for (uint64_t i = 0; i < count; i++) {
    pa_outcome outcome;
    int expected = rows[i].amount >= 0 ? PA_ITEM_OK : PA_ITEM_FAILED;
    if (pa_result_at(result, i, &outcome, NULL) || outcome.state != expected) return 0;
    if (expected == PA_ITEM_FAILED) {
      if (outcome.code != SQLITE_CONSTRAINT || !strstr(outcome.message, "CHECK")) return 0;
      continue;
    }
    good++;
    ids += rows[i].id;
    amounts += rows[i].amount;
  }
  return pa_result_count(result) == count && query(s, "SELECT count(*) FROM rows") == good &&
         query(s, "SELECT total(id) FROM rows") == ids && query(s, "SELECT total(amount) FROM rows") == amounts;
}

typedef struct measured {
  double us_per_row;
  uint64_t batch_size; /* 0: one row at a time */
} measured;

/* Inserts the rows into a fresh database. batch_size: 0 for pa_map, PA_UNSIZED for a batch of automatic size. */
static measured measure(row *rows, void *const *items, uint64_t count, uint64_t batch_size) {
  measured m;
  store s;
  pa_options options;
  pa_result *result;
  pa_error error;
  pa_status status;
  double start;

  store_open(&s);
  pa_options_init(&options, sizeof options);
  options.workers = 1;
  if (batch_size != PA_UNSIZED) options.batch.max_items = batch_size;
  start = now_s();
  status = batch_size ? pa_map_batch(insert_many, &s, items, count, &options, &result, &error)
                      : pa_map(insert_one, &s, items, count, &options, &result, &error);
  m.us_per_row = (now_s() - start) * 1e6 / (double)count;
  if (status) die("libpa", error.message);
  m.batch_size = pa_result_batch_size(result);
  if (!is_right(&s, rows, count, result)) {
    fprintf(stderr, "sqlite_insert: the database or the outcomes are wrong, with batches of %llu\n",
            (unsigned long long)m.batch_size);
    exit(1);
  }
  pa_result_free(result);
  store_close(&s);
  return m;
}

int main(int argc, char **argv) {
  static const uint64_t sizes[] = {1, 4, 16, 64, 256, 1024, 4096, 16384};
  uint64_t count = argc > 1 ? strtoull(argv[1], NULL, 10) : 50000;
  uint64_t singles = count < 500 ? count : 500; /* slow: a part of the rows says what a row costs */
  row *rows = calloc(count ? count : 1, sizeof *rows);
  void **items = calloc(count ? count : 1, sizeof *items);
  measured single, automatic, best = {0, 0};

  if (!rows || !items || !count) die("usage", "sqlite_insert [ROWS], at least 1");
  for (uint64_t i = 0; i < count; i++) {
    rows[i].id = (int64_t)i + 1;
    rows[i].amount = i % 100 == 99 ? -1 : (int64_t)(i * 7919 % 10007);
    snprintf(rows[i].text, sizeof rows[i].text, "row number %llu", (unsigned long long)i);
    items[i] = &rows[i];
  }

  single = measure(rows, items, singles, 0);
  printf("%-36s %10.2f us a row\n", "one transaction for each row", single.us_per_row);
  automatic = measure(rows, items, count, PA_UNSIZED);
  printf("batches of automatic size (%5llu)     %10.2f us a row, %.1f times as fast\n",
         (unsigned long long)automatic.batch_size, automatic.us_per_row, single.us_per_row / automatic.us_per_row);
  for (size_t k = 0; k < sizeof sizes / sizeof *sizes && sizes[k] <= count; k++) {
    measured fixed = measure(rows, items, sizes[k] < 16 ? singles : count, sizes[k]);
    printf("batches of %5llu                     %10.2f us a row, %.1f times as fast\n", (unsigned long long)sizes[k],
           fixed.us_per_row, single.us_per_row / fixed.us_per_row);
    if (!best.batch_size || fixed.us_per_row < best.us_per_row) best = fixed;
  }
  if (best.batch_size)
    printf("best fixed size: %llu; the automatic one takes %.2f times as long\n", (unsigned long long)best.batch_size,
           automatic.us_per_row / best.us_per_row);
  printf("%llu rows, of which %llu were wrong and failed alone: each database was as it should be\n",
         (unsigned long long)count, (unsigned long long)(count / 100));
  free(items);
  free(rows);
  return 0;
}
