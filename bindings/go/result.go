package pa

import (
	"cmp"
	"fmt"
	"iter"
	"slices"
	"sort"
	"sync"
	"time"

	"example.com/libpa/pa/internal/palow"
)

// State is what became of an item.
type State int

// The states of an item. TimedOut, Aborted and Cancelled are those of items that were not done when the run ended, whether
// they never ran, were running, or waited for a retry; an item has also TimedOut if its last attempt outran [ItemTimeout].
const (
	OK        = State(palow.PA_ITEM_OK)
	Failed    = State(palow.PA_ITEM_FAILED)
	TimedOut  = State(palow.PA_ITEM_TIMED_OUT)
	Aborted   = State(palow.PA_ITEM_ABORTED)
	Cancelled = State(palow.PA_ITEM_CANCELLED)
	Crashed   = State(palow.PA_ITEM_CRASHED) // its worker process died, see [Task]
)

func (s State) String() string {
	switch s {
	case OK:
		return "ok"
	case Failed:
		return "failed"
	case TimedOut:
		return "timed out"
	case Aborted:
		return "aborted"
	case Cancelled:
		return "cancelled"
	case Crashed:
		return "crashed"
	}
	return fmt.Sprintf("State(%d)", int(s))
}

// End is why a run ended. Exactly one reason holds; of two at once the first wins, and a stop wins over a timeout.
type End int

// The ends of a run.
const (
	EndNone      = End(palow.PA_END_NONE)      // it has not
	EndCompleted = End(palow.PA_END_COMPLETED) // every item was run to its end
	EndTimedOut  = End(palow.PA_END_TIMED_OUT) // [Timeout], or the context's deadline, passed
	EndAborted   = End(palow.PA_END_ABORTED)   // [MaxErrors] items had failed
	EndCancelled = End(palow.PA_END_CANCELLED) // the context was cancelled, or the [Stop] requested
	EndFailed    = End(palow.PA_END_FAILED)    // a source, key function, callback or WorkerStart failed, or workers died
)

func (e End) String() string {
	switch e {
	case EndNone:
		return "not ended"
	case EndCompleted:
		return "completed"
	case EndTimedOut:
		return "timed out"
	case EndAborted:
		return "aborted"
	case EndCancelled:
		return "cancelled"
	case EndFailed:
		return "failed"
	}
	return fmt.Sprintf("End(%d)", int(e))
}

// A Result is what became of one item.
type Result[R any] struct {
	Index int // position of the item in the input, from 0
	Value R   // what the function returned; the zero value unless the state is OK

	*receipt
}

// A receipt is what neighbours that ran in the same lease have in common, so that results of short items stay small.
type receipt struct {
	state    State
	attempts int
	duration time.Duration
	err      error
	key      any
}

// OK says whether the function succeeded.
func (r Result[R]) OK() bool { return r.told().state == OK }

// told is the receipt; the zero of a Result is that of no item.
func (r Result[R]) told() *receipt {
	if r.receipt == nil {
		return &receipt{state: -1}
	}
	return r.receipt
}

// State says what became of the item.
func (r Result[R]) State() State { return r.told().state }

// Err is what the function returned in its last attempt: the same error, not a copy. For an item that was not done it is one that
// matches [ErrTimedOut], [ErrAborted], [ErrCancelled], or the cause of a run that failed, and the error of the last attempt, if there
// was one. nil for OK.
func (r Result[R]) Err() error { return r.told().err }

// Attempts is how many attempts were started; 0 if the item never ran.
func (r Result[R]) Attempts() int { return r.told().attempts }

// Duration is the time from the start of the first attempt to the end of the last, waits between them included. Short items that
// ran one after the other share their average; an item of a batch took as long as its call. 0: it never ran.
func (r Result[R]) Duration() time.Duration { return r.told().duration }

// Key is what the function given to [ItemKey] gave; nil without one, or if the run ended before it was asked.
func (r Result[R]) Key() any { return r.told().key }

// itemError is nil for OK.
func (r Result[R]) itemError() error {
	if r.OK() {
		return nil
	}
	return &ItemError{Index: r.Index, Key: r.key, State: r.state, Attempts: r.attempts, Err: r.err}
}

// A span is consecutive items with one receipt.
type span struct {
	first, count uint64
	receipt
}

// A doneSpan is a span of items that succeeded, in little: there are many of them.
type doneSpan struct {
	first, count uint64
	durationNs   int64
	attempts     int
}

