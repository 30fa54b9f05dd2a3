package pa_test

import (
	"context"
	"errors"
	"math"
	"runtime"
	"slices"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"example.com/libpa/pa"
)

func TestBadOptionsAreRefusedBeforeAnythingRuns(t *testing.T) {
	limiter, err := pa.NewLimiter(pa.PerSecond(10))
	if err != nil {
		t.Fatal(err)
	}
	for has, option := range map[string]pa.Option{
		"workers":            pa.Workers(-1),
		"65535, got 65536":   pa.Workers(65536),
		"window":             pa.Window(-1),
		"batch_size":         pa.BatchSize(-5),
		"batch.max_items":    pa.Batch(-1, 0),
		"batch.linger_ns":    pa.Batch(1, -1),
		"rate.count":         pa.RateLimit(pa.PerSecond(math.NaN())),
		"rate.per_ns":        pa.RateLimit(pa.Rate{Count: 1, Per: 0, Burst: 1}),
		"rate.burst":         pa.RateLimit(pa.Rate{Count: 1, Per: time.Second, Burst: -1}),
		"rate_cost":          pa.RateCost(0),
		"retry.attempts":     pa.Retry(0),
		"retry.backoff_ns":   pa.Retry(2, pa.Backoff(-1)),
		"retry.max_delay_ns": pa.Retry(2, pa.MaxDelay(-1)),
		"max_server_wait_ns": pa.Retry(2, pa.MaxServerWait(-2)),
		"attempts must be 1": pa.Retry(-1), // what it is told to give instead must not be refused in turn
		"65535, got -1":      pa.Workers(-1),
		"NewLimiter":         pa.UseLimiter(&pa.Limiter{}),
		"NewStop":            pa.StopOn(&pa.Stop{}),
		"timeout_ns":         pa.Timeout(-2),
		"item_timeout_ns":    pa.ItemTimeout(0),
		"max_errors":         pa.MaxErrors(-1),
		"on_result":          pa.OnResult(func(pa.Result[string]) error { return nil }),
		"item_key":           pa.ItemKey(func(string) (any, error) { return 1, nil }),
	} {
		leavesNothing(t, func() {
			var calls atomic.Int64
			fn := func(context.Context, int) (int, error) { calls.Add(1); return 0, nil }
			results, err := pa.Map(background, count(3), fn, option)
			isInvalid(t, err, has)
			if results != nil {
				t.Errorf("%s: there are results", has)
			}
			pairs := 0
			for result, err := range pa.Stream(background, pa.From(count(3)), fn, option) {
				isInvalid(t, err, has)
				equal(t, "index", result.Index, -1)
				pairs++
			}
			equal(t, "pairs", pairs, 1)
			equal(t, "calls", calls.Load(), 0)
		})
	}
	_, err = pa.Map(background, count(3), square, pa.UseLimiter(limiter), pa.RateLimit(pa.PerSecond(1)))
	isInvalid(t, err, "limiter")
	_, err = pa.Map[int, int](background, count(3), nil)
	isInvalid(t, err, "fn")
	//lint:ignore SA1012 that is what is tested
	_, err = pa.Map(nil, count(3), square)
	isInvalid(t, err, "ctx")
	for _, source := range []pa.Source[int]{pa.FromSeq[int](nil), pa.FromSeq2[int](nil), pa.FromChunks[int](nil)} {
		_, err = pa.MapFrom(background, source, square)
		isInvalid(t, err, "source")
	}
	_, err = pa.MapFrom(background, pa.Source[int]{}, square)
	isInvalid(t, err, "source")
	_, err = pa.MapFrom(background, pa.FromSeq(endless).WithHint(-1), square)
	isInvalid(t, err, "hint")
}

func TestTheSameOptionGivenTwiceHoldsAsGivenLast(t *testing.T) {
	results, err := pa.Map(background, count(5), failOnOdd, pa.MaxErrors(1), pa.MaxErrors(0))
	equal(t, "end", results.End(), pa.EndCompleted)
	if err == nil {
		t.Error("items failed")
	}
}

func TestAnOptionThatIsNilChangesNothing(t *testing.T) {
	results, err := pa.Map(background, count(5), square, pa.Option(nil), pa.UseLimiter(nil), pa.StopOn(nil), pa.Retry(2, pa.RetryOption(nil)))
	must(t, results, err)
}

