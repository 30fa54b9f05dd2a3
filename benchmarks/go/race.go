package main

import (
	"encoding/json"
	"fmt"
	"os"
	"runtime"
	"slices"
	"syscall"
	"time"
)

// A race is several ways to do the same work, timed in one process by turns, so that whatever else the machine does hits all of them
// alike. benchmarks/harness.hpp is the same in C++.
type race struct {
	title      string
	contenders []*contender
}

type contender struct {
	Race     string    `json:"race"`
	Unit     string    `json:"unit"`
	Name     string    `json:"contender"`
	Fastest  float64   `json:"fastest"`
	Median   float64   `json:"median"`
	Samples  []float64 `json:"samples"`
	work     func() int
	expected int
}

// add enters a contender. Its work returns a checksum: who computes something wrong is not timed.
func (r *race) add(name string, expected int, work func() int) {
	r.contenders = append(r.contenders, &contender{Race: r.title, Unit: "s", Name: name, work: work, expected: expected})
}

// run lets each contender run once in each round, the first one another in each, from rest; and one round before, which does not
// count.
func (r *race) run(rounds int) {
	for round := -1; round < rounds; round++ {
		for turn := range r.contenders {
			c := r.contenders[(turn+round+1)%len(r.contenders)]
			comeToRest()
			began := time.Now()
			sum := c.work()
			took := time.Since(began).Seconds()
			if sum != c.expected {
				fail(fmt.Errorf("%s, %s: %d in place of %d", r.title, c.Name, sum, c.expected))
			}
			if round >= 0 {
				c.Samples = append(c.Samples, took)
			}
		}
	}
	for _, c := range r.contenders {
		sorted := slices.Sorted(slices.Values(c.Samples))
		c.Fastest, c.Median = sorted[0], sorted[len(sorted)/2]
		report.Contenders = append(report.Contenders, c)
	}
}

// ratio reports the first contender over the second, and the loop by hand over the second as well.
func (r *race) ratio(row string) {
	peer := r.contenders[1].Fastest
	report.row(row, r.contenders[0].Fastest/peer)
	report.row("bare_"+row, r.contenders[2].Fastest/peer)
}

// comeToRest collects what the contender before left, and waits until nothing computes any more.
func comeToRest() {
	runtime.GC()
	const patience = 200 // milliseconds; somebody who never rests must not stop the bench
	for quiet, waited := 0, 0; quiet < 2 && waited < patience; waited++ {
		before := cpuTime()
		time.Sleep(time.Millisecond)
		if quiet++; cpuTime()-before >= 100*time.Microsecond {
			quiet = 0
		}
	}
}

func cpuTime() time.Duration {
	var usage syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &usage); err != nil {
		fail(err)
	}
	return time.Duration(usage.Utime.Nano() + usage.Stime.Nano())
}

type findings struct {
	Rows       map[string]float64 `json:"rows"`
	Contenders []*contender       `json:"contenders"`
}

var report = findings{Rows: map[string]float64{}}

func (r *findings) row(name string, ratio float64) {
	fmt.Printf("  %-28s %.4f\n", name, ratio)
	r.Rows[name] = ratio
}

func writeReport(path string) {
	text, err := json.Marshal(&report)
	if err == nil {
		err = os.WriteFile(path, text, 0o666)
	}
	if err != nil {
		fail(err)
	}
}

func fail(err error) {
	fmt.Fprintln(os.Stderr, "benchmark failed:", err)
	os.Exit(1)
}
