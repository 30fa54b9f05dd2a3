package pa

import (
	"context"
	"runtime"
	"strings"
	"time"

	"example.com/libpa/pa/internal/palow"
)

// A Rate says how often: at most Count calls in each Per, spread evenly, of which up to Burst may come at once after idling.
// Set all three, or begin with [PerSecond] or [PerMinute].
type Rate struct {
	Count float64       // finite, above 0
	Per   time.Duration // above 0
	Burst int           // at least 1
}

// PerSecond is the rate of so many calls a second, with a burst of 1.
func PerSecond(count float64) Rate { return Rate{count, time.Second, 1} }

// PerMinute is the rate of so many calls a minute, with a burst of 1.
func PerMinute(count float64) Rate { return Rate{count, time.Minute, 1} }

func (r Rate) low() palow.Rate {
	return palow.Rate{Count: r.Count, PerNs: int64(r.Per), Burst: uint64(max(r.Burst, 0))}
}

// check refuses the one number that C has no room for. All other bounds are libpa's to check.
func (r Rate) check() error {
	if r.Burst < 0 {
		return invalid("rate.burst must be >= 1, got %d", r.Burst)
	}
	return nil
}

// A Limiter is a token bucket that any number of runs and goroutines share. A token is taken just before a call starts, by every
// attempt. All methods may be called at any time by any goroutine.
type Limiter struct {
	handle    uintptr
	listeners listeners
}

// NewLimiter makes a limiter. An [*InvalidError] says what is wrong with the rate.
func NewLimiter(rate Rate) (*Limiter, error) {
	if err := rate.check(); err != nil {
		return nil, err
	}
	arguments := palow.Alloc[limiterArguments]()
	defer palow.Free(arguments)
	arguments.rate = rate.low()
	if palow.Pa_limiter_new(&arguments.rate, &arguments.handle, &arguments.err) != statusOK {
		return nil, lowError(&arguments.err)
	}
	palow.Opened()
	l := &Limiter{handle: arguments.handle}
	runtime.SetFinalizer(l, func(l *Limiter) {
		palow.Pa_limiter_release(l.handle)
		palow.Closed()
	})
	return l, nil
}

// What calls of a limiter hand over: it must be memory of C.
type limiterArguments struct {
	rate   palow.Rate
	handle uintptr
	waitNs int64
	err    palow.Error
}

// Try takes so many tokens if they are there. If they are not, it takes nothing, and says how long to wait before it is worth
// another try. Tokens must be 1 to the burst.
func (l *Limiter) Try(tokens int) (taken bool, wait time.Duration, err error) {
	if tokens < 1 {
		return false, 0, invalid("tokens must be 1 to the limiter's burst, got %d", tokens)
	}
	err = l.call(func(a *limiterArguments) int32 {
		status := palow.Pa_limiter_try(l.handle, uint64(tokens), &a.waitNs, &a.err)
		taken, wait = status == statusOK, time.Duration(a.waitNs)
		return min(status, statusOK)
	})
	return taken, wait, err
}

// Wait waits until so many tokens can be taken, and takes them: for calls that are not made through this package but count against
// the same quota. Waiters are served in no particular order. It returns the cause of the context if that ends first, and
// [context.DeadlineExceeded] at once, taking nothing, if the wait would be longer than the context's deadline allows.
func (l *Limiter) Wait(ctx context.Context, tokens int) error {
	changed := make(chan struct{}, 1)
	stopListening := l.listeners.add(func() {
		select {
		case changed <- struct{}{}:
		default:
		}
	})
	defer stopListening()
	for {
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		taken, wait, err := l.Try(tokens)
		if taken || err != nil {
			return err
		}
		if deadline, has := ctx.Deadline(); has && time.Until(deadline) < wait {
			return context.DeadlineExceeded
		}
		timer := time.NewTimer(wait)
		select {
		case <-timer.C:
		case <-changed:
		case <-ctx.Done():
		}
		timer.Stop()
	}
}

// Pause lets nothing through for so long from now. Of several pauses the one that ends last holds. When it ends, at most one token
// is there, so that calls resume at the set pace and not as a herd. A wait of 0 or below does nothing.
func (l *Limiter) Pause(wait time.Duration) error {
	return l.change(func(a *limiterArguments) int32 { return palow.Pa_limiter_pause(l.handle, int64(wait), &a.err) })
}

// SetRate changes the rate from now on; those who wait look again. Tokens in the bucket stay, up to the new burst.
func (l *Limiter) SetRate(rate Rate) error {
	if err := rate.check(); err != nil {
		return err
	}
	return l.change(func(a *limiterArguments) int32 {
		a.rate = rate.low()
		return palow.Pa_limiter_set_rate(l.handle, &a.rate, &a.err)
	})
}

// Settle corrects what calls have cost, once it is known: tokens above 0 are charged in addition (the bucket may go below 0, and
// later calls wait for it), those below 0 are given back (never above the burst, and not while the limiter is paused).
func (l *Limiter) Settle(tokens int) error {
	return l.change(func(a *limiterArguments) int32 { return palow.Pa_limiter_settle(l.handle, int64(tokens), &a.err) })
}

// change is call for what those who wait should hear of.
func (l *Limiter) change(low func(*limiterArguments) int32) error {
	err := l.call(low)
	if err == nil {
		l.listeners.tell()
	}
	return err
}

func (l *Limiter) call(low func(*limiterArguments) int32) error {
	arguments := palow.Alloc[limiterArguments]()
	defer palow.Free(arguments)
	status := low(arguments)
	runtime.KeepAlive(l)
	if status != statusOK {
		return lowError(&arguments.err)
	}
	return nil
}

// ParseRetryAfter reads the value of an HTTP Retry-After header: a number of seconds, with a fraction if need be, or a date, which
// is compared to now. A date in the past is 0. ok is false for anything else.
func ParseRetryAfter(value string, now time.Time) (wait time.Duration, ok bool) {
	const longest = 256 // what is longer is no such header
	if len(value) >= longest || strings.IndexByte(value, 0) >= 0 {
		return 0, false
	}
	text := palow.Alloc[[longest]byte]()
	defer palow.Free(text)
	copy(text[:], value)
	wait = time.Duration(palow.Pa_parse_retry_after(&text[0], now.Unix()))
	return max(wait, 0), wait >= 0
}
