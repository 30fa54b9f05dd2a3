package pa_test

import (
	"context"
	"errors"
	"runtime"
	"slices"
	"testing"
	"time"

	"example.com/libpa/pa"
)

func TestAPanicWhileAGoroutineEndsIsTheErrorOfItsItem(t *testing.T) {
	leavesNothing(t, func() {
		results, err := pa.Map(background, count(20), func(_ context.Context, x int) (int, error) {
			defer func() {
				if x%2 == 0 {
					panic("on the way out")
				}
			}()
			if x%2 == 0 {
				runtime.Goexit()
			}
			return x, nil
		}, pa.Workers(2))
		var panicked *pa.PanicError
		equal(t, "is a panic", errors.As(err, &panicked), true)
		equal(t, "failures", results.Failed(), 10)
	})
}

// A fussy error can't be asked what it is.
type fussy struct{ goexit bool }

func (fussy) Error() string { return "fussy" }
func (f fussy) Is(error) bool {
	if f.goexit {
		runtime.Goexit()
	}
	panic("ask me not")
}

type impatient struct{ goexit bool }

func (impatient) Error() string { return "impatient" }
func (i impatient) RetryAfter() time.Duration {
	if i.goexit {
		runtime.Goexit()
	}
	panic("never")
}

// holder is comparable as a type, but not what it holds.
type holder struct{ any }

func (holder) Error() string { return "holder" }

func TestAnErrorThatPanicsWhenAskedIsTheErrorOfItsItem(t *testing.T) {
	for name, failure := range map[string]error{
		"Is":                 fussy{},
		"Is that exits":      fussy{goexit: true},
		"RetryAfter":         impatient{},
		"RetryAfter exits":   impatient{goexit: true},
		"a nil pointer":      (*throttled)(nil),
		"what has no equals": holder{[]int{1}},
	} {
		t.Run(name, func(t *testing.T) {
			leavesNothing(t, func() {
				ctx, cancel := context.WithCancelCause(background)
				defer cancel(nil)
				results, _ := pa.Map(ctx, count(4), func(ctx context.Context, x int) (int, error) {
					if x == 3 {
						cancel(holder{[]int{1}})
						<-ctx.Done()
					}
					if x != 1 && x != 3 {
						return x, nil
					}
					return 0, failure
				}, pa.Workers(1), pa.Retry(2, pa.Backoff(0)))
				equal(t, "items", results.Len(), 4)
				equal(t, "the first", results.At(0).State(), pa.OK)
				equal(t, "ok", results.At(3).OK(), false)
				equal(t, "text", contains(results.At(1).Err().Error(), failure.Error()), true)
			})
		})
	}
}

func TestAPolicyThatEndsItsGoroutineCostsABatchOnlyTheItemThatItWasAskedAbout(t *testing.T) {
	sore := errors.New("sore")
	for name, end := range map[string]func(){"goexit": runtime.Goexit, "panic": func() { panic("no policy") }} {
		t.Run(name, func(t *testing.T) {
			leavesNothing(t, func() {
				results, err := pa.MapBatch(background, count(8), func(_ context.Context, items []int) ([]int, error) {
					return slices.Clone(items), pa.BatchError{1: sore}
				}, pa.Batch(4, 0), pa.Workers(1), pa.Retry(2, pa.Backoff(0), pa.RetryIf(func(error) bool {
					end()
					return true
				})))
				is(t, err, sore)
				equal(t, "failures", results.Failed(), 2)
				for _, index := range []int{0, 2, 3, 4, 6, 7} {
					equal(t, "state", results.At(index).State(), pa.OK)
					equal(t, "value", results.At(index).Value, index)
				}
				is(t, results.At(1).Err(), sore)
				equal(t, "attempts", results.At(1).Attempts(), 1)
			})
		})
	}
}

func TestAnAttemptThatTimedOutStaysSoIfThePolicyEndsItsGoroutine(t *testing.T) {
	results, err := pa.Map(background, count(1), untilStopped, pa.ItemTimeout(time.Millisecond),
		pa.Retry(2, pa.RetryIf(func(error) bool {
			runtime.Goexit()
			return true
		})))
	is(t, err, pa.ErrItemTimedOut)
	equal(t, "state", results.At(0).State(), pa.TimedOut)
}

