package conformance

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync/atomic"
	"time"

	"example.com/libpa/pa"
)

// A program is the function of a case, and what was seen of its calls.
type program struct {
	function
	stop *pa.Stop

	calls, now, mostAtOnce atomic.Int64
}

// enter counts a call while it is running.
func (p *program) enter() (leave func()) {
	p.calls.Add(1)
	now := p.now.Add(1)
	for most := p.mostAtOnce.Load(); most < now && !p.mostAtOnce.CompareAndSwap(most, now); {
		most = p.mostAtOnce.Load()
	}
	return func() { p.now.Add(-1) }
}

// A rule says what becomes of an item: nil, or its error.
type rule func(p *program, ctx context.Context, x int) error

func firstAttemptsFail(ctx context.Context, times int, message string) error {
	attempt := pa.Attempt(ctx)
	if attempt > times {
		return nil
	}
	if message == "" {
		message = fmt.Sprintf("attempt %d", attempt)
	}
	return errors.New(message)
}

var rules = map[string]rule{
	"square":  func(*program, context.Context, int) error { return nil },
	"nothing": func(*program, context.Context, int) error { return nil },
	"fail_on_odd": func(_ *program, _ context.Context, x int) error {
		if x%2 != 0 {
			return fmt.Errorf("odd: %d", x)
		}
		return nil
	},
	"fail_always": func(*program, context.Context, int) error { return errors.New("always") },
	"fail_times": func(p *program, ctx context.Context, _ int) error {
		return firstAttemptsFail(ctx, p.Times, "")
	},
	"fail_for_good_on_odd": func(_ *program, ctx context.Context, x int) error {
		if x%2 != 0 {
			return fmt.Errorf("final: %d", x)
		}
		return firstAttemptsFail(ctx, 1, "once")
	},
	"throttle": func(p *program, ctx context.Context, _ int) error {
		if err := firstAttemptsFail(ctx, p.Times, "throttled"); err != nil {
			return pa.RetryAfter(err, time.Duration(p.WaitNs))
		}
		return nil
	},
	"crash_on_odd": func(_ *program, _ context.Context, x int) error {
		if x%2 != 0 {
			panic(fmt.Sprintf("crash: %d", x))
		}
		return nil
	},
	"stop_at": func(p *program, _ context.Context, x int) error {
		if x == p.X {
			p.stop.Request()
		}
		return nil
	},
	"until_stopped": func(_ *program, ctx context.Context, _ int) error {
		<-ctx.Done()
		return ctx.Err()
	},
	"until_stopped_ok": func(_ *program, ctx context.Context, _ int) error {
		<-ctx.Done()
		return nil
	},
	"until_stopped_at": func(p *program, ctx context.Context, x int) error {
		if x != p.X {
			return nil
		}
		<-ctx.Done()
		return ctx.Err()
	},
}

func (p *program) rule() rule {
	r, known := rules[p.Name]
	if !known {
		panic("nobody knows the function " + p.Name)
	}
	return r
}

// item is the function for one item. Its value is nil for "nothing".
func (p *program) item(ctx context.Context, x int) (*int, error) {
	defer p.enter()()
	if err := p.rule()(p, ctx, x); err != nil || p.Name == "nothing" {
		return nil, err
	}
	square := x * x
	return &square, nil
}

// batch is the function for several.
func (p *program) batch(ctx context.Context, items []int) ([]*int, error) {
	defer p.enter()()
	if p.Name == "fail_always" {
		return nil, errors.New("always")
	}
	answered, answer := len(items), rules["square"]
	if p.Name == "short" {
		answered = max(0, len(items)-p.Missing)
	} else {
		answer = p.rule()
	}
	values, failed := make([]*int, answered), pa.BatchError{}
	for i, x := range items[:answered] {
		err := answer(p, ctx, x)
		if err != nil && ctx.Err() != nil && errors.Is(err, ctx.Err()) {
			return nil, err
		}
		if err != nil {
			failed[i] = err
			continue
		}
		square := x * x
		values[i] = &square
	}
	if len(failed) > 0 {
		return values, failed
	}
	return values, nil
}

func notFinal(err error) bool { return !strings.HasPrefix(err.Error(), "final") }
