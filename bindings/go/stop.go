package pa

import (
	"runtime"
	"sync"

	"example.com/libpa/pa/internal/palow"
)

// A Stop ends runs: once requested it stays so. Any number of runs may share it; a run that is started with a requested stop runs
// nothing. A cancelled context does the same; a Stop is for those who have none at hand, and for one that many contexts share.
type Stop struct {
	handle    uintptr
	listeners listeners
}

// NewStop makes a stop that was not requested.
func NewStop() *Stop {
	arguments := palow.Alloc[limiterArguments]()
	defer palow.Free(arguments)
	if palow.Pa_stop_new(&arguments.handle, &arguments.err) != statusOK {
		panic(lowError(&arguments.err)) // there is no memory
	}
	palow.Opened()
	s := &Stop{handle: arguments.handle}
	runtime.SetFinalizer(s, func(s *Stop) {
		palow.Pa_stop_release(s.handle)
		palow.Closed()
	})
	return s
}

// Request ends every run that uses this stop: nothing new starts, and the contexts of calls in progress are cancelled.
func (s *Stop) Request() {
	palow.Pa_stop_request(s.handle)
	s.listeners.tell()
	runtime.KeepAlive(s)
}

// Requested says whether Request was called.
func (s *Stop) Requested() bool {
	requested := palow.Pa_stop_requested(s.handle) != 0
	runtime.KeepAlive(s)
	return requested
}

// Listeners are told that something has changed: the runs that use a limiter or a stop. libpa could tell them by a descriptor, but
// all changes are made in Go, where a call is cheaper than a descriptor and a goroutine that watches it.
type listeners struct {
	mu   sync.Mutex
	next int
	all  map[int]func()
}

// add returns a function that takes the listener away again. The listener must not call it.
func (l *listeners) add(listener func()) (remove func()) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.all == nil {
		l.all = map[int]func(){}
	}
	id := l.next
	l.next++
	l.all[id] = listener
	return func() {
		l.mu.Lock()
		defer l.mu.Unlock()
		delete(l.all, id)
	}
}

func (l *listeners) tell() {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, listener := range l.all {
		listener()
	}
}
