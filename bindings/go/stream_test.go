package pa_test

import (
	"context"
	"errors"
	"iter"
	"runtime"
	"slices"
	"sync/atomic"
	"testing"
	"time"

	"example.com/libpa/pa"
)

func TestSourcesMayBePulledByGoroutinesThatAreBoundToThreads(t *testing.T) {
	runtime.LockOSThread() // as programs with windows do
	defer runtime.UnlockOSThread()
	bound := pa.WorkerStart(func(ctx context.Context) (context.Context, error) {
		runtime.LockOSThread()
		return ctx, nil
	})
	for _, source := range []pa.Source[int]{
		pa.FromSeq(slices.Values(count(100))),
		pa.FromSeq2(func(yield func(int, error) bool) {
			for _, x := range count(100) {
				if !yield(x, nil) {
					return
				}
			}
		}),
		pa.FromChunks(slices.Chunk(count(100), 7)),
	} {
		for _, option := range []pa.Option{pa.Workers(4), bound, pa.Inline()} {
			leavesNothing(t, func() {
				results, err := pa.MapFrom(background, source, square, option)
				equal(t, "the last", must(t, results, err).At(99).Value, 99*99)
			})
		}
	}
}

func TestAStreamThatIsLeftTellsItsIteratorOnce(t *testing.T) {
	told := 0
	leavesNothing(t, func() {
		for range pa.Stream(background, pa.FromSeq(func(yield func(int) bool) {
			for x := 0; ; x++ {
				if !yield(x) {
					told++
					yield(x) // a mistake, which goes nowhere
					return
				}
			}
		}), square) {
			break
		}
	})
	equal(t, "told", told, 1)
}

func TestAStreamHandsOutOneResultForEachItem(t *testing.T) {
	for _, n := range []int{0, 1, 5, 5000, 100_000} {
		for name, source := range map[string]pa.Source[int]{
			"slice":  pa.From(count(n)),
			"chunks": pa.FromChunks(slices.Chunk(count(n), 777)),
		} {
			seen := make([]bool, n)
			for result, err := range pa.Stream(background, source, square, pa.Workers(3)) {
				if err != nil || result.Value != result.Index*result.Index || seen[result.Index] {
					t.Fatalf("%s of %d: item %d, %v", name, n, result.Index, err)
				}
				seen[result.Index] = true
			}
			if slices.Contains(seen, false) {
				t.Errorf("%s of %d: one is missing", name, n)
			}
		}
	}
}

func TestInOrderIndicesComeOneAfterTheOther(t *testing.T) {
	next := 0
	for result, err := range pa.Stream(background, pa.From(count(20_000)), func(ctx context.Context, x int) (int, error) {
		if x%100 == 7 && pa.Attempt(ctx) == 1 {
			return 0, errors.New("again")
		}
		return x, nil
	}, pa.Ordered(), pa.Workers(4), pa.Retry(2, pa.Backoff(time.Microsecond))) {
		if err != nil || result.Index != next {
			t.Fatalf("%d in place of %d: %v", result.Index, next, err)
		}
		next++
	}
	equal(t, "items", next, 20_000)
}

func TestAsTheyComeAStragglerHoldsUpNobody(t *testing.T) {
	release := make(chan bool)
	n := 0
	for result, err := range pa.Stream(background, pa.From(count(100)), func(_ context.Context, x int) (int, error) {
		if x == 0 {
			<-release
		}
		return x, nil
	}, pa.Workers(2)) {
		is(t, err, nil)
		if n++; n == 99 {
			close(release) // all others are here
		}
		equal(t, "the straggler comes last", result.Index == 0, n == 100)
	}
}

func TestFailedItemsComeWithTheirErrorAndTheStreamGoesOn(t *testing.T) {
	failed, ok := 0, 0
	for result, err := range pa.Stream(background, pa.From(count(1000)), failOnOdd) {
		var item *pa.ItemError
		switch {
		case err == nil:
			ok++
		case errors.As(err, &item) && item.Index == result.Index && result.Value == 0 && result.Err() == item.Err:
			failed++
		default:
			t.Errorf("item %d: %v", result.Index, err)
		}
	}
	equal(t, "failed", failed, 500)
	equal(t, "ok", ok, 500)
}

