package pa_test

import (
	"context"
	"errors"
	"sync/atomic"
	"testing"
	"time"

	"example.com/libpa/pa"
)

func TestACancelledContextCancelsTheRun(t *testing.T) {
	why := errors.New("enough")
	ctx, cancel := context.WithCancelCause(background)
	results, err := pa.Map(ctx, count(100_000), func(ctx context.Context, x int) (int, error) {
		if x == 10 {
			cancel(why)
		}
		if x > 10 {
			return untilStopped(ctx, x)
		}
		return x, nil
	}, pa.Workers(2))
	equal(t, "end", results.End(), pa.EndCancelled)
	is(t, err, context.Canceled)
	is(t, err, pa.ErrCancelled)
	is(t, err, why)
	last := results.At(99_999)
	equal(t, "state", last.State(), pa.Cancelled)
	equal(t, "attempts", last.Attempts(), 0)
	is(t, last.Err(), context.Canceled)
	equal(t, "what was done is kept", results.At(10).Value, 10)
}

func TestAContextThatIsCancelledBeforeRunsNothing(t *testing.T) {
	ctx, cancel := context.WithCancel(background)
	cancel()
	var calls atomic.Int64
	results, err := pa.Map(ctx, count(10), func(_ context.Context, x int) (int, error) {
		calls.Add(1)
		return x, nil
	})
	equal(t, "calls", calls.Load(), 0)
	equal(t, "end", results.End(), pa.EndCancelled)
	equal(t, "items", results.Len(), 10)
	is(t, err, context.Canceled)
}

func TestTheDeadlineOfTheContextIsATimeout(t *testing.T) {
	ctx, cancel := context.WithTimeout(background, 20*time.Millisecond)
	defer cancel()
	results, err := pa.Map(ctx, count(4), untilStopped, pa.Workers(2))
	equal(t, "end", results.End(), pa.EndTimedOut)
	is(t, err, context.DeadlineExceeded)
	is(t, err, pa.ErrTimedOut)
	for result := range results.All() {
		equal(t, "state", result.State(), pa.TimedOut)
	}
}

func TestATimeoutEndsTheContextsOfTheCalls(t *testing.T) {
	results, err := pa.Map(background, count(2), func(ctx context.Context, x int) (int, error) {
		if _, has := ctx.Deadline(); !has {
			t.Error("the context does not say when")
		}
		<-ctx.Done()
		return x, nil
	}, pa.Workers(2), pa.Timeout(10*time.Millisecond))
	equal(t, "end", results.End(), pa.EndTimedOut)
	is(t, err, pa.ErrTimedOut)
	equal(t, "calls that were running keep their real outcome", results.At(0).State(), pa.OK)
}

func TestAStopCancelsAllRunsThatShareIt(t *testing.T) {
	stop := pa.NewStop()
	done := make(chan *pa.Results[int])
	var running atomic.Int64
	for range 2 {
		go func() {
			results, _ := pa.Map(background, count(3), func(ctx context.Context, x int) (int, error) {
				if running.Add(1) == 2 {
					stop.Request()
				}
				return untilStopped(ctx, x)
			}, pa.StopOn(stop), pa.Workers(1))
			done <- results
		}()
	}
	for range 2 {
		results := <-done
		equal(t, "end", results.End(), pa.EndCancelled)
		equal(t, "who gave up is not done", results.At(0).State(), pa.Cancelled)
	}
	equal(t, "requested", stop.Requested(), true)
	results, err := pa.Map(background, count(3), square, pa.StopOn(stop))
	is(t, err, pa.ErrCancelled)
	equal(t, "attempts of a later run", results.At(0).Attempts(), 0)
}

func TestMaxErrorsAbortsTheRun(t *testing.T) {
	results, err := pa.Map(background, count(1000), func(context.Context, int) (int, error) {
		return 0, errors.New("dead")
	}, pa.MaxErrors(5), pa.Workers(2))
	equal(t, "end", results.End(), pa.EndAborted)
	is(t, err, pa.ErrAborted)
	equal(t, "state", results.At(999).State(), pa.Aborted)
	failed := 0
	for result := range results.Failures() {
		if result.State() == pa.Failed {
			failed++
		}
	}
	if failed < 5 || failed > 6 {
		t.Errorf("%d items failed", failed)
	}
}

