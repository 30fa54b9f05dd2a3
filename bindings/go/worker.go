package pa

import (
	"context"
	"errors"
	"fmt"
	"os"
	"sync"
	"time"

	"example.com/libpa/pa/internal/palow"
)

// Codes that workers and programs agree upon.
const (
	codeError = 0x7061_0001 + iota // the function returned an error
	codePanic                      // it panicked
	codeCodec                      // the item or the value could not be encoded or decoded
)

// glance is how often a worker looks whether the run of a call is over.
const glance = 5 * time.Millisecond

// A worker runs a task, in a process that serves.
type worker[T, R any] struct {
	kind[T, R]
	codec Codec
	start func(context.Context) (context.Context, error)
	stop  func(context.Context)

	call call
	ctx  context.Context // of the calls: &call, or what start made of it

	mu      sync.Mutex
	running *palow.Call // that the watch looks at
	cancel  context.CancelCauseFunc
	watched bool
}

// Start is for libpa.
func (w *worker[T, R]) Start() (code int32) {
	if !w.watched {
		w.watched = true
		go w.watch()
	}
	w.call = call{Context: context.Background(), index: -1}
	w.ctx = &w.call
	if w.start == nil {
		return 0
	}
	err := guard(func() error {
		ctx, err := w.start(w.ctx)
		if ctx != nil {
			w.ctx = ctx
		}
		return err
	})
	if err != nil {
		return codeError
	}
	return 0
}

// watch cancels the context of the call when the run is over.
func (w *worker[T, R]) watch() {
	for range time.Tick(glance) {
		w.mu.Lock()
		if w.running != nil && w.running.RemainingNs() == 0 {
			w.cancel(ErrCancelled)
		}
		w.mu.Unlock()
	}
}

func (w *worker[T, R]) show(call *palow.Call, cancel context.CancelCauseFunc) {
	w.mu.Lock()
	w.running, w.cancel = call, cancel
	w.mu.Unlock()
}

// Stop is for libpa.
func (w *worker[T, R]) Stop() {
	if w.stop != nil {
		_ = guard(func() error { // nobody is there to be told
			w.stop(w.ctx)
			return nil
		})
	}
}

// guard is attempt for a function that C has called: where it ends the goroutine, C has nowhere to go, and the process must end.
func guard(function func() error) error {
	returned := false
	defer func() {
		if !returned {
			os.Exit(goexitStatus)
		}
	}()
	err := attempt(function)
	returned = true
	return err
}

// goexitStatus is that of a worker whose function ended its goroutine: C, which called it, has nowhere to return to.
const goexitStatus = 0x7d

// Call is for libpa.
func (w *worker[T, R]) Call(c *palow.Call) int32 {
	w.call.index, w.call.attempt = c.Index(), c.Attempt()
	ctx, cancel := context.WithCancelCause(w.ctx)
	defer cancel(nil)
	if left := c.RemainingNs(); left >= 0 {
		timed, release := context.WithTimeoutCause(ctx, time.Duration(left), ErrItemTimedOut)
		defer release()
		ctx = timed
	}
	w.show(c, cancel)
	r := reply[T, R]{worker: w, low: c}
	err := guard(func() error { return r.run(ctx) })
	w.show(nil, nil)
	return r.settle(err)
}

// A reply is what becomes of one call.
type reply[T, R any] struct {
	*worker[T, R]
	low    *palow.Call
	values [][]byte   // encoded; nil for those that failed
	single BatchError // those
	codes  map[int]int32
}

// run decodes, calls the function and encodes, all of which is the user's code.
func (r *reply[T, R]) run(ctx context.Context) error {
	items := make([]T, 0, len(r.low.Items))
	positions := make([]int, 0, len(r.low.Items))
	r.values = make([][]byte, len(r.low.Items))
	for i, data := range r.low.Items {
		var item T
		if err := decode(r.codec, data, &item); err != nil {
			r.fail(i, codeCodec, fmt.Errorf("the item could not be decoded: %w", err))
			continue
		}
		items, positions = append(items, item), append(positions, i)
	}
	if len(items) == 0 {
		return nil
	}
	values, err := r.ask(ctx, items)
	var single BatchError
	if errors.As(err, &single) && len(values) == len(items) {
		err = nil
	}
	if err == nil && len(values) != len(items) {
		err = wrongNumber(len(values), len(items))
	}
	if err != nil {
		return err
	}
	for i, position := range positions {
		if err := single[i]; err != nil {
			r.fail(position, codeError, err)
		} else if data, err := encode(r.codec, values[i]); err != nil {
			r.fail(position, codeCodec, fmt.Errorf("the value could not be encoded: %w", err))
		} else {
			r.values[position] = data
		}
	}
	return nil
}

func (r *reply[T, R]) ask(ctx context.Context, items []T) ([]R, error) {
	if r.batch != nil {
		return r.batch(ctx, items)
	}
	value, err := r.function(ctx, items[0])
	return []R{value}, err
}

func (r *reply[T, R]) fail(position int, code int32, err error) {
	if r.single == nil {
		r.single, r.codes = BatchError{}, map[int]int32{}
	}
	r.single[position], r.codes[position] = err, code
}

// settle tells libpa. err is that of the whole call.
func (r *reply[T, R]) settle(err error) int32 {
	if err != nil {
		return r.refuse(err)
	}
	for i, err := range r.single {
		r.heed(err)
		if r.batch == nil {
			return r.low.Fail(r.codes[i], err.Error())
		}
		r.low.FailAt(i, r.codes[i], err.Error())
	}
	for i, value := range r.values {
		if r.single[i] == nil && !r.low.SetValue(i, value) {
			return r.low.Fail(codeError, "out of memory for the value")
		}
	}
	return 0
}

// refuse is for an error of the whole call.
func (r *reply[T, R]) refuse(err error) int32 {
	if r.low.RemainingNs() == 0 && (errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded)) {
		return palow.CodeStopped
	}
	r.heed(err)
	var panicked *PanicError
	if errors.As(err, &panicked) {
		return r.low.Fail(codePanic, fmt.Sprint(panicked.Value))
	}
	return r.low.Fail(codeError, err.Error())
}

func (r *reply[T, R]) heed(err error) {
	if wait := serverWait(err); wait >= 0 {
		r.low.RetryAfter(wait)
	}
}