func TestRetryRepeatsWhatFailsAndStopsWithSuccess(t *testing.T) {
	results, err := pa.Map(background, count(50), func(ctx context.Context, x int) (int, error) {
		if pa.Attempt(ctx) < 3 {
			return 0, errors.New("again")
		}
		return x, nil
	}, pa.Retry(5, pa.Backoff(time.Microsecond), pa.MaxDelay(time.Millisecond), pa.Jitter(false)))
	must(t, results, err)
	for result := range results.All() {
		equal(t, "attempts", result.Attempts(), 3)
	}
}

func TestRetryIfSeesTheErrorAndDecides(t *testing.T) {
	final := errors.New("final")
	results, err := pa.Map(background, count(2), func(_ context.Context, x int) (int, error) {
		if x == 0 {
			return 0, final
		}
		return 0, errors.New("busy")
	}, pa.Retry(3, pa.Backoff(0), pa.RetryIf(func(err error) bool { return !errors.Is(err, final) })))
	is(t, err, final)
	equal(t, "attempts at what is final", results.At(0).Attempts(), 1)
	equal(t, "attempts at the other", results.At(1).Attempts(), 3)
}

func TestAPolicyThatPanicsLeavesTheItemItsError(t *testing.T) {
	mine := errors.New("mine")
	for _, policy := range []func(error) bool{
		func(error) bool { panic("policy") },
		func(error) bool { runtime.Goexit(); return true },
	} {
		results, err := pa.Map(background, count(3), func(context.Context, int) (int, error) { return 0, mine },
			pa.Retry(3, pa.Backoff(0), pa.RetryIf(policy)))
		is(t, err, mine)
		equal(t, "attempts", results.At(2).Attempts(), 1)
		equal(t, "failures", results.Failed(), 3)
	}
}

func TestProgressCountsUpToTheTotalOnTheCallersGoroutine(t *testing.T) {
	done := 0 // no lock: the race detector sees that it is the caller's goroutine
	results, err := pa.Map(background, count(1000), failOnOdd, pa.OnProgress(func(d, total int) error {
		done++
		if d != done || total != 1000 {
			t.Errorf("%d of %d at the call %d", d, total, done)
		}
		return nil
	}))
	equal(t, "calls", done, 1000)
	equal(t, "failures", results.Failed(), 500)
	if err == nil {
		t.Error("items failed")
	}
}

func TestOnResultSeesEachItemOnceBeforeProgress(t *testing.T) {
	seen := make([]int, 100)
	last := -1
	_, err := pa.Map(background, count(100), square,
		pa.OnResult(func(r pa.Result[int]) error {
			seen[r.Index]++
			last = r.Index
			if r.Value != r.Index*r.Index {
				t.Errorf("the value of %d is %d", r.Index, r.Value)
			}
			return nil
		}),
		pa.OnProgress(func(int, int) error {
			if last < 0 {
				t.Error("progress comes first")
			}
			last = -1
			return nil
		}))
	if err != nil || slices.ContainsFunc(seen, func(n int) bool { return n != 1 }) {
		t.Errorf("%v: %v", err, seen)
	}
}

func TestACallbackThatFailsEndsTheRunAndNoItemIsLost(t *testing.T) {
	enough := errors.New("enough")
	results, err := pa.Map(background, count(1000), square, pa.Workers(2), pa.OnProgress(func(done, _ int) error {
		if done == 3 {
			return enough
		}
		return nil
	}))
	is(t, err, pa.ErrCallback)
	is(t, err, enough)
	equal(t, "end", results.End(), pa.EndFailed)
	equal(t, "items", results.Len(), 1000)
	for result := range results.All() {
		if result.OK() && result.Value != result.Index*result.Index || !result.OK() && result.State() != pa.Aborted {
			t.Errorf("%d: %v %d", result.Index, result.State(), result.Value)
		}
	}
}

func TestACallbackThatPanicsPanicsInTheCallAndLeavesNothing(t *testing.T) {
	leavesNothing(t, func() {
		defer func() { equal(t, "panic", recover(), any("mine")) }()
		_, _ = pa.Map(background, count(1000), square, pa.OnProgress(func(int, int) error { panic("mine") }))
		t.Error("the call returned")
	})
}

func TestKeysNameItems(t *testing.T) {
	results, err := pa.Map(background, count(6), failOnOdd, pa.ItemKey(func(x int) (any, error) {
		return []any{x, "one", []byte("two"), int64(3), uint8(4), "one"}[x], nil
	}))
	equal(t, "a key", results.At(0).Key(), any(0))
	equal(t, "a key", results.At(1).Key(), any("one"))
	equal(t, "a key", string(results.At(2).Key().([]byte)), "two")
	equal(t, "a key of what failed", results.At(5).Key(), any("one"))
	var item *pa.ItemError
	if !errors.As(err, &item) || item.Key != "one" {
		t.Errorf("the key of %v", err)
	}
}

