package pa

import "iter"

// A Source delivers items on demand: they are pulled one call at a time, only a little ahead of the workers, never beyond [Window],
// and never again once the run has ended. Make one with [From], [FromSeq], [FromSeq2] or [FromChunks].
type Source[T any] struct {
	items   []T // where whole is true, these are all
	whole   bool
	pull    func() (pull func(most int) ([]T, error), stop func())
	hint    int
	hasHint bool
}

// From is a source of the items of a slice. They are read where they are.
func From[T any](items []T) Source[T] {
	return Source[T]{items: items, whole: true, hint: len(items), hasHint: true}
}

// FromSeq is a source of the items of an iterator: one at a time, because the next one may depend on what became of the last. Where
// items are cheap and many, [FromChunks] costs less. The iterator runs on a goroutine of its own, while an item is wanted; when the
// run ends early its yield returns false. A panic of it ends the run, and is that of the call, as a [*PanicError].
func FromSeq[T any](items iter.Seq[T]) Source[T] {
	if items == nil {
		return Source[T]{} // the call refuses it
	}
	return Source[T]{pull: func() (func(int) ([]T, error), func()) {
		p := newPuller(items)
		var one [1]T
		return func(int) ([]T, error) {
			item, more, err := p.next()
			if !more {
				return nil, err
			}
			one[0] = item
			return one[:], nil
		}, p.stop
	}}
}

// FromSeq2 is [FromSeq] for an iterator that may fail: the first error that is not nil ends the run with [ErrSource], and is that
// of the call.
func FromSeq2[T any](items iter.Seq2[T, error]) Source[T] {
	if items == nil {
		return Source[T]{} // the call refuses it
	}
	return Source[T]{pull: func() (func(int) ([]T, error), func()) {
		type pair struct {
			item T
			err  error
		}
		p := newPuller(func(yield func(pair) bool) {
			items(func(item T, err error) bool { return yield(pair{item, err}) })
		})
		var one [1]T
		return func(int) ([]T, error) {
			this, more, err := p.next()
			if !more {
				return nil, err
			}
			if this.err != nil {
				return nil, this.err
			}
			one[0] = this.item
			return one[:], nil
		}, p.stop
	}}
}

// FromChunks is [FromSeq] for an iterator that has several items at hand: each slice holds those that are there without waiting. It
// is not kept beyond the next one, but its items may be.
func FromChunks[T any](chunks iter.Seq[[]T]) Source[T] {
	if chunks == nil {
		return Source[T]{} // the call refuses it
	}
	return Source[T]{pull: func() (func(int) ([]T, error), func()) {
		p := newPuller(chunks)
		var rest []T
		return func(most int) ([]T, error) {
			for len(rest) == 0 {
				chunk, more, err := p.next()
				if !more {
					return nil, err
				}
				rest = chunk
			}
			now := rest[:min(most, len(rest))]
			rest = rest[len(now):]
			return now, nil
		}, p.stop
	}}
}

// WithHint says how many items there will be: for progress, and for the length of results that end early. The source may deliver
// more or fewer. Slices need none.
func (s Source[T]) WithHint(items int) Source[T] {
	s.hint, s.hasHint = items, true
	return s
}
