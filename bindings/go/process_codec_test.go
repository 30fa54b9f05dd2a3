package pa_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"testing"

	"example.com/libpa/pa"
	"example.com/libpa/pa/internal/palow"
)

type document struct {
	Title string
	Pages []int
	Next  *document
	Size  int
}

func grow(_ context.Context, d document) (*document, error) {
	d.Pages = append(d.Pages, len(d.Pages))
	d.Size = 0
	return &document{Title: d.Title + "!", Next: &d}, nil
}

var (
	grownByGob  = pa.Register("grow by gob", grow)
	grownByJSON = pa.Register("grow by json", grow, pa.Encoding(pa.JSON))
)

func TestStructsCrossTheBorder(t *testing.T) {
	for _, task := range []*pa.Task[document, *document]{grownByGob, grownByJSON} {
		items := []document{{Title: "a", Size: 3}, {Title: "b", Pages: []int{0, 1}}, {}}
		results, err := task.Map(background, items, pa.Workers(2))
		must(t, results, err)
		for i, value := range results.Values() {
			equal(t, "title", value.Title, items[i].Title+"!")
			equal(t, "pages", len(value.Next.Pages), len(items[i].Pages)+1)
		}
	}
}

// A fussyCodec refuses some numbers, at each of the four ends.
type fussyCodec struct{}

func (fussyCodec) Marshal(value any) ([]byte, error) {
	switch number := value.(int); number {
	case 1, 1002:
		return nil, errors.New("not this one")
	case 2:
		panic("nor this")
	default:
		return []byte(fmt.Sprint(number)), nil
	}
}

func (fussyCodec) Unmarshal(data []byte, target any) error {
	number := 0
	if _, err := fmt.Sscan(string(data), &number); err != nil {
		return err
	}
	if number == 3 || number == 1004 {
		return errors.New("can't read it")
	}
	*target.(*int) = number
	return nil
}

func plus1000(_ context.Context, item int) (int, error) { return item + 1000, nil }

var fussyTask = pa.Register("fussy", plus1000, pa.Encoding(fussyCodec{}))

func TestWhatACodecRefusesFailsAlone(t *testing.T) {
	leavesNothing(t, func() {
		for _, options := range [][]pa.Option{{pa.Workers(1)}, {pa.Workers(2), pa.Retry(3)}} {
			results, _ := fussyTask.Map(background, []int{0, 1, 2, 3, 4, 5}, options...)
			equal(t, "failed", results.Failed(), 4)
			equal(t, "values", results.Values()[0]+results.Values()[5], 2005)
			for i, words := range []string{1: "could not be encoded: not this one", 2: "nor this", 3: "could not be decoded: can't read it",
				4: "could not be decoded: can't read it"} {
				if err := results.At(i).Err(); words != "" && !contains(err.Error(), words) {
					t.Errorf("%d: %q does not have %q", i, err, words)
				}
			}
		}
		results, _ := fussyTask.Map(background, []int{2, 10})
		var panicked *pa.PanicError
		equal(t, "is a panic", errors.As(results.At(0).Err(), &panicked), true)
	})
}

var unencodable = pa.Register("channels", func(context.Context, chan int) (chan int, error) { return nil, nil })

func TestAnItemThatCanNotBeEncodedFails(t *testing.T) {
	results, err := unencodable.Map(background, []chan int{make(chan int)})
	equal(t, "failed", results.Failed(), 1)
	equal(t, "says so", contains(err.Error(), "could not be encoded"), true)
}

var inBatches = pa.RegisterBatch("in batches", func(_ context.Context, items []int) ([]int, error) {
	values := make([]int, len(items))
	odd := pa.BatchError{}
	for i, item := range items {
		switch {
		case item == 77:
			os.Exit(4)
		case item == 99:
			return nil, errors.New("all of them")
		case item%2 != 0:
			odd[i] = fmt.Errorf("odd: %d", item)
		}
		values[i] = item * item
	}
	if len(odd) > 0 {
		return values, odd
	}
	return values, nil
}, pa.Batch(8, 0))

func TestBatchesInWorkerProcesses(t *testing.T) {
	leavesNothing(t, func() {
		results, _ := inBatches.Map(background, count(40), pa.Workers(2))
		equal(t, "failed", results.Failed(), 20)
		for i := range results.Len() {
			if result := results.At(i); i%2 == 0 {
				equal(t, "value", result.Value, i*i)
			} else {
				equal(t, "error", result.Err().Error(), fmt.Sprintf("odd: %d", i))
			}
		}
		equal(t, "batch size", results.BatchSize(), 8)
		results, _ = inBatches.Map(background, []int{2, 4, 99, 6}, pa.Batch(4, 0))
		equal(t, "failed", results.Failed(), 4)
		results, _ = inBatches.Map(background, []int{2, 4, 77, 6}, pa.Batch(4, 0), pa.Retry(2, pa.Backoff(1)))
		equal(t, "failed", results.Failed(), 1) // retries run them one by one
		equal(t, "state", results.At(2).State(), pa.Crashed)
	})
}

type stateKey struct{}

var startCount int

var withState = pa.Register("with state", func(ctx context.Context, refuse bool) (string, error) {
	return ctx.Value(stateKey{}).(string), nil
}, pa.WorkerStart(func(ctx context.Context) (context.Context, error) {
	startCount++
	if os.Getenv("REFUSE") != "" {
		return nil, errors.New("not in the mood")
	}
	return context.WithValue(ctx, stateKey{}, fmt.Sprint("started ", startCount, pa.Index(ctx))), nil
}), pa.WorkerStop(func(ctx context.Context) {
	if path := os.Getenv("STOPPED"); path != "" {
		_ = os.WriteFile(path, []byte(ctx.Value(stateKey{}).(string)), 0o600)
	}
}))

func TestWorkerStartOfATaskRunsInItsWorkers(t *testing.T) {
	path := t.TempDir() + "/stopped"
	how := pa.Processes(pa.Process{Environment: append(os.Environ(), "STOPPED="+path)})
	results, err := withState.Map(background, make([]bool, 3), pa.Workers(1), how)
	must(t, results, err)
	for _, value := range results.Values() {
		equal(t, "state", value, "started 1 -1")
	}
	results, err = withState.Map(background, make([]bool, 1), pa.Workers(1), how)
	equal(t, "state of the next run", must(t, results, err).Values()[0], "started 1 -1")
	palow.Drain()
	stopped, err := os.ReadFile(path)
	equal(t, "error", err, nil)
	equal(t, "of the worker", string(stopped), "started 1 -1")

	_, err = withState.Map(background, make([]bool, 1), pa.Processes(pa.Process{Environment: append(os.Environ(), "REFUSE=1")}))
	is(t, err, pa.ErrWorkerStart)
	equal(t, "started here", startCount, 0)
}
