package pa_test

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"testing"
	"time"

	"example.com/libpa/pa"
	"example.com/libpa/pa/internal/palow"
)

var background = context.Background()

func square(_ context.Context, x int) (int, error) { return x * x, nil }

func failOnOdd(_ context.Context, x int) (int, error) {
	if x%2 != 0 {
		return -1, fmt.Errorf("odd: %d", x)
	}
	return x * x, nil
}

func untilStopped(ctx context.Context, x int) (int, error) {
	<-ctx.Done()
	return x, ctx.Err()
}

func count(n int) []int {
	items := make([]int, n)
	for i := range items {
		items[i] = i
	}
	return items
}

// endless delivers 0, 1, 2, ...
func endless(yield func(int) bool) {
	for i := 0; yield(i); i++ {
	}
}

func must[R any](t *testing.T, results *pa.Results[R], err error) *pa.Results[R] {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
	return results
}

func equal[V comparable](t *testing.T, what string, got, want V) {
	t.Helper()
	if got != want {
		t.Errorf("%s: %v, not %v", what, got, want)
	}
}

func is(t *testing.T, err, target error) {
	t.Helper()
	if !errors.Is(err, target) {
		t.Errorf("%v is not %v", err, target)
	}
}

func isInvalid(t *testing.T, err error, has string) {
	t.Helper()
	var invalid *pa.InvalidError
	if !errors.As(err, &invalid) {
		t.Errorf("%v is not an InvalidError", err)
	} else if has != "" && !contains(invalid.Message, has) {
		t.Errorf("%q does not have %q", invalid.Message, has)
	}
}

func contains(text, part string) bool {
	for i := 0; i+len(part) <= len(text); i++ {
		if text[i:i+len(part)] == part {
			return true
		}
	}
	return false
}

// leavesNothing sees that nothing of what run started is left: no goroutine, no piece of C's memory, no handle.
func leavesNothing(t *testing.T, run func()) {
	t.Helper()
	goroutines, low := settled()
	run()
	// What ended may still be leaving: it is waited for, and who never leaves is what the test is for.
	for deadline := time.Now().Add(30 * time.Second); ; time.Sleep(time.Millisecond) {
		nowGoroutines, nowLow := settled()
		if nowGoroutines <= goroutines && nowLow <= low {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("%d goroutines in place of %d, %d pieces of C in place of %d", nowGoroutines, goroutines, nowLow, low)
		}
	}
}

func settled() (goroutines int, low int64) {
	palow.Drain() // to Go, a thread of libpa that has called it is a goroutine
	runtime.GC()  // limiters and stops are given back by it
	return runtime.NumGoroutine(), palow.Live()
}
