package pa

import (
	"context"
	"errors"
	"runtime"
	"time"

	"example.com/libpa/pa/internal/palow"
)

const (
	// Between two readings of the clock, a taker runs about so long: what is stopped meanwhile goes on for that time.
	blockNs = 10_000
	// After so long in one lease, it lets libpa see how far it is, and share out the rest.
	stepNs = 200_000
)

// Work is what takers do, for items and values of some type.
type work interface {
	// run does all of the lease that t holds, from t.next to t.end, and settles it. crashed is not nil if the goroutine that did so
	// before was ended, by runtime.Goexit: then it is the outcome of the item that it was at.
	run(t *taker, crashed *outcome)
	// pull fetches up to most inputs, and says whether these are the last.
	pull(most uint64) (got uint64, end bool, err error)
}

// A taker takes leases, one after the other.
type taker struct {
	*run
	work    work
	lease   *palow.Lease
	sleeper sleeper
	call    call
	ctx     context.Context // of the calls: &call, or what WorkerStart made of it

	next, end uint64 // what is left of the lease
	block     uint64 // items that take about blockNs
	looked    int64  // when the clock was read last; 0: other things than items took time since
	stepped   int64  // when libpa was last told how far it is

	records   bool       // nobody else is told what was done: it is noted here
	done      []doneSpan // what succeeded
	failed    []span     // what did not
	spanFirst uint64     // of the span that is open
	spanSince int64

	answer batchAnswer // of a lease that is one call

	isStarted  bool    // by WorkerStart
	isComplete bool    // all of the lease was run, and libpa was not told yet
	in         stage   // whose code is running
	left       error   // how it was left, if it did not return
	judged     outcome // what was last judged
	refused    bool    // that ended the goroutine, and is not tried again
}

// A stage is which of the caller's functions a taker is in.
type stage int

const (
	inFunction stage = iota
	inKey
	inJudgement // RetryIf, and methods of the error
	inWorkerStart
	inWorkerStop
)

// serve is the life of a taker's goroutine.
func (t *taker) serve() {
	ended := true
	defer func() {
		if ended {
			go t.serve() // another one takes its place
		}
	}()
	if t.left != nil {
		t.resume()
	}
	for t.serveOnce() {
	}
	t.leave()
	t.crew.Done()
	ended = false
}

// serveOnce does one thing. False: there is nothing more to do.
func (t *taker) serveOnce() bool {
	seen := t.takers.epoch.Load()
	switch t.turn() {
	case statusAgain:
		t.looked = 0
		t.takers.park(&t.sleeper, seen, t.lease.WaitNs)
	case statusDone:
		return false
	}
	return true
}

// resume goes on where the goroutine before was ended.
func (t *taker) resume() {
	in, left := t.in, t.left
	t.in, t.left = inFunction, nil
	switch in {
	case inKey:
		t.run.fail(ErrKey, left)
		t.act(t.supply(0, true))
	case inWorkerStart:
		t.refuseToStart(left)
	case inWorkerStop:
		t.run.fail(ErrCallback, left)
	case inJudgement:
		t.refused = true
		t.judged.err = errors.Join(t.judged.err, left)
		t.work.run(t, &t.judged)
	default:
		t.work.run(t, &outcome{err: left})
	}
}

// guard calls a function of the caller's, and returns its panic as an error. If it ends the goroutine, another one takes over.
func (t *taker) guard(in stage, function func() error) error {
	t.in = in
	err := t.catch(function)
	t.in, t.left = inFunction, nil
	return err
}

// catch leaves t.left behind if the goroutine is ended: also where a panic was recovered on the way.
func (t *taker) catch(function func() error) (err error) {
	returned := false
	defer func() {
		if !returned {
			err = crash(recover())
			t.left = err
		}
	}()
	err = function()
	returned = true
	return err
}

// turn asks libpa for work, and does it. It returns statusAgain, statusDone, or another one if something was done.
func (t *taker) turn() int32 {
	var status int32
	if t.isComplete {
		t.isComplete = false
		status = palow.Pa_job_complete_and_take(t.job, t.lease)
	} else {
		status = palow.Pa_job_take(t.job, t.lease)
	}
	t.passOn()
	return t.act(status)
}

