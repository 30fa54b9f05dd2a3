package conformance

import (
	"context"
	"errors"
	"iter"
	"strconv"
	"strings"
	"sync/atomic"
	"time"

	"example.com/libpa/pa"
)

var (
	errSource   = errors.New("source failed")
	errCallback = errors.New("callback failed")
	errKey      = errors.New("key failed")
	errWorker   = errors.New("worker failed")
)

// What a run of a case looked like from outside.
type observed struct {
	err      error
	isStream bool
	end      pa.End
	ok       bool
	outcomes []pa.Result[*int]
	inOrder  bool

	delivered        int
	progress         [3]int
	results          int
	started, stopped atomic.Int64
	program          *program
}

// observe runs a case by one of the calls.
func observe(c *testCase, call string) *observed {
	seen := &observed{inOrder: true, program: &program{function: c.Function, stop: pa.NewStop()}}
	options, err := seen.options(c)
	if err != nil { // of the limiter
		seen.err = err
		return seen
	}
	p, ctx := seen.program, context.Background()
	switch call {
	case "map":
		seen.note(pa.Map(ctx, c.Inputs.Items, p.item, options...))
	case "batch":
		seen.note(pa.MapBatch(ctx, c.Inputs.Items, p.batch, options...))
	case "source":
		seen.note(pa.MapFrom(ctx, seen.source(c), p.item, options...))
	case "batch_source":
		seen.note(pa.MapBatchFrom(ctx, seen.source(c), p.batch, options...))
	case "stream":
		seen.read(pa.Stream(ctx, seen.source(c), p.item, options...))
	case "ordered":
		seen.read(pa.Stream(ctx, seen.source(c), p.item, append(options, pa.Ordered())...))
	case "batch_stream":
		seen.read(pa.StreamBatch(ctx, seen.source(c), p.batch, options...))
	case "batch_ordered":
		seen.read(pa.StreamBatch(ctx, seen.source(c), p.batch, append(options, pa.Ordered())...))
	default:
		panic("nobody knows the call " + call)
	}
	return seen
}

// source delivers one item at a time where the case says so, or where it fails: an iterator of slices can't.
func (o *observed) source(c *testCase) pa.Source[int] {
	in := &c.Inputs
	items := func(yield func(int, error) bool) {
		for ; in.Endless || o.delivered < len(in.Items); o.delivered++ {
			if in.FailsAt != nil && o.delivered == *in.FailsAt {
				yield(0, errSource)
				return
			}
			x := o.delivered
			if !in.Endless {
				x = in.Items[x]
			}
			if !yield(x, nil) {
				o.delivered++
				return
			}
		}
	}
	source := pa.FromSeq2(items)
	if !in.OneByOne && in.FailsAt == nil && !in.Endless {
		source = pa.FromChunks(func(yield func([]int) bool) {
			o.delivered = len(in.Items)
			yield(in.Items)
		})
		if c.Expect.DeliveredAtMost != nil { // this one must not run ahead
			source = pa.FromSeq2(items)
		}
	}
	if in.Hint != nil {
		source = source.WithHint(*in.Hint)
	}
	return source
}

func (o *observed) options(c *testCase) ([]pa.Option, error) {
	from := &c.Options
	var all []pa.Option
	add := func(option pa.Option) { all = append(all, option) }
	withInt(from.Workers, pa.Workers, add)
	withInt(from.Window, pa.Window, add)
	withInt(from.BatchSize, pa.BatchSize, add)
	withInt(from.RateCost, pa.RateCost, add)
	withInt(from.MaxErrors, pa.MaxErrors, add)
	if from.TimeoutNs != nil {
		add(pa.Timeout(time.Duration(*from.TimeoutNs)))
	}
	if from.ItemTimeoutNs != nil {
		add(pa.ItemTimeout(time.Duration(*from.ItemTimeoutNs)))
	}
	if from.Inline {
		add(pa.Inline())
	}
	if from.Batch != nil {
		add(pa.Batch(from.Batch.MaxItems, time.Duration(from.Batch.LingerNs)))
	}
	if from.Rate != nil {
		add(pa.RateLimit(from.Rate.of()))
	}
	if from.Limiter != nil {
		limiter, err := pa.NewLimiter(from.Limiter.of())
		if err != nil {
			return nil, err
		}
		add(pa.UseLimiter(limiter))
	}
	o.addRetry(c, add)
	switch from.Stop {
	case nil:
	case true:
		add(pa.StopOn(o.program.stop))
	case "requested":
		o.program.stop.Request()
		add(pa.StopOn(o.program.stop))
	default:
		panic("nobody knows this stop")
	}
	o.addHooks(from, add)
	return all, nil
}

