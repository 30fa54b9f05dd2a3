package pa

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"
	"syscall"

	"example.com/libpa/pa/internal/palow"
)

// A staffed run is one of a task: libpa runs its items in workers, and all policy is libpa's.
type staffed struct {
	*run
	stream *palow.Stream
	halt   *Stop         // ends it; the caller's own Stop may be shared
	ended  atomic.Int32  // an End
	left   []palow.Chunk // what was not handed out
}

func (s *staffed) stop() { s.halt.Request() }

func (s *staffed) poll(progress *palow.Progress) {
	if s.run.stop != nil && s.run.stop.Requested() {
		s.halt.Request()
	}
	end := s.end()
	if end == EndNone && s.halt.Requested() {
		end = EndCancelled
	} else if end == EndNone && errors.Is(s.parent.Err(), context.DeadlineExceeded) {
		end = EndTimedOut // libpa has the same deadline, and tells the consumer
	}
	progress.End = int32(end)
}

func (s *staffed) end() End { return End(s.ended.Load()) }

func (s *staffed) drain(chunk *palow.Chunk) int32 {
	if len(s.left) == 0 {
		return statusDone
	}
	*chunk, s.left = s.left[0], s.left[1:]
	return statusOK
}

func (s *staffed) free() { s.stream.Free() }

// Processes are what feeds a stream of a task. Items are encoded when they are pulled, and values decoded when they are handed out.
type processes[T, R any] struct {
	*mapper[T, R]
	crew   *staffed
	quiet  chan struct{} // closed when libpa will call nothing any more
	closed bool

	asks   chan int // how many items are wanted
	pulled chan pulled
	dry    bool // there are no more

	at, count uint64 // position in the chunk of the stream
	broken    error  // the value there could not be decoded
}

// Pulled is what came of pulling.
type pulled struct {
	items []encoded
	code  int32
}

type encoded struct {
	data []byte
	code int32
}

func (m *mapper[T, R]) streamFromProcesses(ctx context.Context, source Source[T], c *config, hint uint64) (feed, error) {
	r := newRun(ctx, c)
	m.keep(r, source)
	p := &processes[T, R]{mapper: m, crew: &staffed{run: r, halt: NewStop()},
		quiet: make(chan struct{}), asks: make(chan int), pulled: make(chan pulled)}
	r.engine = p.crew
	r.watch()
	r.attend() // the caller's Stop may have been requested before
	options := &r.memory.options
	options.Stop = p.crew.halt.handle
	if c.itemTimeout > 0 {
		options.ItemTimeoutNs = int64(c.itemTimeout)
	}
	how := c.process
	go p.pull()
	p.crew.stream = palow.OpenStream(p, &palow.RunOptions{
		Task: m.task.lowName, SizeHint: hint, Batch: m.batch != nil, Detach: c.detach, Judges: c.low.Retry.Attempts > 1,
		Command: how.Command, Environment: how.Environment, Directory: how.Directory,
		CrashAttempts: uint64(how.CrashAttempts), MaxItems: uint64(how.MaxItems), MemoryLimit: uint64(how.MemoryLimit),
		MaxCrashes: uint64(how.MaxCrashes), StartTimeoutNs: int64(how.StartTimeout),
	}, options, &r.memory.err)
	if p.crew.stream == nil {
		defer palow.Free(r.memory)
		close(p.asks)
		r.unwatch()
		return nil, lowError(&r.memory.err)
	}
	return p, nil
}

// ---------------------------------------------------------------- what libpa calls

// Pull is for libpa.
func (p *processes[T, R]) Pull(most int, add func(code int32, data []byte)) (code int32) {
	if p.dry {
		return 0
	}
	p.asks <- most
	got := <-p.pulled
	for _, item := range got.items {
		add(item.code, item.data)
	}
	return got.code
}

// pull pulls and encodes on a goroutine that the caller's code may end.
func (p *processes[T, R]) pull() {
	returned := false
	defer func() {
		if !returned {
			p.failToPull(crash(recover()))
			p.pulled <- pulled{code: codeError}
			go p.pull()
		}
	}()
	for most := range p.asks {
		p.pulled <- p.encodeNext(most)
	}
	returned = true
}

