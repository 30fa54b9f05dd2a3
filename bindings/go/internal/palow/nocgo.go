//go:build !cgo

package palow

// Without cgo there is no libpa. The name is what the compiler then says.
var _ = libpa_needs_cgo_a_C_compiler_and_CGO_ENABLED_1