func TestASourceMayBeUsedByGoroutinesThatAreBoundToThreads(t *testing.T) {
	for name, source := range map[string]pa.Source[int]{
		"FromSeq": pa.FromSeq(slices.Values(count(100))),
		"FromSeq2": pa.FromSeq2(func(yield func(int, error) bool) {
			slices.Values(count(100))(func(x int) bool { return yield(x, nil) })
		}),
		"FromChunks": pa.FromChunks(slices.Chunk(count(100), 3)),
	} {
		for who, options := range map[string][]pa.Option{
			"the caller": nil,
			"inline":     {pa.Inline()},
			"a worker": {pa.WorkerStart(func(ctx context.Context) (context.Context, error) {
				runtime.LockOSThread()
				return ctx, nil
			}), pa.WorkerStop(func(context.Context) { runtime.UnlockOSThread() })},
		} {
			t.Run(name+" "+who, func(t *testing.T) {
				if who == "the caller" {
					runtime.LockOSThread()
					defer runtime.UnlockOSThread()
				}
				results, err := pa.MapFrom(background, source, square, append(options, pa.Workers(2))...)
				equal(t, "items", must(t, results, err).Len(), 100)
			})
		}
	}
}

func TestASourceWithoutItemsDoesNotOutliveItsRun(t *testing.T) {
	for name, end := range map[string]func(context.CancelFunc) []pa.Option{
		"cancelled": func(cancel context.CancelFunc) []pa.Option { cancel(); return nil },
		"timed out": func(context.CancelFunc) []pa.Option { return []pa.Option{pa.Timeout(time.Millisecond)} },
	} {
		for _, options := range [][]pa.Option{nil, {pa.Inline()}} {
			t.Run(name, func(t *testing.T) {
				leavesNothing(t, func() {
					ctx, cancel := context.WithCancel(background)
					defer cancel()
					asked := 0
					results, _ := pa.MapFrom(ctx, pa.FromChunks(func(yield func([]int) bool) {
						for yield(nil) {
							if asked++; asked == 10 {
								options = append(options, end(cancel)...)
							}
						}
					}), square, append(options, end(func() {})...)...)
					equal(t, "ok", results.OK(), false)
				})
			})
		}
	}
}

func TestASourceThatPanicsWhenItIsStoppedLeavesNothing(t *testing.T) {
	panics := func(yield func(int) bool) {
		defer panic("closed badly")
		endless(yield)
	}
	for name, options := range map[string][]pa.Option{"plain": nil, "inline": {pa.Inline()}, "detached": {pa.Detach()}} {
		t.Run(name, func(t *testing.T) {
			leavesNothing(t, func() {
				ctx, cancel := context.WithCancel(background)
				defer cancel()
				results, err := pa.MapFrom(ctx, pa.FromSeq(panics), func(_ context.Context, x int) (int, error) {
					if x == 10 {
						cancel()
					}
					return x, nil
				}, options...)
				is(t, err, pa.ErrCancelled)
				equal(t, "end", results.End(), pa.EndCancelled)
			})
			leavesNothing(t, func() {
				for range pa.Stream(background, pa.FromSeq(panics), square, options...) {
					break
				}
			})
		})
	}
}

func TestAKeyFunctionThatEndsItsGoroutineEndsTheRun(t *testing.T) {
	for _, source := range []pa.Source[int]{pa.From(count(10)), pa.FromSeq(slices.Values(count(10)))} {
		leavesNothing(t, func() {
			results, err := pa.MapFrom(background, source, square, pa.ItemKey(func(x int) (any, error) {
				if x == 3 {
					runtime.Goexit()
				}
				return x, nil
			}))
			is(t, err, pa.ErrKey)
			is(t, err, pa.ErrGoexit)
			equal(t, "end", results.End(), pa.EndFailed)
		})
	}
}

func TestAHintIsNoPromise(t *testing.T) {
	const tooMany = 1 << 50
	results, err := pa.MapFrom(background, pa.FromSeq(slices.Values(count(3))).WithHint(tooMany), square)
	equal(t, "items", must(t, results, err).Len(), 3)
}

func TestTheZeroOfAResultCanBeAsked(t *testing.T) {
	var r pa.Result[int]
	equal(t, "ok", r.OK(), false)
	equal(t, "attempts", r.Attempts(), 0)
	equal(t, "duration", r.Duration(), 0)
	equal(t, "error", r.Err(), nil)
	equal(t, "key", r.Key(), nil)
	_ = r.State()
}

func TestWhatWasNotMadeByItsFunctionIsRefused(t *testing.T) {
	_, err := pa.Map(background, count(1), square, pa.UseLimiter(&pa.Limiter{}))
	isInvalid(t, err, "limiter")
	_, err = pa.Map(background, count(1), square, pa.StopOn(&pa.Stop{}))
	isInvalid(t, err, "stop")
	_, err = pa.MapFrom(background, pa.FromSeq[int](nil), square)
	isInvalid(t, err, "source")
	_, err = pa.MapFrom(background, pa.FromSeq2[int](nil), square)
	isInvalid(t, err, "source")
	_, err = pa.MapFrom(background, pa.FromChunks[int](nil), square)
	isInvalid(t, err, "source")
	var none context.Context
	_, err = pa.Map(none, count(1), square)
	isInvalid(t, err, "ctx")
	_, _, err = (&pa.Limiter{}).Try(1)
	isInvalid(t, err, "limiter")
	limiter, _ := pa.NewLimiter(pa.PerSecond(1))
	_, _, err = limiter.Try(-7)
	isInvalid(t, err, "got -7")
	if wait, ok := pa.ParseRetryAfter("5\x00", time.Now()); ok {
		t.Error(wait)
	}
	_, err = pa.Map(background, count(1), square, nil, pa.Retry(2, nil))
	if err != nil {
		t.Error(err)
	}
}

