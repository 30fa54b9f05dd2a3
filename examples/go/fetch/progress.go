package main

import (
	"fmt"
	"os"

	"github.com/schollz/progressbar/v3"
)

// Progress is a bar on a terminal, and a line for each tenth elsewhere.
type progress struct {
	bar   *progressbar.ProgressBar // nil: no terminal
	shown int                      // tenths
}

func newProgress(total int) *progress {
	info, err := os.Stderr.Stat()
	if err != nil || info.Mode()&os.ModeCharDevice == 0 {
		return &progress{}
	}
	return &progress{bar: progressbar.NewOptions(total, progressbar.OptionSetWriter(os.Stderr), progressbar.OptionShowCount(),
		progressbar.OptionShowIts(), progressbar.OptionSetItsString("pages"), progressbar.OptionFullWidth())}
}

// show is called on the goroutine that called pa.Map, after each page.
func (p *progress) show(done, total int) error {
	if p.bar != nil {
		return p.bar.Set(done)
	}
	if tenths := done * 10 / total; tenths > p.shown {
		p.shown = tenths
		fmt.Fprintf(os.Stderr, "%d of %d pages\n", done, total)
	}
	return nil
}

func (p *progress) end() {
	if p.bar != nil {
		fmt.Fprintln(os.Stderr)
	}
}
