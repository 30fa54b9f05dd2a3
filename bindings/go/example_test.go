package pa_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"os/signal"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"example.com/libpa/pa"
)

// fetch stands for something that takes time, and fails now and then.
func fetch(_ context.Context, url string) (string, error) {
	if strings.HasSuffix(url, "/gone") {
		return "", errors.New("404")
	}
	return "page at " + url, nil
}

func ExampleMap() {
	ctx := context.Background()
	urls := []string{"a.example/1", "a.example/gone", "a.example/3"}

	results, err := pa.Map(ctx, urls, fetch, pa.Workers(64), pa.Retry(3, pa.Backoff(time.Millisecond)))
	for result := range results.All() {
		fmt.Printf("%d %v %q\n", result.Index, result.State(), result.Value)
	}
	fmt.Println(err)
	// Output:
	// 0 ok "page at a.example/1"
	// 1 failed ""
	// 2 ok "page at a.example/3"
	// pa: 1 of 3 items failed; the first, item 1: 404
}

func ExampleMap_errors() {
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Millisecond)
	defer cancel()

	results, err := pa.Map(ctx, []string{"a", "b"}, func(ctx context.Context, _ string) (string, error) {
		<-ctx.Done() // a call that is too slow
		return "", ctx.Err()
	})
	var item *pa.ItemError
	switch {
	case errors.Is(err, pa.ErrTimedOut): // why the run ended early is told first
		fmt.Println("timed out;", results.Failed(), "items have no value")
	case errors.As(err, &item):
		fmt.Println("first failure:", item.Index, item.Err)
	}
	// Output: timed out; 2 items have no value
}

func ExampleMap_interrupt() {
	urls := []string{"a", "b", "c"}
	download := func(ctx context.Context, _ string) (string, error) {
		if pa.Index(ctx) == 0 {
			if err := syscall.Kill(syscall.Getpid(), syscall.SIGINT); err != nil { // somebody presses Ctrl-C
				return "", err
			}
		}
		<-ctx.Done()
		return "", ctx.Err()
	}

	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	results, err := pa.Map(ctx, urls, download, pa.Workers(8))
	if errors.Is(err, pa.ErrCancelled) {
		fmt.Println("interrupted;", results.Failed(), "of", results.Len(), "have no value")
	}
	// Output: interrupted; 3 of 3 have no value
}

func ExampleInvalidError() {
	ctx := context.Background()
	urls := []string{"a"}

	_, err := pa.Map(ctx, urls, fetch, pa.Workers(-1))
	fmt.Println(err) // pa: options.workers must be 0 to 65535, got -1

	// Output: pa: options.workers must be 0 to 65535, got -1
}

func ExamplePanicError() {
	ctx := context.Background()
	var pages map[string]string

	results, err := pa.Map(ctx, []string{"a", "b"}, func(_ context.Context, url string) (int, error) {
		if url == "b" {
			pages[url] = "" // a bug: nobody made the map
		}
		return len(url), nil
	})
	var crashed *pa.PanicError
	if errors.As(err, &crashed) {
		fmt.Println(crashed) // and crashed.Stack says where
	}
	fmt.Println(results)
	// Output:
	// panic: assignment to entry in nil map
	// 2 items, 1 failed, completed
}

func ExampleStream_leave() {
	ctx := context.Background()
	numbers := func(yield func(int) bool) { // without end
		for n := 0; yield(n); n++ {
		}
	}
	fits := func(_ context.Context, n int) (bool, error) { return n*n > 1_000_000, nil }

	for result, err := range pa.Stream(ctx, pa.FromSeq(numbers), fits, pa.Ordered()) {
		if err != nil {
			fmt.Println(err)
			break
		}
		if result.Value {
			fmt.Println(result.Index)
			break // the source is told, the calls that are running are waited for, nothing is left
		}
	}
	// Output: 1001
}

