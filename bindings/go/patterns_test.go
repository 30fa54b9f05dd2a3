package pa_test

import (
	"context"
	"errors"
	"math/rand/v2"
	"os"
	"os/signal"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"example.com/libpa/pa"
)

func TestASignalStopsARunAndNothingIsLost(t *testing.T) {
	ctx, release := signal.NotifyContext(background, os.Interrupt)
	defer release()
	results, err := pa.Map(ctx, count(100), func(ctx context.Context, x int) (int, error) {
		if x < 10 {
			return x, nil
		}
		if x == 10 {
			if err := syscall.Kill(os.Getpid(), syscall.SIGINT); err != nil {
				t.Error(err)
			}
		}
		return untilStopped(ctx, x)
	}, pa.Workers(1))
	is(t, err, pa.ErrCancelled)
	equal(t, "what was done before", results.At(9).Value, 9)
	equal(t, "what was running", results.At(10).State(), pa.Cancelled)
	equal(t, "items", results.Len(), 100)
}

func TestASecondRunTakesWhatFailed(t *testing.T) {
	items := count(100)
	results, _ := pa.Map(background, items, failOnOdd)
	var again []int
	for failure := range results.Failures() {
		again = append(again, items[failure.Index])
	}
	second, err := pa.Map(background, again, square)
	must(t, second, err)
	equal(t, "items", second.Len(), 50)
	equal(t, "the first of them", second.At(0).Value, 1)
}

func TestAMapInTheBackgroundIsAGoroutine(t *testing.T) {
	ctx, cancel := context.WithCancel(background)
	type outcome struct {
		results *pa.Results[int]
		err     error
	}
	done, running := make(chan outcome, 1), make(chan bool, 1)
	go func() {
		results, err := pa.Map(ctx, count(3), func(ctx context.Context, x int) (int, error) {
			running <- true
			return untilStopped(ctx, x)
		}, pa.Workers(1))
		done <- outcome{results, err}
	}()
	<-running
	select {
	case <-done:
		t.Error("it is over while a call is running")
	default:
	}
	cancel()
	is(t, (<-done).err, context.Canceled)
}

func TestItemsMayBeOfSeveralParts(t *testing.T) {
	type pair struct {
		base, exponent int
	}
	results, err := pa.Map(background, []pair{{2, 3}, {3, 2}}, func(_ context.Context, p pair) (int, error) {
		power := 1
		for range p.exponent {
			power *= p.base
		}
		return power, nil
	})
	must(t, results, err)
	equal(t, "value", results.At(1).Value, 9)
}

func TestAStopWhileCallsArePacedIsHeardAtOnce(t *testing.T) {
	for name, end := range map[string]func(cancel func(), stop *pa.Stop){
		"context": func(cancel func(), _ *pa.Stop) { cancel() },
		"stop":    func(_ func(), stop *pa.Stop) { stop.Request() },
	} {
		ctx, cancel := context.WithCancel(background)
		stop := pa.NewStop()
		results, err := pa.Map(ctx, count(3), square, pa.StopOn(stop), pa.RateLimit(pa.Rate{Count: 1, Per: time.Hour, Burst: 1}),
			pa.OnResult(func(pa.Result[int]) error { end(cancel, stop); return nil }))
		if !errors.Is(err, pa.ErrCancelled) || results.At(0).Value != 0 || results.At(2).Attempts() != 0 {
			t.Errorf("%s: %v", name, err)
		}
		cancel()
	}
}

func TestOfTwoPausesTheOneThatEndsLastHolds(t *testing.T) {
	limiter := newLimiter(t, pa.Rate{Count: 1e6, Per: time.Second, Burst: 10})
	is(t, limiter.Pause(time.Hour), nil)
	is(t, limiter.Pause(time.Millisecond), nil)
	is(t, limiter.Pause(-1), nil)
	_, wait, _ := limiter.Try(1)
	if wait < 59*time.Minute {
		t.Errorf("the wait is %v", wait)
	}
}

func TestADurationSpansAllAttemptsAndTheWaitsBetween(t *testing.T) {
	for _, options := range [][]pa.Option{nil, {pa.OnProgress(func(int, int) error { return nil })}} {
		results, err := pa.Map(background, count(1), func(ctx context.Context, x int) (int, error) {
			if pa.Attempt(ctx) == 1 {
				return 0, errors.New("again")
			}
			return x, nil
		}, append(options, pa.Retry(2, pa.Backoff(5*time.Millisecond), pa.Jitter(false)))...)
		must(t, results, err)
		if took := results.At(0).Duration(); took < 5*time.Millisecond {
			t.Errorf("%v", took)
		}
	}
}

