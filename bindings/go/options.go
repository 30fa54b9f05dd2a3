package pa

import (
	"context"
	"fmt"
	"math"
	"reflect"
	"runtime"
	"time"

	"example.com/libpa/pa/internal/palow"
)

// An Option says how to run. The zero of everything is libpa's default; what is wrong with an option, the call says to which it
// was given, by an [*InvalidError], before anything has run.
type Option func(*config)

// A RetryOption says more about [Retry].
type RetryOption func(*config)

// A config is what the options come to.
type config struct {
	low     palow.Options // its defaults are libpa's
	invalid error         // what was wrong first

	limiter     *Limiter
	stop        *Stop
	itemTimeout time.Duration // 0: none
	retryIf     func(error) bool
	inline      bool
	detach      bool
	onProgress  func(done, total int) error
	onResult    any // func(Result[R]) error
	itemKey     any // func(T) (any, error)
	workerStart func(context.Context) (context.Context, error)
	workerStop  func(context.Context)
	onQuiescent func()
	process     *Process
	codec       Codec
}

// Workers sets how many calls are made at a time. The default, and 0, is [runtime.GOMAXPROCS]: right for work that computes. For
// calls that wait, take as many as should be under way; a goroutine is started for each. At most 65535.
func Workers(count int) Option {
	return func(c *config) { c.low.Workers = uint32(c.within("workers", count, 0, palow.PA_WORKERS_MAX)) }
}

// Window bounds the items that are admitted and not done; of a stream, not handed out. The default, and 0, is automatic: no bound
// for slices that are mapped, a little more than the workers need for sources and streams.
func Window(items int) Option {
	return func(c *config) { c.low.Window = uint64(c.atLeast("window", items, 0)) }
}

// BatchSize admits items in chunks of so many, each finished before the next is admitted; 0: does not. How many items a call of a
// batch function gets is [Batch].
func BatchSize(items int) Option {
	return func(c *config) { c.low.BatchSize = uint64(c.atLeast("batch_size", items, 0)) }
}

// Batch sets how many items one call of a batch function gets, but for the last; 0, the default, lets libpa find a size that pays.
// linger is how long the first item of a batch waits for others to fill it, where a source delivers slowly and maxItems is set.
// Functions of one item ignore it.
func Batch(maxItems int, linger time.Duration) Option {
	return func(c *config) {
		c.low.Batch.MaxItems = uint64(c.atLeast("batch.max_items", maxItems, 0))
		c.low.Batch.LingerNs = int64(linger)
	}
}

// RateLimit gives the run a rate of its own. A Count of 0 means no limit.
func RateLimit(rate Rate) Option {
	return func(c *config) {
		c.low.Rate = rate.low()
		c.atLeast("rate.burst", rate.Burst, 0)
	}
}

// UseLimiter makes the run share a limiter with others; nil: none. Not together with [RateLimit].
func UseLimiter(limiter *Limiter) Option {
	return func(c *config) {
		c.limiter, c.low.Limiter = limiter, 0
		if limiter != nil {
			if c.low.Limiter = limiter.handle; limiter.handle == 0 { // to libpa that would be no limit at all
				c.refuse(invalid("options.limiter must be made by NewLimiter, got a zero Limiter"))
			}
		}
	}
}

// RateCost sets how many tokens an attempt takes from the limiter, 1 to its burst: for each item, but for a batch function once
// for each call. The default is 1.
func RateCost(tokens int) Option {
	return func(c *config) { c.low.RateCost = uint64(c.atLeast("rate_cost", tokens, 1)) }
}

// Retry repeats failed attempts, until there were so many in all. An item that waits for its next attempt occupies no worker.
// Attempts that panicked are not repeated, unless [RetryIf] says so.
func Retry(attempts int, more ...RetryOption) Option {
	return func(c *config) {
		c.low.Retry.Attempts = uint32(c.within("retry.attempts", attempts, 1, math.MaxUint32))
		for _, option := range more {
			if option != nil {
				option(c)
			}
		}
	}
}

// Backoff sets the delay before the second attempt; it doubles each time. The default is a second.
func Backoff(delay time.Duration) RetryOption {
	return func(c *config) { c.low.Retry.BackoffNs = int64(delay) }
}

