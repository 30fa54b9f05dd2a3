package pa_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"runtime"
	"strconv"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"example.com/libpa/pa"
	"example.com/libpa/pa/internal/palow"
)

var squaring = pa.Register("square", square)

// orders are words that a worker obeys.
var orders = pa.Register("orders", func(ctx context.Context, order string) (string, error) {
	word, rest, _ := strings.Cut(order, " ")
	switch word {
	case "echo":
		return rest, nil
	case "pid":
		return strconv.Itoa(os.Getpid()), nil
	case "index":
		return fmt.Sprint(pa.Index(ctx), " ", pa.Attempt(ctx)), nil
	case "fail":
		return "", errors.New(rest)
	case "panic":
		panic(rest)
	case "goexit":
		runtime.Goexit()
	case "wait": // as a server asked for
		if pa.Attempt(ctx) == 1 {
			return "", pa.RetryAfter(errors.New("too many requests"), time.Millisecond)
		}
		return "after attempt " + fmt.Sprint(pa.Attempt(ctx)), nil
	case "second":
		if pa.Attempt(ctx) == 1 {
			return "", errors.New("not at first")
		}
		return "at last", nil
	case "crash":
		_ = syscall.Kill(os.Getpid(), syscall.SIGKILL)
		select {}
	case "crash-once":
		if pa.Attempt(ctx) == 1 {
			os.Exit(7)
		}
		return "again", nil
	case "exit":
		status, _ := strconv.Atoi(rest)
		os.Exit(status)
	case "hang":
		select {}
	case "sleep-and-say":
		time.Sleep(10 * time.Millisecond)
		return rest, nil
	case "nil-error":
		var none *typedError
		return "", none
	case "batch-error":
		return "a value", pa.BatchError{7: errors.New("of another call")}
	case "until-stopped":
		<-ctx.Done()
		return "", ctx.Err()
	case "getenv":
		return os.Getenv(rest), nil
	case "directory":
		return os.Getwd()
	}
	return "", errors.New("what is " + order)
})

type typedError struct{ text string }

func (e *typedError) Error() string { return e.text }

func obey(t *testing.T, items []string, options ...pa.Option) *pa.Results[string] {
	t.Helper()
	results, err := orders.Map(background, items, append([]pa.Option{pa.Workers(2)}, options...)...)
	if results == nil {
		t.Fatal(err)
	}
	return results
}

func TestWorkerProcessesGiveValuesInInputOrder(t *testing.T) {
	leavesNothing(t, func() {
		const n = 5000
		results, err := squaring.Map(background, count(n), pa.Workers(2))
		must(t, results, err)
		equal(t, "length", results.Len(), n)
		for i, value := range results.Values() {
			if value != i*i {
				t.Fatalf("%d: %d", i, value)
			}
		}
		equal(t, "attempts", results.At(n-1).Attempts(), 1)
	})
}

func TestWorkerProcessesAreOthers(t *testing.T) {
	results := obey(t, []string{"pid"})
	equal(t, "is this one", results.Values()[0] == strconv.Itoa(os.Getpid()), false)
}

func TestOfNothingWorkerProcessesMakeNothing(t *testing.T) {
	results, err := squaring.Map(background, nil)
	must(t, results, err)
	equal(t, "length", results.Len(), 0)
}

func TestAnErrorInAWorkerProcessIsItsItems(t *testing.T) {
	leavesNothing(t, func() {
		results := obey(t, []string{"echo a", "fail no such thing", "panic oh dear", "goexit", "echo b"})
		equal(t, "failed", results.Failed(), 3)
		var failed *pa.WorkerError
		var panicked *pa.PanicError
		equal(t, "is an error", errors.As(results.At(1).Err(), &failed), true)
		equal(t, "text", failed.Message, "no such thing")
		equal(t, "is a panic", errors.As(results.At(2).Err(), &panicked), true)
		equal(t, "its text", panicked.Error(), "panic: oh dear")
		equal(t, "state", results.At(3).State(), pa.Crashed)
		is(t, results.At(3).Err(), pa.ErrGoexit)
		equal(t, "the last", results.Values()[4], "b")
	})
}

