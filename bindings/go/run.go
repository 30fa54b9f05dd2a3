package pa

import (
	"context"
	"errors"
	"math"
	"sync"
	"sync/atomic"
	"time"

	"example.com/libpa/pa/internal/palow"
)

// Statuses as libpa returns them.
const (
	statusOK          = int32(palow.PA_STATUS_OK)
	statusDone        = int32(palow.PA_STATUS_DONE)
	statusAgain       = int32(palow.PA_STATUS_AGAIN)
	statusPull        = int32(palow.PA_STATUS_PULL)
	statusRetry       = int32(palow.PA_STATUS_RETRY)
	statusFinal       = int32(palow.PA_STATUS_FINAL)
	statusStopped     = int32(palow.PA_STATUS_STOPPED)
	statusInvalid     = int32(palow.PA_STATUS_INVALID)
	statusWorkerStart = int32(palow.PA_STATUS_WORKER_START)
)

const unsized = math.MaxUint64 // PA_UNSIZED

// lowError is the error that libpa filled in.
func lowError(e *palow.Error) error {
	size := 0
	for size < len(e.Message) && e.Message[size] != 0 {
		size++
	}
	message := string(e.Message[:size])
	if e.Status == statusInvalid {
		return &InvalidError{message}
	}
	return errors.New("pa: " + message)
}

// An engine is what schedules the items of a run.
type engine interface {
	stop()
	// poll lets take effect what happened outside, and says how far the run is.
	poll(*palow.Progress)
	end() End
	// drain hands out, bit by bit, what was not done.
	drain(*palow.Chunk) (status int32)
	free()
}

// A job is one whose leases goroutines take.
type job uintptr

func (j job) stop()                         { palow.Pa_job_stop(uintptr(j)) }
func (j job) poll(progress *palow.Progress) { palow.Pa_job_poll(uintptr(j), progress) }
func (j job) end() End                      { return End(palow.Pa_job_end(uintptr(j))) }
func (j job) drain(c *palow.Chunk) int32    { return palow.Pa_job_drain(uintptr(j), c) }
func (j job) free() {
	palow.Pa_job_free(uintptr(j))
	palow.Closed()
}

// A run is a job of libpa, and those who work on it: everything about a call that does not depend on the types of items and values.
//
// libpa decides what runs when. Takers are goroutines that ask it for leases; the consumer is the goroutine that called, where what is
// done goes to it one by one. Both park in a lot of their own.
type run struct {
	*config
	engine engine
	job    uintptr // of an engine that is one
	memory *jobMemory
	takers lot
	waiter lot // the consumer's

	parent   context.Context // the caller's
	ctx      context.Context // of the calls
	cancel   context.CancelCauseFunc
	stopwork []func() // what must be undone when it is over

	over     atomic.Bool   // it has ended early: who runs a long lease looks at it
	settled  atomic.Uint64 // shows the race detector what libpa's mutex does: what was settled happened before it is handed out
	failures failures
	crew     sync.WaitGroup

	attending sync.Mutex
	closed    bool
	failure   error // of the caller's code, that ended the run
	stopped   bool  // because of it
}

// What libpa reads and writes.
type jobMemory struct {
	options  palow.Options
	err      palow.Error
	job      uintptr
	progress palow.Progress
	chunk    palow.Chunk
}

// newRun reckons with the deadline of the context.
func newRun(ctx context.Context, c *config) *run {
	r := &run{config: c, parent: ctx, memory: palow.Alloc[jobMemory]()}
	r.memory.options = c.low
	options := &r.memory.options
	if deadline, has := ctx.Deadline(); has && options.TimeoutNs >= -1 {
		if left := max(int64(time.Until(deadline)), 0); options.TimeoutNs < 0 || left < options.TimeoutNs {
			options.TimeoutNs = left
		}
	}
	return r
}

func open(ctx context.Context, c *config, count uint64, flags int) (*run, error) {
	r := newRun(ctx, c)
	options := &r.memory.options
	if c.inline {
		// One chunk is finished before the next is admitted, retries included: that is input order.
		options.Workers, options.BatchSize = 1, inlineChunk(options, flags)
	}
	if palow.Pa_job_open(options, count, uint32(flags), &r.memory.job, &r.memory.err) != statusOK {
		defer palow.Free(r.memory)
		return nil, lowError(&r.memory.err)
	}
	palow.Opened()
	r.job, r.engine = r.memory.job, job(r.memory.job)
	r.watch()
	return r, nil
}

