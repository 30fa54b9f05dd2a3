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
	return streamFrom(ctx, source, fn, nil, options)
}

// StreamBatch is [Stream] for a function that takes several items in one call, as [MapBatch] says.
func StreamBatch[T, R any](ctx context.Context, source Source[T], fn func(context.Context, []T) ([]R, error), options ...Option) iter.Seq2[Result[R], error] {
	return streamFrom(ctx, source, nil, fn, options)
}

func streamFrom[T, R any](ctx context.Context, source Source[T], fn func(context.Context, T) (R, error),
	batch func(context.Context, []T) ([]R, error), options []Option) iter.Seq2[Result[R], error] {
	return func(yield func(Result[R], error) bool) {
		m := &mapper[T, R]{function: fn, batch: batch}
		c, err := m.configure(ctx, source, options)
		if err != nil {
			yield(notAnItem[R](err), err)
			return
		}
		crew, err := m.stream(ctx, source, c)
		if err != nil {
			yield(notAnItem[R](err), err)
			return
		}
		defer m.end(crew)
		m.yieldAll(crew, source, yield)
	}
}

func notAnItem[R any](err error) Result[R] {
	return Result[R]{Index: -1, receipt: &receipt{state: Failed, err: err}}
}

// stream opens the run of a stream, and starts its takers.
func (m *mapper[T, R]) stream(ctx context.Context, source Source[T], c *config) (*crew, error) {
	count := uint64(unsized)
	if source.hasHint {
		count = uint64(source.hint)
	}
	r, err := open(ctx, c, count, m.flags()|palow.PA_JOB_STREAM|palow.PA_JOB_PULL)
	if err != nil {
		return nil, err
	}
	key, _ := c.itemKey.(func(T) (any, error))
	m.run, m.store = r, newStore[T, R](source, key)
	takers := m.takerCount(source.hint, source.whole)
	if !source.whole && !c.inline {
		takers++ // one may be waiting for the source
	}
	return r.hire(takers, m.work(), false), nil
}

// consumer returns what waits for the next chunk.
func (m *mapper[T, R]) consumer(c *crew) (next func() bool) {
	if m.inline {
		return func() bool { return m.nextInline(&c.takers[0]) }
	}
	s := &sleeper{}
	return func() bool { return m.next(s) }
}

// end leaves nothing behind.
func (m *mapper[T, R]) end(c *crew) {
	if m.detach && !m.inline {
		palow.Pa_job_close(m.job)
		m.cancel(ErrCancelled)
		m.takers.wake(everybody)
		go func() {
			m.crew.Wait()
			m.store.close()
			m.dismiss(c)
		}()
		return
	}
	m.leaveNobody(c)
	if m.inline {
		c.takers[0].leave()
	}
	m.store.close()
	m.dismiss(c)
}

func (m *mapper[T, R]) yieldAll(c *crew, source Source[T], yield func(Result[R], error) bool) {
	total := m.totalOf(source)
	quiet := m.onProgress == nil && m.onResult == nil
	next := m.consumer(c)
	for next() {
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
	if !m.inline && !m.detach {
		m.crew.Wait()
	}
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
