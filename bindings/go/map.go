package pa

import (
	"context"
	"runtime"

	"example.com/libpa/pa/internal/palow"
)

// Map applies fn to each of the items, in parallel, and waits. The results have one outcome for each item, in the order of the
// input; the error is nil if all of them are OK, and else a [*RunError] that says first why the run ended early, if it did, and then
// which items failed. Bad options are an [*InvalidError]: then the results are nil, and nothing has run.
//
// fn is called by several goroutines at a time. Its context is done when the run is over ([Timeout], [MaxErrors], [StopOn], ctx),
// or the attempt ([ItemTimeout]): a call that then returns the context's error counts as not done, rather than failed. A panic, or
// [runtime.Goexit], is that item's error. After Map nothing is left running, unless [Detach] is given.
func Map[T, R any](ctx context.Context, items []T, fn func(context.Context, T) (R, error), options ...Option) (*Results[R], error) {
	return mapFrom(ctx, From(items), kind[T, R]{function: fn}, options)
}

// MapFrom is [Map] for items that a source delivers. The results keep an outcome for each.
func MapFrom[T, R any](ctx context.Context, source Source[T], fn func(context.Context, T) (R, error), options ...Option) (*Results[R], error) {
	return mapFrom(ctx, source, kind[T, R]{function: fn}, options)
}

// MapBatch is [Map] for a function that takes several items in one call, where one statement or request can do many. [Batch] says
// how many; without it libpa finds a number that pays.
//
// fn returns a value for each item, in their order: if their number is wrong, all have failed. A [BatchError] beside them says which
// items failed; with any other error all have. Those are retried one by one, each as a batch of one. The slice that fn is given is
// neither to be changed nor to be kept.
func MapBatch[T, R any](ctx context.Context, items []T, fn func(context.Context, []T) ([]R, error), options ...Option) (*Results[R], error) {
	return mapFrom(ctx, From(items), kind[T, R]{batch: fn}, options)
}

// MapBatchFrom is [MapBatch] for items that a source delivers.
func MapBatchFrom[T, R any](ctx context.Context, source Source[T], fn func(context.Context, []T) ([]R, error), options ...Option) (*Results[R], error) {
	return mapFrom(ctx, source, kind[T, R]{batch: fn}, options)
}

func mapFrom[T, R any](ctx context.Context, source Source[T], kind kind[T, R], options []Option) (*Results[R], error) {
	m := &mapper[T, R]{kind: kind}
	c, err := m.configure(ctx, source, options)
	if err != nil {
		return nil, err
	}
	c.low.Ordered = 0 // a map is, whatever order its items finish in
	var results *Results[R]
	if m.task == nil && source.whole && c.onProgress == nil && c.onResult == nil && c.itemKey == nil && !c.detach {
		results, err = m.mapSlice(ctx, source.items, c)
	} else {
		results, err = m.collect(ctx, source, c)
	}
	if err != nil {
		return nil, err
	}
	return results, results.Err()
}

func (m *mapper[T, R]) configure(ctx context.Context, source Source[T], options []Option) (*config, error) {
	c, err := newConfig[T, R](options)
	if err != nil {
		return nil, err
	}
	if ctx == nil {
		return nil, invalid("ctx must not be nil")
	}
	if m.function == nil && m.batch == nil {
		return nil, invalid("fn must not be nil")
	}
	if !source.whole && source.pull == nil {
		return nil, invalid("source must be made by From, FromSeq, FromSeq2 or FromChunks, of an iterator that is not nil")
	}
	if source.hint < 0 {
		return nil, invalid("source.size_hint must be >= 0, got %d", source.hint)
	}
	return c, m.staff(c)
}

func (m *mapper[T, R]) flags() int {
	if m.batch != nil {
		return palow.PA_JOB_BATCH
	}
	return 0
}

// mapSlice is a map that nobody wants to hear of before it is over: takers write values where they belong, and note what they did.
func (m *mapper[T, R]) mapSlice(ctx context.Context, items []T, c *config) (*Results[R], error) {
	r, err := open(ctx, c, uint64(len(items)), m.flags())
	if err != nil {
		return nil, err
	}
	m.run, m.items, m.values = r, items, newValues[R](len(items))
	crew := r.hire(m.takerCount(len(items), true), m.work(), true)
	defer func() {
		r.leaveNobody(crew)
		r.dismiss(crew)
	}()
	crew.finish(r)

	results := &Results[R]{values: m.values, batchSize: int(m.batchSize.Load())}
	results.end, results.cause = r.ending()
	for i := range crew.takers {
		t := &crew.takers[i]
		results.add(t.done, t.failed)
	}
	r.drain(func(chunk *palow.Chunk) { results.add(nil, []span{r.undone(chunk, results.end)}) })
	results.wipe()
	return results, nil
}

// takerCount is how many goroutines run items.
func (m *mapper[T, R]) takerCount(items int, known bool) int {
	workers := int(m.run.memory.options.Workers)
	if known {
		return max(1, min(workers, items))
	}
	return workers
}

// finish waits until all takers have gone.
func (c *crew) finish(r *run) {
	if !r.inline {
		r.crew.Wait()
		return
	}
	t := &c.takers[0]
	for t.serveOnce() {
	}
	t.leave()
}

// leaveNobody ends what still runs, where the caller's goroutine leaves before its time: by a panic of its own code, Goexit, or a
// loop that is left.
func (r *run) leaveNobody(c *crew) {
	palow.Pa_job_stop(r.job)
	r.cancel(ErrCancelled)
	r.takers.wake(everybody)
	if !r.inline {
		r.crew.Wait()
	} else {
		palow.Pa_job_leave(r.job, c.takers[0].lease)
		c.takers[0].leave()
	}
}

// drain hands over what was not done.
func (r *run) drain(each func(*palow.Chunk)) {
	chunk := &r.memory.chunk
	for {
		switch r.engine.drain(chunk) {
		case statusOK:
			each(chunk)
		case statusAgain:
			runtime.Gosched() // a pull is under way, of a run that is detached
		default:
			return
		}
	}
}

// undone is what became of items that libpa drained.
func (r *run) undone(chunk *palow.Chunk, end End) span {
	state := stateOf(chunk.State, end)
	var last error
	if chunk.Attempts > 0 && chunk.Count == 1 {
		last = r.failures.take(chunk.First).err
	}
	return span{chunk.First, chunk.Count, receipt{state: state, attempts: int(chunk.Attempts), err: r.notDoneError(state, last)}}
}