func TestAnEarlyEndIsToldLast(t *testing.T) {
	ctx, cancel := context.WithCancel(background)
	defer cancel()
	var last error
	for result, err := range pa.Stream(ctx, pa.FromSeq(endless), square) {
		if result.Index == 100 {
			cancel()
		}
		if last != nil {
			t.Fatal("something came after the end")
		}
		if result.Index < 0 {
			last = err
		}
	}
	is(t, last, context.Canceled)
	var run *pa.RunError
	if !errors.As(last, &run) || run.End != pa.EndCancelled {
		t.Errorf("%v", last)
	}
}

func TestMaxErrorsEndsTheStreamWithTheFailureThatReachesIt(t *testing.T) {
	failed := 0
	var last error
	for result, err := range pa.Stream(background, pa.FromSeq(endless), failOnOdd, pa.MaxErrors(3)) {
		if result.Index >= 0 && err != nil {
			failed++
		}
		last = err
	}
	equal(t, "failures", failed, 3)
	is(t, last, pa.ErrAborted)
}

func TestLeavingTheLoopEndsTheStreamAndLeavesNothing(t *testing.T) {
	for _, option := range []pa.Option{pa.Workers(2), pa.Workers(20), pa.Ordered(), pa.Inline(), pa.Detach()} {
		leavesNothing(t, func() {
			var closed atomic.Bool
			source := func(yield func(int) bool) {
				defer closed.Store(true)
				endless(yield)
			}
			quiet := make(chan bool)
			for result := range pa.Stream(background, pa.FromSeq(source), square, option, pa.OnQuiescent(func() { close(quiet) })) {
				if result.Index >= 50 {
					break
				}
			}
			<-quiet
			equal(t, "the source was closed", closed.Load(), true)
		})
	}
}

func TestLeavingTheLoopTellsTheCallsThatRun(t *testing.T) {
	leavesNothing(t, func() {
		for range pa.Stream(background, pa.From(count(3)), func(ctx context.Context, x int) (int, error) {
			if x == 0 {
				return 0, nil
			}
			return untilStopped(ctx, x) // never, if nobody tells it
		}, pa.Workers(3)) {
			break
		}
	})
}

func TestALoopThatPanicsLeavesNothing(t *testing.T) {
	leavesNothing(t, func() {
		defer func() { equal(t, "panic", recover(), any("mine")) }()
		for range pa.Stream(background, pa.FromSeq(endless), square) {
			panic("mine")
		}
	})
}

func TestASourceIsNeverAskedBeyondTheWindow(t *testing.T) {
	var delivered atomic.Int64
	source := func(yield func(int) bool) {
		for i := 0; i < 200; i++ {
			delivered.Add(1)
			if !yield(i) {
				return
			}
		}
	}
	handedOut := int64(0)
	for _, err := range pa.Stream(background, pa.FromSeq(source), square, pa.Window(8), pa.Workers(2)) {
		is(t, err, nil)
		if ahead := delivered.Load() - handedOut; ahead > 8 {
			t.Errorf("%d items are under way", ahead)
		}
		handedOut++
	}
	equal(t, "items", handedOut, 200)
}

func TestASourceMayWaitForWhatBecameOfTheItemBefore(t *testing.T) {
	results := make(chan int, 1)
	source := func(yield func(int) bool) {
		for x := 1; x < 1000; x = <-results {
			if !yield(x) {
				return
			}
		}
	}
	n := 0
	for result, err := range pa.Stream(background, pa.FromSeq(source), func(_ context.Context, x int) (int, error) { return 2 * x, nil }) {
		is(t, err, nil)
		n++
		results <- result.Value
	}
	equal(t, "items", n, 10)
}