func (p *processes[T, R]) encodeNext(most int) pulled {
	first := p.store.admitted.Load()
	count, end, err := p.store.pull(uint64(most))
	p.dry = end
	if err != nil {
		p.failToPull(err)
		return pulled{code: codeError}
	}
	if end && count == 0 {
		p.isOver() // the iterator may have ended because of that
	}
	items := make([]encoded, 0, count)
	for at := first; at < first+count; {
		part, _ := p.store.segment(at, first+count-at)
		for i := range part {
			data, err := encode(p.task.codec, part[i])
			code := int32(0)
			if err != nil {
				code = codeCodec
				p.failures.put(at+uint64(i), failedAttempt{err: fmt.Errorf("the item could not be encoded: %w", err), ofCodec: true})
			}
			items = append(items, encoded{data, code})
		}
		at += uint64(len(part))
	}
	p.settled.Add(1)
	return pulled{items: items}
}

// Judge is for libpa.
func (p *processes[T, R]) Judge(index uint64, state, code int32, attempts int, message string) bool {
	if attempts >= int(p.low.Retry.Attempts) || code == palow.CodeStopped && State(state) == Failed {
		return true // libpa counts them, and knows that this one gave up
	}
	before := p.failures.take(index)
	err := errorOf(state, code, message, before)
	worth := true
	var panicked *PanicError
	if p.retryIf == nil {
		worth = code != codeCodec && !errors.Is(err, ErrGoexit) && !errors.As(err, &panicked)
	} else if failed := apart(func() { worth = p.retryIf(err) }); failed != nil {
		err, worth = errors.Join(err, failed), false
	}
	p.failures.put(index, failedAttempt{err: err, attempts: attempts, ofCodec: before.ofCodec})
	return worth
}

// apart calls a function of the caller's on a goroutine that it may end.
func apart(function func()) (failure error) {
	done := make(chan error, 1)
	go func() {
		returned := false
		defer func() {
			if !returned {
				done <- crash(recover())
			}
		}()
		function()
		returned = true
		done <- nil
	}()
	return <-done
}

// Quiescent is for libpa.
func (p *processes[T, R]) Quiescent() { close(p.quiet) }

// errorOf is what the outcome of an attempt says. known is what was known of the item.
func errorOf(state, code int32, message string, known failedAttempt) error {
	switch {
	case State(state) == Crashed:
		return crashError(code, message)
	case State(state) == TimedOut && code == 0:
		return ErrItemTimedOut
	case State(state) == TimedOut:
		return &because{ErrItemTimedOut, remoteError(code, message)}
	case code == codeCodec && known.ofCodec:
		return known.err
	}
	return remoteError(code, message)
}

func remoteError(code int32, message string) error {
	if code == codePanic {
		return &PanicError{Value: message}
	}
	return &WorkerError{message}
}

func crashError(code int32, message string) error {
	crashed := &CrashError{Message: message}
	switch {
	case code == goexitStatus:
		return &because{ErrGoexit, &CrashError{ExitStatus: goexitStatus, Message: message}}
	case code > 0:
		crashed.ExitStatus = int(code)
	case code > -maxSignal:
		crashed.Signal = syscall.Signal(-code)
	}
	return crashed
}

const maxSignal = 128 // codes of libpa itself are below

// ---------------------------------------------------------------- the feed

func (p *processes[T, R]) next() bool {
	if p.at == p.count && !p.fetch() {
		return false
	}
	from, chunk := p.crew.stream.Chunk, &p.memory.chunk
	*chunk = *from
	chunk.First += p.at
	chunk.Count = 1
	switch {
	case State(from.State) != OK:
		p.noteError()
	case p.broken != nil:
		p.noteBroken(chunk)
	default:
		if chunk.Count = p.decode(chunk.First, p.count-p.at); chunk.Count == 0 {
			return p.next() // the first of them could not be decoded
		}
	}
	p.at += chunk.Count
	return true
}

// noteError keeps why the item of the stream's chunk failed.
func (p *processes[T, R]) noteError() {
	from := p.crew.stream.Chunk
	known := p.failures.take(from.First)
	if known.attempts != int(from.Attempts) { // else it was judged
		known.err = errorOf(from.State, from.Code, p.crew.stream.Message(), known)
	}
	p.failures.put(from.First, known)
}

