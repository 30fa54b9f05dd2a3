package pa

import (
	"context"
	"time"

	"example.com/libpa/pa/internal/palow"
)

// A collector is the consumer of a map: it puts together what comes bit by bit.
type collector[T, R any] struct {
	*mapper[T, R]
	results Results[R]
	spans   []span
	known   uint64 // indices before this one have their outcome, once all have come
	total   func() int
}

// collect is a map whose outcomes go through the calling goroutine one by one: for callbacks, keys, sources, and to detach.
func (m *mapper[T, R]) collect(ctx context.Context, source Source[T], c *config) (*Results[R], error) {
	feed, err := m.stream(ctx, source, c)
	if err != nil {
		return nil, err
	}
	defer feed.end()
	m.collects = true
	k := &collector[T, R]{mapper: m, total: m.totalOf(source)}
	k.grow(min(uint64(source.hint), believed))
	for feed.next() {
		k.add(&m.memory.chunk)
	}
	feed.conclude()
	end, _ := m.ending()
	m.drain(func(chunk *palow.Chunk) {
		if wasDone(chunk) {
			k.add(chunk)
			return
		}
		k.spans = append(k.spans, m.undone(chunk, end))
		k.keep(chunk.First, chunk.Count, false)
	})
	k.results.end, k.results.cause = m.ending() // again: a callback may have failed
	k.pad(source)
	k.results.batchSize = int(m.batchSize.Load())
	k.results.add(nil, k.spans)
	return &k.results, nil
}

// A hint is believed so far: room is made at once for so many items, and for others when they come.
const believed = 1 << 16

// wasDone: items that a stream had done, but its consumer did not come for.
func wasDone(chunk *palow.Chunk) bool {
	return State(chunk.State) == OK || State(chunk.State) == Failed || State(chunk.State) == Crashed || State(chunk.State) == TimedOut && chunk.DurationNs > 0
}

// totalOf says how many items there are, as far as that is known.
func (m *mapper[T, R]) totalOf(source Source[T]) func() int {
	return func() int { return max(source.hint, int(m.store.admitted.Load())) }
}

// grow makes room for so many items.
func (k *collector[T, R]) grow(count uint64) {
	values := k.results.values
	for uint64(cap(values)) < count {
		values = append(values[:cap(values)], *new(R))
	}
	if uint64(len(values)) < count {
		values = values[:count]
	}
	k.results.values = values
	if k.store.key != nil {
		for uint64(len(k.results.keys)) < count {
			k.results.keys = append(k.results.keys, nil)
		}
	}
}

// keep copies keys, and values if there are any, to where the results have them.
func (k *collector[T, R]) keep(first, count uint64, hasValues bool) {
	k.known = max(k.known, first+count)
	k.grow(first + count)
	for end := first + count; first < end; {
		_, values := k.store.segment(first, end-first)
		if hasValues {
			copy(k.results.values[first:], values)
		}
		if keys := k.store.keysOf(first, uint64(len(values))); keys != nil {
			copy(k.results.keys[first:], keys)
		}
		first += uint64(len(values))
	}
}

// add takes in what is done.
func (k *collector[T, R]) add(chunk *palow.Chunk) {
	first, count := chunk.First, chunk.Count
	s := span{first, count, k.receiptOf(chunk)}
	k.keep(first, count, s.state == OK)
	k.spans = append(k.spans, s)
	k.store.releaseAll(first, count)
	if k.onProgress == nil && k.onResult == nil {
		return
	}
	for index := int(first); index < int(first+count) && !k.deaf; index++ {
		k.deaf = !k.tell(k.results.result(index, k.results.values[index], &s.receipt), k.total)
	}
}

// receiptOf is what a chunk of items that were done says of each.
func (m *mapper[T, R]) receiptOf(chunk *palow.Chunk) receipt {
	shared := receipt{state: State(chunk.State), attempts: int(chunk.Attempts), duration: time.Duration(chunk.DurationNs)}
	if shared.state != OK {
		shared.err = m.failures.take(chunk.First).err
	} else if chunk.Attempts > 1 {
		m.failures.take(chunk.First)
	}
	return shared
}

// tell makes the callbacks for an item that is done. False: one failed, and the run ends.
func (m *mapper[T, R]) tell(result Result[R], total func() int) bool {
	m.done++
	if onResult, wanted := m.onResult.(func(Result[R]) error); wanted && onResult != nil {
		if err := onResult(result); err != nil {
			m.fail(ErrCallback, err)
			return false
		}
	}
	if m.onProgress != nil {
		if err := m.onProgress(m.done, total()); err != nil {
			m.fail(ErrCallback, err)
			return false
		}
	}
	return true
}

// pad adds what was announced and never came, where the run ended early.
func (k *collector[T, R]) pad(source Source[T]) {
	want := k.known
	if k.results.end != EndCompleted {
		want = max(want, uint64(source.hint))
	}
	k.grow(want)
	k.results.values = k.results.values[:want] // the source may have delivered fewer
	if k.results.keys != nil {
		k.results.keys = k.results.keys[:want]
	}
	if missing := want - k.known; missing > 0 {
		state := stateAfter(k.results.end)
		k.spans = append(k.spans, span{k.known, missing, receipt{state: state, err: k.notDoneError(state, nil)}})
	}
}

// stateAfter is the state of items that never ran.
func stateAfter(end End) State {
	switch end {
	case EndTimedOut:
		return TimedOut
	case EndCancelled:
		return Cancelled
	}
	return Aborted
}