func TestACrashCostsOneItem(t *testing.T) {
	leavesNothing(t, func() {
		items := make([]string, 200)
		for i := range items {
			items[i] = "echo " + strconv.Itoa(i)
		}
		items[50], items[120], items[121] = "crash", "exit 3", "exit 0"
		results := obey(t, items)
		var crashed *pa.CrashError
		for i := range results.Len() {
			result := results.At(i)
			switch i {
			case 50, 120, 121:
				equal(t, "state", result.State(), pa.Crashed)
				equal(t, "is a crash", errors.As(result.Err(), &crashed), true)
				equal(t, "by a signal", crashed.Signal == syscall.SIGKILL, i == 50)
				equal(t, "status 3", crashed.ExitStatus == 3, i == 120)
				equal(t, "says how", contains(crashed.Error(), "its worker process"), true)
			default:
				equal(t, "value", result.Value, strconv.Itoa(i))
			}
		}
		is(t, results.Err(), results.At(50).Err())
	})
}

func TestWhatHangsInAWorkerProcessIsKilled(t *testing.T) {
	results := obey(t, []string{"echo a", "hang", "echo b"}, pa.ItemTimeout(50*time.Millisecond))
	equal(t, "state", results.At(1).State(), pa.TimedOut)
	is(t, results.At(1).Err(), pa.ErrItemTimedOut)
	equal(t, "failed", results.Failed(), 1)
}

func TestRetriesOfWorkerProcesses(t *testing.T) {
	quick := pa.Backoff(time.Millisecond)
	results := obey(t, []string{"second", "crash-once", "wait", "panic no", "fail no", "index"}, pa.Retry(3, quick))
	for i, want := range []string{"at last", "again", "after attempt 2", "", "", "5 1"} {
		equal(t, "value", results.Values()[i], want)
	}
	for i, want := range []int{2, 2, 2, 1, 3, 1} { // a panic is not repeated
		equal(t, "attempts of "+strconv.Itoa(i), results.At(i).Attempts(), want)
	}

	var asked atomic.Int32
	results = obey(t, []string{"fail no", "panic yes", "crash"}, pa.Retry(2, quick, pa.RetryIf(func(err error) bool {
		asked.Add(1)
		var failed *pa.WorkerError
		return !errors.As(err, &failed)
	})))
	for i, want := range []int{1, 2, 2} {
		equal(t, "attempts of "+strconv.Itoa(i), results.At(i).Attempts(), want)
	}
	equal(t, "asked", asked.Load(), 3)
	equal(t, "state", results.At(2).State(), pa.Crashed)

	results = obey(t, []string{"fail once"}, pa.Retry(2, quick, pa.RetryIf(func(error) bool { panic("fussy") })))
	equal(t, "attempts", results.At(0).Attempts(), 1)
	equal(t, "keeps both", contains(results.At(0).Err().Error(), "once") && contains(results.At(0).Err().Error(), "fussy"), true)

	results = obey(t, []string{"crash"}, pa.Retry(9, quick), pa.Processes(pa.Process{CrashAttempts: 2}))
	equal(t, "attempts of a poison item", results.At(0).Attempts(), 2)
}

func TestAStormOfCrashesEndsTheRun(t *testing.T) {
	items := make([]string, 100)
	for i := range items {
		items[i] = "crash"
	}
	results, err := orders.Map(background, items, pa.Workers(2), pa.Processes(pa.Process{MaxCrashes: 5}))
	equal(t, "end", results.End(), pa.EndFailed)
	is(t, err, pa.ErrWorkersLost)
	equal(t, "says how", contains(err.Error(), "SIGKILL") || contains(err.Error(), "signal 9"), true)
	equal(t, "length", results.Len(), 100)
	is(t, results.At(99).Err(), pa.ErrWorkersLost)
}

func TestWorkersThatDoNotComeToServe(t *testing.T) {
	_, err := orders.Map(background, []string{"pid"}, pa.Processes(pa.Process{Command: []string{"/bin/true"}}))
	is(t, err, pa.ErrWorkersLost)
	_, err = orders.Map(background, []string{"pid"}, pa.Processes(pa.Process{Command: []string{"/nowhere/at/all"}}))
	is(t, err, pa.ErrWorkersLost)
	equal(t, "names it", contains(err.Error(), "/nowhere/at/all"), true)
}

