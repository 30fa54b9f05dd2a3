module example.com/libpa/conformance

go 1.23

require example.com/libpa/pa v0.0.0

replace example.com/libpa/pa => ../../bindings/go
