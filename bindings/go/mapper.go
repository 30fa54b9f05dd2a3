package pa

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"
)

// A kind of run is what is done to an item.
type kind[T, R any] struct {
	function func(context.Context, T) (R, error)
	batch    func(context.Context, []T) ([]R, error) // in place of function
	task     *Task[T, R]                             // it is one of these, and worker processes run it
}

// A mapper runs leases: it knows the function, and where items and values lie.
type mapper[T, R any] struct {
	*run
	kind[T, R]

	// Of a map whose takers need not tell anybody: everything by index.
	items  []T
	values []R
	// Otherwise.
	store *store[T, R]

	collects  bool          // each item is to have an outcome, also where none is handed out
	batchSize atomic.Uint64 // the largest so far

	done int  // items that callbacks were told of
	deaf bool // one failed: no more of them
}

// work is how takers run leases.
func (m *mapper[T, R]) work() work {
	if m.batch != nil {
		return batchWork[T, R]{m}
	}
	return itemWork[T, R]{m}
}

// noteBatch keeps what Results.BatchSize tells.
func (m *mapper[T, R]) noteBatch(size uint64) {
	for {
		known := m.batchSize.Load()
		if size <= known || m.batchSize.CompareAndSwap(known, size) {
			return
		}
	}
}

// segment is where the items from first on and their values lie, at most so many of them.
func (m *mapper[T, R]) segment(first, most uint64) ([]T, []R) {
	if m.store != nil {
		return m.store.segment(first, most)
	}
	end := first + most
	return m.items[first:end:end], m.values[first:end:end]
}

func (m *mapper[T, R]) pull(most uint64) (got uint64, end bool, err error) { return m.store.pull(most) }

// A lease of single items.
type itemWork[T, R any] struct{ *mapper[T, R] }

func (w itemWork[T, R]) run(t *taker, crashed *outcome) {
	for {
		if crashed != nil {
			if t.isOverAfter(t.failAt(uint64(t.call.index), *crashed)) {
				return
			}
			crashed = nil
		}
		if t.next >= t.end {
			break
		}
		if w.itemTimeout > 0 {
			if !w.runTimed(t) {
				return
			}
			continue
		}
		items, values := w.segment(t.next, min(t.end-t.next, t.block))
		if err := w.runBlock(t, items, values); err != nil {
			t.left = nil
			if t.isOverAfter(t.failAt(uint64(t.call.index), outcome{err: err})) {
				return
			}
		} else if !t.moveOn(uint64(len(items))) {
			return
		}
	}
	t.complete()
}

// runBlock runs items until one fails; t.call.index is the one that it is at. It is the loop that short functions spend their time
// in: whatever can be done once for all of them is done outside.
func (w itemWork[T, R]) runBlock(t *taker, items []T, values []R) (err error) {
	returned := false
	defer func() {
		if !returned {
			err = crash(recover())
			t.left = err
		}
	}()
	function, ctx, at, first := w.function, t.ctx, &t.call.index, int(t.next)
	values = values[:len(items)]
	for i := range items {
		*at = first + i
		value, failed := function(ctx, items[i])
		if failed != nil {
			returned = true
			return failed
		}
		values[i] = value
	}
	returned = true
	return nil
}

// runTimed runs one item, under ItemTimeout.
func (w itemWork[T, R]) runTimed(t *taker) bool {
	items, values := w.segment(t.next, 1)
	outer := t.ctx
	began := clock()
	ctx, release := context.WithTimeoutCause(outer, w.itemTimeout, ErrItemTimedOut)
	defer func() { t.ctx = outer }() // also if the function ends the goroutine
	defer release()
	t.ctx = ctx
	err := w.runBlock(t, items, values)
	t.left = nil
	if o := timedOutcome(err, clock()-began >= int64(w.itemTimeout)); o.err != nil {
		values[0] = *new(R)
		return !t.isOverAfter(t.failAt(t.next, o))
	}
	return t.moveOn(1)
}

// timedOutcome: an attempt that outran its time has failed, whatever it returned.
func timedOutcome(err error, timedOut bool) outcome {
	switch {
	case !timedOut:
		return outcome{err: err}
	case err == nil:
		return outcome{ErrItemTimedOut, true}
	}
	return outcome{&because{ErrItemTimedOut, err}, true}
}

// A lease that is one call of a batch function.
type batchWork[T, R any] struct{ *mapper[T, R] }

// A batchAnswer is what a batch function said, and how far that was settled.
type batchAnswer struct {
	outcome
	single      BatchError // of its items
	first, next uint64     // indices
}

func (w batchWork[T, R]) run(t *taker, crashed *outcome) {
	switch {
	case crashed == nil:
		w.ask(t)
	case t.refused: // judging the failure of one item was what ended the goroutine
		if !w.failNext(t, *crashed) {
			return
		}
	default:
		t.answer = batchAnswer{outcome: *crashed, first: t.next, next: t.next}
	}
	for answer := &t.answer; answer.next < t.end; {
		failure := answer.outcome
		if failure.err == nil {
			failure.err = answer.single[int(answer.next-answer.first)]
		}
		if failure.err == nil {
			answer.next++
		} else if !w.failNext(t, failure) {
			return
		}
	}
	t.answer.single = nil
	t.next = t.end
	t.complete()
}

// failNext settles the item that the answer is at. False: the lease is over.
func (w batchWork[T, R]) failNext(t *taker, failure outcome) bool {
	_, value := w.segment(t.answer.next, 1)
	value[0] = *new(R)
	status := t.failAt(t.answer.next, failure)
	t.answer.next++
	return status != statusStopped || t.lease.Count > 0
}

// ask calls the function.
func (w batchWork[T, R]) ask(t *taker) {
	count := t.end - t.next
	t.answer = batchAnswer{first: t.next, next: t.next}
	items, _ := w.segment(t.next, count)
	for at := uint64(len(items)); at < count; at = uint64(len(items)) { // they lie in several blocks
		more, _ := w.segment(t.next+at, count-at)
		items = append(items[:at:at], more...)
	}
	values := w.call(t, items)
	for n := 0; n < len(values) && n < len(items); {
		_, part := w.segment(t.next+uint64(n), count-uint64(n))
		n += copy(part, values[n:])
	}
	w.noteBatch(count)
	t.isOver()
}

func wrongNumber(values, items int) error {
	return fmt.Errorf("the batch function returned %d values for %d items", values, items)
}

// call notes how the function answered, and returns its values.
func (w batchWork[T, R]) call(t *taker, items []T) (values []R) {
	t.call.index = int(t.next)
	ctx, began := t.ctx, clock()
	if w.itemTimeout > 0 {
		timed, release := context.WithTimeoutCause(ctx, w.itemTimeout, ErrItemTimedOut)
		defer release()
		ctx = timed
	}
	single := false
	err := t.guard(inFunction, func() (err error) {
		values, err = w.batch(ctx, items)
		single = errors.As(err, &t.answer.single) // which may call a method of the error
		return err
	})
	if (err == nil || single) && len(values) != len(items) { // nobody knows which item each belongs to
		err, single = wrongNumber(len(values), len(items)), false
	}
	t.answer.outcome = timedOutcome(err, w.itemTimeout > 0 && clock()-began >= int64(w.itemTimeout))
	if single && !t.answer.timedOut {
		t.answer.err = nil // but for the items that it names
	}
	return values
}