func TestHowWorkerProcessesAreRun(t *testing.T) {
	library := "LD_LIBRARY_PATH=" + os.Getenv("LD_LIBRARY_PATH")
	how := pa.Processes(pa.Process{Directory: "/", Environment: []string{"COLOUR=green", library}})
	results := obey(t, []string{"getenv COLOUR", "getenv HOME", "directory"}, how)
	for i, want := range []string{"green", "", "/"} {
		equal(t, "value", results.Values()[i], want)
	}
	results = obey(t, []string{"pid", "pid", "pid", "pid", "pid"}, pa.Workers(1), pa.Processes(pa.Process{MaxItems: 2}))
	items := map[string]int{}
	for _, pid := range results.Values() {
		if items[pid]++; items[pid] > 2 {
			t.Errorf("worker %s was not replaced", pid)
		}
	}
}

func TestWhatTasksRefuse(t *testing.T) {
	one := []string{"pid"}
	refuse := func(has string, options ...pa.Option) {
		t.Helper()
		results, err := orders.Map(background, one, options...)
		isInvalid(t, err, has)
		equal(t, "no results", results == nil, true)
	}
	refuse("crash_attempts", pa.Processes(pa.Process{CrashAttempts: -1}))
	refuse("max_items", pa.Processes(pa.Process{MaxItems: -1}))
	refuse("memory_limit", pa.Processes(pa.Process{MemoryLimit: -1}))
	refuse("max_crashes", pa.Processes(pa.Process{MaxCrashes: -1}))
	refuse("start_timeout", pa.Processes(pa.Process{StartTimeout: -1}))
	refuse("directory", pa.Processes(pa.Process{Directory: "/nowhere/at/all"}))
	refuse("command", pa.Processes(pa.Process{Command: []string{}}))
	refuse("Register", pa.WorkerStart(func(ctx context.Context) (context.Context, error) { return ctx, nil }))
	refuse("Register", pa.Encoding(pa.JSON))
	refuse("backoff", pa.Retry(2, pa.Backoff(-1)))
	_, err := pa.Map(background, one, orders.Call, pa.Processes(pa.Process{}))
	isInvalid(t, err, "Register")
	var none context.Context
	_, err = orders.Map(none, one)
	isInvalid(t, err, "ctx")

	for what, register := range map[string]func(){
		"another task": func() { pa.Register("square", square) },
		"name":         func() { pa.Register("", square) },
		"fn":           func() { pa.Register[int, int]("none", nil) },
		"workers":      func() { pa.Register("odd", square, pa.Workers(-1)) },
	} {
		func() {
			defer func() {
				if err, isError := recover().(error); !isError || !contains(err.Error(), what) {
					t.Errorf("%v does not have %q", err, what)
				}
			}()
			register()
		}()
	}
}

func TestStreamsOfWorkerProcesses(t *testing.T) {
	leavesNothing(t, func() {
		at := 0
		for result, err := range squaring.Stream(background, pa.FromSeq(endless), pa.Workers(2), pa.Ordered()) {
			if err != nil || result.Index != at || result.Value != at*at {
				t.Fatal(at, result, err)
			}
			if at++; at == 20000 {
				break
			}
		}
		sum := 0
		for result, err := range squaring.Stream(background, pa.From(count(1000)), pa.Workers(2)) {
			if err != nil || result.Value != result.Index*result.Index {
				t.Fatal(result, err)
			}
			sum += result.Index
		}
		equal(t, "sum", sum, 999*1000/2)
	})
}

func TestTheSourceOfAStreamOfWorkerProcesses(t *testing.T) {
	leavesNothing(t, func() {
		broken := errors.New("broken")
		results, err := squaring.MapFrom(background, pa.FromSeq2(func(yield func(int, error) bool) {
			for i := 0; i < 10 && yield(i, nil); i++ {
			}
			yield(0, broken)
		}))
		is(t, err, pa.ErrSource)
		is(t, err, broken)
		equal(t, "end", results.End(), pa.EndFailed)

		_, err = squaring.MapFrom(background, pa.FromSeq(func(yield func(int) bool) { runtime.Goexit() }))
		is(t, err, pa.ErrGoexit)
		returned := false
		for range squaring.Stream(background, pa.FromSeq(func(yield func(int) bool) {
			endless(yield)
			returned = true
		})) {
			break
		}
		equal(t, "the iterator returned", returned, true)
	})
}