func (t *taker) act(status int32) int32 {
	for status == statusPull {
		t.looked = 0
		var got uint64
		var end bool
		if err := t.guard(inKey, func() (err error) {
			got, end, err = t.work.pull(t.lease.Count)
			return err
		}); err != nil {
			t.run.failToPull(err)
			end = true
		}
		if end {
			t.isOver() // it may have ended because of that: then it was cut short, and is not complete
		}
		status = t.supply(got, end)
	}
	switch status {
	case statusOK:
		t.begin()
	case statusDone:
		t.noteEnd(End(palow.Pa_job_end(t.job)))
	}
	return status
}

func (t *taker) supply(got uint64, end bool) int32 {
	last := int32(0)
	if end {
		last = 1
	}
	status := palow.Pa_job_supply(t.job, t.lease, got, last)
	t.passOn()
	return status
}

// passOn wakes those for whom there may be something now.
func (t *taker) passOn() {
	t.takers.wake(t.lease.Wake)
	if t.lease.WakeConsumer != 0 {
		t.waiter.wake(1)
		t.looked = 0
		runtime.Gosched() // where takers keep all processors busy, the consumer would wait until one of them parks
	}
}

// begin runs a lease.
func (t *taker) begin() {
	if !t.isStarted && t.workerStart != nil {
		if err := t.guard(inWorkerStart, t.startWorker); err != nil {
			t.refuseToStart(err)
			return
		}
	}
	t.isStarted = true
	t.next, t.end = t.lease.First, t.lease.First+t.lease.Count
	t.call.attempt = int(t.lease.Attempt)
	if t.looked == 0 { // else the lease before has ended just now
		t.looked = clock()
	}
	t.stepped = t.looked
	t.spanFirst, t.spanSince = t.next, t.looked
	t.work.run(t, nil)
}

func (t *taker) startWorker() error {
	ctx, err := t.workerStart(t.ctx)
	if err == nil && ctx != nil {
		t.ctx = ctx
	}
	return err
}

// refuseToStart gives the lease back.
func (t *taker) refuseToStart(err error) {
	t.run.fail(ErrWorkerStart, err)
	palow.Pa_job_complete(t.job, t.lease, 0)
	t.passOn()
}

// leave is for the end: there will be no more leases.
func (t *taker) leave() {
	if !t.isStarted || t.workerStop == nil {
		return
	}
	t.isStarted = false
	err := t.guard(inWorkerStop, func() error {
		t.workerStop(t.ctx)
		return nil
	})
	if err != nil {
		t.run.fail(ErrCallback, err)
	}
}

// moveOn is called when so many items were run, without one that failed. False: the lease is over.
func (t *taker) moveOn(ran uint64) bool {
	t.next += ran
	now := clock()
	t.fitBlock(ran, now-t.looked)
	t.looked = now
	if t.isOver() {
		t.stepped = 0
	}
	if t.next == t.end || now-t.stepped < stepNs {
		return true
	}
	t.settle()
	status := palow.Pa_job_step(t.job, t.lease, t.next-t.lease.First)
	t.passOn()
	t.stepped = now
	if status != statusOK {
		t.closeSpan(now)
		return false
	}
	t.end = t.lease.First + t.lease.Count // others may have been given some of it
	return true
}

// fitBlock chooses how many items to run between two readings of the clock.
func (t *taker) fitBlock(ran uint64, took int64) {
	switch {
	case took > 2*blockNs:
		t.block = max(1, t.block*blockNs/uint64(took))
	case took < blockNs/2 && ran >= t.block:
		t.block *= 2
	}
}

// settle is for before libpa is told what was done.
func (t *taker) settle() {
	if !t.records {
		t.settled.Add(1)
	}
}

// complete is for when the lease was run to its end.
func (t *taker) complete() {
	t.closeSpan(t.looked)
	t.settle()
	if !t.inline {
		t.isComplete = true // libpa is told when it is asked for the next one, which is at once
		return
	}
	palow.Pa_job_complete(t.job, t.lease, t.lease.Count)
	t.passOn()
}

// An outcome is how an attempt failed.
type outcome struct {
	err      error
	timedOut bool // it outran ItemTimeout
}