func TestWhenASourceFailsAllThatWasDoneIsHandedOutAndThenItsError(t *testing.T) {
	broken := errors.New("broken")
	for _, source := range []pa.Source[int]{
		pa.FromSeq2(func(yield func(int, error) bool) {
			for i := range 50 {
				yield(i, nil)
			}
			yield(0, broken)
		}),
		pa.FromSeq(func(yield func(int) bool) {
			for i := range 50 {
				yield(i)
			}
			panic(broken)
		}),
	} {
		n := 0
		var last error
		for result, err := range pa.Stream(background, source, square) {
			if result.Index >= 0 {
				n++
			}
			last = err
		}
		equal(t, "items", n, 50)
		is(t, last, pa.ErrSource)
		is(t, last, broken)
		results, err := pa.MapFrom(background, source.WithHint(60), square)
		is(t, err, broken)
		equal(t, "items of a map", results.Len(), 60)
		equal(t, "one that never came", results.At(59).State(), pa.Aborted)
	}
}

func TestASourceThatEndsItsGoroutineEndsTheRun(t *testing.T) {
	leavesNothing(t, func() {
		results, err := pa.MapFrom(background, pa.FromSeq(func(yield func(int) bool) {
			yield(1)
			runtime.Goexit()
		}), square)
		is(t, err, pa.ErrSource)
		is(t, err, pa.ErrGoexit)
		equal(t, "items", results.Len(), 1)
	})
}

func TestMapsTakeSourcesOfAnyLength(t *testing.T) {
	for name, source := range map[string]pa.Source[int]{
		"seq":             pa.FromSeq(slices.Values(count(3000))),
		"seq, hint":       pa.FromSeq(slices.Values(count(3000))).WithHint(3000),
		"hint too small":  pa.FromSeq(slices.Values(count(3000))).WithHint(5),
		"hint too large":  pa.FromSeq(slices.Values(count(3000))).WithHint(5000),
		"chunks":          pa.FromChunks(slices.Chunk(count(3000), 1000)),
		"empty chunks":    pa.FromChunks(func(yield func([]int) bool) { _ = yield(nil) && yield(count(3000)) && yield(nil) }),
		"seq with errors": pa.FromSeq2(withoutErrors(slices.Values(count(3000)))),
	} {
		results, err := pa.MapFrom(background, source, square)
		if err != nil || results.Len() != 3000 || results.At(2999).Value != 2999*2999 {
			t.Errorf("%s: %v, %v", name, results, err)
		}
	}
}

func withoutErrors(items iter.Seq[int]) iter.Seq2[int, error] {
	return func(yield func(int, error) bool) {
		for x := range items {
			if !yield(x, nil) {
				return
			}
		}
	}
}

func TestAStreamCanBeReadTwice(t *testing.T) {
	stream := pa.Stream(background, pa.From(count(10)), square)
	for range 2 {
		n := 0
		for range stream {
			n++
		}
		equal(t, "items", n, 10)
	}
}

func TestCallbacksOfAStreamComeBeforeEachItem(t *testing.T) {
	done, seen := 0, 0
	stop := errors.New("stop")
	var last error
	for result, err := range pa.Stream(background, pa.From(count(100)), square, pa.OnProgress(func(d, total int) error {
		done = d
		equal(t, "total", total, 100)
		if d == 50 {
			return stop
		}
		return nil
	}), pa.ItemKey(func(x int) (any, error) { return x, nil })) {
		last = err
		if result.Index >= 0 {
			equal(t, "key", result.Key(), any(result.Index))
			if seen++; seen <= 50 {
				equal(t, "done", done, seen)
			}
		}
	}
	is(t, last, pa.ErrCallback)
	is(t, last, stop)
}

func TestAnEventLoopMayWaitForAStreamLikeForAnythingElse(t *testing.T) {
	next, stop := iter.Pull2(pa.Stream(background, pa.From(count(10)), square, pa.Ordered()))
	defer stop()
	for i := range 5 {
		result, err, more := next()
		if !more || err != nil || result.Index != i {
			t.Errorf("%d: %v", result.Index, err)
		}
	}
}
