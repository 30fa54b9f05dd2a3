package pa

import "iter"

// A puller takes the values of an iterator one by one, as [iter.Pull] does, but whoever asks may be bound to a thread or not, and
// another one than the last time: where these differ, iter.Pull ends the program. Calls must not overlap.
type puller[V any] struct {
	values  iter.Seq[V]
	goOn    chan bool // what yield returns
	value   chan V    // closed when the iterator has ended
	started bool
	over    bool
	failure error // why the iterator did not return; read once `value` is closed
}

func newPuller[V any](values iter.Seq[V]) *puller[V] {
	return &puller[V]{values: values, goOn: make(chan bool), value: make(chan V)}
}

// next returns a *PanicError or ErrGoexit, once, if that is how the iterator ended.
func (p *puller[V]) next() (value V, more bool, err error) {
	if p.over {
		return value, false, nil
	}
	if p.started {
		p.goOn <- true
	} else {
		p.started = true
		go p.run()
	}
	value, more = <-p.value
	if !more {
		p.over = true
		return value, false, p.failure
	}
	return value, true, nil
}

// stop lets yield return false, if the iterator is at one, and waits for its end. A panic on the way is the caller's.
func (p *puller[V]) stop() {
	if p.over || !p.started {
		p.over = true
		return
	}
	p.over = true
	p.goOn <- false
	<-p.value
	if panicked, is := p.failure.(*PanicError); is {
		panic(panicked.Value)
	}
}

func (p *puller[V]) run() {
	defer close(p.value)
	returned, left := false, false
	defer func() {
		if !returned {
			p.failure = crash(recover())
		}
	}()
	p.values(func(value V) bool {
		if left {
			return false
		}
		p.value <- value
		left = !<-p.goOn
		return !left
	})
	returned = true
}
