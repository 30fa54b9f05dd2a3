package palow

import (
	"os"
	"os/exec"
	"strings"
	"testing"
	"unsafe"
)

func TestStructsAreLaidOutAsInC(t *testing.T) {
	var (
		lease    Lease
		chunk    Chunk
		progress Progress
		options  Options
	)
	for what, is := range map[string][2]uintptr{
		"pa_error":              {unsafe.Sizeof(Error{}), 256},
		"pa_lease":              {unsafe.Sizeof(lease), 256},
		"pa_lease.attempt":      {unsafe.Offsetof(lease.Attempt), 24},
		"pa_lease.wait_ns":      {unsafe.Offsetof(lease.WaitNs), 40},
		"pa_chunk":              {unsafe.Sizeof(chunk), 96},
		"pa_chunk.state":        {unsafe.Offsetof(chunk.State), 24},
		"pa_chunk.attempts":     {unsafe.Offsetof(chunk.Attempts), 40},
		"pa_chunk.wait_ns":      {unsafe.Offsetof(chunk.WaitNs), 56},
		"pa_progress":           {unsafe.Sizeof(progress), 80},
		"pa_progress.end":       {unsafe.Offsetof(progress.End), 24},
		"pa_progress.wait_ns":   {unsafe.Offsetof(progress.WaitNs), 40},
		"pa_options":            {unsafe.Sizeof(options), 304},
		"pa_options.window":     {unsafe.Offsetof(options.Window), 16},
		"pa_options.limiter":    {unsafe.Offsetof(options.Limiter), 48},
		"pa_options.rate_cost":  {unsafe.Offsetof(options.RateCost), 80},
		"pa_options.retry":      {unsafe.Offsetof(options.Retry), 88},
		"pa_options.timeout_ns": {unsafe.Offsetof(options.TimeoutNs), 136},
		"pa_options.stop":       {unsafe.Offsetof(options.Stop), 160},
		"pa_options.ordered":    {unsafe.Offsetof(options.Ordered), 280},
	} {
		if is[0] != is[1] {
			t.Errorf("%s: %d, and %d in C", what, is[0], is[1])
		}
	}
}

func TestDefaultsAreThoseOfTheHeader(t *testing.T) {
	options := Alloc[Options]()
	defer Free(options)
	InitOptions(options)
	if options.TimeoutNs != -1 || options.Retry.Attempts != 1 || options.RateCost != 1 || options.Rate.Burst != 1 {
		t.Errorf("%+v", *options)
	}
}

func TestWhatIsAllocatedIsCountedUntilItIsFreed(t *testing.T) {
	before := Live()
	leases := AllocLeases(3)
	if Live() != before+1 || leases[2].Count != 0 {
		t.Errorf("%d are there", Live()-before)
	}
	FreeLeases(leases)
	if Live() != before {
		t.Errorf("%d are left", Live()-before)
	}
}

func TestWithoutCgoTheCompilerSaysThatItIsMissing(t *testing.T) {
	build := exec.Command("go", "build", ".")
	build.Env = append(os.Environ(), "CGO_ENABLED=0")
	said, err := build.CombinedOutput()
	if err == nil || !strings.Contains(string(said), "libpa_needs_cgo") {
		t.Errorf("%v: %s", err, said)
	}
}
