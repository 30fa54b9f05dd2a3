// Package conformance runs the cases of conformance/cases by the Go binding.
package conformance

import (
	"reflect"
	"sort"
	"strconv"
	"strings"
	"testing"
)

func TestCases(t *testing.T) {
	for _, c := range readCases(t) {
		t.Run(c.Name, func(t *testing.T) {
			if why := c.Not["go"]; why != "" {
				t.Logf("NOT APPLICABLE: %s", why)
				return
			}
			for _, call := range c.Calls {
				t.Run(call, func(t *testing.T) {
					(&judge{t, &c.Expect, observe(&c, call)}).check()
				})
			}
		})
	}
}

// A judge compares what a case expects with what was seen.
type judge struct {
	*testing.T
	expect *expectation
	seen   *observed
}

func (j *judge) check() {
	j.Helper()
	e, seen := j.expect, j.seen
	if seen.kind() != e.Error {
		j.Errorf("the error is %q (%v), not %q", seen.kind(), seen.err, e.Error)
	}
	if e.MessageHas != "" && (seen.err == nil || !strings.Contains(seen.err.Error(), e.MessageHas)) {
		j.Errorf("%q does not have %q", seen.err, e.MessageHas)
	}
	if e.Error == "INVALID" && (seen.end != 0 || len(seen.outcomes) > 0) {
		j.Errorf("there is a result")
	}
	if e.End != "" && nameOf(seen.end.String()) != e.End {
		j.Errorf("the end is %v, not %s (%v)", seen.end, e.End, seen.err)
	}
	if e.OK != nil && seen.ok != *e.OK {
		j.Errorf("ok is %v (%v)", seen.ok, seen.err)
	}
	sort.SliceStable(seen.outcomes, func(a, b int) bool { return seen.outcomes[a].Index < seen.outcomes[b].Index })
	j.checkItems()
	j.checkCounts()
}

func (j *judge) checkItems() {
	e, seen := j.expect, j.seen
	count, states := e.Count, e.States
	if seen.isStream && e.StreamCount != nil {
		count = e.StreamCount
	}
	if seen.isStream && e.StreamStates != nil {
		states = e.StreamStates
	}
	j.equal("outcomes", len(seen.outcomes), count)
	found := map[string]any{}
	for _, result := range seen.outcomes {
		i, state := result.Index, nameOf(result.State().String())
		number, _ := found[state].(float64)
		found[state] = number + 1
		if e.Values != nil && !reflect.DeepEqual(result.Value, e.Values[i]) {
			j.Errorf("item %d has the value %v", i, result.Value)
		}
		if list, isList := states.([]any); isList && list[i] != state {
			j.Errorf("item %d is %s, not %v (%v)", i, state, list[i], result.Err())
		}
		if wanted := at(e.Attempts, i); wanted != nil && wanted != float64(result.Attempts()) {
			j.Errorf("item %d had %d attempts, not %v", i, result.Attempts(), wanted)
		}
		if e.Keys != nil && !reflect.DeepEqual(asJSON(result.Key()), e.Keys[i]) {
			j.Errorf("item %d has the key %#v, not %v", i, result.Key(), e.Keys[i])
		}
		if (result.Err() == nil) != result.OK() {
			j.Errorf("item %d is %s, and its error is %v", i, state, result.Err())
		}
		if text, wanted := e.Messages[strconv.Itoa(i)]; wanted && !strings.Contains(result.Err().Error(), text) {
			j.Errorf("item %d: %q does not have %q", i, result.Err(), text)
		}
	}
	for index := range e.Messages {
		if i, err := strconv.Atoi(index); err != nil || i >= len(seen.outcomes) && !seen.isStream {
			j.Errorf("there is no item %s", index)
		}
	}
	if numbers, are := states.(map[string]any); are && !reflect.DeepEqual(found, numbers) {
		j.Errorf("the states are %v, not %v", found, numbers)
	}
}

func (j *judge) checkCounts() {
	e, seen := j.expect, j.seen
	calls, started := int(seen.program.calls.Load()), int(seen.started.Load())
	j.equal("calls", calls, e.Calls)
	j.atMost("calls", calls, e.CallsAtMost)
	j.atLeast("calls", calls, e.CallsAtLeast)
	j.atMost("calls at once", int(seen.program.mostAtOnce.Load()), e.MostAtOnce)
	j.atMost("inputs delivered", seen.delivered, e.DeliveredAtMost)
	j.equal("calls of on_result", seen.results, e.Results)
	j.atMost("workers started", started, e.WorkersStartedAtMost)
	j.atLeast("workers started", started, e.WorkersStartedAtLeast)
	if stopped := int(seen.stopped.Load()); stopped != started {
		j.Errorf("%d workers were started, and %d stopped", started, stopped)
	}
	if e.Progress != nil && !reflect.DeepEqual(seen.progress[:], e.Progress) {
		j.Errorf("progress is %v, not %v", seen.progress, e.Progress)
	}
	if e.InOrder != nil && seen.inOrder != *e.InOrder {
		j.Errorf("in order: %v", seen.inOrder)
	}
}

func (j *judge) equal(what string, seen int, wanted *int) {
	if wanted != nil && seen != *wanted {
		j.Errorf("%s: %d, not %d", what, seen, *wanted)
	}
}

func (j *judge) atMost(what string, seen int, wanted *int) {
	if wanted != nil && seen > *wanted {
		j.Errorf("%s: %d, more than %d", what, seen, *wanted)
	}
}

func (j *judge) atLeast(what string, seen int, wanted *int) {
	if wanted != nil && seen < *wanted {
		j.Errorf("%s: %d, fewer than %d", what, seen, *wanted)
	}
}

// at is what a case says of an item: one thing for all, or a list.
func at(of any, index int) any {
	if list, isList := of.([]any); isList {
		return list[index]
	}
	return of
}

// asJSON is a key as the cases write it.
func asJSON(key any) any {
	switch key := key.(type) {
	case int:
		return float64(key)
	case []byte:
		return map[string]any{"bytes": string(key)}
	}
	return key
}