func TestAStopInsideAKeyFunctionLeavesItsItemItsKey(t *testing.T) {
	stop := pa.NewStop()
	var calls atomic.Int64
	results, _ := pa.Map(background, count(10), func(_ context.Context, x int) (int, error) {
		calls.Add(1)
		return x, nil
	}, pa.Workers(1), pa.Window(1), pa.StopOn(stop), pa.ItemKey(func(x int) (any, error) {
		if x == 0 {
			stop.Request()
		}
		return x, nil
	}))
	equal(t, "calls", calls.Load(), 0)
	equal(t, "key", results.At(0).Key(), any(0))
	equal(t, "state", results.At(0).State(), pa.Cancelled)
	equal(t, "the key of what was not asked", results.At(9).Key(), nil)
}

func TestASourceThatTimesOutItselfIsNoRunThatTimedOut(t *testing.T) {
	results, err := pa.MapFrom(background, pa.FromSeq2(func(yield func(int, error) bool) {
		if yield(1, nil) {
			yield(0, context.DeadlineExceeded)
		}
	}), square, pa.Timeout(time.Hour))
	equal(t, "end", results.End(), pa.EndFailed)
	is(t, err, pa.ErrSource)
	if errors.Is(err, pa.ErrTimedOut) {
		t.Error("it is said to have timed out")
	}
}

// Random runs of every kind, each of which must give every item exactly one outcome, and leave nothing.
func TestEachItemHasExactlyOneOutcomeHoweverTheRunEnds(t *testing.T) {
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	random := rand.New(rand.NewPCG(seed, 1))
	leavesNothing(t, func() {
		for range 300 {
			randomRun(t, random)
			if t.Failed() {
				return
			}
		}
	})
}

func randomRun(t *testing.T, random *rand.Rand) {
	n := random.IntN(300)
	stopAt, failEvery, crashEvery := random.IntN(600), 1+random.IntN(20), 1+random.IntN(100)
	ctx, cancel := context.WithCancel(background)
	defer cancel()
	calls := make([]atomic.Int32, n)
	fn := func(ctx context.Context, x int) (int, error) {
		calls[x].Add(1)
		if x == stopAt {
			cancel()
		}
		if x%crashEvery == crashEvery-1 {
			panic(x)
		}
		if x%failEvery == 0 && pa.Attempt(ctx) < 3 {
			return 0, errSoak
		}
		return x + 1, nil
	}
	maybe := func(options ...pa.Option) pa.Option { return append(options, nil)[random.IntN(len(options)+1)] }
	options := []pa.Option{
		pa.Workers(1 + random.IntN(8)),
		pa.Retry(1+random.IntN(4), pa.Backoff(time.Duration(random.IntN(3))*time.Microsecond)),
		maybe(pa.Window(1+random.IntN(20)), pa.BatchSize(1+random.IntN(20)), pa.Inline()),
		maybe(pa.MaxErrors(1+random.IntN(10)), pa.Timeout(time.Duration(random.IntN(2000))*time.Microsecond)),
		maybe(pa.OnProgress(func(int, int) error { return nil }), pa.ItemKey(func(x int) (any, error) { return x, nil }), pa.Ordered()),
		maybe(pa.RateLimit(pa.Rate{Count: 1e6, Per: time.Second, Burst: 1 + random.IntN(100)}), pa.ItemTimeout(time.Hour)),
	}
	if random.IntN(2) == 0 {
		results, err := pa.Map(ctx, count(n), fn, options...)
		checkOutcomes(t, results, err, calls)
		return
	}
	seen, stopAfter := make([]bool, n), random.IntN(2*n+1)
	for result := range pa.Stream(ctx, pa.From(count(n)), fn, options...) {
		if result.Index < 0 {
			break
		}
		if seen[result.Index] || result.OK() != (result.Value == result.Index+1) || int(calls[result.Index].Load()) != result.Attempts() {
			t.Errorf("item %d comes again, or with %d after %d calls", result.Index, result.Value, result.Attempts())
		}
		seen[result.Index] = true
		if stopAfter--; stopAfter == 0 {
			break
		}
	}
}

func checkOutcomes(t *testing.T, results *pa.Results[int], err error, calls []atomic.Int32) {
	t.Helper()
	if results.Len() != len(calls) || results.OK() != (err == nil) {
		t.Errorf("%d outcomes for %d items: %v", results.Len(), len(calls), err)
	}
	n := 0
	for result := range results.All() {
		if result.Index != n || result.OK() != (result.Value == n+1) || result.OK() != (result.Err() == nil) ||
			int(calls[n].Load()) != result.Attempts() {
			t.Errorf("item %d of %d: %v %d %v, %d attempts, %d calls", result.Index, n, result.State(), result.Value, result.Err(),
				result.Attempts(), calls[n].Load())
		}
		n++
	}
	equal(t, "outcomes", n, len(calls))
}