// MaxDelay caps the delay, before jitter. The default is a minute.
func MaxDelay(delay time.Duration) RetryOption {
	return func(c *config) { c.low.Retry.MaxDelayNs = int64(delay) }
}

// Jitter says whether each delay is multiplied by a random factor of 0.5 to 1.5. The default is true.
func Jitter(on bool) RetryOption {
	return func(c *config) {
		c.low.Retry.Jitter = 0
		if on {
			c.low.Retry.Jitter = 1
		}
	}
}

// MaxServerWait caps what a server asks for (see [RetryAfter]); -1: no cap. The default is ten minutes.
func MaxServerWait(wait time.Duration) RetryOption {
	return func(c *config) { c.low.Retry.MaxServerWaitNs = int64(wait) }
}

// RetryIf decides whether a failed attempt may be repeated; without it, all may but those that panicked. It is called by the
// goroutines that run the items, several at a time, with what the function returned, a [*PanicError], or an error that is
// [ErrItemTimedOut].
func RetryIf(worthIt func(error) bool) RetryOption {
	return func(c *config) { c.retryIf = worthIt }
}

// Timeout bounds the whole run, from its start; 0: nothing runs; -1: not. The earlier of it and the context's deadline holds.
func Timeout(timeout time.Duration) Option {
	return func(c *config) { c.low.TimeoutNs = int64(timeout) }
}

// ItemTimeout bounds each attempt: when it has passed, the context of the call is cancelled, and the attempt counts as timed out
// whatever it returns. The call itself can't be interrupted. Must be above 0; -1: not.
func ItemTimeout(timeout time.Duration) Option {
	return func(c *config) { c.low.ItemTimeoutNs = int64(timeout) }
}

// MaxErrors ends the run when so many items have failed after their last attempt; those that are running then may add to it. 1 is
// fail-fast; 0, the default: never.
func MaxErrors(count int) Option {
	return func(c *config) { c.low.MaxErrors = uint64(c.atLeast("max_errors", count, 0)) }
}

// StopOn ends the run when the stop is requested, as a cancelled context does; nil: none.
func StopOn(stop *Stop) Option {
	return func(c *config) {
		c.stop, c.low.Stop = stop, 0
		if stop != nil {
			if c.low.Stop = stop.handle; stop.handle == 0 { // to libpa that would be none, which nobody could request
				c.refuse(invalid("options.stop must be made by NewStop, got a zero Stop"))
			}
		}
	}
}

// Ordered makes a stream hand out its results in the order of the items, where one that takes long holds up those behind it. By
// default they come as they finish. Maps are in order anyway.
func Ordered() Option {
	return func(c *config) { c.low.Ordered = 1 }
}

// Inline runs everything on the calling goroutine, one item after the other in input order, each retried before the next begins: for
// debugging, and for programs that are sequential. Since it is the caller's goroutine, [runtime.Goexit] ends the call itself.
func Inline() Option {
	return func(c *config) { c.inline = true }
}

// Detach makes a run that ends early return at once, while calls are running: their items count as not done, and what they still
// return is dropped. By default they are waited for.
func Detach() Option {
	return func(c *config) { c.detach = true }
}

// OnQuiescent is called when no call of the run is under way any more: before it returns, or with [Detach] possibly later, on
// another goroutine.
func OnQuiescent(quiet func()) Option {
	return func(c *config) { c.onQuiescent = quiet }
}

// Encoding chooses how items and values of a [Task] cross the border between processes; for [Register]. The default is [Gob].
func Encoding(codec Codec) Option {
	return func(c *config) { c.codec = codec }
}

// Processes says how worker processes are run, for a [Task].
func Processes(how Process) Option {
	return func(c *config) { c.process = &how }
}