func Example_withoutLibpa() {
	ctx := context.Background()
	urls := []string{"a", "b", "c"}

	pages, errs := make([]string, len(urls)), make([]error, len(urls))
	var all sync.WaitGroup
	for i, url := range urls {
		all.Add(1)
		go func() {
			defer all.Done()
			pages[i], errs[i] = fetch(ctx, url)
		}()
	}
	all.Wait()
	fmt.Println(pages, errors.Join(errs...))
	// Output: [page at a page at b page at c] <nil>
}

func ExampleStream() {
	ctx := context.Background()
	lines := slices.Values(strings.Fields("3 1 2"))

	for result, err := range pa.Stream(ctx, pa.FromSeq(lines), parse, pa.Ordered()) {
		if err != nil {
			fmt.Println(err) // an *ItemError; last of all a *RunError, if the stream ended early
			continue
		}
		fmt.Println(result.Index, result.Value)
	}
	// Output:
	// 0 3
	// 1 1
	// 2 2
}

func parse(_ context.Context, text string) (int, error) {
	var x int
	_, err := fmt.Sscan(text, &x)
	return x, err
}

func ExampleMapBatch() {
	ctx := context.Background()
	rows := []string{"x", "", "z"}

	results, err := pa.MapBatch(ctx, rows, func(_ context.Context, rows []string) ([]int, error) {
		ids, failed := make([]int, len(rows)), pa.BatchError{}
		for i, row := range rows { // or one statement for all of them
			if ids[i] = len(row); row == "" {
				failed[i] = errors.New("empty row")
			}
		}
		return ids, failed // an empty one says that none failed
	}, pa.Batch(100, 0))
	fmt.Println(results.Values(), err)
	// Output: [1 0 1] pa: 1 of 3 items failed; the first, item 1: empty row
}

func ExampleBind() {
	ctx := context.Background()
	get := pa.Bind(fetch, pa.Workers(8), pa.RateLimit(pa.PerSecond(1000)))

	results, err := get.Map(ctx, []string{"a", "b"}) // with the options that it was bound to
	fmt.Println(results.Values(), err)
	page, err := get.Call(ctx, "c") // the function itself
	fmt.Println(page, err)
	// Output:
	// [page at a page at b] <nil>
	// page at c <nil>
}

func ExampleUseLimiter() {
	ctx := context.Background()
	limiter, err := pa.NewLimiter(pa.Rate{Count: 500, Per: time.Second, Burst: 5})
	if err != nil {
		fmt.Println(err)
		return
	}
	for _, urls := range [][]string{{"a", "b"}, {"c"}} { // runs that share one quota, at the same time if need be
		results, err := pa.Map(ctx, urls, fetch, pa.UseLimiter(limiter))
		fmt.Println(results, err)
	}
	// Output:
	// 2 items, 0 failed, completed <nil>
	// 1 items, 0 failed, completed <nil>
}

// A statusError is what a server answered in place of a page.
type statusError struct{ code int }

func (e *statusError) Error() string { return http.StatusText(e.code) }

func get(ctx context.Context, url string) (string, error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return "", err
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return "", err
	}
	defer response.Body.Close()
	if response.StatusCode != http.StatusOK {
		err = &statusError{response.StatusCode}
		if wait, asked := pa.ParseRetryAfter(response.Header.Get("Retry-After"), time.Now()); asked {
			err = pa.RetryAfter(err, wait) // it still is a *statusError, for errors.As
		}
		return "", err
	}
	page, err := io.ReadAll(response.Body)
	return string(page), err
}

// worthIt says which errors another attempt may cure. Without it, a page that is not there is asked for three times.
func worthIt(err error) bool {
	var status *statusError
	return !errors.As(err, &status) || status.code == http.StatusTooManyRequests || status.code >= 500
}

