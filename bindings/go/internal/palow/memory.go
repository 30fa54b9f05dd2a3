// Package palow is the C ABI of libpa, in Go's spelling and as it is in C: numbers for handles, statuses for errors, nothing freed
// by itself. palow.go and palow_wrap.c are written by SWIG (./run generate), tasks.go and tasks.c by hand, since there C calls Go; package
// pa is what programs use.
package palow

// #cgo pkg-config: pa
import "C"

import (
	"sync/atomic"
	"unsafe"
)

var live atomic.Int64

// Alloc returns zeroed memory of C for a T, which Free gives back. It panics where there is none, as Go itself does.
func Alloc[T any]() *T {
	var t T
	memory := (*T)(Pa_go_alloc(unsafe.Sizeof(t)))
	if memory == nil {
		panic("pa: out of memory")
	}
	live.Add(1)
	return memory
}

// AllocLeases is Alloc for so many leases, one beside the other.
func AllocLeases(count int) []Lease {
	memory := (*Lease)(Pa_go_alloc(unsafe.Sizeof(Lease{}) * uintptr(count)))
	if memory == nil {
		panic("pa: out of memory")
	}
	live.Add(1)
	return unsafe.Slice(memory, count)
}

// Free gives back what Alloc returned.
func Free[T any](memory *T) {
	Pa_go_free(unsafe.Pointer(memory))
	live.Add(-1)
}

// FreeLeases gives back what AllocLeases returned.
func FreeLeases(leases []Lease) { Free(&leases[0]) }

// Opened and Closed count handles of libpa, which package pa opens and closes.
func Opened() { live.Add(1) }

// Closed is the counterpart of Opened.
func Closed() { live.Add(-1) }

// Live is how much of C is held by Go: pieces of memory and handles. Tests see that nothing stays behind.
func Live() int64 { return live.Load() }

// InitOptions writes every default.
func InitOptions(options *Options) { Pa_options_init(options, unsafe.Sizeof(*options)) }
