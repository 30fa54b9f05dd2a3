package pa_test

import (
	"context"
	"errors"
	"slices"
	"sync/atomic"
	"testing"
	"time"

	"example.com/libpa/pa"
)

func squares(_ context.Context, items []int) ([]int, error) {
	values := make([]int, len(items))
	for i, x := range items {
		values[i] = x * x
	}
	return values, nil
}

func TestABatchHasConsecutiveItemsAndAValueForEach(t *testing.T) {
	for _, size := range []int{0, 1, 7, 5000} {
		fn := func(ctx context.Context, items []int) ([]int, error) {
			for i, x := range items {
				if x != pa.Index(ctx)+i {
					t.Errorf("item %d stands at %d", x, pa.Index(ctx)+i)
				}
			}
			if size > 0 && len(items) > size {
				t.Errorf("%d items", len(items))
			}
			return squares(ctx, items)
		}
		results, err := pa.MapBatch(background, count(20_000), fn, pa.Batch(size, 0), pa.Workers(3))
		must(t, results, err)
		equal(t, "the last", results.At(19_999).Value, 19_999*19_999)
		if size > 0 {
			equal(t, "size", results.BatchSize(), size)
		} else if results.BatchSize() < 1 {
			t.Error("there is no size")
		}
		n := 0
		for result, err := range pa.StreamBatch(background, pa.From(count(20_000)), fn, pa.Batch(size, 0), pa.Ordered()) {
			if err != nil || result.Index != n || result.Value != n*n {
				t.Fatalf("%d: %v", result.Index, err)
			}
			n++
		}
		equal(t, "items", n, 20_000)
	}
}

func TestItemsOfABatchFailSingly(t *testing.T) {
	wrong := errors.New("wrong")
	fn := func(ctx context.Context, items []int) ([]int, error) {
		values, _ := squares(ctx, items)
		failed := pa.BatchError{}
		for i, x := range items {
			if x%10 == 3 {
				failed[i], values[i] = wrong, -1
			}
		}
		if len(failed) > 0 {
			return values, failed
		}
		return values, nil
	}
	results, err := pa.MapBatch(background, count(100), fn, pa.Batch(25, 0))
	is(t, err, wrong)
	equal(t, "failures", results.Failed(), 10)
	equal(t, "its error", results.At(13).Err(), wrong)
	equal(t, "its value", results.At(13).Value, 0)
	equal(t, "a neighbour", results.At(14).Value, 14*14)
}

func TestABatchThatFailsOrPanicsFailsAllItsItems(t *testing.T) {
	for name, fn := range map[string]func(context.Context, []int) ([]int, error){
		"error":    func(context.Context, []int) ([]int, error) { return nil, errors.New("all") },
		"panic":    func(context.Context, []int) ([]int, error) { panic("all") },
		"too few":  func(_ context.Context, items []int) ([]int, error) { return items[1:], nil },
		"too many": func(_ context.Context, items []int) ([]int, error) { return append(items, 1), nil },
	} {
		results, _ := pa.MapBatch(background, count(10), fn, pa.Batch(5, 0))
		if results.Failed() != 10 || slices.Max(results.Values()) != 0 {
			t.Errorf("%s: %v", name, results)
		}
	}
}

func TestFailedItemsAreRetriedOneByOne(t *testing.T) {
	var calls atomic.Int64
	results, err := pa.MapBatch(background, count(8), func(ctx context.Context, items []int) ([]int, error) {
		calls.Add(1)
		if pa.Attempt(ctx) > 1 {
			equal(t, "items", len(items), 1)
			return squares(ctx, items)
		}
		return make([]int, len(items)), pa.BatchError{1: errors.New("first"), 2: errors.New("second")}
	}, pa.Batch(4, 0), pa.Retry(2, pa.Backoff(0)))
	must(t, results, err)
	equal(t, "calls", calls.Load(), 2+4)
	equal(t, "value", results.At(5).Value, 25)
	equal(t, "attempts", results.At(5).Attempts(), 2)
}

func TestABatchPaysForItsCallWhateverItsSize(t *testing.T) {
	results, err := pa.MapBatch(background, count(100), squares, pa.Batch(100, 0), pa.RateLimit(pa.Rate{Count: 1, Per: time.Hour, Burst: 1}))
	must(t, results, err)
}

func TestABatchThatOutranItsTimeHasTimedOut(t *testing.T) {
	results, err := pa.MapBatch(background, count(4), func(ctx context.Context, items []int) ([]int, error) {
		<-ctx.Done()
		return items, nil
	}, pa.Batch(4, 0), pa.ItemTimeout(time.Millisecond))
	is(t, err, pa.ErrItemTimedOut)
	equal(t, "state", results.At(3).State(), pa.TimedOut)
}

func TestBatchesOfASlowSourceWaitForOthersUntilItsEnd(t *testing.T) {
	var sizes []int
	results, err := pa.MapBatchFrom(background, pa.FromSeq(slices.Values(count(10))), func(ctx context.Context, items []int) ([]int, error) {
		sizes = append(sizes, len(items))
		return squares(ctx, items)
	}, pa.Batch(4, time.Hour), pa.Workers(1))
	must(t, results, err)
	equal(t, "sizes", slices.Equal(sizes, []int{4, 4, 2}), true)
}

func TestMaxErrorsCountsTheItemsOfABatch(t *testing.T) {
	results, err := pa.MapBatch(background, count(100), func(context.Context, []int) ([]int, error) {
		return nil, errors.New("all")
	}, pa.Batch(10, 0), pa.MaxErrors(10), pa.Workers(1))
	is(t, err, pa.ErrAborted)
	equal(t, "the first that was not run", results.At(10).State(), pa.Aborted)
	equal(t, "the last that was", results.At(9).State(), pa.Failed)
}
