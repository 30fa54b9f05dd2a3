package pa

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"iter"
	"math"
	"os"
	"sync/atomic"
	"syscall"

	"example.com/libpa/pa/internal/palow"
)

// A Task is a function that worker processes run, where a crash, a leak or a hang costs one item. The workers are this program
// itself, run again.
//
//	var thumbnail = pa.Register("thumbnail", func(ctx context.Context, path string) ([]byte, error) { ... })
//
//	func main() {
//		pa.WorkerMain() // a worker goes no further
//		results, err := thumbnail.Map(ctx, paths, pa.Workers(4), pa.ItemTimeout(time.Minute))
//
// Items and values cross the border as bytes, by a [Codec]. What the function returns as an error stays in the worker: its text
// comes out as a [*WorkerError]. An item whose worker died is [Crashed], with a [*CrashError]; one that outran [ItemTimeout] is
// killed with its worker. [Retry], [RateLimit], [Timeout], [MaxErrors] and all other options work as they do with goroutines,
// and what they call is called in the program.
type Task[T, R any] struct {
	kind[T, R]
	name     string
	lowName  *byte
	defaults []Option
	codec    Codec
	worker   *worker[T, R] // if this process is one
}

// Register makes a function a task. It is called where a package's variables are initialized, or before [WorkerMain]: in the program
// and in its workers, which are the same code. Options are its defaults, as with [Bind]; [WorkerStart] and [WorkerStop] among
// them are called in the workers, before the first item and after the last; a worker that stays for the next run of the task is not
// started again. [Encoding] chooses the codec.
//
// Register panics if the name is taken, or an option is wrong.
func Register[T, R any](name string, fn func(context.Context, T) (R, error), options ...Option) *Task[T, R] {
	if fn == nil {
		panic(invalid("fn must not be nil"))
	}
	return register(name, kind[T, R]{function: fn}, options)
}

// RegisterBatch is [Register] for a function that takes several items in one call, as [MapBatch] says.
func RegisterBatch[T, R any](name string, fn func(context.Context, []T) ([]R, error), options ...Option) *Task[T, R] {
	if fn == nil {
		panic(invalid("fn must not be nil"))
	}
	return register(name, kind[T, R]{batch: fn}, options)
}

func register[T, R any](name string, kind kind[T, R], options []Option) *Task[T, R] {
	c, err := newConfig[T, R](options)
	if err != nil {
		panic(err)
	}
	t := &Task[T, R]{kind: kind, name: name, defaults: options, codec: c.codec}
	if t.codec == nil {
		t.codec = Gob
	}
	t.worker = &worker[T, R]{kind: kind, codec: t.codec, start: c.workerStart, stop: c.workerStop}
	low := palow.Alloc[palow.Error]()
	defer palow.Free(low)
	var status int32
	if t.lowName, status = palow.RegisterTask(name, t.worker, kind.batch != nil, low); status != statusOK {
		panic(lowError(low))
	}
	t.task = t
	return t
}

// Name is the name that it was registered under.
func (t *Task[T, R]) Name() string { return t.name }

// Call is the function itself, for one item, in this process: without any of the options.
func (t *Task[T, R]) Call(ctx context.Context, item T) (R, error) {
	if t.batch == nil {
		return t.function(ctx, item)
	}
	values, err := t.batch(ctx, []T{item})
	var single BatchError
	if errors.As(err, &single) && len(values) == 1 {
		err = single[0]
	}
	if err != nil || len(values) != 1 {
		var none R
		return none, cmp.Or(err, wrongNumber(len(values), 1))
	}
	return values[0], nil
}

// Map is [Map], in worker processes. Options override the defaults.
func (t *Task[T, R]) Map(ctx context.Context, items []T, options ...Option) (*Results[R], error) {
	return mapFrom(ctx, From(items), t.kind, t.with(options))
}

// MapFrom is [MapFrom], in worker processes. Options override the defaults.
func (t *Task[T, R]) MapFrom(ctx context.Context, source Source[T], options ...Option) (*Results[R], error) {
	return mapFrom(ctx, source, t.kind, t.with(options))
}

// Stream is [Stream], in worker processes. Options override the defaults.
func (t *Task[T, R]) Stream(ctx context.Context, source Source[T], options ...Option) iter.Seq2[Result[R], error] {
	return streamFrom(ctx, source, t.kind, t.with(options))
}

func (t *Task[T, R]) with(options []Option) []Option {
	all := append(t.defaults[:len(t.defaults):len(t.defaults)], func(c *config) {
		c.workerStart, c.workerStop, c.codec = nil, nil, nil // those are the workers'
	})
	return append(all, options...)
}

// staff checks what depends on who runs the items.
func (m *mapper[T, R]) staff(c *config) error {
	switch {
	case m.task == nil && c.process != nil:
		return invalid("options.process is for tasks: give the function a name with Register")
	case c.codec != nil:
		return invalid("options.encoding must be given to Register")
	case m.task == nil:
		return nil
	case c.workerStart != nil || c.workerStop != nil:
		return invalid("options.worker_start and worker_stop must be given to Register, for worker processes")
	case c.inline:
		c.workerStart, c.workerStop = m.task.worker.start, m.task.worker.stop
		m.task = nil
		return nil
	case !askedToBeWorker.Load() && (c.process == nil || c.process.Command == nil):
		return invalid("the program must call WorkerMain at the beginning of main, to be run again as a worker; or set Process.Command")
	}
	if c.process == nil {
		c.process = &Process{}
	}
	c.within("process.crash_attempts", c.process.CrashAttempts, 0, math.MaxUint32)
	c.atLeast("process.max_items", c.process.MaxItems, 0)
	c.atLeast("process.memory_limit", c.process.MemoryLimit, 0)
	c.atLeast("process.max_crashes", c.process.MaxCrashes, 0)
	return c.invalid
}

var askedToBeWorker atomic.Bool

// WorkerMain is to be called at the beginning of main, when all tasks are registered, and before the program does what it is there
// for. In a process that was started to be a worker it serves, and ends the process. Otherwise it returns at once. A program
// that does not call it can't run tasks: it would do its main job a second time in place of serving.
//
// A test binary calls it in TestMain.
func WorkerMain() {
	askedToBeWorker.Store(true)
	if !palow.WorkerRequested() {
		return
	}
	low := palow.Alloc[palow.Error]()
	if palow.ServeAsWorker(low) != statusOK {
		fmt.Fprintln(os.Stderr, lowError(low))
		os.Exit(1)
	}
	os.Exit(0)
}

// Drain ends worker processes that wait for the next run, and threads of libpa: [WorkerStop] of a task is called then, or when the worker
// has waited for ten seconds. A program that ends without it ends its workers at once.
func Drain() { palow.Drain() }

// A WorkerError is the error of an item whose function failed in a worker process: of what it returned, only the text comes from there.
type WorkerError struct{ Message string }

func (e *WorkerError) Error() string { return e.Message }

// A CrashError is the error of an item whose worker process died while it ran.
type CrashError struct {
	Signal     syscall.Signal // that killed it; 0 if it exited
	ExitStatus int
	Message    string // in words
}

func (e *CrashError) Error() string { return e.Message }