func TestTheWindowHoldsForWorkerProcesses(t *testing.T) {
	const window = 10
	var pulled, done atomic.Int32
	results, err := squaring.MapFrom(background, pa.FromSeq(func(yield func(int) bool) {
		for i := range 200 {
			if ahead := pulled.Add(1) - done.Load(); ahead > window {
				t.Errorf("%d items are under way", ahead)
			}
			if !yield(i) {
				return
			}
		}
	}), pa.Window(window), pa.OnResult(func(pa.Result[int]) error {
		done.Add(1)
		return nil
	}))
	equal(t, "length", must(t, results, err).Len(), 200)
}

func TestEndsOfWorkerProcesses(t *testing.T) {
	leavesNothing(t, func() {
		ctx, cancel := context.WithCancel(background)
		items := []string{"echo a", "until-stopped", "until-stopped", "echo b"}
		results, err := orders.Map(ctx, items, pa.Workers(2), pa.ItemKey(func(order string) (any, error) { return order, nil }),
			pa.OnResult(func(pa.Result[string]) error {
				cancel()
				return nil
			}))
		equal(t, "end", results.End(), pa.EndCancelled)
		is(t, err, context.Canceled)
		equal(t, "state", results.At(1).State(), pa.Cancelled)
		equal(t, "value", results.Values()[0], "a")
		equal(t, "key", results.At(1).Key(), any("until-stopped"))

		results = obey(t, items, pa.Timeout(50*time.Millisecond))
		equal(t, "end", results.End(), pa.EndTimedOut)
		ctx, cancel = context.WithTimeout(background, 50*time.Millisecond)
		defer cancel()
		results, err = orders.Map(ctx, items, pa.Workers(2))
		equal(t, "end", results.End(), pa.EndTimedOut)
		is(t, err, context.DeadlineExceeded)

		stop := pa.NewStop()
		stop.Request()
		results = obey(t, items, pa.StopOn(stop))
		equal(t, "end", results.End(), pa.EndCancelled)
		equal(t, "never ran", results.At(0).Attempts(), 0)

		results = obey(t, []string{"fail a", "fail b", "fail c", "fail d"}, pa.MaxErrors(1), pa.Workers(1))
		equal(t, "end", results.End(), pa.EndAborted)
		is(t, results.At(3).Err(), pa.ErrAborted)

		mine := errors.New("mine")
		_, err = orders.Map(background, []string{"echo a"}, pa.OnProgress(func(int, int) error { return mine }))
		is(t, err, pa.ErrCallback)
		is(t, err, mine)
	})
}

func TestWhatIsRunningWhenTooManyHaveFailedKeepsItsValue(t *testing.T) {
	for range 5 {
		results := obey(t, []string{"fail a", "sleep-and-say b", "echo c"}, pa.MaxErrors(1), pa.Workers(2), pa.BatchSize(2))
		equal(t, "end", results.End(), pa.EndAborted)
		if b := results.At(1); b.Attempts() > 0 { // it had begun
			equal(t, "value", b.Value, "b")
		} else {
			is(t, b.Err(), pa.ErrAborted)
		}
	}
}

func TestItemsThatGaveUpHaveTheirAttempt(t *testing.T) {
	results := obey(t, []string{"until-stopped", "until-stopped"}, pa.Timeout(300*time.Millisecond))
	equal(t, "end", results.End(), pa.EndTimedOut)
	for i := range 2 {
		equal(t, "state", results.At(i).State(), pa.TimedOut)
		is(t, results.At(i).Err(), pa.ErrTimedOut)
	}
	equal(t, "attempts", results.At(0).Attempts() <= 1, true)
}

func TestAnErrorThatCanNotBeReadIsItsItems(t *testing.T) {
	results := obey(t, []string{"nil-error", "batch-error", "echo a"})
	equal(t, "failed", results.Failed(), 2)
	equal(t, "state", results.At(0).State(), pa.Failed)
	equal(t, "state", results.At(1).State(), pa.Failed)
}

func TestDrainEndsWorkers(t *testing.T) {
	first := obey(t, []string{"pid"}).Values()[0]
	pa.Drain()
	pid, _ := strconv.Atoi(first)
	equal(t, "is gone", syscall.Kill(pid, 0) != nil, true)
}

