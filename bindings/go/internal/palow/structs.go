package palow

// The structs of libpa's C ABI, as far as Go fills or reads them. They must lie in memory that Alloc gave: libpa keeps addresses
// of some, and addresses of its own in them. palow.i and the test of this package check that they are laid out as in C.

// Error is a pa_error.
type Error struct {
	Status, Detail int32
	Message        [248]byte
}

// Lease is a pa_lease.
type Lease struct {
	First, Count, Cookie                   uint64
	Attempt, Wake, WakeConsumer, reserved0 uint32
	WaitNs                                 int64
	reserved                               [26]uint64
}

// Chunk is a pa_chunk.
type Chunk struct {
	First, Count, Cookie uint64
	State, Code          int32
	message              uintptr
	Attempts, Wake       uint32
	DurationNs, WaitNs   int64
	reserved             [4]uint64
}

// Progress is a pa_progress.
type Progress struct {
	Admitted, Done, Failed        uint64
	End                           int32
	Wake, WakeConsumer, reserved0 uint32
	WaitNs                        int64
	reserved                      [4]uint64
}

// Rate is a pa_rate.
type Rate struct {
	Count float64
	PerNs int64
	Burst uint64
}

// Retry is a pa_retry.
type Retry struct {
	Attempts, Jitter                       uint32
	BackoffNs, MaxDelayNs, MaxServerWaitNs int64
	retryIf, retryCtx                      uintptr
}

// Batch is a pa_batch.
type Batch struct {
	MaxItems uint64
	LingerNs int64
}

// Options is a pa_options. What would have libpa call something is left out of sight.
type Options struct {
	structSize         uint32
	executor           int32
	Workers, detach    uint32
	Window, BatchSize  uint64
	Batch              Batch
	Limiter            uintptr
	Rate               Rate
	RateCost           uint64
	Retry              Retry
	TimeoutNs          int64
	ItemTimeoutNs      int64
	MaxErrors          uint64
	Stop               uintptr
	callbacks          [14]uintptr
	Ordered, reserved0 uint32
	task, process      uintptr
}