func TestInlineAWorkerStopsHoweverTheCallEnds(t *testing.T) {
	for name, function := range map[string]func(context.Context, int) (int, error){
		"goexit": func(context.Context, int) (int, error) { runtime.Goexit(); return 0, nil },
		"ok":     square,
	} {
		for path, callbacks := range map[string][]pa.Option{"by index": nil, "one by one": {pa.OnProgress(func(int, int) error { return nil })}} {
			t.Run(name+" "+path, func(t *testing.T) {
				stopped := 0
				done := make(chan struct{})
				go func() {
					defer close(done)
					options := append(callbacks, pa.Inline(),
						pa.WorkerStart(func(ctx context.Context) (context.Context, error) { return ctx, nil }),
						pa.WorkerStop(func(context.Context) { stopped++ }))
					_, _ = pa.Map(background, count(3), function, options...)
				}()
				<-done
				equal(t, "stopped", stopped, 1)
			})
		}
	}
}

func TestAWorkerThatFailsToStopIsToldHoweverItRuns(t *testing.T) {
	for name, options := range map[string][]pa.Option{"plain": nil, "inline": {pa.Inline()},
		"one by one": {pa.OnProgress(func(int, int) error { return nil })},
		"both":       {pa.Inline(), pa.OnProgress(func(int, int) error { return nil })}} {
		t.Run(name, func(t *testing.T) {
			options := append(options, pa.WorkerStop(func(context.Context) { panic("stuck") }))
			_, err := pa.Map(background, count(3), square, options...)
			is(t, err, pa.ErrCallback)
			err = nil
			for _, e := range pa.Stream(background, pa.From(count(3)), square, options...) {
				err = e
			}
			is(t, err, pa.ErrCallback)
		})
	}
}

// A hasty context says that its deadline has passed, long before.
type hasty struct {
	context.Context
	done chan struct{}
}

func (h hasty) Deadline() (time.Time, bool) { return time.Now().Add(time.Hour), true }
func (h hasty) Done() <-chan struct{}       { return h.done }
func (h hasty) Err() error {
	select {
	case <-h.done:
		return context.DeadlineExceeded
	default:
		return nil
	}
}

func TestAContextThatIsDoneBeforeItsDeadlineEndsTheRunAtOnce(t *testing.T) {
	ctx := hasty{background, make(chan struct{})}
	results, err := pa.Map(ctx, count(10), func(ctx context.Context, x int) (int, error) {
		if x == 0 {
			close(ctx.Value(hastyKey{}).(chan struct{}))
		}
		return untilStopped(ctx, x)
	}, pa.Workers(1))
	is(t, err, context.DeadlineExceeded)
	equal(t, "ok", results.OK(), false)
}

type hastyKey struct{}

func (h hasty) Value(key any) any {
	if key == (hastyKey{}) {
		return h.done
	}
	return h.Context.Value(key)
}

func TestASourceWhoseIteratorDoesNotStopIsToldNoAgain(t *testing.T) {
	leavesNothing(t, func() {
		for range pa.Stream(background, pa.FromSeq(func(yield func(int) bool) {
			for i := range 100 {
				yield(i)
			}
		}), square, pa.Window(1)) {
			break
		}
	})
}

func TestWhatEndsBecauseItsContextIsDoneIsNotComplete(t *testing.T) {
	for range 200 {
		ctx, cancel := context.WithCancel(background)
		results, err := pa.MapFrom(ctx, pa.FromSeq(func(yield func(int) bool) {
			for i := 0; ctx.Err() == nil && yield(i); i++ {
				if i == 3 {
					cancel()
				}
			}
		}), square)
		is(t, err, pa.ErrCancelled)
		equal(t, "end of a source", results.End(), pa.EndCancelled)

		ctx, cancel = context.WithCancel(background)
		_, err = pa.MapBatch(ctx, count(2), func(_ context.Context, items []int) ([]int, error) {
			cancel()
			return items, nil
		}, pa.Batch(2, 0))
		is(t, err, pa.ErrCancelled)

		ctx, cancel = context.WithCancel(background)
		_, err = pa.Map(ctx, count(1), func(context.Context, int) (int, error) {
			cancel()
			return 0, errors.New("sore")
		})
		is(t, err, pa.ErrCancelled)
		if t.Failed() {
			break
		}
	}
}
