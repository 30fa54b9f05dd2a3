package pa

import (
	"fmt"
	"reflect"
	"sync"
	"sync/atomic"
)

// A store keeps items from when they are pulled, and values until they are handed out, in blocks of consecutive indices. So memory
// follows the window, whatever the length of the input.
type store[T, R any] struct {
	source Source[T]
	next   func(most int) ([]T, error) // nil: the items of a slice stay where they are
	close  func() error
	key    func(T) (any, error)

	mu       sync.Mutex
	blocks   map[uint64]*block[T, R]
	free     []*block[T, R]
	size     uint64 // of a block; a power of two
	forgets  bool   // what a block held must be cleared for the garbage collector
	admitted atomic.Uint64
}

type block[T, R any] struct {
	items     []T
	values    []R
	keys      []any
	handedOut uint64
}

func newStore[T, R any](source Source[T], key func(T) (any, error), over func() bool) *store[T, R] {
	s := &store[T, R]{source: source, key: key, blocks: map[uint64]*block[T, R]{}, close: func() error { return nil }}
	if !source.whole {
		s.next, s.close = source.pull(over)
	}
	item, value := reflect.TypeFor[T](), reflect.TypeFor[R]()
	s.size = blockSize(item.Size() + value.Size())
	for source.hasHint && s.size/2 >= uint64(source.hint) && s.size > leastBlock {
		s.size /= 2
	}
	s.forgets = !isNumber(value) || !source.whole && !isNumber(item)
	return s
}

const leastBlock = 16

// blockSize: large enough that a block is seldom looked for, small enough that a stream of large items needs little.
func blockSize(bytes uintptr) uint64 {
	const most, enough = 4096, 64 << 10
	size := uint64(most)
	for size > leastBlock && uintptr(size)*bytes > enough {
		size /= 2
	}
	return size
}

func isNumber(t reflect.Type) bool { return t.Kind() >= reflect.Bool && t.Kind() <= reflect.Complex128 }

// segment is as mapper.segment says.
func (s *store[T, R]) segment(first, most uint64) ([]T, []R) {
	s.mu.Lock()
	b := s.blocks[first/s.size]
	s.mu.Unlock()
	begin := first % s.size
	end := min(begin+most, s.size)
	if s.next == nil {
		last := first + end - begin
		return s.source.items[first:last:last], b.values[begin:end:end]
	}
	return b.items[begin:end:end], b.values[begin:end:end]
}

// keysOf are the keys of a segment, or nil.
func (s *store[T, R]) keysOf(first, count uint64) []any {
	if s.key == nil {
		return nil
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	begin := first % s.size
	return s.blocks[first/s.size].keys[begin : begin+count]
}

// pull is as work.pull says.
func (s *store[T, R]) pull(most uint64) (got uint64, end bool, err error) {
	first := s.admitted.Load()
	var items []T
	if s.next == nil {
		left := s.source.items[first:]
		items = left[:min(most, uint64(len(left)))]
		end = len(items) == len(left)
	} else {
		items, err = s.next(int(min(most, s.size)))
		end = err != nil || len(items) == 0
	}
	err = s.admit(first, items, err)
	s.admitted.Store(first + uint64(len(items)))
	return uint64(len(items)), end, err
}

// admit makes room for items, and names them.
func (s *store[T, R]) admit(first uint64, items []T, err error) error {
	for n := 0; n < len(items); {
		at := first + uint64(n)
		begin := at % s.size
		b := s.blockAt(at)
		count := min(len(items)-n, int(s.size-begin))
		if s.next != nil {
			copy(b.items[begin:], items[n:n+count])
		}
		for i := 0; s.key != nil && err == nil && i < count; i++ {
			b.keys[begin+uint64(i)], err = s.name(items[n+i])
		}
		n += count
	}
	return err
}

func (s *store[T, R]) name(item T) (key any, err error) {
	defer func() {
		if panicked := recover(); panicked != nil {
			err = crash(panicked)
		}
		if err != nil {
			key, err = nil, keyError{err}
		}
	}()
	key, err = s.key(item)
	if err != nil {
		return nil, err
	}
	switch key := key.(type) {
	case int, int8, int16, int32, int64, uint, uint8, uint16, uint32, uint64, string, []byte:
		return key, nil
	default:
		return nil, fmt.Errorf("a key must be an integer, a string or a []byte, got %T", key)
	}
}

func (s *store[T, R]) blockAt(index uint64) *block[T, R] {
	s.mu.Lock()
	defer s.mu.Unlock()
	number := index / s.size
	b := s.blocks[number]
	if b != nil {
		return b
	}
	if last := len(s.free) - 1; last >= 0 {
		b, s.free = s.free[last], s.free[:last]
	} else {
		b = &block[T, R]{values: make([]R, s.size)}
		if s.next != nil {
			b.items = make([]T, s.size)
		}
		if s.key != nil {
			b.keys = make([]any, s.size)
		}
	}
	s.blocks[number] = b
	return b
}

// releaseAll is release for any range.
func (s *store[T, R]) releaseAll(first, count uint64) {
	for end := first + count; first < end; {
		part := min(end-first, s.size-first%s.size)
		s.release(first, part)
		first += part
	}
}

// release says that so many values, in one block, were handed out.
func (s *store[T, R]) release(first, count uint64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	number := first / s.size
	b := s.blocks[number]
	b.handedOut += count
	if b.handedOut < s.size {
		return
	}
	delete(s.blocks, number)
	b.handedOut = 0
	if s.forgets {
		clear(b.values)
		clear(b.items)
	}
	clear(b.keys)
	s.free = append(s.free, b)
}
