package pa

// A puller asks an iterator for one value at a time, as iter.Pull does, but runs it on a goroutine of its own: iter.Pull kills the
// process where the goroutines that ask are bound to threads and the one that made it is not, or the other way round.
type puller[V any] struct {
	items   func(yield func(V) bool)
	more    chan struct{} // asks for the next value; closed when no more are wanted
	values  chan V        // closed when there are no more
	failure error         // how the iterator was left, if it did not return
	started bool
	over    bool
}

func newPuller[V any](items func(yield func(V) bool)) *puller[V] {
	return &puller[V]{items: items, more: make(chan struct{}), values: make(chan V)}
}

// next waits for the next value. ok is false if there are no more, or the iterator failed.
func (p *puller[V]) next() (value V, ok bool, err error) {
	switch {
	case p.over:
		return value, false, nil
	case p.started:
		p.more <- struct{}{}
	default:
		p.started = true
		go p.run()
	}
	if value, ok = <-p.values; ok {
		return value, true, nil
	}
	p.over = true
	return value, false, p.failure
}

// stop lets the iterator return, and waits for that.
func (p *puller[V]) stop() error {
	if p.over || !p.started {
		p.over = true
		return nil
	}
	p.over = true
	close(p.more)
	<-p.values
	return p.failure
}

func (p *puller[V]) run() {
	returned := false
	defer func() {
		if !returned {
			p.failure = crash(recover())
		}
		close(p.values)
	}()
	wanted := true
	p.items(func(value V) bool {
		if wanted && !returned {
			p.values <- value
			_, wanted = <-p.more
		}
		return wanted && !returned
	})
	returned = true
}