func TestAKeyFunctionThatFailsEndsTheRun(t *testing.T) {
	nameless := errors.New("nameless")
	for _, key := range []func(int) (any, error){
		func(x int) (any, error) { return x, errIf(x == 5, nameless) },
		func(x int) (any, error) { return x, panicIf(x == 5, nameless) },
	} {
		results, err := pa.Map(background, count(100), square, pa.ItemKey(key))
		is(t, err, pa.ErrKey)
		is(t, err, nameless)
		equal(t, "end", results.End(), pa.EndFailed)
		equal(t, "items", results.Len(), 100)
	}
	_, err := pa.Map(background, count(3), square, pa.ItemKey(func(int) (any, error) { return 1.5, nil }))
	is(t, err, pa.ErrKey)
}

func errIf(when bool, err error) error {
	if when {
		return err
	}
	return nil
}

func panicIf(when bool, value any) error {
	if when {
		panic(value)
	}
	return nil
}

type connection struct{ items int }

type connectionKey struct{}

func TestWorkersHaveStateOfTheirOwn(t *testing.T) {
	var started, stopped, items atomic.Int64
	_, err := pa.Map(background, count(100), func(ctx context.Context, x int) (int, error) {
		ctx.Value(connectionKey{}).(*connection).items++ // no lock: the race detector sees that it is one goroutine's
		return x, nil
	}, pa.Workers(4),
		pa.WorkerStart(func(ctx context.Context) (context.Context, error) {
			started.Add(1)
			return context.WithValue(ctx, connectionKey{}, &connection{}), nil
		}),
		pa.WorkerStop(func(ctx context.Context) {
			stopped.Add(1)
			items.Add(int64(ctx.Value(connectionKey{}).(*connection).items))
		}))
	if err != nil || started.Load() != stopped.Load() || started.Load() < 1 || started.Load() > 4 {
		t.Errorf("%v; %d started, %d stopped", err, started.Load(), stopped.Load())
	}
	equal(t, "items", items.Load(), 100)
}

func TestAWorkerMayKeepItsThread(t *testing.T) {
	_, err := pa.Map(background, count(1000), func(ctx context.Context, x int) (int, error) {
		runtime.Gosched()
		return x, errIf(syscall.Gettid() != ctx.Value(connectionKey{}).(int), errors.New("on another thread"))
	}, pa.Workers(4),
		pa.WorkerStart(func(ctx context.Context) (context.Context, error) {
			runtime.LockOSThread()
			return context.WithValue(ctx, connectionKey{}, syscall.Gettid()), nil
		}),
		pa.WorkerStop(func(context.Context) { runtime.UnlockOSThread() }))
	if err != nil {
		t.Error(err)
	}
}

func TestAFunctionMayCallMapItself(t *testing.T) {
	results, err := pa.Map(background, count(10), func(ctx context.Context, x int) (int, error) {
		inner, err := pa.Map(ctx, []int{x, x}, square, pa.Workers(1))
		if err != nil {
			return 0, err
		}
		return inner.Values()[1], nil
	}, pa.Workers(1))
	equal(t, "the last", must(t, results, err).At(9).Value, 81)
}

func TestAWorkerThatCanNotStartEndsTheRun(t *testing.T) {
	refused := errors.New("refused")
	for _, start := range []func(context.Context) (context.Context, error){
		func(context.Context) (context.Context, error) { return nil, refused },
		func(context.Context) (context.Context, error) { panic(refused) },
		func(context.Context) (context.Context, error) { runtime.Goexit(); return nil, nil },
	} {
		leavesNothing(t, func() {
			results, err := pa.Map(background, count(10), square, pa.WorkerStart(start),
				pa.WorkerStop(func(context.Context) { t.Error("it was stopped") }))
			is(t, err, pa.ErrWorkerStart)
			equal(t, "end", results.End(), pa.EndFailed)
			equal(t, "state", results.At(9).State(), pa.Aborted)
		})
	}
}

func TestTheWindowHoldsForSlicesToo(t *testing.T) {
	var now, most atomic.Int64
	_, err := pa.Map(background, count(200), func(_ context.Context, x int) (int, error) {
		if n := now.Add(1); n > most.Load() {
			most.Store(n)
		}
		runtime.Gosched()
		now.Add(-1)
		return x, nil
	}, pa.Workers(8), pa.Window(2))
	if err != nil || most.Load() > 2 {
		t.Errorf("%v, %d at a time", err, most.Load())
	}
}
