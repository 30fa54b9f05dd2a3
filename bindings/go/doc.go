// Package pa applies one function to many inputs, in parallel, and gets one outcome for every input: under a rate limit, with
// retries, deadlines, a bound on errors, and progress. It is the Go face of libpa, whose engine decides when what runs; goroutines
// run it.
//
//	results, err := pa.Map(ctx, urls, fetch,
//		pa.Workers(64),
//		pa.RateLimit(pa.PerSecond(100)),
//		pa.Retry(3))
//
// [Map] waits and returns an outcome for each item. [Stream] hands them out one by one while others are still being made, in
// constant memory. [MapBatch] and [StreamBatch] hand many items to one call. [Bind] keeps a function together with its options.
//
// # Errors
//
// What the function returns is kept as it is. An item that failed is data: the others go on. The error of the whole call says first
// why the run ended early, if it did, and then which items failed, so that [errors.Is] and [errors.As] find all of it. A panic of
// the function, or [runtime.Goexit], is the error of its item.
//
// # Contexts
//
// When the context of the call is done, the run ends: cancelled, or timed out if it was the deadline. The function gets a context
// that is done when the run is over, or its attempt. Calls that are running are waited for, since they may still use what the
// caller will close; [Detach] does not wait.
//
// # Goroutines
//
// The function runs on as many goroutines as there are [Workers]; [OnProgress], [OnResult] and the body of a loop over a stream run
// on the caller's. All functions of this package may be called from any goroutine, the function itself included. After a call
// nothing is left of it.
//
// # Linking
//
// The package needs cgo, and libpa, which pkg-config finds under the name pa when a program is built and the dynamic linker when it
// starts: PKG_CONFIG_PATH, and -ldflags "-r FOLDER" or LD_LIBRARY_PATH, if it is not at a place of the system. docs/go.md has the
// commands, also for linking it statically.
package pa
