package conformance

import (
	"bytes"
	"encoding/json"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"testing"
)

// A testCase is one of conformance/cases. A field that is not known here is an error.
type testCase struct {
	Name     string            `json:"name"`
	Row      string            `json:"row"`
	Calls    []string          `json:"calls"`
	Inputs   inputs            `json:"inputs"`
	Function function          `json:"function"`
	Options  options           `json:"options"`
	Expect   expectation       `json:"expect"`
	Not      map[string]string `json:"not"`
}

type inputs struct {
	Items    []int
	Endless  bool
	OneByOne bool
	Hint     *int
	FailsAt  *int
}

func (in *inputs) UnmarshalJSON(text []byte) error {
	if json.Unmarshal(text, &in.Items) == nil {
		return nil
	}
	var from struct {
		Count    int  `json:"count"`
		Endless  bool `json:"endless"`
		OneByOne bool `json:"one_by_one"`
		Hint     *int `json:"hint"`
		FailsAt  *int `json:"fails_at"`
	}
	if err := strictly(text, &from); err != nil {
		return err
	}
	*in = inputs{nil, from.Endless, from.OneByOne, from.Hint, from.FailsAt}
	for x := range from.Count {
		in.Items = append(in.Items, x)
	}
	return nil
}

type function struct {
	Name    string `json:"name"`
	Times   int    `json:"times"`
	WaitNs  int64  `json:"wait_ns"`
	X       int    `json:"x"`
	Missing int    `json:"missing"`
}

// A number may be one that JSON can't write.
type number float64

func (n *number) UnmarshalJSON(text []byte) error {
	switch string(text) {
	case `"NaN"`:
		*n = number(math.NaN())
	case `"Infinity"`:
		*n = number(math.Inf(1))
	default:
		return json.Unmarshal(text, (*float64)(n))
	}
	return nil
}

type rate struct {
	Count number `json:"count"`
	PerNs int64  `json:"per_ns"`
	Burst int    `json:"burst"`
}

type options struct {
	Workers       *int   `json:"workers"`
	Window        *int   `json:"window"`
	BatchSize     *int   `json:"batch_size"`
	RateCost      *int   `json:"rate_cost"`
	TimeoutNs     *int64 `json:"timeout_ns"`
	ItemTimeoutNs *int64 `json:"item_timeout_ns"`
	MaxErrors     *int   `json:"max_errors"`
	Inline        bool   `json:"inline"`
	Rate          *rate  `json:"rate"`
	Limiter       *rate  `json:"limiter"`
	Batch         *struct {
		MaxItems int   `json:"max_items"`
		LingerNs int64 `json:"linger_ns"`
	} `json:"batch"`
	Retry *struct {
		Attempts        *int   `json:"attempts"`
		BackoffNs       *int64 `json:"backoff_ns"`
		MaxDelayNs      *int64 `json:"max_delay_ns"`
		Jitter          *bool  `json:"jitter"`
		MaxServerWaitNs *int64 `json:"max_server_wait_ns"`
	} `json:"retry"`
	Stop        any   `json:"stop"`
	OnProgress  *hook `json:"on_progress"`
	OnResult    *hook `json:"on_result"`
	ItemKey     *hook `json:"item_key"`
	WorkerStart *hook `json:"worker_start"`
}

// A hook is `true`, a word, or says when it fails.
type hook struct {
	word    string
	failsAt int // -1: never
	fails   bool
}

func (h *hook) UnmarshalJSON(text []byte) error {
	h.failsAt = -1
	var on bool
	if json.Unmarshal(text, &on) == nil || json.Unmarshal(text, &h.word) == nil {
		return nil
	}
	var from struct {
		FailsAt *int `json:"fails_at"`
		Fails   bool `json:"fails"`
	}
	if err := strictly(text, &from); err != nil {
		return err
	}
	h.fails = from.Fails
	if from.FailsAt != nil {
		h.failsAt = *from.FailsAt
	}
	return nil
}

type expectation struct {
	Error                 string            `json:"error"`
	MessageHas            string            `json:"message_has"`
	End                   string            `json:"end"`
	OK                    *bool             `json:"ok"`
	Count                 *int              `json:"count"`
	StreamCount           *int              `json:"stream_count"`
	Values                []*int            `json:"values"`
	States                any               `json:"states"`
	StreamStates          any               `json:"stream_states"`
	Messages              map[string]string `json:"messages"`
	Attempts              any               `json:"attempts"`
	Keys                  []any             `json:"keys"`
	Calls                 *int              `json:"calls"`
	CallsAtMost           *int              `json:"calls_at_most"`
	CallsAtLeast          *int              `json:"calls_at_least"`
	MostAtOnce            *int              `json:"most_at_once"`
	DeliveredAtMost       *int              `json:"delivered_at_most"`
	Progress              []int             `json:"progress"`
	Results               *int              `json:"results"`
	InOrder               *bool             `json:"in_order"`
	WorkersStartedAtMost  *int              `json:"workers_started_at_most"`
	WorkersStartedAtLeast *int              `json:"workers_started_at_least"`
}

func strictly(text []byte, into any) error {
	decoder := json.NewDecoder(bytes.NewReader(text))
	decoder.DisallowUnknownFields()
	return decoder.Decode(into)
}

func readCases(t *testing.T) []testCase {
	paths, err := filepath.Glob("../cases/*.json")
	if err != nil || len(paths) == 0 {
		t.Fatalf("there are no cases: %v", err)
	}
	var all []testCase
	for _, path := range paths {
		text, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		var cases []testCase
		if err := strictly(text, &cases); err != nil {
			t.Fatal(fmt.Errorf("%s: %w", path, err))
		}
		all = append(all, cases...)
	}
	return all
}
