module example.com/libpa/benchmarks

go 1.23

require (
	example.com/libpa/pa v0.0.0
	github.com/sourcegraph/conc v0.3.0
	golang.org/x/sync v0.10.0
)

require (
	go.uber.org/atomic v1.7.0 // indirect
	go.uber.org/multierr v1.9.0 // indirect
)

replace example.com/libpa/pa => ../../bindings/go
