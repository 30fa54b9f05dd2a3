package pa

import (
	"math"
	"sync"
	"sync/atomic"
	"time"
)

const everybody = math.MaxUint32

// A lot is where takers, or the consumer, of a job wait. libpa says how many may find something to do, and any of them will do.
//
// Who asks libpa for work reads the epoch before: if it has moved by the time the answer is "not now", that answer is out of date,
// and park returns at once. So no wake-up is lost between the question and the sleep.
type lot struct {
	epoch atomic.Uint64

	mu       sync.Mutex
	sleeping []*sleeper
}

// A sleeper is one who parks in a lot, again and again.
type sleeper struct {
	woken chan struct{} // holds one: whoever takes the sleeper from the lot puts it in
	timer *time.Timer
	place int // in lot.sleeping, while it is there
}

const notInLot = -1

// wake lets so many sleepers look again.
func (l *lot) wake(count uint32) {
	if count == 0 {
		return
	}
	l.mu.Lock()
	l.epoch.Add(1)
	for ; count > 0 && len(l.sleeping) > 0; count-- {
		s := l.sleeping[len(l.sleeping)-1]
		l.remove(s)
		s.woken <- struct{}{}
	}
	l.mu.Unlock()
}

// park returns when woken, after waitNs if that is not negative, or at once if the epoch is not the one that was seen.
func (l *lot) park(s *sleeper, seen uint64, waitNs int64) {
	if waitNs == 0 {
		return
	}
	if s.woken == nil {
		s.woken = make(chan struct{}, 1)
	}
	l.mu.Lock()
	if l.epoch.Load() != seen {
		l.mu.Unlock()
		return
	}
	s.place = len(l.sleeping)
	l.sleeping = append(l.sleeping, s)
	l.mu.Unlock()

	if waitNs < 0 {
		<-s.woken
		return
	}
	if s.timer == nil {
		s.timer = time.NewTimer(time.Duration(waitNs))
	} else {
		s.timer.Reset(time.Duration(waitNs))
	}
	select {
	case <-s.woken:
		s.timer.Stop()
	case <-s.timer.C:
		l.mu.Lock()
		inLot := s.place != notInLot
		if inLot {
			l.remove(s)
		}
		l.mu.Unlock()
		if !inLot {
			<-s.woken // somebody was about to wake it
		}
	}
}

// remove takes a sleeper from the lot, in no particular order. The lot is locked.
func (l *lot) remove(s *sleeper) {
	last := len(l.sleeping) - 1
	l.sleeping[s.place] = l.sleeping[last]
	l.sleeping[s.place].place = s.place
	l.sleeping[last] = nil
	l.sleeping = l.sleeping[:last]
	s.place = notInLot
}