// noteBroken makes a failure of an item whose value could not be decoded.
func (p *processes[T, R]) noteBroken(chunk *palow.Chunk) {
	chunk.State = int32(Failed)
	p.failures.put(chunk.First, failedAttempt{err: fmt.Errorf("the value could not be decoded: %w", p.broken)})
	p.broken = nil
}

// drainStream keeps what became of the items that were not handed out: some were done.
func (p *processes[T, R]) drainStream() {
	for p.crew.stream.Drain() == statusOK {
		chunk := *p.crew.stream.Chunk
		switch {
		case State(chunk.State) == OK:
			_, values := p.store.segment(chunk.First, 1)
			values[0] = *new(R)
			if p.broken = decode(p.task.codec, p.crew.stream.TakeDrained(), &values[0]); p.broken != nil {
				values[0] = *new(R)
				p.noteBroken(&chunk)
			}
		case State(chunk.State) == Failed || State(chunk.State) == Crashed || p.outranItsTime(&chunk):
			p.noteError()
		default:
			chunk.DurationNs = 0 // it was not done
		}
		p.crew.left = append(p.crew.left, chunk)
	}
}

// outranItsTime: where the run itself has timed out, that is taken for the reason.
func (p *processes[T, R]) outranItsTime(chunk *palow.Chunk) bool {
	return State(chunk.State) == TimedOut && p.crew.end() != EndTimedOut
}

// fetch waits for what is done next.
func (p *processes[T, R]) fetch() bool {
	status := p.crew.stream.Next()
	p.settled.Load()
	if status == statusOK {
		p.at, p.count = 0, p.crew.stream.Count
		return true
	}
	p.crew.ended.Store(p.crew.stream.End())
	if status < 0 {
		p.noteFailure(status, lowError(p.crew.stream.Failure()))
	}
	p.noteBatch(p.crew.stream.BatchSize())
	return false
}

// noteFailure keeps why libpa ended the run, unless it was code of the caller's.
func (p *processes[T, R]) noteFailure(status int32, err error) {
	p.attending.Lock()
	defer p.attending.Unlock()
	if p.failure != nil {
		return
	}
	what := ErrWorkersLost
	if status == statusWorkerStart {
		what = ErrWorkerStart
	}
	p.failure = &because{what, err}
}

// decode puts values where they belong, up to one that can't be decoded.
func (p *processes[T, R]) decode(first, count uint64) (done uint64) {
	for done < count {
		_, values := p.store.segment(first+done, count-done)
		for i := range values {
			values[i] = *new(R)
			if p.broken = decode(p.task.codec, p.crew.stream.TakeValue(int(p.at+done)), &values[i]); p.broken != nil {
				values[i] = *new(R)
				return done
			}
			done++
		}
	}
	return done
}

func (p *processes[T, R]) conclude() {
	if p.collects {
		p.drainStream()
	}
	if p.detach {
		return
	}
	p.close()
	if err := p.store.close(); err != nil {
		p.run.fail(ErrSource, err)
	}
}

// close waits until libpa calls nothing any more.
func (p *processes[T, R]) close() {
	if !p.closed {
		p.leaveStream()
		<-p.quiet
		close(p.asks)
	}
}

// leaveStream frees the values that nobody came for.
func (p *processes[T, R]) leaveStream() {
	p.closed = true
	if p.broken != nil {
		p.at++ // that one was taken
	}
	for ; p.at < p.count && State(p.crew.stream.State) == OK; p.at++ {
		p.crew.stream.TakeValue(int(p.at))
	}
	p.crew.stream.Close()
}

func (p *processes[T, R]) end() {
	p.cancel(ErrCancelled)
	if p.detach && !p.closed {
		p.leaveStream()
		go func() {
			<-p.quiet
			close(p.asks)
			p.leave()
		}()
		return
	}
	p.close()
	p.leave()
}

func (p *processes[T, R]) leave() {
	_ = p.store.close() // nobody is there to be told, unless conclude did it before
	p.dismiss(nil)
}
