// Command bench measures the Go binding of libpa against what Go people use: [--quick] [--only GROUP] OUTPUT.json. `./run bench` calls it, and
// benchmarks/README.md says what counts.
package main

import (
	"context"
	"flag"
	"fmt"
	"os"
	"runtime"
	"sync"
	"sync/atomic"
	"time"

	"example.com/libpa/pa"
	"github.com/sourcegraph/conc/iter"
	"golang.org/x/sync/errgroup"
)

const workers = 2

var (
	quick = flag.Bool("quick", false, "fewer rounds and items")
	only  = flag.String("only", "", "the one `group` to run: squares, microseconds, sleepers or streams")
)

func main() {
	flag.Parse()
	if flag.NArg() != 1 {
		fmt.Fprintln(os.Stderr, "usage: bench [--quick] [--only GROUP] OUTPUT.json")
		os.Exit(2)
	}
	runtime.GOMAXPROCS(workers)
	for _, group := range []struct {
		name string
		run  func()
	}{{"squares", squares}, {"microseconds", microseconds}, {"sleepers", sleepers}, {"streams", streams}} {
		if *only == "" || *only == group.name {
			group.run()
		}
	}
	writeReport(flag.Arg(0))
}

func sized(full, quickly int) int {
	if *quick {
		return quickly
	}
	return full
}

// The bodies are called through variables, so that no contender has them inlined.
type body = func(context.Context, int) (int, error)

var square body = func(_ context.Context, x int) (int, error) { return x * x, nil }

var oneMicrosecond body = func(_ context.Context, x int) (int, error) {
	state := uint64(x)
	for range spins {
		state = state*6364136223846793005 + 1442695040888963407
	}
	if state == 1 {
		return 0, nil
	}
	return x * x, nil
}

// spins is how often a loop goes round in a microsecond.
var spins = func() int {
	const many = 1 << 20
	fastest := time.Hour
	for range 20 {
		began := time.Now()
		state := uint64(1)
		for range many {
			state = state*6364136223846793005 + 1442695040888963407
		}
		sink.Store(state)
		fastest = min(fastest, time.Since(began))
	}
	return max(1, int(many*time.Microsecond/fastest))
}()

var sink atomic.Uint64

var sleep body = func(_ context.Context, x int) (int, error) {
	time.Sleep(100 * time.Microsecond)
	return x * x, nil
}

func numbers(count int) (items []int, lastSquare int) {
	items = make([]int, count)
	for i := range items {
		items[i] = i
	}
	return items, (count - 1) * (count - 1)
}

// Each of these maps returns the last value, into results that are new each time, as those of its peers are.

func mapByPa(items []int, fn body, workers int) int {
	results, err := pa.Map(context.Background(), items, fn, pa.Workers(workers))
	if err != nil {
		fail(err)
	}
	return results.Values()[len(items)-1]
}

// mapByChunks is errgroup with a limit, and a goroutine for each chunk.
func mapByChunks(items []int, fn body, workers, chunk int) int {
	group, ctx := errgroup.WithContext(context.Background())
	group.SetLimit(workers)
	values := make([]int, len(items))
	for first := 0; first < len(items); first += chunk {
		group.Go(func() error {
			for i := first; i < min(first+chunk, len(items)); i++ {
				value, err := fn(ctx, items[i])
				if err != nil {
					return err
				}
				values[i] = value
			}
			return nil
		})
	}
	if err := group.Wait(); err != nil {
		fail(err)
	}
	return values[len(items)-1]
}

// mapByHand is a shared counter, from which goroutines take chunks.
func mapByHand(items []int, fn body, workers, chunk int) int {
	values, ctx := make([]int, len(items)), context.Background()
	var next atomic.Int64
	var wait sync.WaitGroup
	for range workers {
		wait.Add(1)
		go func() {
			defer wait.Done()
			for {
				first := int(next.Add(int64(chunk))) - chunk
				if first >= len(items) {
					return
				}
				for i := first; i < min(first+chunk, len(items)); i++ {
					value, err := fn(ctx, items[i])
					if err != nil {
						fail(err)
					}
					values[i] = value
				}
			}
		}()
	}
	wait.Wait()
	return values[len(items)-1]
}

func squares() {
	const chunk = 8192
	items, last := numbers(sized(5_000_000, 1_000_000))
	r := race{title: "Go: x*x"}
	r.add("pa_map", last, func() int { return mapByPa(items, square, workers) })
	r.add("errgroup in chunks", last, func() int { return mapByChunks(items, square, workers, chunk) })
	r.add("by hand", last, func() int { return mapByHand(items, square, workers, chunk) })
	r.run(sized(25, 15))
	r.ratio("go_sq_errgroup")
}

func microseconds() {
	items, last := numbers(sized(20_000, 10_000))
	r := race{title: "Go: bodies of 1 us"}
	r.add("pa_map", last, func() int { return mapByPa(items, oneMicrosecond, workers) })
	r.add("conc", last, func() int {
		ctx := context.Background()
		mapper := iter.Mapper[int, int]{MaxGoroutines: workers}
		values, err := mapper.MapErr(items, func(x *int) (int, error) { return oneMicrosecond(ctx, *x) })
		if err != nil {
			fail(err)
		}
		return values[len(items)-1]
	})
	r.add("by hand", last, func() int { return mapByHand(items, oneMicrosecond, workers, 64) })
	r.run(sized(25, 15))
	r.ratio("go_1us_conc")
}

func sleepers() {
	const many = 1000
	items, last := numbers(many * sized(40, 10))
	r := race{title: "Go: 1,000 sleepers of 100 us"}
	r.add("pa_map", last, func() int { return mapByPa(items, sleep, many) })
	r.add("errgroup", last, func() int { return mapByChunks(items, sleep, many, 1) })
	r.add("by hand", last, func() int { return mapByHand(items, sleep, many, 1) })
	r.run(15)
	r.ratio("go_sleep_errgroup")
}