func withInt(value *int, option func(int) pa.Option, add func(pa.Option)) {
	if value != nil {
		add(option(*value))
	}
}

func (r *rate) of() pa.Rate {
	return pa.Rate{Count: float64(r.Count), Per: time.Duration(r.PerNs), Burst: r.Burst}
}

func (o *observed) addRetry(c *testCase, add func(pa.Option)) {
	from := c.Options.Retry
	if from == nil {
		return
	}
	var more []pa.RetryOption
	if from.BackoffNs != nil {
		more = append(more, pa.Backoff(time.Duration(*from.BackoffNs)))
	}
	if from.MaxDelayNs != nil {
		more = append(more, pa.MaxDelay(time.Duration(*from.MaxDelayNs)))
	}
	if from.Jitter != nil {
		more = append(more, pa.Jitter(*from.Jitter))
	}
	if from.MaxServerWaitNs != nil {
		more = append(more, pa.MaxServerWait(time.Duration(*from.MaxServerWaitNs)))
	}
	if c.Function.Name == "fail_for_good_on_odd" {
		more = append(more, pa.RetryIf(notFinal))
	}
	attempts := 1
	if from.Attempts != nil {
		attempts = *from.Attempts
	}
	add(pa.Retry(attempts, more...))
}

func (o *observed) addHooks(from *options, add func(pa.Option)) {
	if h := from.OnProgress; h != nil {
		add(pa.OnProgress(func(done, total int) error {
			o.progress = [3]int{o.progress[0] + 1, done, total}
			if o.progress[0] == h.failsAt {
				return errCallback
			}
			return nil
		}))
	}
	if h := from.OnResult; h != nil {
		add(pa.OnResult(func(pa.Result[*int]) error {
			if o.results++; o.results == h.failsAt {
				return errCallback
			}
			return nil
		}))
	}
	if h := from.ItemKey; h != nil {
		add(pa.ItemKey(func(x int) (any, error) { return nameItem(h, x) }))
	}
	if h := from.WorkerStart; h != nil {
		add(pa.WorkerStart(func(ctx context.Context) (context.Context, error) {
			if h.fails {
				return nil, errWorker
			}
			o.started.Add(1)
			return ctx, nil
		}))
		add(pa.WorkerStop(func(context.Context) { o.stopped.Add(1) }))
	}
}

func nameItem(h *hook, x int) (any, error) {
	if x == h.failsAt {
		return nil, errKey
	}
	switch {
	case h.word == "string":
		return "k" + strconv.Itoa(x), nil
	case h.word == "mixed" && x%3 == 1:
		return strconv.Itoa(x), nil
	case h.word == "mixed" && x%3 == 2:
		return []byte(strconv.Itoa(x)), nil
	case h.word == "int", h.word == "mixed", h.failsAt >= 0:
		return x, nil
	}
	panic("nobody knows the key " + h.word)
}

// note takes down what a map returned.
func (o *observed) note(results *pa.Results[*int], err error) {
	o.err = err
	if results == nil {
		return
	}
	o.end, o.ok = results.End(), results.OK()
	for result := range results.All() {
		o.outcomes = append(o.outcomes, result)
	}
}

// read takes down what a stream hands out.
func (o *observed) read(stream iter.Seq2[pa.Result[*int], error]) {
	o.isStream, o.end, o.ok = true, pa.EndCompleted, true
	for result, err := range stream {
		if result.Index < 0 {
			o.err, o.ok, o.end = err, false, pa.EndNone
			var ended *pa.RunError
			if errors.As(err, &ended) {
				o.end = ended.End
			}
			continue
		}
		if last := len(o.outcomes) - 1; last >= 0 && o.outcomes[last].Index > result.Index {
			o.inOrder = false
		}
		o.ok = o.ok && err == nil
		o.outcomes = append(o.outcomes, result)
	}
}

// kind is the counterpart of the status that C would return.
func (o *observed) kind() string {
	var wrong *pa.InvalidError
	switch {
	case errors.As(o.err, &wrong):
		return "INVALID"
	case errors.Is(o.err, pa.ErrSource) && errors.Is(o.err, errSource):
		return "SOURCE"
	case errors.Is(o.err, pa.ErrKey) && errors.Is(o.err, errKey):
		return "KEY"
	case errors.Is(o.err, pa.ErrCallback) && errors.Is(o.err, errCallback):
		return "CALLBACK"
	case errors.Is(o.err, pa.ErrWorkerStart) && errors.Is(o.err, errWorker):
		return "WORKER_START"
	}
	return ""
}

func nameOf(text string) string { return strings.ToUpper(strings.ReplaceAll(text, " ", "_")) }
