package pa

import (
	"reflect"
	"strings"
	"unsafe"
)

// newValues is make([]R, n) for values that will all be written: by the goroutines that run the items, or by wipe. Go's own make
// writes zeroes first, by the calling goroutine alone, which for short items takes as long as the map itself.
func newValues[R any](n int) []R {
	const worthIt = 1 << 16 // bytes
	size := reflect.TypeFor[R]().Size()
	if !isNumber(reflect.TypeFor[R]()) || uintptr(n)*size < worthIt {
		return make([]R, n)
	}
	// A Builder hands out memory as it comes. This has no pointers, since R has none, and begins where a page does, as all large
	// pieces do.
	var memory strings.Builder
	memory.Grow(n * int(size))
	memory.WriteByte(0) // so that there is a string
	return unsafe.Slice((*R)(unsafe.Pointer(unsafe.StringData(memory.String()))), n)
}

// wipe leaves the zero value where there is none.
func (r *Results[R]) wipe() {
	for i := range r.others {
		s := &r.others[i]
		if s.state != OK {
			clear(r.values[s.first : s.first+s.count])
		}
	}
}
