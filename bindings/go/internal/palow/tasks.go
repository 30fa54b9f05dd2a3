package palow

/*
#include <stdlib.h>
#include "tasks.h"
*/
import "C"

import (
	"runtime/cgo"
	"unsafe"
)

// A Task is what a worker process runs. Its methods are called by the goroutine that serves.
type Task interface {
	Start() (code int32)
	Stop()
	// Call runs the items of the call, settles it, and returns its code.
	Call(call *Call) int32
}

// A Run is one whose items worker processes run. Its methods are called by goroutines of libpa's threads: they must return.
type Run interface {
	// Pull hands up to most items to add, encoded, or none at the end. code is not 0 for one that could not be encoded.
	Pull(most int, add func(code int32, data []byte)) (code int32)
	// Judge says whether a failed attempt may be repeated.
	Judge(index uint64, state, code int32, attempts int, message string) bool
	// Quiescent is called last.
	Quiescent()
}

// CodeStopped is what a call returns that gave up because the run is over.
const CodeStopped = int32(C.PA_CODE_STOPPED)

// RunOptions are what Options does not have.
type RunOptions struct {
	Task                                             *byte // a name that RegisterTask returned
	SizeHint                                         uint64
	Batch, Detach, Judges                            bool
	Command, Environment                             []string // nil: the default
	Directory                                        string
	CrashAttempts, MaxItems, MemoryLimit, MaxCrashes uint64
	StartTimeoutNs                                   int64
}

// RegisterTask makes a task known. The name that it returns stays.
func RegisterTask(name string, task Task, batch bool, err *Error) (*byte, int32) {
	text := C.CString(name)
	handle := cgo.NewHandle(task)
	status := C.pa_go_register(text, C.uintptr_t(handle), truth(batch), lowError(err))
	if status != 0 {
		C.free(unsafe.Pointer(text))
		handle.Delete()
		return nil, int32(status)
	}
	return (*byte)(unsafe.Pointer(text)), 0
}

// A Stream is a run whose items worker processes run.
type Stream struct {
	*Chunk  // what Next found, if it returned 0
	iter    *C.pa_iter
	values  **C.pa_bytes // of the chunk
	drained *C.pa_bytes  // the one value of a chunk that was drained
	failure *Error
}

// OpenStream starts a run. Where it returns nil, err says why.
func OpenStream(run Run, how *RunOptions, options *Options, err *Error) *Stream {
	command, environment, directory := newTexts(how.Command), newTexts(how.Environment), (*C.char)(nil)
	defer command.free()
	defer environment.free()
	if how.Directory != "" {
		directory = C.CString(how.Directory)
		defer C.free(unsafe.Pointer(directory))
	}
	handle := cgo.NewHandle(run)
	low := Alloc[C.pa_go_run]()
	defer Free(low)
	*low = C.pa_go_run{
		handle: C.uintptr_t(handle), task: (*C.char)(unsafe.Pointer(how.Task)), size_hint: C.uint64_t(how.SizeHint),
		batch: truth(how.Batch), detach: truth(how.Detach), judges: truth(how.Judges),
		command: command.first(), environment: environment.first(), directory: directory,
		crash_attempts: C.uint64_t(how.CrashAttempts), max_items: C.uint64_t(how.MaxItems),
		memory_limit: C.uint64_t(how.MemoryLimit), max_crashes: C.uint64_t(how.MaxCrashes),
		start_timeout_ns: C.int64_t(how.StartTimeoutNs),
	}
	s := &Stream{}
	if C.pa_go_open(low, (*C.pa_options)(unsafe.Pointer(options)), &s.iter, lowError(err)) != 0 {
		handle.Delete()
		return nil
	}
	Opened()
	s.Chunk, s.failure = Alloc[Chunk](), Alloc[Error]()
	return s
}

// Next waits for what is done next. If it returns less than 0, Failure says why.
func (s *Stream) Next() int32 {
	return int32(C.pa_go_next(s.iter, (*C.pa_chunk)(unsafe.Pointer(s.Chunk)), &s.values, lowError(s.failure)))
}

// Drain is Next for what became of the items that the stream did not hand out, once it is over.
func (s *Stream) Drain() int32 {
	status := C.pa_go_drain(s.iter, (*C.pa_chunk)(unsafe.Pointer(s.Chunk)), &s.drained, lowError(s.failure))
	return int32(status)
}

// TakeDrained is TakeValue for what Drain found.
func (s *Stream) TakeDrained() []byte { return take(s.drained) }

// Failure is what the last Next returned.
func (s *Stream) Failure() *Error { return s.failure }

// Message is that of the chunk.
func (s *Stream) Message() string { return C.GoString((*C.pa_chunk)(unsafe.Pointer(s.Chunk)).message) }

// TakeValue returns a copy of one of the values that Next found, and frees it.
func (s *Stream) TakeValue(position int) []byte {
	return take(unsafe.Slice(s.values, position+1)[position])
}

func take(value *C.pa_bytes) []byte {
	if value == nil {
		return nil
	}
	defer C.free(unsafe.Pointer(value))
	return copyOf(value)
}

// End says why the stream ended, once Next has said that it is over.
func (s *Stream) End() int32 { return int32(C.pa_iter_end(s.iter)) }

// BatchSize is how many items a call was given.
func (s *Stream) BatchSize() uint64 { return uint64(C.pa_iter_batch_size(s.iter)) }

