package pa_test

import (
	"context"
	"errors"
	"math"
	"sync"
	"testing"
	"time"

	"example.com/libpa/pa"
)

func newLimiter(t *testing.T, rate pa.Rate) *pa.Limiter {
	t.Helper()
	limiter, err := pa.NewLimiter(rate)
	if err != nil {
		t.Fatal(err)
	}
	return limiter
}

func TestARunHasARateOfItsOwn(t *testing.T) {
	began := time.Now()
	results, err := pa.Map(background, count(6), square, pa.RateLimit(pa.PerSecond(200)))
	must(t, results, err)
	if took := time.Since(began); took < 25*time.Millisecond { // a lower bound is what a rate promises
		t.Errorf("six calls at 200 a second took %v", took)
	}
}

func TestRunsThatShareALimiterKeepItsRateTogether(t *testing.T) {
	limiter := newLimiter(t, pa.PerSecond(200))
	began := time.Now()
	var runs sync.WaitGroup
	for range 3 {
		runs.Add(1)
		go func() {
			defer runs.Done()
			if _, err := pa.Map(background, count(2), square, pa.UseLimiter(limiter)); err != nil {
				t.Error(err)
			}
		}()
	}
	runs.Wait()
	if took := time.Since(began); took < 25*time.Millisecond {
		t.Errorf("six calls at 200 a second took %v", took)
	}
}

func TestARateThatGrowsIsHeardOfByThoseWhoWait(t *testing.T) {
	limiter := newLimiter(t, pa.Rate{Count: 1, Per: time.Hour, Burst: 1})
	for _, run := range []func() error{
		func() error {
			_, err := pa.Map(background, count(3), func(_ context.Context, x int) (int, error) {
				if x == 0 { // the others wait for an hour, if nobody tells them
					defer func() {
						if err := limiter.SetRate(pa.PerSecond(1e6)); err != nil {
							t.Error(err)
						}
					}()
				}
				return x, nil
			}, pa.UseLimiter(limiter), pa.Workers(2))
			return err
		},
		func() error { return limiter.Wait(background, 1) },
	} {
		if err := run(); err != nil {
			t.Error(err)
		}
	}
}

func TestALimiterGivesWhatIsThereAndSaysHowLongToWait(t *testing.T) {
	limiter := newLimiter(t, pa.Rate{Count: 1, Per: time.Hour, Burst: 2})
	taken, _, err := limiter.Try(2)
	equal(t, "taken", taken, true)
	is(t, err, nil)
	taken, wait, err := limiter.Try(1)
	equal(t, "taken", taken, false)
	is(t, err, nil)
	if wait < 59*time.Minute || wait > time.Hour {
		t.Errorf("wait %v", wait)
	}
	_, _, err = limiter.Try(3)
	isInvalid(t, err, "tokens")

	ctx, cancel := context.WithTimeout(background, time.Minute)
	defer cancel()
	is(t, limiter.Wait(ctx, 1), context.DeadlineExceeded) // at once: it is known to be too long
	cancelled, stop := context.WithCancelCause(background)
	why := errors.New("why")
	stop(why)
	is(t, limiter.Wait(cancelled, 1), why)

	is(t, limiter.Settle(-1), nil)
	is(t, limiter.Wait(ctx, 1), nil)
}

func TestAPauseHoldsEverybodyUp(t *testing.T) {
	limiter := newLimiter(t, pa.Rate{Count: 1e6, Per: time.Second, Burst: 100})
	is(t, limiter.Pause(time.Hour), nil)
	taken, _, _ := limiter.Try(1)
	equal(t, "taken", taken, false)
	results, err := pa.Map(background, count(3), square, pa.UseLimiter(limiter), pa.Timeout(time.Millisecond))
	is(t, err, pa.ErrTimedOut)
	equal(t, "attempts", results.At(0).Attempts(), 0)
}

func TestWhatIsNoRateIsRefused(t *testing.T) {
	for _, rate := range []pa.Rate{{}, pa.PerSecond(-1), pa.PerSecond(math.Inf(1)), pa.PerMinute(math.NaN()), {Count: 1, Per: time.Second}} {
		_, err := pa.NewLimiter(rate)
		isInvalid(t, err, "")
	}
	isInvalid(t, newLimiter(t, pa.PerSecond(1)).SetRate(pa.Rate{}), "")
	_, err := pa.NewLimiter(pa.Rate{Count: 1, Per: time.Second, Burst: -3})
	isInvalid(t, err, "got -3")
	isInvalid(t, newLimiter(t, pa.PerSecond(1)).SetRate(pa.Rate{Count: 1, Per: time.Second, Burst: -3}), "got -3")
}

type throttled struct{ wait time.Duration }

func (e *throttled) Error() string             { return "429" }
func (e *throttled) RetryAfter() time.Duration { return e.wait }

func TestTheServersWaitReplacesTheBackoff(t *testing.T) {
	for _, err := range []error{
		&throttled{0},
		pa.RetryAfter(errors.New("busy"), 0),
		errors.Join(errors.New("outer"), &throttled{0}),
	} {
		results, failed := pa.Map(background, count(3), func(ctx context.Context, x int) (int, error) {
			if pa.Attempt(ctx) == 1 {
				return 0, err
			}
			return x, nil
		}, pa.Retry(2, pa.Backoff(time.Hour)))
		must(t, results, failed)
		equal(t, "attempts", results.At(2).Attempts(), 2)
	}
}

func TestTheServersWaitPausesTheLimiterEvenIfNoAttemptIsLeft(t *testing.T) {
	limiter := newLimiter(t, pa.Rate{Count: 1e6, Per: time.Second, Burst: 100})
	busy := errors.New("busy")
	_, err := pa.Map(background, count(1), func(context.Context, int) (int, error) {
		return 0, pa.RetryAfter(busy, time.Hour)
	}, pa.UseLimiter(limiter))
	is(t, err, busy)
	taken, wait, _ := limiter.Try(1)
	equal(t, "taken", taken, false)
	if wait > 10*time.Minute {
		t.Errorf("the wait of %v is more than MaxServerWait", wait)
	}
}

func TestRetryAfterHeadersAreRead(t *testing.T) {
	now := time.Date(2015, 10, 21, 7, 28, 0, 0, time.UTC)
	for header, want := range map[string]time.Duration{
		"120":                           2 * time.Minute,
		" 1.5 ":                         1500 * time.Millisecond,
		"Wed, 21 Oct 2015 07:28:10 GMT": 10 * time.Second,
		"Wed, 21 Oct 2015 07:27:00 GMT": 0,
	} {
		wait, ok := pa.ParseRetryAfter(header, now)
		if !ok || wait != want {
			t.Errorf("%q: %v, %v", header, wait, ok)
		}
	}
	for _, header := range []string{"", "soon", "-1", "NaN", string(make([]byte, 1000))} {
		if wait, ok := pa.ParseRetryAfter(header, now); ok || wait != 0 {
			t.Errorf("%q: %v", header, wait)
		}
	}
}
