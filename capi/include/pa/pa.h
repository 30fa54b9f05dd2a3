/* libpa: apply one function to many inputs, in parallel, and get one outcome for every input.
 *
 *     #include <pa/pa.h>
 *
 *     static int32_t fetch(void *ctx, void *item, void **value, pa_call *call) {
 *       struct page *page = NULL;
 *       int http = http_get(item, &page);                             // your code
 *       if (http != 200) return pa_call_fail(call, http, "not 200");  // this item failed
 *       *value = page;
 *       return 0;                                                     // this item succeeded
 *     }
 *
 *     void *urls[] = {"http://...", "http://..."};                      // an array of void *, each handed to fetch
 *     pa_options options;
 *     pa_result *result;
 *     pa_error error;
 *     pa_outcome failure;
 *     uint64_t cursor = 0;
 *     pa_options_init(&options, sizeof options);
 *     options.workers = 64;
 *     options.rate.count = 100;                                       // 100 calls a second
 *     options.retry.attempts = 3;                                     // after 1 s, then 2 s, give or take a half
 *     if (pa_map(fetch, NULL, urls, 2, &options, &result, &error)) die(error.message);
 *     for (uint64_t i = 0; i < pa_result_count(result); i++)
 *       if (pa_result_value(result, i)) use(pa_result_value(result, i));
 *     while (pa_result_next_failure(result, &cursor, &failure, NULL) == PA_STATUS_OK)
 *       printf("%llu: %s\n", (unsigned long long)failure.index, failure.message);
 *     pa_result_free(result);
 *
 * Compile with any C99 or C++ compiler, and link with -lpa (pkg-config: pa; CMake: pa::pa; Meson: dependency('pa')). The
 * library keeps a pool of idle threads between runs; pa_drain ends them.
 *
 * WORDS
 *   admitted   an input has got its index (and its key) and waits for its turn
 *   done       the last attempt at an item has ended: it is OK, FAILED, or TIMED_OUT by item_timeout_ns
 *   not done   the run ended first, whether the item never ran, was running, or waited for a retry: TIMED_OUT, ABORTED,
 *              CANCELLED
 *   the end    a run ends once, for one reason (PA_END_*): nothing is started, pulled or retried after it. Unless
 *              options.detach is set, the calls that are running then are waited for, and what they return still counts
 *
 * RULES THAT HOLD EVERYWHERE, and are not repeated at each function
 *
 * Status     A pa_status of 0 is success, below 0 an error, above 0 "not an error, but no data either". A failed
 *            item is data, not an error: pa_map returns PA_STATUS_OK and the result says what became of each item.
 * Errors     The last argument `pa_error *error` may be NULL. Where it is not, it is filled on every negative status
 *            with a message that names the argument, its value and what would be right; on success it is left alone.
 *            PA_STATUS_INVALID is decided before any work starts. Any call that allocates may return
 *            PA_STATUS_NO_MEMORY. In a forked child, calls on objects made before the fork return
 *            PA_STATUS_FORKED; freeing them is safe, finished results may be read, and new runs work.
 * Ownership  What a function hands out through a pointer to a pointer (result, pending, limiter, stop) belongs to you, until
 *            the _release or _free of that noun. Those accept NULL. Strings inside outcomes are borrowed; each place says for how long.
 * Threads    A function may be called from any thread, unless it says otherwise. A pa_result that nobody changes
 *            (pa_result_take, pa_result_free) may be read by many threads at once.
 * Callbacks  No lock of libpa is held while your code runs: a callback may call libpa, nested maps included. A nested run
 *            has workers of its own and can't deadlock by using the pool up; it does not end with the outer one by
 *            itself: give it the same options.stop, and pa_call_remaining_ns as options.timeout_ns.
 *            pthread_exit, thread cancellation and longjmp out of a callback are forbidden. A C++ exception that
 *            leaves a pa_fn makes that item fail with PA_CODE_EXCEPTION; it must not leave any other callback.
 * Time       All times are int64_t nanoseconds and monotonic; -1 means "none" where a field says so.
 * Signals    Only pa_stop_request and pa_stop_requested may be called from a signal handler. Threads made by libpa
 *            block all signals, so your handlers run on your own threads; the thread that called pa_map is one of them, and
 *            your function may see EINTR there.
 * Output     The library never prints, never exits, and installs no signal handler.
 */
#ifndef PA_PA_H
#define PA_PA_H

/* Laid out by hand. */
/* clang-format off */

#include <stddef.h>
#include <stdint.h>

#define PA_VERSION_MAJOR 0
#define PA_VERSION_MINOR 1
#define PA_VERSION_PATCH 0

#if defined(PA_BUILDING_LIBRARY) || defined(__GNUC__)
#define PA_EXPORT __attribute__((visibility("default")))
#else
#define PA_EXPORT
#endif