func TestAnItemWithAttemptsLeftWhenWorkersAreStoppedKeepsItsLastError(t *testing.T) {
	stop := pa.NewStop()
	results := obey(t, []string{"echo a", "fail for now"}, pa.StopOn(stop), pa.Workers(1),
		pa.Retry(5, pa.Backoff(time.Hour), pa.RetryIf(func(error) bool {
			stop.Request()
			return true
		})))
	equal(t, "state", results.At(1).State(), pa.Cancelled)
	equal(t, "attempts", results.At(1).Attempts(), 1)
	equal(t, "last error", contains(results.At(1).Err().Error(), "for now"), true)
}

func TestDetachReturnsWhileWorkersAreBusy(t *testing.T) {
	leavesNothing(t, func() {
		quiet := make(chan struct{})
		results := obey(t, []string{"until-stopped"}, pa.Detach(), pa.Timeout(20*time.Millisecond),
			pa.OnQuiescent(func() { close(quiet) }))
		equal(t, "end", results.End(), pa.EndTimedOut)
		equal(t, "state", results.At(0).State(), pa.TimedOut)
		<-quiet
	})
}

func TestProgressOfWorkerProcesses(t *testing.T) {
	last, calls := 0, 0
	results, err := squaring.Map(background, count(100), pa.OnProgress(func(done, total int) error {
		equal(t, "counts up", done, last+1)
		equal(t, "total", total, 100)
		last = done
		return nil
	}), pa.OnResult(func(result pa.Result[int]) error {
		calls++
		equal(t, "value", result.Value, result.Index*result.Index)
		return nil
	}))
	must(t, results, err)
	equal(t, "last", last, 100)
	equal(t, "calls", calls, 100)
}

func TestALimiterHoldsForWorkerProcesses(t *testing.T) {
	limiter, err := pa.NewLimiter(pa.Rate{Count: 1, Per: time.Hour, Burst: 20})
	if err != nil {
		t.Fatal(err)
	}
	_, err = squaring.Map(background, count(20), pa.UseLimiter(limiter))
	equal(t, "error", err, nil)
	took, _, err := limiter.Try(1)
	equal(t, "error", err, nil)
	equal(t, "tokens are left", took, false)
}

func TestInlineATaskIsAFunction(t *testing.T) {
	results := obey(t, []string{"pid"}, pa.Inline())
	equal(t, "is this one", results.Values()[0], strconv.Itoa(os.Getpid()))
}

func TestWorkerProcessesStayForTheNextRun(t *testing.T) {
	palow.Drain()
	seen := map[string]bool{}
	for range 10 {
		seen[obey(t, []string{"pid"}, pa.Workers(1)).Values()[0]] = true
		results, err := pids.Map(background, make([]struct{ X int }, 1), pa.Workers(1))
		seen[strconv.Itoa(int(must(t, results, err).Values()[0]))] = true
	}
	if len(seen) > 10 { // of 20 runs; a stream may keep one worker more than it is to use, and leave it a moment after its end
		t.Errorf("there were %d workers", len(seen))
	}
}

var pids = pa.Register("pids", func(context.Context, struct{ X int }) (int32, error) { return int32(os.Getpid()), nil })

func TestWorkerProcessesLeaveNothingOfManyItems(t *testing.T) {
	leavesNothing(t, func() {
		const n = 100_000
		failed := 0
		for result, err := range halves.Stream(background, pa.FromChunks(func(yield func([]int) bool) {
			for items, at := count(n), 0; at < n && yield(items[at:at+100]); at += 100 {
			}
		}), pa.Workers(2), pa.Retry(2, pa.Backoff(0))) {
			switch {
			case result.Index < 0:
				t.Fatal(err)
			case result.Index%10 == 9:
				equal(t, "attempts", result.Attempts(), 2)
				failed++
			case err != nil || result.Value != result.Index/2:
				t.Fatal(result, err)
			}
		}
		equal(t, "failed", failed, n/10)
	})
}

var halves = pa.Register("halves", func(_ context.Context, x int) (int, error) {
	if x%10 == 9 {
		return 0, errors.New("a nine")
	}
	return x / 2, nil
}, pa.Encoding(pa.JSON))

func BenchmarkWorkerProcesses(b *testing.B) {
	for name, task := range map[string]*pa.Task[int, int]{"gob": squaring, "json": halves} {
		b.Run(name, func(b *testing.B) {
			if _, err := task.Map(background, make([]int, b.N), pa.Workers(2)); err != nil {
				b.Fatal(err)
			}
		})
	}
}