func ExampleRetryAfter() {
	ctx := context.Background()
	var asked atomic.Int64
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch {
		case asked.Add(1) == 1:
			w.Header().Set("Retry-After", "0.01")
			w.WriteHeader(http.StatusTooManyRequests)
		case r.URL.Path == "/gone":
			w.WriteHeader(http.StatusNotFound)
		default:
			fmt.Fprint(w, "page at ", r.URL.Path)
		}
	}))
	defer server.Close()
	urls := []string{server.URL + "/1", server.URL + "/gone", server.URL + "/3"}

	results, err := pa.Map(ctx, urls, get,
		pa.Workers(16),
		pa.RateLimit(pa.PerSecond(100)),
		pa.Retry(3, pa.Backoff(10*time.Millisecond), pa.RetryIf(worthIt)))
	fmt.Printf("%q\n", results.Values())
	fmt.Println(err)
	// Output:
	// ["page at /1" "" "page at /3"]
	// pa: 1 of 3 items failed; the first, item 1: Not Found
}

func ExampleOnProgress() {
	ctx := context.Background()
	_, err := pa.Map(ctx, []string{"a", "b", "c"}, fetch,
		pa.OnResult(func(r pa.Result[string]) error {
			if !r.OK() {
				fmt.Println(r.Index, r.Err())
			}
			return nil
		}),
		pa.OnProgress(func(done, total int) error {
			fmt.Printf("%d of %d\n", done, total)
			return nil
		}))
	fmt.Println(err)
	// Output:
	// 1 of 3
	// 2 of 3
	// 3 of 3
	// <nil>
}

func ExampleWorkerStart() {
	ctx := context.Background()
	type key struct{}
	results, err := pa.Map(ctx, []string{"a", "b"}, func(ctx context.Context, query string) (string, error) {
		connection := ctx.Value(key{}).(string) // no other goroutine has this one
		return connection + ": " + query, nil
	}, pa.Workers(1),
		pa.WorkerStart(func(ctx context.Context) (context.Context, error) {
			return context.WithValue(ctx, key{}, "connection"), nil
		}),
		pa.WorkerStop(func(context.Context) { fmt.Println("closed") }))
	fmt.Println(results.Values(), err)
	// Output:
	// closed
	// [connection: a connection: b] <nil>
}

func ExampleStopOn() {
	ctx := context.Background()
	stop := pa.NewStop()
	_, err := pa.Map(ctx, []string{"a", "b", "c"}, func(ctx context.Context, url string) (string, error) {
		stop.Request() // or any other goroutine
		<-ctx.Done()
		return "", ctx.Err()
	}, pa.StopOn(stop), pa.Workers(1))
	fmt.Println(errors.Is(err, pa.ErrCancelled))
	// Output: true
}

func ExampleItemKey() {
	ctx := context.Background()
	_, err := pa.Map(ctx, []string{"a.example/gone"}, fetch, pa.ItemKey(func(url string) (any, error) { return url, nil }))
	fmt.Println(err)
	// Output: pa: 1 of 1 items failed; the first, item 0 (a.example/gone): 404
}

func ExampleFromChunks() {
	ctx := context.Background()
	numbers := make([]int, 10_000)

	sum := 0
	for result, err := range pa.Stream(ctx, pa.FromChunks(slices.Chunk(numbers, 1000)), func(_ context.Context, x int) (int, error) {
		return x + 1, nil
	}) {
		if err != nil {
			fmt.Println(err)
		}
		sum += result.Value
	}
	fmt.Println(sum)
	// Output: 10000
}

// Where tasks are registered, tests are run again as workers, too.
func TestMain(m *testing.M) {
	pa.WorkerMain()
	os.Exit(m.Run())
}

var measure = pa.Register("measure", func(_ context.Context, text string) (int, error) {
	if text == "" {
		os.Exit(3) // or what a C library does that is given what it did not expect
	}
	return len(text), nil
})

func ExampleRegister() {
	ctx := context.Background()
	results, err := measure.Map(ctx, []string{"one", "", "three"}, pa.Workers(2), pa.ItemTimeout(time.Minute))
	for result := range results.All() {
		fmt.Println(result.Index, result.State(), result.Value)
	}
	var crashed *pa.CrashError
	if errors.As(err, &crashed) {
		fmt.Println(crashed, crashed.ExitStatus)
	}
	// Output:
	// 0 ok 3
	// 1 crashed 0
	// 2 ok 5
	// its worker process exited with status 3 3
}
