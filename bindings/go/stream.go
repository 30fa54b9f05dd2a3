package pa

import (
	"context"
	"iter"

	"example.com/libpa/pa/internal/palow"
)

// Stream applies fn to each of the items of a source, in parallel, and hands out what became of them one by one, as they finish or, with
// [Ordered], in the order of the input. It keeps no more than a window of them in memory: a loop that is slow slows the source
// down.
//
//	for result, err := range pa.Stream(ctx, pa.From(urls), fetch) {
//		if err != nil {
//			return err
//		}
//		use(result.Index, result.Value)
//	}
//
// The error is nil if the item succeeded, and else an [*ItemError]. A stream that ends early, for whatever reason, says so last: by
// a pair whose Index is -1 and whose error is a [*RunError]. Items that never ran have no pair. So a loop that looks at each error
// knows that it has seen everything. Bad options are an [*InvalidError], the only pair of all, and nothing has run.
//
// Leaving the loop ends the stream: nothing new is started, the calls that are running see that their context is done and are
// waited for (unless [Detach] is given), and nothing is left behind. Options are as for [Map]; Timeout begins with the loop. Each
// loop over the same stream is a run of its own.
func Stream[T, R any](ctx context.Context, source Source[T], fn func(context.Context, T) (R, error), options ...Option) iter.Seq2[Result[R], error] {
	return streamFrom(ctx, source, kind[T, R]{function: fn}, options)
}

// StreamBatch is [Stream] for a function that takes several items in one call, as [MapBatch] says.
func StreamBatch[T, R any](ctx context.Context, source Source[T], fn func(context.Context, []T) ([]R, error), options ...Option) iter.Seq2[Result[R], error] {
	return streamFrom(ctx, source, kind[T, R]{batch: fn}, options)
}

func streamFrom[T, R any](ctx context.Context, source Source[T], kind kind[T, R], options []Option) iter.Seq2[Result[R], error] {
	return func(yield func(Result[R], error) bool) {
		m := &mapper[T, R]{kind: kind}
		c, err := m.configure(ctx, source, options)
		if err != nil {
			yield(notAnItem[R](err), err)
			return
		}
		feed, err := m.stream(ctx, source, c)
		if err != nil {
			yield(notAnItem[R](err), err)
			return
		}
		defer feed.end()
		m.yieldAll(feed, source, yield)
	}
}

func notAnItem[R any](err error) Result[R] {
	return Result[R]{Index: -1, receipt: &receipt{state: Failed, err: err}}
}

// A feed is where the consumer of a run gets what is done.
type feed interface {
	// next waits for it, and puts it into the chunk of the run. False: the stream is over.
	next() bool
	// conclude waits until all code of the caller's has returned, where there is still somebody to tell how.
	conclude()
	// end leaves nothing behind.
	end()
}

// stream opens the run of a stream, and starts those who run its items.
func (m *mapper[T, R]) stream(ctx context.Context, source Source[T], c *config) (feed, error) {
	count := uint64(unsized)
	if source.hasHint {
		count = uint64(source.hint)
	}
	if m.task != nil {
		return m.streamFromProcesses(ctx, source, c, count)
	}
	r, err := open(ctx, c, count, m.flags()|palow.PA_JOB_STREAM|palow.PA_JOB_PULL)
	if err != nil {
		return nil, err
	}
	m.keep(r, source)
	takers := m.takerCount(source.hint, source.whole)
	if !source.whole && !c.inline {
		takers++ // one may be waiting for the source
	}
	return &goroutines[T, R]{mapper: m, crew: r.hire(takers, m.work(), false)}, nil
}

// keep makes room for what is under way.
func (m *mapper[T, R]) keep(r *run, source Source[T]) {
	key, _ := r.itemKey.(func(T) (any, error))
	m.run, m.store = r, newStore[T, R](source, key, r.isOver)
}

// Goroutines that take leases are what a stream is fed by.
type goroutines[T, R any] struct {
	*mapper[T, R]
	crew     *crew
	consumer sleeper
}

func (g *goroutines[T, R]) next() bool {
	if g.inline {
		return g.nextInline(&g.crew.takers[0])
	}
	return g.run.next(&g.consumer)
}

func (g *goroutines[T, R]) end() {
	if g.detach && !g.inline {
		palow.Pa_job_close(g.job)
		g.cancel(ErrCancelled)
		g.takers.wake(everybody)
		go func() {
			g.run.crew.Wait()
			_ = g.store.close() // nobody is there to be told
			g.dismiss(g.crew)
		}()
		return
	}
	g.leaveNobody(g.crew)
	_ = g.store.close() // likewise, unless conclude did it before
	g.dismiss(g.crew)
}

func (g *goroutines[T, R]) conclude() {
	switch {
	case g.inline:
		g.crew.takers[0].leave()
	case g.detach:
		return
	default:
		g.run.crew.Wait()
	}
	if err := g.store.close(); err != nil {
		g.fail(ErrSource, err)
	}
}

func (m *mapper[T, R]) yieldAll(feed feed, source Source[T], yield func(Result[R], error) bool) {
	total := m.totalOf(source)
	quiet := m.onProgress == nil && m.onResult == nil
	for feed.next() {
		chunk := &m.memory.chunk
		shared := m.receiptOf(chunk)
		first, end := chunk.First, chunk.First+chunk.Count
		for first < end {
			_, values := m.store.segment(first, end-first)
			keys := m.store.keysOf(first, uint64(len(values)))
			goesOn := false
			if quiet && keys == nil && shared.state == OK {
				goesOn = yieldValues(int(first), values, &shared, yield)
			} else {
				goesOn = m.yieldEach(int(first), values, keys, shared, total, yield)
			}
			if !goesOn {
				return
			}
			m.store.release(first, uint64(len(values)))
			first += uint64(len(values))
		}
	}
	feed.conclude()
	if end, cause := m.ending(); end != EndCompleted {
		err := &RunError{End: end, Cause: cause}
		yield(notAnItem[R](err), err)
	}
}

// yieldValues is the loop that streams of short items spend their time in.
func yieldValues[R any](first int, values []R, shared *receipt, yield func(Result[R], error) bool) bool {
	for i := range values {
		if !yield(Result[R]{first + i, values[i], shared}, nil) {
			return false
		}
	}
	return true
}

func (m *mapper[T, R]) yieldEach(first int, values []R, keys []any, shared receipt, total func() int,
	yield func(Result[R], error) bool) bool {
	for i := range values {
		own := shared
		if keys != nil {
			own.key = keys[i]
		}
		result := Result[R]{Index: first + i, receipt: &own}
		if own.state == OK {
			result.Value = values[i]
		}
		if !m.deaf && (m.onProgress != nil || m.onResult != nil) {
			m.deaf = !m.tell(result, total)
		}
		if !yield(result, result.itemError()) {
			return false
		}
	}
	return true
}
