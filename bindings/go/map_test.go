package pa_test

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"example.com/libpa/pa"
)

func TestValuesComeInInputOrder(t *testing.T) {
	for _, n := range []int{0, 1, 2, 3, 1000, 100_000} {
		for _, workers := range []int{1, 2, 7, 100} {
			results, err := pa.Map(background, count(n), square, pa.Workers(workers))
			must(t, results, err)
			equal(t, "items", results.Len(), n)
			for i, value := range results.Values() {
				if value != i*i {
					t.Fatalf("value %d of %d is %d", i, n, value)
				}
			}
		}
	}
}

func TestOfNothingThereIsNothingAndThatIsOK(t *testing.T) {
	results, err := pa.Map(background, nil, square)
	must(t, results, err)
	equal(t, "ok", results.OK(), true)
	equal(t, "items", results.Len(), 0)
	equal(t, "end", results.End(), pa.EndCompleted)
}

func TestAFailedItemFailsAloneAndKeepsItsError(t *testing.T) {
	gone := errors.New("gone")
	results, err := pa.Map(background, count(100), func(_ context.Context, x int) (int, error) {
		if x == 37 {
			return 12, gone
		}
		return x, nil
	})
	equal(t, "failures", results.Failed(), 1)
	equal(t, "ok", results.OK(), false)
	equal(t, "state", results.At(37).State(), pa.Failed)
	equal(t, "the same error", results.At(37).Err(), gone)
	equal(t, "the value of what failed", results.At(37).Value, 0)
	equal(t, "its neighbour", results.At(38).Value, 38)
	is(t, err, gone)
	var item *pa.ItemError
	if !errors.As(err, &item) || item.Index != 37 || item.Attempts != 1 {
		t.Errorf("the item of %v is %+v", err, item)
	}
}

func TestTheErrorOfARunListsItemsInOrderOfIndex(t *testing.T) {
	results, err := pa.Map(background, count(1000), failOnOdd, pa.Workers(4))
	var run *pa.RunError
	if !errors.As(err, &run) {
		t.Fatalf("%v is not a RunError", err)
	}
	equal(t, "failures", results.Failed(), 500)
	equal(t, "errors", len(run.Unwrap()), 500)
	for i, err := range run.Unwrap() {
		if index := err.(*pa.ItemError).Index; index != 2*i+1 {
			t.Fatalf("error %d is that of item %d", i, index)
		}
	}
	equal(t, "text", err.Error(), "pa: 500 of 1000 items failed; the first, item 1: odd: 1")
}

func TestWhatHasNoValueHasTheZeroValue(t *testing.T) {
	for range 3 { // memory that was used before
		items := count(50_000)
		results, err := pa.Map(background, items, func(_ context.Context, x int) (int, error) {
			if x%1000 == 999 {
				return 7, errors.New("no")
			}
			return x + 1, nil
		}, pa.MaxErrors(20), pa.Workers(2))
		is(t, err, pa.ErrAborted)
		for result := range results.All() {
			if want := (result.Index + 1); !result.OK() && result.Value != 0 || result.OK() && result.Value != want {
				t.Fatalf("the value of %d, which is %v, is %d", result.Index, result.State(), result.Value)
			}
		}
		runtime.GC()
	}
}

func TestEachItemHasItsReceipt(t *testing.T) {
	results, _ := pa.Map(background, count(10), failOnOdd)
	n := 0
	for result := range results.All() {
		equal(t, "index", result.Index, n)
		equal(t, "attempts", result.Attempts(), 1)
		equal(t, "ok", result.OK(), n%2 == 0)
		equal(t, "error", result.Err() != nil, n%2 != 0)
		if result.Duration() < 0 {
			t.Errorf("item %d took %v", n, result.Duration())
		}
		n++
	}
	equal(t, "items", n, 10)
	equal(t, "text", results.String(), "10 items, 5 failed, completed")
}

func TestANilValueIsASuccess(t *testing.T) {
	results, err := pa.Map(background, count(3), func(context.Context, int) (*int, error) { return nil, nil })
	must(t, results, err)
	equal(t, "state", results.At(1).State(), pa.OK)
}

func TestAPanicIsTheErrorOfItsItem(t *testing.T) {
	boom := errors.New("boom")
	results, err := pa.Map(background, count(100), func(_ context.Context, x int) (int, error) {
		if x == 50 {
			panic(boom)
		}
		return x, nil
	})
	equal(t, "failures", results.Failed(), 1)
	var panicked *pa.PanicError
	if !errors.As(err, &panicked) {
		t.Fatalf("%v has no PanicError", err)
	}
	is(t, err, boom)
	if !strings.Contains(string(panicked.Stack), "TestAPanicIsTheErrorOfItsItem") {
		t.Errorf("the stack does not say where:\n%s", panicked.Stack)
	}
}

func TestGoexitIsTheErrorOfItsItem(t *testing.T) {
	leavesNothing(t, func() {
		results, err := pa.Map(background, count(1000), func(_ context.Context, x int) (int, error) {
			if x%10 == 0 {
				runtime.Goexit()
			}
			return x, nil
		}, pa.Workers(3))
		equal(t, "failures", results.Failed(), 100)
		is(t, err, pa.ErrGoexit)
		equal(t, "a neighbour", results.At(11).Value, 11)
	})
}

func TestAPanicIsNotRetriedUnlessThePolicySaysSo(t *testing.T) {
	crash := func(ctx context.Context, x int) (int, error) {
		if pa.Attempt(ctx) == 1 {
			panic("once")
		}
		return x, nil
	}
	results, _ := pa.Map(background, count(5), crash, pa.Retry(3, pa.Backoff(0)))
	equal(t, "failures", results.Failed(), 5)
	equal(t, "attempts", results.At(0).Attempts(), 1)
	results, err := pa.Map(background, count(5), crash, pa.Retry(3, pa.Backoff(0), pa.RetryIf(func(error) bool { return true })))
	must(t, results, err)
	equal(t, "attempts", results.At(0).Attempts(), 2)
}