func inlineChunk(options *palow.Options, flags int) uint64 {
	const enough = 64 // for a batch of automatic size
	switch {
	case flags&palow.PA_JOB_BATCH == 0:
		return 1
	case options.Batch.MaxItems != 0:
		return options.Batch.MaxItems
	case options.BatchSize != 0:
		return min(options.BatchSize, enough)
	}
	return enough
}

// watch makes the context of the calls, and sees to it that what happens outside is noticed.
func (r *run) watch() {
	base := r.parent
	if timeout := r.low.TimeoutNs; timeout >= 0 {
		// libpa's deadline was set before: when this one passes, that one has.
		var release context.CancelFunc
		base, release = context.WithDeadlineCause(base, time.Now().Add(time.Duration(timeout)), ErrTimedOut)
		r.stopwork = append(r.stopwork, release)
	}
	r.ctx, r.cancel = context.WithCancelCause(base)
	if base.Err() != nil {
		r.attend()
	} else if base.Done() != nil {
		forget := context.AfterFunc(base, r.attend)
		r.stopwork = append(r.stopwork, func() { forget() })
	}
	if r.stop != nil {
		r.stopwork = append(r.stopwork, r.stop.listeners.add(r.attend))
	}
	if r.limiter != nil {
		r.stopwork = append(r.stopwork, r.limiter.listeners.add(r.attend))
	}
}

func (r *run) unwatch() {
	r.attending.Lock()
	r.closed = true
	r.attending.Unlock()
	for _, undo := range r.stopwork {
		undo()
	}
	r.cancel(nil)
}

// attend lets take effect what happened outside: a context that is done, a stop, a limiter that changed.
func (r *run) attend() {
	r.attending.Lock()
	defer r.attending.Unlock()
	if r.closed {
		return
	}
	err := r.parent.Err()
	deadline, hasDeadline := r.parent.Deadline()
	const near = time.Second // what clocks may differ by
	expired := hasDeadline && errors.Is(err, context.DeadlineExceeded) && time.Until(deadline) < near
	if err != nil && !expired {
		r.engine.stop()
	}
	progress := &r.memory.progress
	r.engine.poll(progress)
	for expired && progress.End == int32(palow.PA_END_NONE) {
		// The job was opened a moment after its time was reckoned, so its deadline is a moment later.
		time.Sleep(min(time.Duration(max(progress.WaitNs, 0)), time.Millisecond))
		r.engine.poll(progress)
	}
	r.noteEnd(End(progress.End))
	r.takers.wake(everybody)
	r.waiter.wake(1)
}

// noteEnd tells the calls that are running.
func (r *run) noteEnd(end End) {
	if end > EndCompleted && !r.over.Swap(true) {
		r.cancel(endCause(end))
	}
}

// isOver looks whether the run has ended early. A context that is done says so at once, while the goroutine that would tell libpa
// may wait for a processor.
func (r *run) isOver() bool {
	select {
	case <-r.ctx.Done():
		if !r.over.Load() {
			r.attend()
		}
		return true
	default:
		return false
	}
}

// endCause is the error of an end.
func endCause(end End) error {
	switch end {
	case EndTimedOut:
		return ErrTimedOut
	case EndAborted:
		return ErrAborted
	}
	return ErrCancelled
}

// fail ends the run because code of the caller failed: what says which.
func (r *run) fail(what, err error) {
	r.attending.Lock()
	defer r.attending.Unlock()
	if r.failure != nil {
		return
	}
	r.failure = &because{what, err}
	if r.engine.end() == EndNone {
		r.engine.stop()
		r.stopped = true
	}
	if !r.over.Swap(true) {
		r.cancel(r.failure)
	}
	r.takers.wake(everybody)
	r.waiter.wake(1)
}

// failToPull is fail for an error of the source, or of the key function.
func (r *run) failToPull(err error) {
	if key, isKey := err.(keyError); isKey {
		r.fail(ErrKey, key.error)
	} else {
		r.fail(ErrSource, err)
	}
}

// A keyError is what a key function failed with.
type keyError struct{ error }

// A because is an error of this package, and the one behind it.
type because struct{ what, err error }

func (e *because) Error() string   { return e.what.Error() + ": " + e.err.Error() }
func (e *because) Unwrap() []error { return []error{e.what, e.err} }

