/* The pull interface: a job decides which item may run when; your threads, coroutines or event loop run it. <pa/pa.h> includes
 * this.
 *
 * A job knows only indices. It has the whole policy of pa_map (window, limiter, retries, timeout, stop, max_errors, order), and
 * calls nothing: what an index means, where its input and its value lie, and who runs it is yours. Nothing here blocks.
 *
 *     pa_lease lease = {0};                                       // one for each taker: that is, for each call at a time
 *     for (;;) {
 *       pa_status status = pa_job_complete_and_take(job, &lease);           // all of the last one succeeded, but for what failed
 *       wake(lease.wake);
 *       if (status == PA_STATUS_DONE) break;
 *       if (status == PA_STATUS_AGAIN) { wait(lease.wait_ns); continue; }   // until woken, or for so long
 *       if (status == PA_STATUS_PULL) {                                     // fetch up to lease.count inputs
 *         got = read_inputs(lease.first, lease.count);
 *         pa_job_supply(job, &lease, got, got == 0);
 *         wake(lease.wake);
 *         continue;
 *       }
 *       for (i = lease.first, end = i + lease.count; i < end; i++) {
 *         if ((code = run(i)) == 0) continue;
 *         status = pa_job_fail(job, &lease, i, 0, -1, code, NULL);
 *         wake(lease.wake);
 *         if (status != PA_STATUS_STOPPED) continue;
 *         pa_job_complete(job, &lease, 0);                                  // the job has ended: the rest goes back unrun
 *         wake(lease.wake);
 *         break;
 *       }
 *     }
 *
 * WORDS
 *   taker     whoever takes leases: one call at a time. Any number of takers, on any threads. A pa_lease that is zeroed
 *             once and then reused is the taker's identity; it may move between threads, and its address must not change while
 *             it holds a lease or is parked.
 *   lease     consecutive indices that a taker is to run now, in order
 *   parked    a taker that was told PA_STATUS_AGAIN, and has not called again
 *   consumer  of a stream: whoever calls pa_job_next; one call at a time
 *
 * Waking     Calls that can let others go on say so: `wake` in the lease, chunk or progress is how many parked takers may find
 *            something to do now, UINT32_MAX for all; `wake_consumer` is 1 if the consumer may. Wake them after the call: it
 *            need not be at once, but if it is forgotten, work waits beside idle takers. Events from outside (a stop request, a
 *            limiter that changes, pa_job_stop, pa_job_close) come by pa_job_fd or pa_job_notify; then wake all.
 * Lifetime   A taker holds a reference to the job from its first pa_job_take until that says PA_STATUS_DONE or pa_job_leave is called;
 *            so a call that comes late, after pa_job_close or pa_job_free, is harmless.
 * Threads    All functions may be called from any thread at any time, but for one lease, one consumer, and pa_job_free, which
 *            must not overlap with others that do not hold a lease.
 */
#ifndef PA_JOB_H
#define PA_JOB_H

/* Laid out by hand. */
/* clang-format off */

#ifndef PA_PA_H
#error "include <pa/pa.h>"
#endif

