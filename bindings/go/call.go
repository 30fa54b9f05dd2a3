package pa

import "context"

// A call is the context that a goroutine hands to each call that it makes: the context of the run, and which item it is at. It is
// made once for each goroutine, so that a call costs no memory.
type call struct {
	context.Context
	index   int // of the item, or of the first one of the batch
	attempt int
}

type callKey struct{}

func (c *call) Value(key any) any {
	if key == (callKey{}) {
		return c
	}
	return c.Context.Value(key)
}

// Index returns the index of the item that the function was called for; of the first one for a batch function. ctx is the context
// that the function was given, or one made from it; for others it is -1. Ask before the function returns: the context is used
// again.
func Index(ctx context.Context) int {
	if c, isCall := ctx.Value(callKey{}).(*call); isCall {
		return c.index
	}
	return -1
}

// Attempt returns which attempt at its item this call is, from 1; 0 where [Index] is -1.
func Attempt(ctx context.Context) int {
	if c, isCall := ctx.Value(callKey{}).(*call); isCall {
		return c.attempt
	}
	return 0
}