// failAt says that the item failed, and those before it succeeded. It returns what libpa says to that; the lease is over when that is
// statusStopped and nothing is left of it.
func (t *taker) failAt(index uint64, o outcome) int32 {
	now := clock()
	t.looked = now
	t.isOver()
	v := t.judge(&o)
	flags := 0
	if v.final {
		flags |= palow.PA_FAIL_FINAL
	}
	if o.timedOut {
		flags |= palow.PA_FAIL_TIMED_OUT
	}
	if v.gaveUp {
		flags |= palow.PA_FAIL_STOPPED
	}
	each := t.closeSpanBefore(index, now)
	before, had := t.failures.put(index, failedAttempt{err: o.err, since: now - each})
	t.settle()
	status := palow.Pa_job_fail(t.job, t.lease, index, uint32(flags), v.serverWait, 0, nil)
	t.passOn()
	t.next = index + 1
	switch status {
	case statusFinal:
		if t.records {
			t.recordFailure(index, o, now)
		}
	case statusStopped:
		if v.gaveUp { // that was no failure; the one before it stays
			t.failures.take(index)
			if had {
				t.failures.put(index, before)
			}
		}
	}
	return status
}

// isOverAfter asks, after a failure, whether the rest of the lease is to be left alone: it may have been the one that ends the run.
func (t *taker) isOverAfter(status int32) bool {
	if t.lease.Count == 0 {
		return status == statusStopped
	}
	if status != statusStopped && t.low.MaxErrors == 0 {
		return false
	}
	over := palow.Pa_job_step(t.job, t.lease, 0) != statusOK
	t.passOn()
	t.end = t.lease.First + t.lease.Count
	return over
}

// A verdict is what follows from the error of an attempt.
type verdict struct {
	gaveUp     bool // it is no failure: the run is over
	final      bool // it is not worth another attempt
	serverWait int64
}

// judge asks the error, and RetryIf, which both are the caller's code: if one does not return, the item keeps its own error, with a
// note.
func (t *taker) judge(o *outcome) verdict {
	v := verdict{serverWait: -1}
	if t.refused {
		t.refused = false
		v.final = true
		return v
	}
	t.judged = *o
	err := t.guard(inJudgement, func() error {
		v.gaveUp = t.gaveUp(o.err)
		v.serverWait = serverWait(o.err)
		v.final = !t.worthRetrying(o.err)
		return nil
	})
	if err != nil {
		o.err = errors.Join(o.err, err)
		v.final = true
	}
	return v
}

// gaveUp says whether a call returned because its context said that the run is over.
func (t *taker) gaveUp(err error) bool {
	why := t.run.ctx.Err()
	if why == nil || !errors.Is(err, why) && !errors.Is(err, context.Cause(t.run.ctx)) {
		return false
	}
	t.attend() // the context is done a moment before libpa hears of it
	return true
}

// worthRetrying asks RetryIf, if there are attempts left.
func (t *taker) worthRetrying(err error) bool {
	if t.lease.Attempt >= t.low.Retry.Attempts {
		return true // libpa counts them
	}
	if t.retryIf == nil {
		var crashed *PanicError
		return !errors.Is(err, ErrGoexit) && !errors.As(err, &crashed)
	}
	return t.retryIf(err)
}

// ---------------------------------------------------------------- what was done, where no consumer is told

// closeSpan notes that all items since spanFirst succeeded.
func (t *taker) closeSpan(now int64) {
	if count := t.next - t.spanFirst; t.records && count > 0 {
		t.record(t.spanFirst, count, (now-t.spanSince)/int64(count), now)
	}
	t.spanFirst, t.spanSince = t.next, now
}

// closeSpanBefore notes the same of those before the item that failed, and returns how long each took, the latter included.
func (t *taker) closeSpanBefore(failed uint64, now int64) (each int64) {
	count := failed - t.spanFirst
	each = (now - t.spanSince) / int64(count+1)
	if t.records && count > 0 {
		t.record(t.spanFirst, count, each, now)
	}
	t.spanFirst, t.spanSince = failed+1, now
	return each
}

func (t *taker) record(first, count uint64, each, now int64) {
	if t.call.attempt > 1 { // it was leased alone
		each = now - t.failures.take(first).since
	}
	if t.done == nil {
		const several = 16
		t.done = make([]doneSpan, 0, several)
	}
	t.done = append(t.done, doneSpan{first, count, each, t.call.attempt})
}

func (t *taker) recordFailure(index uint64, o outcome, now int64) {
	state := Failed
	if o.timedOut {
		state = TimedOut
	}
	took := now - t.failures.take(index).since
	t.failed = append(t.failed, span{index, 1, receipt{state, t.call.attempt, time.Duration(took), o.err, nil}})
}