#ifdef __cplusplus
extern "C" {
#endif

typedef struct pa_job pa_job;

/* pa_job_open */
#define PA_JOB_STREAM 1 /* what is done goes to a consumer, by pa_job_next; the window counts what he has not come back from */
#define PA_JOB_PULL 2   /* inputs have to be fetched: pa_job_take says PA_STATUS_PULL. `count` is a hint. Implied by PA_UNSIZED */
#define PA_JOB_PUSH 4   /* inputs are brought by pa_job_admit, when they come; `count` is a hint */
#define PA_JOB_BATCH 8  /* a lease is one call: it costs rate_cost tokens, is not divided, and all its items take as long as it */

/* pa_job_fail */
#define PA_FAIL_FINAL 1     /* do not retry */
#define PA_FAIL_TIMED_OUT 2 /* the attempt took too long: when no attempt is left, the item is PA_ITEM_TIMED_OUT */
#define PA_FAIL_STOPPED 4   /* the call gave up because the job has ended: the item is not done; before the end, a failure */

/* A taker, and what it holds. Zero it once. Its layout is frozen. */
typedef struct pa_lease {
  uint64_t first;          /* the indices first ... first + count - 1 */
  uint64_t count;
  uint64_t cookie;         /* what you gave for these indices to pa_job_supply or pa_job_admit; 0 where inputs are not fetched */
  uint32_t attempt;        /* which attempt at these items this is; the first is 1 */
  uint32_t wake;           /* so many parked takers may find something to do now */
  uint32_t wake_consumer;  /* 1: so may the consumer */
  uint32_t reserved0;
  int64_t wait_ns;         /* with PA_STATUS_AGAIN: come back after so long at the latest; -1: when woken */
  uint64_t reserved[26];   /* libpa's own */
} pa_lease;

/* Consecutive items of a stream with one outcome, or items that were not done. Its layout is frozen. */
typedef struct pa_chunk {
  uint64_t first;
  uint64_t count;
  uint64_t cookie;
  int32_t state;           /* PA_ITEM_*, of all of them; those that failed come one by one */
  int32_t code;            /* what pa_job_fail was given last, or 0 */
  const char *message;     /* likewise; "" if nothing. Borrowed until the next call of pa_job_next or pa_job_drain */
  uint32_t attempts;       /* that were started */
  uint32_t wake;           /* as in pa_lease */
  int64_t duration_ns;     /* of each, from the start of its first attempt; items of a lease share their average */
  int64_t wait_ns;         /* with PA_STATUS_AGAIN: as in pa_lease */
  uint64_t reserved[4];
} pa_chunk;

/* How far a job is. Its layout is frozen. */
typedef struct pa_progress {
  uint64_t admitted;       /* inputs */
  uint64_t done;           /* of these, those that succeeded or failed for good */
  uint64_t failed;         /* of these, those that failed */
  int32_t end;             /* PA_END_* */
  uint32_t wake;           /* as in pa_lease */
  uint32_t wake_consumer;
  uint32_t reserved0;
  int64_t wait_ns;         /* when time alone may change something: call pa_job_poll by then; -1: never */
  uint64_t reserved[4];
} pa_progress;

/* Told that something happened; see pa_job_notify. */
typedef void (*pa_notify_fn)(void *ctx);

/* Makes a job.
 *   options  what holds: workers (leases at a time; takers beyond that wait), window, batch_size, batch (max_items: the size of a
 *            lease), limiter, rate, rate_cost, retry (but retry_if), timeout_ns (from now on), max_errors, stop, ordered. What
 *            asks libpa to call something, or to watch a call, must have its default. NULL: all defaults.
 *   count    how many inputs there are, or PA_UNSIZED
 *   flags    PA_JOB_*, or 0: the indices 0 ... count-1, and nothing but their scheduling
 *   job      receives the job; pa_job_free drops it
 * Errors: PA_STATUS_INVALID, PA_STATUS_NO_MEMORY. */
PA_EXPORT pa_status pa_job_open(const pa_options *options, uint64_t count, uint32_t flags, pa_job **job, pa_error *error);

/* Asks for work. A taker that still holds a lease gets what is left of it.
 * Returns PA_STATUS_OK: run the indices of the lease, in order, then settle them (step, fail, complete);
 * PA_STATUS_PULL: fetch up to lease->count inputs (they will be the indices from lease->first on), then pa_job_supply;
 * PA_STATUS_AGAIN: nothing now; the taker is parked until it calls again, when woken or after lease->wait_ns;
 * PA_STATUS_DONE: nothing ever again. Errors: PA_STATUS_FORKED. */
PA_EXPORT pa_status pa_job_take(pa_job *job, pa_lease *lease);

/* Answers PA_STATUS_PULL, and asks for work again. Only one taker pulls at a time.
 *   lease->cookie  set it first, to whatever helps you to find these inputs again: it comes back with each lease and chunk that is
 *                  cut from them, and none spans two supplies (but supplies with the same cookie may be joined)
 *   got            so many inputs, at most lease->count
 *   end            1: there are no more after these. A source that failed: pa_job_stop, then got = 0, end = 1
 * Returns what pa_job_take returns; or PA_STATUS_STOPPED: the job was closed meanwhile, the inputs are not part of it. */
PA_EXPORT pa_status pa_job_supply(pa_job *job, pa_lease *lease, uint64_t got, int32_t end);

/* The first `done` of the lease succeeded, and I go on: for long leases, so that others see progress, a stop or a pause takes
 * effect. lease->first and count move on.
 * Returns PA_STATUS_OK, or PA_STATUS_STOPPED: the lease is over, the rest went back; take again. */
PA_EXPORT pa_status pa_job_step(pa_job *job, pa_lease *lease, uint64_t done);

/* The items of the lease before `index` succeeded, and `index` failed. The lease goes on behind it.
 *   flags           PA_FAIL_*, or 0
 *   retry_after_ns  what the server asked for, as in pa_call_retry_after; -1: nothing
 *   code, message   as in pa_call_fail. The message is copied; may be NULL
 * Returns PA_STATUS_FINAL, PA_STATUS_RETRY, or PA_STATUS_STOPPED: attempts were left, but the job has ended, so the item is not
 * done; if lease->count is 0 then, the lease is over. */
PA_EXPORT pa_status pa_job_fail(pa_job *job, pa_lease *lease, uint64_t index, uint32_t flags, int64_t retry_after_ns, int32_t code,
                                const char *message);

/* The first `done` of what is left of the lease succeeded; the rest goes back as if it had never been taken. The lease is over.
 * Returns PA_STATUS_OK, or PA_STATUS_STOPPED: the job was closed, and what the lease held is not done. */
PA_EXPORT pa_status pa_job_complete(pa_job *job, pa_lease *lease, uint64_t done);

/* pa_job_complete for all that is left of the lease, if the taker holds one, and then pa_job_take: the way to go on, and the
 * quicker one. Counts of whom to wake are those of both. A lease whose rest was not run must be given back first, by
 * pa_job_complete(job, lease, 0): it would count as done.
 * Returns what pa_job_take returns, with the same errors; PA_STATUS_DONE also if the job was closed: what the lease held is then not
 * done, and is drained. */
PA_EXPORT pa_status pa_job_complete_and_take(pa_job *job, pa_lease *lease);

/* The taker will not come back: what it holds goes back, and if it was parked, somebody else must be woken in its place. The lease
 * may then be zeroed or freed. For a taker that has died, anybody may call it. */
PA_EXPORT pa_status pa_job_leave(pa_job *job, pa_lease *lease);

/* Hands the consumer of a stream what is done; the room of the chunk before is free from now on.
 * Returns PA_STATUS_OK; PA_STATUS_AGAIN: nothing yet, come back when wake_consumer was set or after chunk->wait_ns; PA_STATUS_DONE:
 * the stream is over. */
PA_EXPORT pa_status pa_job_next(pa_job *job, pa_chunk *chunk);

/* PA_JOB_PUSH: how many inputs may be admitted now; 0 when the window is full, or the job has ended. */
PA_EXPORT uint64_t pa_job_room(pa_job *job);

/* PA_JOB_PUSH: `got` more inputs are there, with this cookie. More than pa_job_room is accepted: the window is then exceeded.
 *   progress  not NULL; says whom to wake
 * Returns PA_STATUS_OK; PA_STATUS_STOPPED: the job has ended, they are not part of it. Errors: PA_STATUS_NO_MEMORY. */
PA_EXPORT pa_status pa_job_admit(pa_job *job, uint64_t got, uint64_t cookie, pa_progress *progress);

/* PA_JOB_PUSH: there will be no more inputs. */
PA_EXPORT pa_status pa_job_end_input(pa_job *job, pa_progress *progress);

/* Lets the timeout and the stop take effect, and says how far the job is. Call it when no taker is parked, by wait_ns, and after
 * pa_job_fd was readable, which it resets. */
PA_EXPORT pa_status pa_job_poll(pa_job *job, pa_progress *progress);

/* Says how far the job is, and changes nothing. */
PA_EXPORT pa_status pa_job_progress(pa_job *job, pa_progress *progress);

/* From now on `notify` is called after each event from outside, on a thread of libpa, never twice at a time, and never inside
 * pa_stop_request. Several events may share a call; one that came before and was not polled for is told, too. NULL: no more;
 * returns when no call is under way. Not from within notify.
 * Errors: PA_STATUS_INVALID, PA_STATUS_SYSTEM, PA_STATUS_NO_MEMORY. */
PA_EXPORT pa_status pa_job_notify(pa_job *job, pa_notify_fn notify, void *ctx, pa_error *error);

/* A descriptor for poll, epoll and the like: readable after an event from outside, until pa_job_poll. It belongs to the job: do not
 * read or close it. Returns it, or a negative pa_status. */
PA_EXPORT int32_t pa_job_fd(pa_job *job, pa_error *error);

/* Ends the job with PA_END_CANCELLED, unless it has ended. What is leased may still be settled. */
PA_EXPORT pa_status pa_job_stop(pa_job *job);

/* After the end: hands out, bit by bit, the indices that were not done: state, attempts, and the last error where there was one.
 * For a stream: once pa_job_next has said PA_STATUS_DONE; what it did not hand out comes here, items that were done as what they
 * are (PA_ITEM_OK, ...). Jobs of a known count without PA_JOB_STREAM name every index up to it, also those that were never taken.
 * Returns PA_STATUS_OK; PA_STATUS_AGAIN while leases are out that may still be settled; PA_STATUS_DONE when each index is
 * accounted for. */
PA_EXPORT pa_status pa_job_drain(pa_job *job, pa_chunk *chunk);

/* Why the job ended: PA_END_*; PA_END_NONE while it goes on. */
PA_EXPORT int32_t pa_job_end(const pa_job *job);

/* Ends the job as pa_job_stop does, and takes back what takers hold: they are told PA_STATUS_STOPPED when they settle it, and the
 * indices come out of pa_job_drain. The consumer will not come back. */
PA_EXPORT pa_status pa_job_close(pa_job *job);

/* Drops your reference; closes the job if need be, and waits for a call of notify that is under way. NULL is ignored. Not from
 * within notify. */
PA_EXPORT void pa_job_free(pa_job *job);

#ifdef __cplusplus
}
#endif

#endif