func TestThereAreNeverMoreCallsAtATimeThanWorkers(t *testing.T) {
	var now, most atomic.Int64
	_, err := pa.Map(background, count(500), func(_ context.Context, x int) (int, error) {
		if n := now.Add(1); n > most.Load() {
			most.Store(n)
		}
		runtime.Gosched()
		now.Add(-1)
		return x, nil
	}, pa.Workers(3))
	if err != nil {
		t.Fatal(err)
	}
	if most.Load() > 3 {
		t.Errorf("%d calls at a time", most.Load())
	}
}

func TestAsManyCallsAsWorkersCanWaitForEachOther(t *testing.T) {
	var all sync.WaitGroup
	all.Add(300)
	_, err := pa.Map(background, count(300), func(_ context.Context, x int) (int, error) {
		all.Done()
		all.Wait()
		return x, nil
	}, pa.Workers(300))
	if err != nil {
		t.Fatal(err)
	}
}

func TestTheContextSaysWhichItemAndAttemptItIs(t *testing.T) {
	results, err := pa.Map(background, count(100), func(ctx context.Context, x int) (string, error) {
		if pa.Attempt(ctx) == 1 && x%3 == 0 {
			return "", errors.New("once")
		}
		ctx, cancel := context.WithCancel(ctx)
		defer cancel()
		return fmt.Sprint(pa.Index(ctx), pa.Attempt(ctx)), nil
	}, pa.Retry(2, pa.Backoff(0)))
	must(t, results, err)
	for i, text := range results.Values() {
		want := fmt.Sprint(i, 1)
		if i%3 == 0 {
			want = fmt.Sprint(i, 2)
		}
		equal(t, "the call", text, want)
	}
	equal(t, "elsewhere", pa.Index(background), -1)
	equal(t, "elsewhere", pa.Attempt(background), 0)
}

func TestAMapWithinAMapWorks(t *testing.T) {
	results, err := pa.Map(background, count(20), func(ctx context.Context, x int) (int, error) {
		inner, err := pa.Map(ctx, count(x), square, pa.Workers(2))
		return inner.Len(), err
	}, pa.Workers(4))
	must(t, results, err)
	equal(t, "the last", results.At(19).Value, 19)
}

func TestInlineEverythingHappensOnTheCallersGoroutineInInputOrder(t *testing.T) {
	var order []int // no lock: the race detector sees that there is one goroutine
	fn := func(ctx context.Context, x int) (int, error) {
		order = append(order, x)
		if x == 3 && pa.Attempt(ctx) < 3 {
			return 0, errors.New("again")
		}
		return x, nil
	}
	results, err := pa.Map(background, count(6), fn, pa.Inline(), pa.Retry(3, pa.Backoff(0)))
	must(t, results, err)
	equal(t, "an item is retried before the next begins", slices.Equal(order, []int{0, 1, 2, 3, 3, 3, 4, 5}), true)

	order = nil
	for result, err := range pa.Stream(background, pa.From(count(6)), fn, pa.Inline(), pa.Retry(3, pa.Backoff(0))) {
		if err != nil || result.Index == 3 && len(order) != 6 {
			t.Errorf("item %d: %v, after %v", result.Index, err, order)
		}
	}
	equal(t, "a stream, too", slices.Equal(order, []int{0, 1, 2, 3, 3, 3, 4, 5}), true)
}

func TestInlineGoexitEndsTheCallAndLeavesNothing(t *testing.T) {
	leavesNothing(t, func() {
		done := make(chan bool)
		go func() {
			defer func() { done <- true }()
			_, _ = pa.Map(background, count(6), func(context.Context, int) (int, error) {
				runtime.Goexit()
				return 0, nil
			}, pa.Inline())
			t.Error("the call returned")
		}()
		<-done
	})
}

func TestAFunctionBoundToItsDefaultsCanBeCalledMappedAndStreamed(t *testing.T) {
	var calls atomic.Int64
	flaky := pa.Bind(func(ctx context.Context, x int) (int, error) {
		calls.Add(1)
		if pa.Attempt(ctx) == 1 {
			return 0, errors.New("once")
		}
		return x * x, nil
	}, pa.Workers(2), pa.Retry(2, pa.Backoff(0)))

	results, err := flaky.Map(background, count(5))
	must(t, results, err)
	equal(t, "calls", calls.Load(), 10)
	results, _ = flaky.Map(background, count(5), pa.Retry(1))
	equal(t, "failures, when a call overrides the defaults", results.Failed(), 5)
	results, err = flaky.MapFrom(background, pa.FromSeq(slices.Values(count(5))))
	must(t, results, err)
	for result, err := range flaky.Stream(background, pa.From(count(5))) {
		if err != nil || result.Value != result.Index*result.Index {
			t.Errorf("%v: %v", result.Index, err)
		}
	}
	value, err := flaky.Call(background, 3)
	equal(t, "a plain call", value, 9)
	is(t, err, nil)
}

type scraper struct{ prefix string }

func (s *scraper) fetch(_ context.Context, page string) (string, error) { return s.prefix + page, nil }

func TestMethodsAreFunctionsLikeAnyOther(t *testing.T) {
	s := &scraper{"got "}
	results, err := pa.Bind(s.fetch).Map(background, []string{"a", "b"})
	must(t, results, err)
	equal(t, "value", results.At(1).Value, "got b")
}