func TestTruncationIsToldBeforeFailures(t *testing.T) {
	_, err := pa.Map(background, count(1000), failOnOdd, pa.MaxErrors(1), pa.Workers(1))
	var run *pa.RunError
	if !errors.As(err, &run) {
		t.Fatal(err)
	}
	equal(t, "the first of the errors", run.Unwrap()[0], pa.ErrAborted)
	equal(t, "text", err.Error(),
		"pa: the run was aborted after too many errors; 999 of 1000 items failed or were not done; the first, item 1: odd: 1")
}

func TestAnAttemptThatOutranItsTimeHasTimedOutWhateverItReturns(t *testing.T) {
	late := func(ctx context.Context, x int) (int, error) {
		<-ctx.Done()
		equal(t, "cause", context.Cause(ctx), pa.ErrItemTimedOut)
		return x, nil
	}
	results, err := pa.Map(background, count(3), late, pa.ItemTimeout(time.Millisecond), pa.Retry(2, pa.Backoff(0)))
	equal(t, "end", results.End(), pa.EndCompleted)
	is(t, err, pa.ErrItemTimedOut)
	is(t, err, context.DeadlineExceeded)
	for result := range results.All() {
		equal(t, "state", result.State(), pa.TimedOut)
		equal(t, "attempts", result.Attempts(), 2)
		equal(t, "value", result.Value, 0)
	}
}

func TestAnItemWithAttemptsLeftWhenTimeIsUpKeepsItsAttemptsAndItsLastError(t *testing.T) {
	busy := errors.New("busy")
	results, err := pa.Map(background, count(1), func(context.Context, int) (int, error) { return 0, busy },
		pa.Retry(10, pa.Backoff(time.Hour)), pa.Timeout(20*time.Millisecond))
	is(t, err, pa.ErrTimedOut)
	is(t, err, busy)
	equal(t, "state", results.At(0).State(), pa.TimedOut)
	equal(t, "attempts", results.At(0).Attempts(), 1)
}

func TestDetachReturnsWhileCallsAreRunning(t *testing.T) {
	leavesNothing(t, func() {
		release, quiet := make(chan bool), make(chan bool)
		ctx, cancel := context.WithCancel(background)
		results, err := pa.Map(ctx, count(10), func(_ context.Context, x int) (int, error) {
			if x == 1 {
				cancel()
				<-release
			}
			return x, nil
		}, pa.Workers(2), pa.Detach(), pa.OnQuiescent(func() { close(quiet) }))
		is(t, err, context.Canceled)
		equal(t, "the state of what runs", results.At(1).State(), pa.Cancelled)
		equal(t, "its attempts", results.At(1).Attempts(), 1)
		select {
		case <-quiet:
			t.Error("it is quiescent while a call is running")
		default:
		}
		close(release)
		<-quiet
		equal(t, "what it returned later is dropped", results.At(1).Value, 0)
	})
}

func TestDetachReturnsWhileTheSourceKeepsEverybodyWaiting(t *testing.T) {
	leavesNothing(t, func() {
		release, quiet := make(chan bool), make(chan bool)
		ctx, cancel := context.WithCancel(background)
		results, err := pa.MapFrom(ctx, pa.FromSeq(func(yield func(int) bool) {
			if yield(1) {
				cancel()
				<-release
			}
		}), square, pa.Detach(), pa.OnQuiescent(func() { close(quiet) }))
		is(t, err, context.Canceled)
		equal(t, "items", results.Len(), 1)
		close(release)
		<-quiet
	})
}

func TestWhoGivesUpWithoutBeingToldHasFailed(t *testing.T) {
	results, _ := pa.Map(background, count(1), func(context.Context, int) (int, error) { return 0, context.Canceled })
	equal(t, "state", results.At(0).State(), pa.Failed)
}