// ending says why the run ended, and the cause if it ended early.
func (r *run) ending() (End, error) {
	r.attending.Lock()
	defer r.attending.Unlock()
	end := r.engine.end()
	if r.failure != nil && (end == EndFailed || end == EndCompleted || end == EndCancelled && r.stopped) {
		return EndFailed, r.failure
	}
	if end == EndCompleted {
		return end, nil
	}
	cause := endCause(end)
	if outside := context.Cause(r.parent); outside != nil && end != EndAborted {
		cause = &because{cause, outside}
	}
	if r.failure != nil {
		cause = errors.Join(cause, r.failure)
	}
	return end, cause
}

// stateOf is the state of an item that libpa drained: it does not know of EndFailed.
func stateOf(low int32, end End) State {
	if end == EndFailed && State(low) == Cancelled {
		return Aborted
	}
	return State(low)
}

// notDoneError is the error of an item in such a state.
func (r *run) notDoneError(state State, last error) error {
	switch state {
	case TimedOut:
		return &notDone{ErrTimedOut, last}
	case Aborted:
		if end, cause := r.ending(); end == EndFailed {
			return &notDone{cause, last}
		}
		return &notDone{ErrAborted, last}
	}
	return &notDone{ErrCancelled, last}
}

// hire starts so many takers. records: there is no consumer, so that they must note what they did.
func (r *run) hire(count int, w work, records bool) *crew {
	c := &crew{leases: palow.AllocLeases(count), takers: make([]taker, count)}
	for i := range c.takers {
		t := &c.takers[i]
		t.run, t.work, t.lease, t.block, t.records = r, w, &c.leases[i], 1, records
		t.call.Context, t.ctx = r.ctx, &t.call
	}
	if !r.inline {
		r.crew.Add(count)
		for i := range c.takers {
			go c.takers[i].serve()
		}
	}
	return c
}

// A crew is all takers of a run.
type crew struct {
	leases []palow.Lease
	takers []taker
}

// next waits for what is done next. False: the stream is over.
func (r *run) next(s *sleeper) bool {
	chunk := &r.memory.chunk
	for {
		seen := r.waiter.epoch.Load()
		status := palow.Pa_job_next(r.job, chunk)
		r.takers.wake(chunk.Wake)
		switch status {
		case statusOK:
			r.settled.Load()
			return true
		case statusAgain:
			if r.detach && r.over.Load() {
				palow.Pa_job_close(r.job) // and so takes back what is running
				return false
			}
			r.waiter.park(s, seen, chunk.WaitNs)
		default:
			return false
		}
	}
}

// nextInline is next where the consumer is the one taker as well.
func (r *run) nextInline(t *taker) bool {
	chunk := &r.memory.chunk
	for {
		if palow.Pa_job_next(r.job, chunk) == statusOK {
			return true
		}
		seen := r.takers.epoch.Load()
		t.looked = 0
		switch status := t.turn(); status {
		case statusAgain:
			r.takers.park(&t.sleeper, seen, t.lease.WaitNs)
		case statusDone:
			return palow.Pa_job_next(r.job, chunk) == statusOK
		}
	}
}

// dismiss gives back what the run holds, once its takers have gone.
func (r *run) dismiss(c *crew) {
	r.unwatch()
	if c != nil {
		palow.FreeLeases(c.leases)
	}
	r.engine.free()
	palow.Free(r.memory)
	if r.onQuiescent != nil {
		r.onQuiescent()
	}
}

// Failures are the errors of items whose fate is not known yet, or that were not handed out.
type failures struct {
	mu  sync.Mutex
	all map[uint64]failedAttempt
}

type failedAttempt struct {
	err      error
	since    int64 // when the first attempt started
	attempts int   // of an item that a worker process ran
	ofCodec  bool  // such an item could not be encoded
}

func (f *failures) put(index uint64, attempt failedAttempt) (before failedAttempt, had bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.all == nil {
		f.all = map[uint64]failedAttempt{}
	}
	before, had = f.all[index]
	if had {
		attempt.since = before.since
	}
	f.all[index] = attempt
	return before, had
}

func (f *failures) take(index uint64) failedAttempt {
	f.mu.Lock()
	defer f.mu.Unlock()
	attempt := f.all[index]
	delete(f.all, index)
	return attempt
}

var epoch = time.Now()

// clock is in nanoseconds, and monotonic.
func clock() int64 { return int64(time.Since(epoch)) }