// Results are the outcomes of a map, one for each item, in the order of the input. They may be read by many goroutines at once.
type Results[R any] struct {
	values    []R
	keys      []any // nil without ItemKey
	failures  int
	batchSize int
	end       End
	cause     error

	// Spans come as they were noted, and are put in order when somebody asks for more than the values.
	done    [][]doneSpan
	others  []span
	sorting sync.Once
	sorted  []span // in order of index, without gaps
}

func (r *Results[R]) add(done []doneSpan, others []span) {
	if len(done) > 0 {
		r.done = append(r.done, done)
	}
	for i := range others {
		if others[i].state != OK {
			r.failures += int(others[i].count)
		}
	}
	r.others = append(r.others, others...)
}

func (r *Results[R]) spans() []span {
	r.sorting.Do(func() {
		all := r.others
		for _, done := range r.done {
			for _, s := range done {
				all = append(all, span{s.first, s.count, receipt{attempts: s.attempts, duration: time.Duration(s.durationNs)}})
			}
		}
		slices.SortFunc(all, func(a, b span) int { return cmp.Compare(a.first, b.first) })
		r.sorted, r.done, r.others = all, nil, nil
	})
	return r.sorted
}

// Len is how many items there are, those that were not done included. For a source: one for each item that it delivered, and if
// the run ended early, at least as many as its hint.
func (r *Results[R]) Len() int { return len(r.values) }

// End says why the run ended.
func (r *Results[R]) End() End { return r.end }

// OK says whether the run completed and no item failed: what ended early is never OK.
func (r *Results[R]) OK() bool { return r.end == EndCompleted && r.failures == 0 }

// Failed is how many items have a state other than OK: those that failed, and those that were not done.
func (r *Results[R]) Failed() int { return r.failures }

// BatchSize is how many items a call of a batch function was given, the ends of the input aside; 0 for other maps. With an automatic
// size it is a good value for [Batch].
func (r *Results[R]) BatchSize() int { return r.batchSize }

// At returns what became of an item. Like that of a slice, an index out of range panics.
func (r *Results[R]) At(index int) Result[R] {
	value := r.values[index]
	spans := r.spans()
	i := sort.Search(len(spans), func(i int) bool { return spans[i].first > uint64(index) }) - 1
	return r.result(index, value, &spans[i].receipt)
}

func (r *Results[R]) result(index int, value R, shared *receipt) Result[R] {
	if r.keys != nil {
		own := *shared
		own.key = r.keys[index]
		shared = &own
	}
	return Result[R]{index, value, shared}
}

// Values returns the values of all items, by index: the zero value where there is none. The slice belongs to the results.
func (r *Results[R]) Values() []R { return r.values }

// All walks over what became of each item, in input order.
func (r *Results[R]) All() iter.Seq[Result[R]] { return r.walk(func(*span) bool { return true }) }

// Failures walks over the items that have a state other than OK, in input order.
func (r *Results[R]) Failures() iter.Seq[Result[R]] {
	return r.walk(func(s *span) bool { return s.state != OK })
}

func (r *Results[R]) walk(wanted func(*span) bool) iter.Seq[Result[R]] {
	return func(yield func(Result[R]) bool) {
		spans := r.spans()
		for i := range spans {
			s := &spans[i]
			if !wanted(s) {
				continue
			}
			for index := int(s.first); index < int(s.first+s.count); index++ {
				if !yield(r.result(index, r.values[index], &s.receipt)) {
					return
				}
			}
		}
	}
}

// Err is nil if OK, and else a [*RunError] that says why the run ended early, and then which items failed. It is what the call
// returned beside the results.
func (r *Results[R]) Err() error {
	if r.OK() {
		return nil
	}
	e := &RunError{End: r.end, Cause: r.cause, items: r.itemErrors}
	for first := range r.Failures() {
		e.summary = fmt.Sprintf("%d of %d items failed; the first, %v", r.failures, r.Len(), first.itemError())
		if r.end != EndCompleted {
			e.summary = fmt.Sprintf("%d of %d items failed or were not done; the first, %v", r.failures, r.Len(), first.itemError())
		}
		break
	}
	return e
}

func (r *Results[R]) itemErrors() []error {
	all := make([]error, 0, r.failures)
	for failure := range r.Failures() {
		all = append(all, failure.itemError())
	}
	return all
}

func (r *Results[R]) String() string {
	return fmt.Sprintf("%d items, %d failed, %v", r.Len(), r.failures, r.end)
}