// A Process says how worker processes are run. What is zero has its default.
type Process struct {
	// CrashAttempts: an item whose attempts have cost so many workers has crashed for good, even if [Retry] would try again. The
	// default is 3.
	CrashAttempts int
	// MaxItems: a worker that has run so many items is replaced. The default is never.
	MaxItems int
	// MemoryLimit is how many bytes of private memory a worker may have (RLIMIT_DATA). The default is no limit.
	MemoryLimit int
	// MaxCrashes: when so many workers have died in a row, and no item was done in between, the run ends with [ErrWorkersLost]. The
	// default is 64.
	MaxCrashes int
	// StartTimeout: a worker that has not called [WorkerMain] by then could not be started. The default is 30 s.
	StartTimeout time.Duration
	// Directory is the workers' working directory. The default is that of the program.
	Directory string
	// Environment is all of it, as "NAME=value". The default is that of the program.
	Environment []string
	// Command is the program of a worker, and its arguments. It must register the same tasks and call [WorkerMain]. The default is
	// this program itself, without arguments.
	Command []string
}

// OnProgress is called after each item that was done, on the calling goroutine. done counts up by one; total is the number of items,
// or of those admitted so far when it is not known. An error ends the run, and is that of the call.
func OnProgress(progress func(done, total int) error) Option {
	return func(c *config) { c.onProgress = progress }
}

// OnResult is called after each item that was done, in the order in which they finish, on the calling goroutine, and before
// [OnProgress]. R must be that of the function. An error ends the run, and is that of the call.
func OnResult[R any](result func(Result[R]) error) Option {
	return func(c *config) { c.onResult = result }
}

// ItemKey names items: called once for each when it is admitted, one call at a time, on any goroutine. T must be that of the items.
// A key is an integer, a string, or a []byte; anything else, or an error, ends the run, and is that of the call.
func ItemKey[T any](key func(T) (any, error)) Option {
	return func(c *config) { c.itemKey = key }
}

// WorkerStart is called on each goroutine that runs items before its first one: for connections and other state of its own, which it
// may put into the context that it returns. That context is what the function then gets. An error ends the run, and is that of the
// call.
func WorkerStart(start func(context.Context) (context.Context, error)) Option {
	return func(c *config) { c.workerStart = start }
}

// WorkerStop is called after the last item of each goroutine for which WorkerStart succeeded, with the context that it returned.
func WorkerStop(stop func(context.Context)) Option {
	return func(c *config) { c.workerStop = stop }
}

// ----------------------------------------------------------------

func invalid(format string, arguments ...any) error {
	return &InvalidError{Message: fmt.Sprintf(format, arguments...)}
}

func (c *config) refuse(err error) {
	if c.invalid == nil {
		c.invalid = err
	}
}

// Fields that are unsigned in C: what lies outside would become another number. All other bounds are libpa's to check.

func (c *config) atLeast(name string, value, from int) int {
	if value < from {
		c.refuse(invalid("options.%s must be >= %d, got %d", name, from, value))
		return from
	}
	return value
}

func (c *config) within(name string, value, from, to int) int {
	if value < from || value > to {
		c.refuse(invalid("options.%s must be %d to %d, got %d", name, from, to, value))
		return from
	}
	return value
}

// newConfig applies the options. T and R are the function's.
func newConfig[T, R any](options []Option) (*config, error) {
	c := &config{low: defaults}
	for _, option := range options {
		if option != nil {
			option(c)
		}
	}
	if c.low.Workers == 0 {
		c.low.Workers = uint32(runtime.GOMAXPROCS(0))
	}
	// A job of libpa watches no call: the time of an attempt is kept here.
	switch {
	case c.low.ItemTimeoutNs == -1:
	case c.low.ItemTimeoutNs <= 0:
		c.refuse(invalid("options.item_timeout_ns must be > 0, or -1 for none, got %d", c.low.ItemTimeoutNs))
	default:
		c.itemTimeout = time.Duration(c.low.ItemTimeoutNs)
		c.low.ItemTimeoutNs = -1
	}
	if _, fits := c.onResult.(func(Result[R]) error); c.onResult != nil && !fits {
		c.refuse(invalid("options.on_result must be a func(pa.Result[%v]) error, got %T", reflect.TypeFor[R](), c.onResult))
	}
	if _, fits := c.itemKey.(func(T) (any, error)); c.itemKey != nil && !fits {
		c.refuse(invalid("options.item_key must be a func(%v) (any, error), got %T", reflect.TypeFor[T](), c.itemKey))
	}
	return c, c.invalid
}

// What pa_options_init writes.
var defaults = func() palow.Options {
	options := palow.Alloc[palow.Options]()
	defer palow.Free(options)
	palow.InitOptions(options)
	return *options
}()
