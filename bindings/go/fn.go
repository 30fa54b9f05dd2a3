package pa

import (
	"context"
	"iter"
)

// A Func is a function with its defaults: how it is to be run wherever that is not said otherwise. It can be used by many goroutines
// at once.
//
//	var fetch = pa.Bind(get, pa.Workers(64), pa.RateLimit(pa.PerSecond(100)), pa.Retry(3))
//
//	results, err := fetch.Map(ctx, urls)
type Func[T, R any] struct {
	fn      func(context.Context, T) (R, error)
	options []Option
}

// Bind gives a function its defaults. A method of an object is a function like any other.
func Bind[T, R any](fn func(context.Context, T) (R, error), options ...Option) *Func[T, R] {
	return &Func[T, R]{fn, options}
}

// Call is the function itself, for one item: without any of the options.
func (f *Func[T, R]) Call(ctx context.Context, item T) (R, error) { return f.fn(ctx, item) }

// Map is [Map]. Options override the defaults.
func (f *Func[T, R]) Map(ctx context.Context, items []T, options ...Option) (*Results[R], error) {
	return Map(ctx, items, f.fn, f.with(options)...)
}

// MapFrom is [MapFrom]. Options override the defaults.
func (f *Func[T, R]) MapFrom(ctx context.Context, source Source[T], options ...Option) (*Results[R], error) {
	return MapFrom(ctx, source, f.fn, f.with(options)...)
}

// Stream is [Stream]. Options override the defaults.
func (f *Func[T, R]) Stream(ctx context.Context, source Source[T], options ...Option) iter.Seq2[Result[R], error] {
	return Stream(ctx, source, f.fn, f.with(options)...)
}

func (f *Func[T, R]) with(options []Option) []Option {
	return append(f.options[:len(f.options):len(f.options)], options...)
}