// Close ends the stream, and waits for its calls, but for detached ones.
func (s *Stream) Close() {
	C.pa_iter_close(s.iter)
	Closed()
}

// Free gives back what Next wrote to.
func (s *Stream) Free() {
	Free(s.Chunk)
	Free(s.failure)
}

// WorkerRequested says whether this process was started to be a worker.
func WorkerRequested() bool { return C.pa_worker_requested() != 0 }

// ServeAsWorker serves until the program that started this process wants it no more.
func ServeAsWorker(err *Error) int32 { return int32(C.pa_worker_serve(lowError(err))) }

// Drain ends the workers that wait for other runs.
func Drain() { C.pa_drain(-1, nil) }

// ---------------------------------------------------------------- what C calls

//export paGoPull
func paGoPull(run C.uintptr_t, items *unsafe.Pointer, most C.size_t, got *C.size_t) C.int32_t {
	slots := unsafe.Slice(items, most)
	code := cgo.Handle(run).Value().(Run).Pull(int(most), func(code int32, data []byte) {
		item := C.pa_go_item_new(C.int32_t(code), (*C.char)(unsafe.Pointer(unsafe.SliceData(data))), C.size_t(len(data)))
		if item == nil {
			panic("pa: out of memory")
		}
		slots[*got] = unsafe.Pointer(item)
		*got++
	})
	return C.int32_t(code)
}

//export paGoJudge
func paGoJudge(run C.uintptr_t, failure *C.pa_outcome) C.int32_t {
	return truth(cgo.Handle(run).Value().(Run).Judge(uint64(failure.index), int32(failure.state), int32(failure.code),
		int(failure.attempts), C.GoString(failure.message)))
}

//export paGoQuiescent
func paGoQuiescent(run C.uintptr_t) {
	handle := cgo.Handle(run)
	known := handle.Value().(Run)
	handle.Delete()
	known.Quiescent()
}

// A Call is one call of a task.
type Call struct {
	Items  [][]byte // copies
	values []unsafe.Pointer
	call   *C.pa_call
}

//export paGoCall
func paGoCall(task C.uintptr_t, items *unsafe.Pointer, count C.size_t, values *unsafe.Pointer, call *C.pa_call) C.int32_t {
	c := Call{Items: make([][]byte, count), values: unsafe.Slice(values, count), call: call}
	for i, item := range unsafe.Slice(items, count) {
		c.Items[i] = copyOf((*C.pa_bytes)(item))
	}
	return C.int32_t(cgo.Handle(task).Value().(Task).Call(&c))
}

//export paGoStart
func paGoStart(task C.uintptr_t) C.int32_t { return C.int32_t(cgo.Handle(task).Value().(Task).Start()) }

//export paGoStop
func paGoStop(task C.uintptr_t) { cgo.Handle(task).Value().(Task).Stop() }

// Index is that of the first item.
func (c *Call) Index() int { return int(C.pa_call_index(c.call)) }

// Attempt counts from 1.
func (c *Call) Attempt() int { return int(C.pa_call_attempt(c.call)) }

// RemainingNs is what is left until the call has to end; 0: it has to now; -1: there is no deadline.
func (c *Call) RemainingNs() int64 { return int64(C.pa_call_remaining_ns(c.call)) }

// SetValue is the value of the item at the position. It returns false where there is no memory.
func (c *Call) SetValue(position int, value []byte) bool {
	bytes := C.pa_go_value_new((*C.char)(unsafe.Pointer(unsafe.SliceData(value))), C.size_t(len(value)))
	c.values[position] = unsafe.Pointer(bytes)
	return bytes != nil
}

// Fail says why the call fails.
func (c *Call) Fail(code int32, message string) int32 {
	text := C.CString(message)
	defer C.free(unsafe.Pointer(text))
	return int32(C.pa_call_fail(c.call, C.int32_t(code), text))
}

// FailAt says why the item at the position fails.
func (c *Call) FailAt(position int, code int32, message string) {
	text := C.CString(message)
	defer C.free(unsafe.Pointer(text))
	C.pa_call_fail_at(c.call, C.size_t(position), C.int32_t(code), text)
}

// RetryAfter says what a server asked for.
func (c *Call) RetryAfter(waitNs int64) { C.pa_call_retry_after(c.call, C.int64_t(waitNs)) }

// ---------------------------------------------------------------- helpers

func copyOf(bytes *C.pa_bytes) []byte {
	return append([]byte{}, unsafe.Slice((*byte)(bytes.data), bytes.size)...)
}

func lowError(err *Error) *C.pa_error { return (*C.pa_error)(unsafe.Pointer(err)) }

func truth(is bool) C.int32_t {
	if is {
		return 1
	}
	return 0
}

// Texts are strings of C, and a null pointer behind them, in memory of C.
type texts []*C.char

func newTexts(from []string) texts {
	if from == nil {
		return nil
	}
	all := unsafe.Slice((**C.char)(C.calloc(C.size_t(len(from)+1), C.size_t(unsafe.Sizeof((*C.char)(nil))))), len(from)+1)
	for i, text := range from {
		all[i] = C.CString(text)
	}
	return all
}

func (t texts) first() **C.char {
	if t == nil {
		return nil
	}
	return &t[0]
}

func (t texts) free() {
	if t == nil {
		return
	}
	for _, text := range t {
		C.free(unsafe.Pointer(text))
	}
	C.free(unsafe.Pointer(&t[0]))
}
