package main

import (
	"context"
	"iter"
	"sync"
	"sync/atomic"

	"example.com/libpa/pa"
)

// Each of these streams returns the sum of all values, so that each of them was seen.

func streamByPa(items []int, fn body) int {
	sum := 0
	for result, err := range pa.Stream(context.Background(), pa.From(items), fn, pa.Workers(workers)) {
		if err != nil {
			fail(err)
		}
		sum += result.Value
	}
	return sum
}

type answer struct {
	index, value int
	err          error
}

// streamByChannels is a pool of workers between two channels, as it stands in every book.
func streamByChannels(items []int, fn body) int {
	inputs, answers, ctx := make(chan int, 64), make(chan answer, 64), context.Background()
	poolOfWorkers(answers, func() {
		for i := range inputs {
			value, err := fn(ctx, items[i])
			answers <- answer{i, value, err}
		}
	})
	go func() {
		for i := range items {
			inputs <- i
		}
		close(inputs)
	}()
	sum := 0
	for a := range answers {
		if a.err != nil {
			fail(a.err)
		}
		sum += a.value
	}
	return sum
}

// streamByBatches is the same with many items at a time, each of which has its answer.
func streamByBatches(items []int, fn body) int {
	const size = 1024
	inputs, answers, ctx := make(chan int, 64), make(chan []answer, 64), context.Background()
	poolOfWorkers(answers, func() {
		for first := range inputs {
			part := items[first:min(first+size, len(items))]
			batch := make([]answer, len(part))
			for i, x := range part {
				value, err := fn(ctx, x)
				batch[i] = answer{first + i, value, err}
			}
			answers <- batch
		}
	})
	go func() {
		for first := 0; first < len(items); first += size {
			inputs <- first
		}
		close(inputs)
	}()
	sum := 0
	for batch := range answers {
		for _, a := range batch {
			if a.err != nil {
				fail(a.err)
			}
			sum += a.value
		}
	}
	return sum
}

// poolOfWorkers starts workers, and closes what they send to when all have ended.
func poolOfWorkers[A any](answers chan A, work func()) {
	var pool sync.WaitGroup
	for range workers {
		pool.Add(1)
		go func() {
			defer pool.Done()
			work()
		}()
	}
	go func() {
		pool.Wait()
		close(answers)
	}()
}

// streamByHand is an iterator that is written for exactly this work: a ring of blocks that are used again and again, handed to and fro
// with as few channels as possible.
func streamByHand(items []int, fn body) int {
	sum := 0
	for a, err := range iterateByHand(items, fn) {
		if err != nil {
			fail(err)
		}
		sum += a.value
	}
	return sum
}

type indexed struct{ index, value int }

func iterateByHand(items []int, fn body) iter.Seq2[indexed, error] {
	const size, blocks = 16384, 8
	type block struct {
		first  int
		part   []int
		values [size]int
	}
	return func(yield func(indexed, error) bool) {
		free, done, ctx := make(chan *block, blocks), make(chan *block, blocks), context.Background()
		for range blocks {
			free <- new(block)
		}
		var next atomic.Int64
		var pool sync.WaitGroup
		for range workers {
			pool.Add(1)
			go func() {
				defer pool.Done()
				for b := range free {
					b.first = int(next.Add(size)) - size
					if b.first >= len(items) {
						return
					}
					b.part = items[b.first:min(b.first+size, len(items))]
					for i, x := range b.part {
						value, err := fn(ctx, x)
						if err != nil {
							fail(err)
						}
						b.values[i] = value
					}
					done <- b
				}
			}()
		}
		go func() {
			pool.Wait()
			close(done)
		}()
		for b := range done {
			for i := range b.part {
				if !yield(indexed{b.first + i, b.values[i]}, nil) {
					return
				}
			}
			free <- b
		}
	}
}

func streams() {
	items, _ := numbers(sized(2_000_000, 500_000))
	sum := 0
	for _, x := range items {
		sum += x * x
	}
	r := race{title: "Go: stream of x*x"}
	r.add("pa_stream", sum, func() int { return streamByPa(items, square) })
	r.add("channels", sum, func() int { return streamByChannels(items, square) })
	r.add("by hand", sum, func() int { return streamByHand(items, square) })
	r.run(15)
	r.ratio("go_stream_channels")

	many, _ := numbers(len(items))
	r = race{title: "Go: stream of x*x, in batches"}
	r.add("pa_stream", sum, func() int { return streamByPa(many, square) })
	r.add("channels, 1,024 at a time", sum, func() int { return streamByBatches(many, square) })
	r.add("by hand", sum, func() int { return streamByHand(many, square) })
	r.run(sized(25, 15))
	r.ratio("go_stream_batched")
}
