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
		fmt.Fprintln(os.Stderr, "pa: worker_start failed:", err) // to the program only a code goes
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
const goexitStatus = 0xa7

// Call is for libpa.
func (w *worker[T, R]) Call(c *palow.Call) int32 {
	w.call.index, w.call.attempt = c.Index(), c.Attempt()
	ctx, cancel := context.WithCancelCause(w.ctx)
	defer cancel(nil)
	if left := c.RemainingNs(); left >= 0 { // of the run or of the attempt: libpa says which
		timed, release := context.WithTimeout(ctx, time.Duration(left))
		defer release()
		ctx = timed
	}
	w.show(c, cancel)
	r := reply[T, R]{worker: w, low: c}
	err := guard(func() error { return r.run(ctx) })
	w.show(nil, nil)
	r.isOver = c.RemainingNs() == 0
	// Methods of errors are the user's code, too: what they do must not reach C.
	if trouble := guard(func() error { r.judge(err); return nil }); trouble != nil {
		r.verdicts, r.whole = nil, &refusal{codePanic, fmt.Sprint("the error could not be read: ", trouble)}
	}
	return r.settle()
}

// A reply is what becomes of one call.
type reply[T, R any] struct {
	*worker[T, R]
	low    *palow.Call
	isOver bool       // the call had to end
	values [][]byte   // encoded; nil for those that failed
	single BatchError // those
	codes  map[int]int32

	verdicts map[int]refusal
	whole    *refusal // of the whole call
	wait     int64    // what a server asked for; -1: nothing
}

// A refusal is what libpa is told of an error.
type refusal struct {
	code    int32
	message string
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
	if r.batch != nil && errors.As(err, &single) && len(values) == len(items) {
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

// judge asks errors what they are. err is that of the whole call.
func (r *reply[T, R]) judge(err error) {
	r.wait = -1
	if err != nil {
		whole := r.refusalOf(err, codeError)
		r.whole = &whole
		return
	}
	r.verdicts = make(map[int]refusal, len(r.single))
	for i, err := range r.single {
		r.verdicts[i] = r.refusalOf(err, r.codes[i])
	}
}

func (r *reply[T, R]) refusalOf(err error, code int32) refusal {
	if r.isOver && (errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded)) {
		return refusal{palow.CodeStopped, ""}
	}
	r.wait = max(r.wait, serverWait(err))
	var panicked *PanicError
	if errors.As(err, &panicked) {
		return refusal{codePanic, fmt.Sprint(panicked.Value)}
	}
	return refusal{code, err.Error()}
}

// settle tells libpa.
func (r *reply[T, R]) settle() int32 {
	if r.wait >= 0 {
		r.low.RetryAfter(r.wait)
	}
	if r.whole != nil {
		return r.low.Fail(r.whole.code, r.whole.message)
	}
	for i, verdict := range r.verdicts {
		if r.batch == nil {
			return r.low.Fail(verdict.code, verdict.message)
		}
		r.low.FailAt(i, verdict.code, verdict.message)
	}
	for i, value := range r.values {
		if r.single[i] == nil && !r.low.SetValue(i, value) {
			return r.low.Fail(codeError, "out of memory for the value")
		}
	}
	return 0
}
