package pa

import (
	"context"
	"errors"
	"fmt"
	"runtime/debug"
	"strings"
	"time"
)

// Why a run ended early, for [errors.Is].
var (
	// ErrTimedOut says that the run outlasted [Timeout] or the deadline of its context. It is a [context.DeadlineExceeded], too.
	ErrTimedOut error = &endError{"the run timed out", context.DeadlineExceeded}
	// ErrCancelled says that the context was cancelled, or a [Stop] requested. It is a [context.Canceled], too.
	ErrCancelled error = &endError{"the run was cancelled", context.Canceled}
	// ErrAborted says that [MaxErrors] items had failed.
	ErrAborted error = &endError{"the run was aborted after too many errors", nil}

	// ErrSource says that the source of the items failed. The source's own error is there beside it.
	ErrSource = errors.New("the source failed")
	// ErrKey says that the function given to [ItemKey] failed. Its own error is there beside it.
	ErrKey = errors.New("the key function failed")
	// ErrCallback says that a function given to [OnProgress] or [OnResult] failed. Its own error is there beside it.
	ErrCallback = errors.New("the callback failed")
	// ErrWorkerStart says that the function given to [WorkerStart] failed. Its own error is there beside it.
	ErrWorkerStart = errors.New("a worker could not start")
	// ErrWorkersLost says that worker processes can't be started, or die one after the other. How is there beside it.
	ErrWorkersLost = errors.New("worker processes are lost")
)

// Why an item failed where its function did not say, for [errors.Is].
var (
	// ErrItemTimedOut says that an attempt outran [ItemTimeout]. It is a [context.DeadlineExceeded], too.
	ErrItemTimedOut error = &endError{"the attempt took longer than its timeout", context.DeadlineExceeded}
	// ErrGoexit says that the function called [runtime.Goexit], as t.FailNow of a test does.
	ErrGoexit = errors.New("the function ended its goroutine")
)

// An endError is a sentinel that is also another one.
type endError struct {
	text string
	is   error
}

func (e *endError) Error() string        { return e.text }
func (e *endError) Is(target error) bool { return e.is != nil && target == e.is }

// An InvalidError says that an argument is wrong. Nothing has run.
type InvalidError struct {
	Message string // names the argument, what would be right, and the value
}

func (e *InvalidError) Error() string { return "pa: " + e.Message }

// A PanicError is the error of an item whose function panicked.
type PanicError struct {
	Value any    // what was given to panic
	Stack []byte // of the goroutine, as [debug.Stack] writes it
}

func (e *PanicError) Error() string { return fmt.Sprintf("panic: %v", e.Value) }

// Unwrap returns the value if that is an error.
func (e *PanicError) Unwrap() error {
	err, _ := e.Value.(error)
	return err
}

// crash says what ended a function that did not return: recovered is what recover said.
func crash(recovered any) error {
	if recovered == nil {
		return ErrGoexit
	}
	return &PanicError{Value: recovered, Stack: debug.Stack()}
}

// An ItemError says which item failed, or was not done.
type ItemError struct {
	Index    int
	Key      any // what [ItemKey] gave, or nil
	State    State
	Attempts int
	Err      error // what the function returned in its last attempt, or why it was not done
}

func (e *ItemError) Error() string {
	if e.Key != nil {
		return fmt.Sprintf("item %d (%v): %v", e.Index, e.Key, e.Err)
	}
	return fmt.Sprintf("item %d: %v", e.Index, e.Err)
}

func (e *ItemError) Unwrap() error { return e.Err }

// A notDone is the error of an item that was not done when the run ended.
type notDone struct {
	why  error // ErrTimedOut, ...
	last error // of its last attempt, or nil
}

func (e *notDone) Error() string {
	if e.last == nil {
		return e.why.Error() + " before this item was done"
	}
	return fmt.Sprintf("%v before this item was done; its last attempt: %v", e.why, e.last)
}

func (e *notDone) Unwrap() []error {
	if e.last == nil {
		return []error{e.why}
	}
	return []error{e.why, e.last}
}

// A RunError says that a run did not do all that it should. It unwraps to why the run ended early, if it did, and then to an
// [*ItemError] for each item that failed or was not done, so that [errors.Is] and [errors.As] find all of them.
type RunError struct {
	// End is why the run ended: [EndCompleted] if all items were run, and some failed.
	End End
	// Cause is why the run ended early: it matches ErrTimedOut, ErrCancelled, ErrAborted, ErrSource, ErrKey, ErrCallback,
	// ErrWorkerStart or ErrWorkersLost, and holds the error of the context, or of the function that failed. nil for a run that completed.
	Cause error

	summary string
	items   func() []error
}

// Error says how the run ended, how many items failed, and why the first of them did.
func (e *RunError) Error() string {
	parts := make([]string, 0, 2)
	if e.Cause != nil {
		parts = append(parts, e.Cause.Error())
	}
	if e.summary != "" {
		parts = append(parts, e.summary)
	}
	return "pa: " + strings.Join(parts, "; ")
}

// Unwrap returns the cause, if there is one, and the errors of the items in the order of their indices.
func (e *RunError) Unwrap() []error {
	var all []error
	if e.Cause != nil {
		all = append(all, e.Cause)
	}
	if e.items != nil {
		all = append(all, e.items()...)
	}
	return all
}

// A BatchError says which items of a call of a batch function failed: by their position in the slice that it was given. The
// function returns it together with a value for each item, of which those of the items that failed are not looked at.
type BatchError map[int]error

func (e BatchError) Error() string { return fmt.Sprintf("%d items of the batch failed", len(e)) }

// Unwrap returns the errors, in no particular order.
func (e BatchError) Unwrap() []error {
	all := make([]error, 0, len(e))
	for _, err := range e {
		all = append(all, err)
	}
	return all
}

// RetryAfter returns an error that is err, and says that the server asked to wait so long before the next attempt (HTTP 429 or 503
// with Retry-After). Any other error with a method RetryAfter() time.Duration says so as well.
//
// The wait replaces the backoff, up to [MaxServerWait]. It also pauses the limiter of the run, and so every run that shares it,
// even if no attempt is left. A negative wait says nothing.
func RetryAfter(err error, wait time.Duration) error { return &retryAfterError{err, wait} }

type retryAfterError struct {
	err  error
	wait time.Duration
}

func (e *retryAfterError) Error() string             { return e.err.Error() }
func (e *retryAfterError) Unwrap() error             { return e.err }
func (e *retryAfterError) RetryAfter() time.Duration { return e.wait }

// serverWait returns what the server asked for, in nanoseconds; -1: nothing.
func serverWait(err error) int64 {
	var asked interface{ RetryAfter() time.Duration }
	if !errors.As(err, &asked) {
		return -1
	}
	return max(int64(asked.RetryAfter()), -1)
}