#ifdef __cplusplus
extern "C" {
#endif

/* ------------------------------------------------------------------ status, ends, states */

typedef int32_t pa_status;

#define PA_STATUS_OK 0
#define PA_STATUS_DONE 1             /* nothing more will come */
#define PA_STATUS_AGAIN 2            /* not yet; ask later */
#define PA_STATUS_TIMEOUT 3          /* the time given to this call passed first */
#define PA_STATUS_PULL 4             /* pa_job_take: fetch inputs, then call pa_job_supply */
#define PA_STATUS_RETRY 5            /* pa_job_fail: the item will be leased again */
#define PA_STATUS_FINAL 6            /* pa_job_fail: the item has failed for good */
#define PA_STATUS_STOPPED 7          /* pa_job_*: the lease is over; take again */
#define PA_STATUS_INVALID (-1)       /* a wrong argument; nothing has run */
#define PA_STATUS_NO_MEMORY (-2)     /* an allocation failed */
#define PA_STATUS_SYSTEM (-3)        /* the operating system refused; error.detail is errno */
#define PA_STATUS_FORKED (-4)        /* the object was made before fork() */
#define PA_STATUS_SOURCE (-5)        /* pa_source.next failed; error.detail is what it returned */
#define PA_STATUS_KEY (-6)           /* options.item_key failed; error.detail is what it returned */
#define PA_STATUS_CALLBACK (-7)      /* on_progress or on_result failed; error.detail is what it returned */
#define PA_STATUS_WORKER_START (-8)  /* options.worker_start failed; error.detail is what it returned */
#define PA_STATUS_ITEMS_FAILED (-9)  /* pa_result_check: every item was run, some failed */
#define PA_STATUS_TIMED_OUT (-10)    /* pa_result_check: the run ended by options.timeout_ns */
#define PA_STATUS_ABORTED (-11)      /* pa_result_check: the run ended by options.max_errors */
#define PA_STATUS_CANCELLED (-12)    /* pa_result_check: the run ended by options.stop */
#define PA_STATUS_WORKERS_LOST (-13) /* worker processes do not come to serve, or die one after the other */

/* Why a run ended. Exactly one reason holds; of two at once the first wins, and a stop wins over a timeout. A stop or timeout
 * that comes while the last calls are running is the reason, even if they then succeed and nothing is left undone. */
#define PA_END_NONE 0       /* still running */
#define PA_END_COMPLETED 1  /* every input was run to its end */
#define PA_END_TIMED_OUT 2  /* options.timeout_ns passed */
#define PA_END_ABORTED 3    /* options.max_errors items had failed */
#define PA_END_CANCELLED 4  /* options.stop was requested */
#define PA_END_FAILED 5     /* a source, key function, progress or result callback, worker_start or an allocation failed, or
                               worker processes died one after the other */

/* What became of an item. */
#define PA_ITEM_OK 0         /* the function succeeded; value holds what it stored (NULL is a value, too) */
#define PA_ITEM_FAILED 1     /* the last attempt failed; code and message say why */
#define PA_ITEM_TIMED_OUT 2  /* its last attempt outran item_timeout_ns, or the run timed out before it was done */
#define PA_ITEM_ABORTED 3    /* the run ended by max_errors or failed before this item was done */
#define PA_ITEM_CANCELLED 4  /* the run was stopped before this item was done */
#define PA_ITEM_CRASHED 5    /* its worker process died while it ran; message and code say how: the exit status, or minus the signal */

/* Codes that libpa itself puts into pa_outcome.code. Your own codes may be any other non-zero value. */
#define PA_CODE_EXCEPTION (-2147483647)   /* a C++ exception left the function; message holds its what() */
#define PA_CODE_UNANSWERED (-2147483646)  /* the C++ header: a batch function returned fewer results than it got items */
#define PA_CODE_STOPPED (-2147483645)     /* for your function to return when it gives up because pa_call_stopped is 1 */
#define PA_CODE_EXITED (-2147483644)      /* PA_ITEM_CRASHED: the worker exited with status 0, or nobody knows how */
#define PA_CODE_GARBAGE (-2147483643)     /* PA_ITEM_CRASHED: the worker wrote what makes no sense, and was killed */

/* Where the function runs. */
#define PA_EXECUTOR_THREADS 0 /* libpa's persistent thread pool; the calling thread may help */
#define PA_EXECUTOR_INLINE 1  /* the calling thread alone, in input order: for debugging and sequential programs */
#define PA_EXECUTOR_PROCESSES 2 /* worker processes, where a crash costs one item: see process.h. Not for pa_map_range */

#define PA_UNSIZED ((uint64_t)-1) /* pa_source.size_hint: the number of inputs is not known */
#define PA_WORKERS_MAX 65535
#define PA_MESSAGE_MAX 1023 /* bytes of an item's message that are kept */

typedef struct pa_error {
  int32_t status;     /* the pa_status that the call returned */
  int32_t detail;     /* errno, or the code that your callback returned, or 0 */
  char message[248];  /* UTF-8, always terminated */
} pa_error;

/* Returns the name of a status, such as "PA_STATUS_INVALID"; "PA_STATUS_UNKNOWN" for a number that is none.
 * Ownership: a static string. */
PA_EXPORT const char *pa_status_name(pa_status status);

/* Returns the name of a PA_END_* value, such as "PA_END_TIMED_OUT", or "PA_END_UNKNOWN". Ownership: a static string. */
PA_EXPORT const char *pa_end_name(int32_t end);

/* Returns the name of a PA_ITEM_* value, such as "PA_ITEM_OK", or "PA_ITEM_UNKNOWN". Ownership: a static string. */
PA_EXPORT const char *pa_item_name(int32_t state);

/* Returns the version of the library that is loaded, as major * 1000000 + minor * 1000 + patch. */
PA_EXPORT uint32_t pa_version(void);

/* ------------------------------------------------------------------ your functions */

/* One call of your function: who is being run. Valid only until the function returns, and only on its thread; but pa_call_stopped
 * and pa_call_remaining_ns may be asked by any thread until then. */
typedef struct pa_call pa_call;

/* Your function, for one item.
 *   ctx    what you gave to pa_map; shared by all calls, so it must be safe to use from several threads.
 *   item   one of your inputs, untouched.
 *   value  store the result here; *value is NULL on entry. On success it belongs to the result, which releases it by
 *          options.release_value unless pa_result_take took it. What a failing call stored is released at once.
 *   call   for pa_call_index, pa_call_fail and the like.
 * Returns 0 for success, else the failure's code.
 * Threads: many calls at a time, on threads of libpa and on the calling thread; all of them on the calling thread,
 * one by one, with PA_EXECUTOR_INLINE. */
typedef int32_t (*pa_fn)(void *ctx, void *item, void **value, pa_call *call);

/* Your function, for several items in one call: where one statement, request or vector instruction can do many.
 *   items  count inputs, of consecutive indices; pa_call_index(call) is the index of items[0].
 *   values one slot for each item, NULL on entry.
 * Returns 0: each item succeeded with values[i], NULL included, except those that pa_call_fail_at named. Returns non-zero:
 * items that pa_call_ok_at or pa_call_fail_at named keep that answer, all others fail with the returned code, and with the
 * message given to pa_call_fail, if any; their values are released.
 * Items that failed, for whatever of these reasons, are retried one by one, each as a batch of one. */
typedef int32_t (*pa_batch_fn)(void *ctx, void *const *items, size_t count, void **values, pa_call *call);

/* Your function, for the indices first, first + 1, ... first + count - 1 of arrays that you keep yourself.
 * Return value, pa_call_ok_at and pa_call_fail_at work as for pa_batch_fn. */
typedef int32_t (*pa_range_fn)(void *ctx, uint64_t first, uint64_t count, pa_call *call);

/* The index of the item that is being run; of the first one for a batch or range function. */
PA_EXPORT uint64_t pa_call_index(const pa_call *call);

/* Which attempt at this item this is; the first is 1. */
PA_EXPORT uint32_t pa_call_attempt(const pa_call *call);

/* Returns 1 when the run has ended or must end (stop, timeout, max_errors, a callback that failed), or when this attempt has
 * outrun item_timeout_ns; else 0. A long function that looks at it now and then, and returns early, makes stops prompt.
 * What it returns then counts: 0 is success; PA_CODE_STOPPED makes the item not done (PA_ITEM_CANCELLED, ... as the run
 * ended); any other code is a failure like any other. After item_timeout_ns the attempt has timed out whatever it returns.
 * Costs a few nanoseconds, about 30 with a timeout set. */
PA_EXPORT int32_t pa_call_stopped(const pa_call *call);

/* Nanoseconds until the run's or the attempt's deadline, whichever is first; 0 when it has passed or the run has ended,
 * -1 when there is no deadline. To be handed on as the timeout of what the function calls. */
PA_EXPORT int64_t pa_call_remaining_ns(const pa_call *call);

/* Notes why this call fails, and returns `code`, so that a function can say `return pa_call_fail(call, 404, "gone");`.
 * It is the returned code that makes the call fail, and that is kept: after `pa_call_fail` a function that returns 0 succeeds.
 *   code     non-zero (0 is turned into -1).
 *   message  copied, at most PA_MESSAGE_MAX bytes of it; may be NULL. */
PA_EXPORT int32_t pa_call_fail(pa_call *call, int32_t code, const char *message);

/* Says that the server asked to wait for `wait_ns` before the next attempt (HTTP 429 or 503 with Retry-After). Call it, then
 * return non-zero; when the call succeeds it has no effect. The wait replaces the backoff: no jitter, no max_delay, at most
 * retry.max_server_wait_ns. It also pauses the run's limiter, if it has one, and so every run that shares it, even if no
 * attempt is left. For a batch function it holds for all items of the call that fail.
 *   wait_ns  0: the next attempt may come at once. Negative: ignored, so that what pa_parse_retry_after returns can be handed
 *            on as it is. */
PA_EXPORT void pa_call_retry_after(pa_call *call, int64_t wait_ns);

/* For batch and range functions: the item at `position` (0 to count - 1) of this call succeeded, whatever the function
 * returns. For a batch, store values[position] first. A position that is too large is ignored. The last answer wins. */
PA_EXPORT void pa_call_ok_at(pa_call *call, size_t position);

/* For batch and range functions: the item at `position` of this call failed, whatever the function returns.
 * code and message are as in pa_call_fail. */
PA_EXPORT void pa_call_fail_at(pa_call *call, size_t position, int32_t code, const char *message);

/* ------------------------------------------------------------------ outcomes */

#define PA_KEY_NONE 0
#define PA_KEY_INT 1    /* number */
#define PA_KEY_STRING 2 /* data and size: UTF-8, not necessarily terminated */
#define PA_KEY_BYTES 3  /* data and size */

/* A name that you give to an item; it labels outcomes and never affects order. Keys may repeat. 1, "1" and the byte
 * "1" are three different keys. */
typedef struct pa_key {
  int32_t kind;
  int32_t reserved;
  int64_t number;
  const void *data;
  uint64_t size;
} pa_key;

/* What became of one item. Filled by libpa; its layout is frozen. */
typedef struct pa_outcome {
  uint64_t index;       /* position of the input, from 0 */
  int32_t state;        /* PA_ITEM_* */
  int32_t code;         /* 0 for PA_ITEM_OK; the failure's code; for an item that timed out or was not done, what its last failed
                           attempt returned, or 0: whether it succeeded, `state` says */
  void *value;          /* PA_ITEM_OK: what the function stored; else NULL */
  const char *message;  /* "" for PA_ITEM_OK, else why: what pa_call_fail was given in the last attempt, or words of libpa's own;
                           never NULL */
  uint32_t attempts;    /* attempts that were started; 0 if the item never ran */
  uint32_t reserved0;
  int64_t duration_ns;  /* from the start of the first attempt to the end of the last, waits between them included. While items
                           are short, about 30 us' worth of them run at a time and share their average, a long one that comes
                           unexpectedly with its neighbours; an item of a batch took as long as its call. 0: it never ran, or
                           was too short to tell */
  pa_key key;           /* what options.item_key gave; PA_KEY_NONE without it, or if the run ended before it was asked */
  uint64_t reserved[4];
} pa_outcome;

/* ------------------------------------------------------------------ sources */

/* Inputs that are made on demand: lines of a file, rows of a query. They are pulled one call at a time, only a little ahead of
 * the workers, never beyond options.window, and never again once the run has ended. The result keeps an entry for each. */
typedef struct pa_source {
  uint32_t struct_size; /* sizeof(pa_source) */
  uint32_t reserved;
  /* Stores up to `max` inputs (`max` >= 1, and often 1) in items[0...] and their number in *got: as many as are there without
   * waiting, but at least one; *got = 0 says that there are no more. Returns 0, or non-zero if it failed: the run then ends
   * with PA_END_FAILED and PA_STATUS_SOURCE, and what this call stored is not looked at: free it yourself.
   * Threads: one call at a time, on threads of libpa or the calling thread. It may block; that holds up no worker. */
  int32_t (*next)(void *ctx, void **items, size_t max, size_t *got);
  void *ctx; /* handed to next, release_item and release */
  /* How many inputs there will be, or PA_UNSIZED. Used for progress, and for the length of a result that ends early: it
   * then has one entry for each input up to this number. A source may deliver more or fewer. */
  uint64_t size_hint;
  /* Called exactly once for each input that `next` delivered, when the item is done for good; may be NULL.
   * Threads: any, several at a time. */
  void (*release_item)(void *ctx, void *item);
  /* Called exactly once when the source will not be touched any more: before pa_map_source returns (with options.detach,
   * possibly later). Not called when pa_map_source left *result NULL: the source is then still yours. May be NULL. */
  void (*release)(void *ctx);
} pa_source;

/* Fills a source with zeroes, size_hint = PA_UNSIZED, and struct_size = size.
 *   size  sizeof(pa_source). */
PA_EXPORT void pa_source_init(pa_source *source, size_t size);

/* ------------------------------------------------------------------ limiters */

/* How often: at most `count` calls per `per_ns`, spread evenly, of which up to `burst` may come at once after idling. Set all
 * three for pa_limiter_new; pa_options_init sets the defaults of pa_options.rate. */
typedef struct pa_rate {
  double count;    /* finite, > 0; in pa_options, 0 means no limit. count / per_ns at most 1e9 a second, at least 1 a year */
  int64_t per_ns;  /* > 0; the default is 1000000000, a second */
  uint64_t burst;  /* >= 1; the default is 1. A new bucket is full. burst * per_ns / count at most ten years */
} pa_rate;

/* A token bucket that any number of runs and threads share. A token is taken just before a call starts, by every attempt. */
typedef struct pa_limiter pa_limiter;

/* Makes a limiter; release it with pa_limiter_release.
 * Errors: PA_STATUS_INVALID for a NULL argument, a rate that is NaN, infinite, negative or 0, a per_ns or burst below 1. */
PA_EXPORT pa_status pa_limiter_new(const pa_rate *rate, pa_limiter **limiter, pa_error *error);

/* Adds an owner. */
PA_EXPORT void pa_limiter_retain(pa_limiter *limiter);

/* Drops an owner; the last one frees the limiter. A run in progress is an owner, too. */
PA_EXPORT void pa_limiter_release(pa_limiter *limiter);

/* Waits until `tokens` can be taken, and takes them: for calls that are not made through libpa but count against the
 * same quota. Waiters are served in no particular order.
 *   timeout_ns  -1 waits for as long as it takes, 0 only tries.
 * Returns PA_STATUS_OK; PA_STATUS_TIMEOUT, at once, when the wait would be longer than timeout_ns (nothing is taken).
 * Errors: PA_STATUS_INVALID for tokens of 0 or above the burst, a timeout below -1. */
PA_EXPORT pa_status pa_limiter_acquire(pa_limiter *limiter, uint64_t tokens, int64_t timeout_ns, pa_error *error);

/* Takes `tokens` if they are there: for event loops.
 *   wait_ns  may be NULL; with PA_STATUS_AGAIN, how long to wait before it is worth another try.
 * Returns PA_STATUS_OK or PA_STATUS_AGAIN (nothing is taken). Errors: as pa_limiter_acquire. */
PA_EXPORT pa_status pa_limiter_try(pa_limiter *limiter, uint64_t tokens, int64_t *wait_ns, pa_error *error);

/* Lets nothing through for `wait_ns` from now. Of several pauses the one that ends last holds. When it ends, at most one
 * token is there, so that calls resume at the set pace and not as a herd.
 *   wait_ns  0 or below: nothing happens. */
PA_EXPORT pa_status pa_limiter_pause(pa_limiter *limiter, int64_t wait_ns, pa_error *error);

/* Changes the rate from now on; those who wait are woken to look again. Tokens in the bucket stay, up to the new burst. A call
 * that costs more than that, of a run that is under way, starts when the bucket is full and leaves a debt.
 * Errors: as pa_limiter_new. */
PA_EXPORT pa_status pa_limiter_set_rate(pa_limiter *limiter, const pa_rate *rate, pa_error *error);

/* Corrects what calls have cost, once it is known: `tokens` > 0 charges more (the bucket may go below 0, and later calls
 * wait for it), < 0 gives back (never above the burst, and nothing while the limiter is paused). */
PA_EXPORT pa_status pa_limiter_settle(pa_limiter *limiter, int64_t tokens, pa_error *error);

/* Reads the value of an HTTP Retry-After header (RFC 9110 section 10.2.3): a number of seconds, with a fraction if need be,
 * or a date (IMF-fixdate, RFC 850 or asctime form). Blanks around it are skipped.
 *   text        may be NULL.
 *   now_unix_s  the present time as seconds since 1970, to which a date is compared; -1 asks the system's clock.
 * Returns nanoseconds, 0 for a date in the past, and -1 for anything else. */
PA_EXPORT int64_t pa_parse_retry_after(const char *text, int64_t now_unix_s);

/* ------------------------------------------------------------------ stop */

/* A latch that ends runs: once requested it stays so. Any number of runs may share it; a run that is started with a
 * requested stop runs nothing. */
typedef struct pa_stop pa_stop;

/* Makes a stop token; release it with pa_stop_release. Errors: PA_STATUS_INVALID for a NULL argument. */
PA_EXPORT pa_status pa_stop_new(pa_stop **stop, pa_error *error);

/* Adds an owner. */
PA_EXPORT void pa_stop_retain(pa_stop *stop);

/* Drops an owner; the last one frees the token. A run in progress is an owner, too. Not from a signal handler. */
PA_EXPORT void pa_stop_release(pa_stop *stop);

/* Ends every run that uses this token: nothing new starts (but for very short items, of which a worker runs up to ten
 * microseconds' worth at a time), calls in progress see pa_call_stopped.
 * Threads: any, and from a signal handler: it sets a word and wakes sleepers, and runs none of your code. NULL is ignored.
 * The token must outlive the handler's use of it. */
PA_EXPORT void pa_stop_request(pa_stop *stop);

/* Returns 1 once pa_stop_request was called, else 0. Safe in a signal handler. */
PA_EXPORT int32_t pa_stop_requested(const pa_stop *stop);

/* ------------------------------------------------------------------ options */

/* Whether and when failed attempts are repeated. An item that waits for its next attempt occupies no worker. */
typedef struct pa_retry {
  uint32_t attempts;           /* tries in all, the first included; >= 1. Default 1: no retry */
  uint32_t jitter;             /* 1: each delay is multiplied by a random factor of 0.5 to 1.5; 0: it is not. Default 1 */
  int64_t backoff_ns;          /* delay before the second attempt; it doubles each time. >= 0. Default 1 s */
  int64_t max_delay_ns;        /* the delay's cap, before jitter. >= 0. Default 60 s */
  int64_t max_server_wait_ns;  /* the cap of pa_call_retry_after; -1: none. Default 600 s */
  /* Decides whether a failed attempt may be repeated; NULL: always. `failure` has index, state (PA_ITEM_FAILED,
   * PA_ITEM_TIMED_OUT or PA_ITEM_CRASHED), code, message and attempts. Returns 1 to retry, 0 not to; below 0 says that the predicate itself
   * failed: the item then keeps its own error, with a note. Threads: on workers, several at a time. */
  int32_t (*retry_if)(void *ctx, const pa_outcome *failure);
  void *retry_ctx;
} pa_retry;

typedef struct pa_process pa_process; /* process.h */

typedef struct pa_batch {
  uint64_t max_items;  /* items that one call of a batch function gets, but for the last: taken literally, even where it leaves
                          workers idle. 0: libpa finds a size that pays, see pa_result_batch_size. At most 1048576, and at
                          most window and batch_size where those are set. Default 0 */
  int64_t linger_ns;   /* with a source that delivers slowly and max_items set: how long the first item of a batch waits for
                          others to fill it; >= 0. Default 0: a call gets what is there */
} pa_batch;

/* How to run. Fill it with pa_options_init, then change what you need; NULL in place of options means all defaults.
 * The struct itself is copied; what it points to must stay valid until the run is over. */
typedef struct pa_options {
  uint32_t struct_size;  /* set by pa_options_init */
  int32_t executor;      /* PA_EXECUTOR_*. Default PA_EXECUTOR_THREADS */
  uint32_t workers;      /* calls at a time, a helping caller included; 0: the CPUs that this process may use (affinity and
                            cgroup quota). At most PA_WORKERS_MAX. Default 0 */
  uint32_t detach;       /* 0: an early end waits for the calls that are running, and they keep their real outcome. 1: it
                            returns at once, items still running count as not done, on_quiescent tells when they are, and
                            ctx, fn and items must stay valid until then. Default 0 */
  uint64_t window;       /* inputs admitted but not done, at most; 0: automatic, which is no bound for arrays, and for sources a
                            little more than the workers need. Default 0 */
  uint64_t batch_size;   /* admit inputs in chunks of so many, each finished before the next is admitted; 0: do not. (How many items
                            a call of a batch function gets is batch.max_items.) Default 0 */
  pa_batch batch;        /* for batch functions; others ignore it */
  pa_limiter *limiter;   /* shared limiter, or NULL. Default NULL */
  pa_rate rate;          /* a limiter of this run's own; not together with `limiter`. rate.count 0: none. Default 0, 1 s, 1 */
  uint64_t rate_cost;    /* tokens that an attempt takes: for each item, for each index of a range, but for a batch function once
                            for each call. 1 to the burst. Default 1 */
  pa_retry retry;
  int64_t timeout_ns;       /* for the whole run, from the call on; 0: nothing runs; -1: none. Default -1 */
  int64_t item_timeout_ns;  /* for each attempt, > 0: when it has passed, pa_call_stopped turns 1, and the attempt counts as
                               timed out whatever it returns. The call is not interrupted, but a worker process that goes on is
                               killed. -1: none. Default -1 */
  uint64_t max_errors;      /* end the run when so many items have FAILED, CRASHED or TIMED_OUT after their last attempt; calls that are
                               running then may add to it. 1 is fail-fast; 0: never. Default 0 */
  pa_stop *stop;            /* ends the run when requested, or NULL. Default NULL */

  /* Called after each item that was done (not for items that were never done): done counts up by one; total is the number
   * of inputs, or the number admitted so far when it is not known. Returns 0; non-zero ends the run with PA_END_FAILED
   * and PA_STATUS_CALLBACK. Threads: the thread that called pa_map (for pa_map_start: one thread of libpa), which then
   * runs no items itself; never two calls at a time, after on_result of the same item. */
  int32_t (*on_progress)(void *ctx, uint64_t done, uint64_t total);
  void *progress_ctx;

  /* Called after each item that was done, in the order in which they finish. The outcome and its strings are borrowed for
   * the call; its value stays with the result. Returns and threads: as on_progress. */
  int32_t (*on_result)(void *ctx, const pa_outcome *outcome);
  void *result_ctx;

  /* Names an item: called once for each input when it is admitted, one call at a time, on threads of libpa or the calling
   * thread. *key is PA_KEY_NONE on entry; what its data points to is copied before the next call. Returns 0; non-zero, or
   * an unknown kind, ends the run with PA_END_FAILED and PA_STATUS_KEY. Not for pa_map_range. */
  int32_t (*item_key)(void *ctx, void *item, pa_key *key);
  void *key_ctx;

  /* Called exactly once for each value that is not NULL and that pa_result_take did not take: by pa_result_free, or at
   * once when the call that stored it failed or came too late. Threads: any, several at a time. */
  void (*release_value)(void *ctx, void *value);
  /* Called exactly once for each of the items of pa_map, pa_map_batch and pa_map_start when it is done for good; before
   * these return, except what runs on after `detach`. When they leave *result (*pending) NULL, the items are still
   * yours. Not for sources, which have a release_item of their own, nor for ranges. Threads: any, several at a time. */
  void (*release_item)(void *ctx, void *item);
  void *release_ctx; /* for both */

  /* Called on each worker before its first item of this run, and after its last: for connections and other state of a
   * thread (keep it in a thread-local variable). With a source, and on a stream, one more thread than `workers` may come, though
   * never more than that many run items at a time. A worker_start that returns non-zero ends the run with PA_END_FAILED and
   * PA_STATUS_WORKER_START; worker_stop is then not called for that worker. */
  int32_t (*worker_start)(void *ctx);
  void (*worker_stop)(void *ctx);
  void *worker_ctx;

  /* Called exactly once when nothing of this run will touch your ctx, function or items any more: before pa_map returns,
   * or with `detach` possibly later, on a thread of libpa. Not called when the call left *result (*pending) NULL. */
  void (*on_quiescent)(void *ctx);
  void *quiescent_ctx;

  uint32_t ordered;     /* streams: 1: outcomes come in the order of the inputs, 0: as items finish. Default 0 */
  uint32_t reserved0;

  /* For PA_EXECUTOR_PROCESSES, see process.h. */
  const char *task;          /* the name of the task to run; fn may be NULL then. NULL: the one that was registered with fn */
  const pa_process *process; /* how to run the workers; NULL: all defaults */
} pa_options;

/* Writes every default.
 *   size  sizeof(pa_options), as compiled into the caller: a newer library then knows which fields an older program has. */
PA_EXPORT void pa_options_init(pa_options *options, size_t size);

/* ------------------------------------------------------------------ map */

/* The outcomes of a run, in input order. */
typedef struct pa_result pa_result;

/* Applies fn to each of items[0] ... items[n-1], waits, and hands out one outcome for each.
 *   items    an array of n `void *` (an array of another pointer type does not convert: fill one; for an array of structs see
 *            pa_map_range). Read during the call (with detach: until on_quiescent); each pointer is handed to fn as it is.
 *   options  NULL: all defaults.
 *   result   receives the outcomes; free them with pa_result_free.
 * Returns PA_STATUS_OK also when items failed or the run ended early by timeout, stop or max_errors: ask pa_result_ok,
 * pa_result_end or pa_result_check.
 * Errors: PA_STATUS_INVALID, PA_STATUS_NO_MEMORY, PA_STATUS_FORKED with *result = NULL, and nothing has run.
 * PA_STATUS_KEY, PA_STATUS_CALLBACK, PA_STATUS_WORKER_START, PA_STATUS_NO_MEMORY with *result set and PA_END_FAILED: what
 * was done until then is kept, other items are PA_ITEM_ABORTED.
 * In C and C++ this is also a macro of the same meaning, which compiles the loop over the items into your program; write
 * (pa_map)(...), or define PA_NO_MACROS before you include this header, to call the function. */
PA_EXPORT pa_status pa_map(pa_fn fn, void *ctx, void *const *items, uint64_t n, const pa_options *options, pa_result **result,
                           pa_error *error);

/* Like pa_map, for a function that takes several items in one call; options.batch says how many. */
PA_EXPORT pa_status pa_map_batch(pa_batch_fn fn, void *ctx, void *const *items, uint64_t n, const pa_options *options,
                                 pa_result **result, pa_error *error);

/* Like pa_map, for a function that works on ranges of the indices 0 ... n-1, and keeps its inputs and outputs itself: the
 * result has states and errors, but no values. libpa chooses the ranges; they shrink when other workers run out of work.
 *
 *     static int32_t square(void *ctx, uint64_t first, uint64_t count, pa_call *call) {
 *       struct arrays *a = ctx;
 *       for (uint64_t i = first; i < first + count; i++) a->out[i] = a->in[i] * a->in[i];   // the compiler vectorises this
 *       return 0;
 *     }
 *     pa_map_range(square, &arrays, n, NULL, &result, &error);
 */
PA_EXPORT pa_status pa_map_range(pa_range_fn fn, void *ctx, uint64_t n, const pa_options *options, pa_result **result,
                                 pa_error *error);

/* Like pa_map, for inputs that a source delivers. The indices are the order in which they were delivered.
 * Errors: as pa_map, and PA_STATUS_SOURCE (with *result set) when source->next failed.
 *   source  copied. */
PA_EXPORT pa_status pa_map_source(pa_fn fn, void *ctx, const pa_source *source, const pa_options *options, pa_result **result,
                                  pa_error *error);

/* Like pa_map_source, for a batch function. */
PA_EXPORT pa_status pa_map_batch_source(pa_batch_fn fn, void *ctx, const pa_source *source, const pa_options *options,
                                        pa_result **result, pa_error *error);

/* A map that runs in the background. */
typedef struct pa_pending pa_pending;

/* Starts what pa_map does, and returns at once. items, ctx and everything else must stay valid until the run has ended.
 * on_progress and on_result are called on one thread of libpa.
 *   pending  receives the handle; free it with pa_pending_free.
 * Errors: PA_STATUS_INVALID, PA_STATUS_NO_MEMORY, PA_STATUS_SYSTEM (no thread could be made), with *pending = NULL. */
PA_EXPORT pa_status pa_map_start(pa_fn fn, void *ctx, void *const *items, uint64_t n, const pa_options *options,
                                 pa_pending **pending, pa_error *error);

/* Waits until the run has ended.
 *   timeout_ns  -1: for as long as it takes; 0: only looks.
 * Returns PA_STATUS_OK, or PA_STATUS_TIMEOUT while it is still running. */
PA_EXPORT pa_status pa_pending_wait(pa_pending *pending, int64_t timeout_ns, pa_error *error);

/* Hands out the result and the status of a run that has ended, once.
 * Returns what pa_map would have returned, with *result set as it says; PA_STATUS_AGAIN while the run goes on;
 * PA_STATUS_DONE when the result was taken before. */
PA_EXPORT pa_status pa_pending_take(pa_pending *pending, pa_result **result, pa_error *error);

/* Frees the handle. A run that is still going is stopped first, and the calls in progress are waited for (not with detach);
 * a result that was not taken is freed. Not from within the run's own callbacks. */
PA_EXPORT void pa_pending_free(pa_pending *pending);

/* ------------------------------------------------------------------ results */

/* How many entries there are: one for each input, those that were not done included. For a source: one for each input
 * delivered, and if the run ended early at least size_hint. */
PA_EXPORT uint64_t pa_result_count(const pa_result *result);

/* Why the run ended: PA_END_*. */
PA_EXPORT int32_t pa_result_end(const pa_result *result);

/* Returns 1 if the run completed and no item failed, else 0: what ended early is never ok. */
PA_EXPORT int32_t pa_result_ok(const pa_result *result);

/* How many items have a state other than PA_ITEM_OK: those that failed, and those that were not done. */
PA_EXPORT uint64_t pa_result_failed(const pa_result *result);

/* Fills *outcome with what became of item `index`. Its message and key are borrowed until pa_result_free.
 * Errors: PA_STATUS_INVALID for an index that is not below pa_result_count, or a NULL argument. */
PA_EXPORT pa_status pa_result_at(const pa_result *result, uint64_t index, pa_outcome *outcome, pa_error *error);

/* The value of item `index`, borrowed until pa_result_free; NULL if it failed, was taken, or there is no such item. */
PA_EXPORT void *pa_result_value(const pa_result *result, uint64_t index);

/* Hands the value of item `index` over to you; from then on its value is NULL, and it will not be released. *value becomes NULL
 * for an item that has none.
 *   value  the address of a `void *`: that of another pointer type must not be cast to it.
 * Threads: not while another thread uses this item.
 * Errors: PA_STATUS_INVALID for an index that is out of range; with worker processes PA_STATUS_NO_MEMORY, and the value stays. */
PA_EXPORT pa_status pa_result_take(pa_result *result, uint64_t index, void **value, pa_error *error);

/* Walks over the items that have a state other than PA_ITEM_OK, in index order.
 *   cursor  set it to 0 before the first call; it is moved on.
 * Returns PA_STATUS_OK with *outcome filled (borrowed as in pa_result_at), or PA_STATUS_DONE. */
PA_EXPORT pa_status pa_result_next_failure(const pa_result *result, uint64_t *cursor, pa_outcome *outcome, pa_error *error);

/* Turns a result into one status: PA_STATUS_OK if pa_result_ok; PA_STATUS_TIMED_OUT, PA_STATUS_ABORTED or
 * PA_STATUS_CANCELLED if the run ended early; what pa_map returned if it failed; PA_STATUS_ITEMS_FAILED if items failed,
 * with a message such as "2 of 10 items failed; the first, index 3: not 200 (code 404)", which holds the beginning of the item's
 * own; error.detail is its code. */
PA_EXPORT pa_status pa_result_check(const pa_result *result, pa_error *error);

/* For pa_map_batch and pa_map_batch_source: how many items a call was given, the ends of the input aside. With an automatic
 * size it is what libpa settled on, or the largest it had tried when the input ended: a good value for
 * options.batch.max_items. 0 for other maps. */
PA_EXPORT uint64_t pa_result_batch_size(const pa_result *result);

/* Frees a result, and releases the values that were not taken. Not from within the run's own callbacks. */
PA_EXPORT void pa_result_free(pa_result *result);

/* ------------------------------------------------------------------ streams */

/* A run whose outcomes are handed out one by one, in constant memory: for inputs without end, results that do not fit, or work
 * on results while others are still being made.
 *
 *     pa_iter *iter;
 *     pa_outcome outcome;
 *     if (pa_iter_open(parse, NULL, &lines, &options, &iter, &error)) die(error.message);
 *     while ((status = pa_iter_next(iter, &outcome, &error)) == PA_STATUS_OK)
 *       if (outcome.state == PA_ITEM_OK) write_row(outcome.value);       // the value is yours now: free it
 *       else printf("%llu: %s\n", (unsigned long long)outcome.index, outcome.message);
 *     if (status < 0) die(error.message);
 *     pa_iter_close(iter);
 *
 * All options hold, with these meanings. window: items that are admitted and not yet handed out, at most; what the last call
 * handed out counts until the next call. 0 is automatic: as many items as each worker runs in about 5 ms, at least 16 for each
 * (or two batches of batch.max_items), at most 262144. ordered: in order of the inputs, where an item that takes long holds up
 * those behind it, and when the window is full the source, too.
 * timeout_ns: from pa_iter_open on. max_errors: the stream ends with the failure that reaches it. on_result, then on_progress:
 * in pa_iter_next, before it hands an item out; total is the source's size_hint, or the number admitted so far. After an early
 * end what is done, or running and waited for, is still handed out; what never ran gets no outcome. release_value is called
 * for values that were never handed out. Outcomes of items that take less than about 300 us come in bunches, up to about 1 ms
 * after they were done; those of longer ones at once.
 * Threads: pa_iter_* calls on one iter must not overlap; any thread may make them. Items run on threads of libpa, not on the
 * one that waits in pa_iter_next (but with PA_EXECUTOR_INLINE only there). */
typedef struct pa_iter pa_iter;

/* Checks all arguments, and starts. The source is pulled from now on, a window ahead of pa_iter_next.
 *   source, options  copied.
 *   iter             receives the stream; close it with pa_iter_close.
 * Errors: PA_STATUS_INVALID, PA_STATUS_NO_MEMORY, PA_STATUS_SYSTEM with *iter = NULL; the source is then still yours.
 * In C and C++ this is also a macro of the same meaning, as pa_map is. */
PA_EXPORT pa_status pa_iter_open(pa_fn fn, void *ctx, const pa_source *source, const pa_options *options, pa_iter **iter,
                                 pa_error *error);

/* Like pa_iter_open, for a function that takes several items in one call; options.batch says how many. */
PA_EXPORT pa_status pa_iter_open_batch(pa_batch_fn fn, void *ctx, const pa_source *source, const pa_options *options,
                                       pa_iter **iter, pa_error *error);

/* Hands out the next outcome; waits for it.
 *   outcome  its value belongs to you; its message and key are borrowed until the next call.
 * Returns PA_STATUS_OK; PA_STATUS_DONE when the stream is over (pa_iter_end says why).
 * Errors: what ended the stream with PA_END_FAILED (PA_STATUS_SOURCE, _KEY, _CALLBACK, _WORKER_START, _NO_MEMORY), once all
 * that was done is handed out; and again at each later call. */
PA_EXPORT pa_status pa_iter_next(pa_iter *iter, pa_outcome *outcome, pa_error *error);

/* Like pa_iter_next, but waits no longer than timeout_ns (-1: for as long as it takes; 0: only looks).
 * Returns PA_STATUS_TIMEOUT if nothing came; the stream goes on. */
PA_EXPORT pa_status pa_iter_next_timeout(pa_iter *iter, int64_t timeout_ns, pa_outcome *outcome, pa_error *error);

/* Hands out several outcomes at once: those of the indices first->index, first->index + 1, ... that all succeeded in the same
 * lease; a failed item comes alone. For short items it is several times as fast as pa_iter_next.
 *   first   what became of the first; attempts and duration_ns are those of each. first->value is values[0].
 *   values  receives an array of *count values, borrowed until the next call; the values belong to you. An item that failed
 *           has NULL there.
 * Returns and errors: as pa_iter_next. With options.item_key only one outcome comes at a time. */
PA_EXPORT pa_status pa_iter_next_many(pa_iter *iter, pa_outcome *first, void ***values, size_t *count, pa_error *error);

/* After pa_iter_next has said that the stream is over: hands out, one by one and in no order, what became of the inputs that it
 * did not hand out because the run ended early. Those that were done are as they are, and their values yours; no callback was told
 * of them. The others were not done: PA_ITEM_TIMED_OUT, PA_ITEM_ABORTED or PA_ITEM_CANCELLED, with the attempts that were started, and
 * code and message of the last, if any. So each input that was pulled has one outcome. The first call waits for the calls that are
 * running, as pa_iter_close does. For who need not know there is pa_iter_close.
 *   outcome  as in pa_iter_next; borrowed until the next call of pa_iter_drain.
 * Returns PA_STATUS_OK; PA_STATUS_DONE when there are no more. Errors: PA_STATUS_INVALID if the stream is not over. */
PA_EXPORT pa_status pa_iter_drain(pa_iter *iter, pa_outcome *outcome, pa_error *error);

/* A descriptor for poll, epoll and the like: readable when pa_iter_next would not wait. It is made by the first call and belongs
 * to the stream: do not read or close it. After it was readable, call pa_iter_next_timeout(iter, 0, ...) until it returns
 * PA_STATUS_TIMEOUT; before that it need not become readable again.
 * Returns the descriptor, or a negative pa_status (PA_STATUS_SYSTEM). */
PA_EXPORT int32_t pa_iter_fd(pa_iter *iter, pa_error *error);

/* Why the stream ended: PA_END_*; PA_END_NONE until pa_iter_next has said that it is over. */
PA_EXPORT int32_t pa_iter_end(const pa_iter *iter);

/* As pa_result_batch_size, so far. */
PA_EXPORT uint64_t pa_iter_batch_size(const pa_iter *iter);

/* Ends the stream at any moment: what is queued never starts, the source is not touched again, values that were not handed out
 * are released. Waits for the calls that are running; with options.detach it returns at once, and on_quiescent says when they
 * are over. Not from within the run's own callbacks. */
PA_EXPORT void pa_iter_close(pa_iter *iter);

/* ------------------------------------------------------------------ the library as a whole */

/* Waits for work that was detached, ends the idle threads of the pool, and gives cached memory back: to be called before
 * dlclose, or to leave no thread behind. Runs may be started again afterwards.
 *   timeout_ns  -1: for as long as it takes.
 * Returns PA_STATUS_OK, or PA_STATUS_TIMEOUT while detached calls are still running.
 * Threads: not from within a callback. */
PA_EXPORT pa_status pa_drain(int64_t timeout_ns, pa_error *error);

#ifdef __cplusplus
}
#endif

#include "api.h" /* for dlopen */
#include "job.h" /* the pull interface: your threads, or your event loop, run the items */
#include "process.h" /* worker processes */

#endif
