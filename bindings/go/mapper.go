package pa

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"
)

// A mapper runs leases: it knows the function, and where items and values lie.
type mapper[T, R any] struct {
	*run
	function func(context.Context, T) (R, error)
	batch    func(context.Context, []T) ([]R, error) // in place of function

	// Of a map whose takers need not tell anybody: everything by index.
	items  []T
	values []R
	// Otherwise.
	store *store[T, R]

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

func (w itemWork[T, R]) run(t *taker, crashed error) {
	for {
		if crashed != nil {
			if t.isOverAfter(t.failAt(uint64(t.call.index), outcome{err: crashed})) {
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
			if err = crash(recover()); err == ErrGoexit {
				t.exited = true
			}
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

func (w batchWork[T, R]) run(t *taker, crashed error) {
	count := t.end - t.next
	if crashed != nil {
		w.answer(t, outcome{err: crashed})
		return
	}
	items, _ := w.segment(t.next, count)
	for at := uint64(len(items)); at < count; at = uint64(len(items)) { // they lie in several blocks
		more, _ := w.segment(t.next+at, count-at)
		items = append(items[:at:at], more...)
	}
	got, o := w.call(t, items)
	if err := checkAnswer(len(items), len(got), o.err); err != nil {
		o.err = err
	}
	for n := 0; n < len(got) && n < len(items); {
		_, part := w.segment(t.next+uint64(n), count-uint64(n))
		n += copy(part, got[n:])
	}
	w.noteBatch(count)
	w.answer(t, o)
}

func (w batchWork[T, R]) call(t *taker, items []T) (values []R, o outcome) {
	t.call.index = int(t.next)
	ctx, began := t.ctx, clock()
	if w.itemTimeout > 0 {
		timed, release := context.WithTimeoutCause(ctx, w.itemTimeout, ErrItemTimedOut)
		defer release()
		ctx = timed
	}
	err := t.guard(inFunction, func() (err error) {
		values, err = w.batch(ctx, items)
		return err
	})
	return values, timedOutcome(err, w.itemTimeout > 0 && clock()-began >= int64(w.itemTimeout))
}

// checkAnswer: with the wrong number of values nobody knows which item each belongs to.
func checkAnswer(items, values int, err error) error {
	var single BatchError
	if values == items || err != nil && !errors.As(err, &single) {
		return err
	}
	return fmt.Errorf("the batch function returned %d values for %d items", values, items)
}

// answer settles the items of a batch one by one.
func (w batchWork[T, R]) answer(t *taker, o outcome) {
	var single BatchError
	if !o.timedOut && errors.As(o.err, &single) {
		o.err = nil
	}
	first, count := t.next, int(t.end-t.next)
	for position := range count {
		this := o
		if o.err == nil {
			this.err = single[position]
		}
		if this.err == nil {
			continue
		}
		index := first + uint64(position)
		_, value := w.segment(index, 1)
		value[0] = *new(R)
		if t.failAt(index, this) == statusStopped && t.lease.Count == 0 {
			return
		}
	}
	t.next = t.end
	t.complete()
}
