package pa_test

import (
	"context"
	"errors"
	"os"
	"runtime"
	"runtime/debug"
	"strconv"
	"strings"
	"testing"

	"example.com/libpa/pa"
)

// residentBytes is what the process has in memory, C's part included.
func residentBytes(t *testing.T) int {
	t.Helper()
	debug.FreeOSMemory()
	text, err := os.ReadFile("/proc/self/statm")
	if err != nil {
		t.Fatal(err)
	}
	pages, err := strconv.Atoi(strings.Fields(string(text))[1])
	if err != nil {
		t.Fatal(err)
	}
	return pages * os.Getpagesize()
}

var errSoak = errors.New("soak")

// troubled fails, panics, ends its goroutine and succeeds later, each now and then.
func troubled(ctx context.Context, x int) (int, error) {
	switch {
	case x%1000 == 1:
		panic(x)
	case x%1000 == 2:
		runtime.Goexit()
	case x%100 == 3:
		return 0, errSoak
	case x%100 == 4 && pa.Attempt(ctx) == 1:
		return 0, errSoak
	}
	return x, nil
}

func TestAMillionTroubledItemsLeaveNothing(t *testing.T) {
	const rounds, each = 10, 100_000
	items := count(each)
	round := func(r int) {
		ctx, cancel := context.WithCancel(background)
		defer cancel()
		results, err := pa.Map(ctx, items, troubled, pa.Workers(4), pa.Retry(2, pa.Backoff(0)))
		is(t, err, errSoak)
		equal(t, "failures", results.Failed(), each/100+2*each/1000)
		n := 0
		for result := range pa.Stream(ctx, pa.From(items), troubled, pa.Workers(4), pa.Retry(2, pa.Backoff(0))) {
			if n++; n == each/2 && r%3 == 0 {
				break // closed early
			}
			if n == each/2 && r%3 == 1 {
				cancel()
			}
			_ = result
		}
	}
	round(2) // what is made once is made
	before := residentBytes(t)
	leavesNothing(t, func() {
		for r := range rounds {
			round(r)
		}
	})
	if grown := residentBytes(t) - before; grown > 32<<20 {
		t.Errorf("%d MB more are in memory than before", grown>>20)
	}
}

func TestAStreamOfAMillionItemsNeedsNoMoreMemoryThanItsWindow(t *testing.T) {
	const items = 2_000_000
	type large [1024]byte
	source := pa.FromChunks(func(yield func([]int) bool) {
		for first := 0; first < items; first += 1000 {
			if !yield(count(1000)) {
				return
			}
		}
	})
	n, most, before := 0, 0, residentBytes(t)
	for _, err := range pa.Stream(background, source, func(context.Context, int) (large, error) { return large{}, nil }, pa.Window(1000)) {
		if err != nil {
			t.Fatal(err)
		}
		if n++; n%(items/4) == 0 {
			most = max(most, residentBytes(t))
		}
	}
	equal(t, "items", n, items)
	if grown := most - before; grown > 64<<20 {
		t.Errorf("%d MB more are in memory; the values alone are %d MB", grown>>20, items>>10)
	}
}
