// Command fetch gets many pages over HTTP, in parallel and politely, with net/http and libpa.
//
//	fetch [-w WORKERS] [-r REQUESTS_PER_SECOND] [-a ATTEMPTS] URLS REPORT
//
// URLS is a file with one address on each line. REPORT gets one line for each address, in the same order, with these fields
// between tabs: state, attempts, how many of them were answered 429, SHA-256 of the body, address, why it failed.
//
// What to look at: get, the function that is called for each address; worthRetrying, which failures are repeated; fetchAll, the
// options and the call of pa.Map; main, where Ctrl-C becomes a context.
//
// Exit status: 0 all pages are there, 1 some are not, 2 it could not begin, 130 stopped by Ctrl-C.
package main

import (
	"bufio"
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"strings"
	"syscall"
	"time"

	"example.com/libpa/pa"
)

const (
	allFetched  = 0
	someFailed  = 1
	cannotBegin = 2
	stopped     = 130

	failuresShown = 10
)

type settings struct {
	workers           int
	attempts          int
	requestsPerSecond float64
}

func main() {
	var how settings
	flag.IntVar(&how.workers, "w", 8, "`requests` at a time")
	flag.Float64Var(&how.requestsPerSecond, "r", 10, "`requests` a second")
	flag.IntVar(&how.attempts, "a", 5, "`attempts` at each page")
	flag.Parse()
	if flag.NArg() != 2 {
		fmt.Fprintln(os.Stderr, "usage: fetch [-w WORKERS] [-r REQUESTS_PER_SECOND] [-a ATTEMPTS] URLS REPORT")
		os.Exit(cannotBegin)
	}

	ctx, release := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	code, err := run(ctx, flag.Arg(0), flag.Arg(1), how)
	release()
	if err != nil {
		fmt.Fprintln(os.Stderr, "fetch:", err)
		code = cannotBegin
	}
	os.Exit(code)
}

func run(ctx context.Context, addresses, report string, how settings) (exitStatus int, err error) {
	urls, err := readLines(addresses)
	if err != nil {
		return 0, err
	}
	began := time.Now()
	f := newFetcher(urls, how.workers)
	results, err := fetchAll(ctx, f, how)
	if results == nil {
		return 0, err // an option is wrong, and nothing has run
	}
	if err := writeReport(report, f, results); err != nil {
		return 0, err
	}
	summarise(f, results, time.Since(began))
	switch {
	case errors.Is(err, pa.ErrCancelled):
		return stopped, nil
	case !results.OK():
		return someFailed, nil
	}
	return allFetched, nil
}

func fetchAll(ctx context.Context, f *fetcher, how settings) (*pa.Results[page], error) {
	limiter, err := pa.NewLimiter(pa.PerSecond(how.requestsPerSecond)) // any number of runs could share it, and so one quota
	if err != nil {
		return nil, err
	}
	bar := newProgress(len(f.urls))
	defer bar.end()
	return pa.Map(ctx, f.urls, f.get,
		pa.Workers(how.workers),
		pa.UseLimiter(limiter),
		pa.ItemTimeout(30*time.Second), // a server that says nothing for so long has failed this attempt
		pa.Retry(how.attempts, pa.Backoff(200*time.Millisecond), pa.RetryIf(worthRetrying)),
		pa.OnProgress(bar.show))
}

func readLines(path string) ([]string, error) {
	file, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer file.Close()
	var lines []string
	scanner := bufio.NewScanner(file)
	for scanner.Scan() {
		if line := scanner.Text(); line != "" {
			lines = append(lines, line)
		}
	}
	return lines, scanner.Err()
}

// ---------------------------------------------------------------- what became of them

func writeReport(path string, f *fetcher, results *pa.Results[page]) error {
	file, err := os.Create(path)
	if err != nil {
		return err
	}
	defer file.Close()
	out := bufio.NewWriter(file)
	for result := range results.All() {
		writeLine(out, f, result)
	}
	return errors.Join(out.Flush(), file.Close())
}

func writeLine(out io.Writer, f *fetcher, result pa.Result[page]) {
	sum, why := "-", ""
	if result.OK() {
		sum = result.Value.sha256
	} else {
		why = strings.NewReplacer("\t", " ", "\n", " ").Replace(result.Err().Error())
	}
	fmt.Fprintf(out, "%v\t%d\t%d\t%s\t%s\t%s\n",
		result.State(), result.Attempts(), f.refused[result.Index].Load(), sum, f.urls[result.Index], why)
}

// summarise prints what it came to, and the first failures.
func summarise(f *fetcher, results *pa.Results[page], took time.Duration) {
	var fetched, failed, notDone, attempts, refused, bytes int
	for result := range results.All() {
		attempts += result.Attempts()
		refused += int(f.refused[result.Index].Load())
		switch result.State() {
		case pa.OK:
			fetched++
			bytes += result.Value.size
		case pa.Cancelled, pa.Aborted:
			notDone++
		default:
			if failed++; failed <= failuresShown {
				fmt.Fprintf(os.Stderr, "fetch: %s: %v (%d attempts)\n", f.urls[result.Index], result.Err(), result.Attempts())
			}
		}
	}
	fmt.Printf("%d pages: %d fetched (%.1f MB), %d failed, %d not done; %d attempts, of which %d were answered 429; %.2f s\n",
		results.Len(), fetched, float64(bytes)/1e6, failed, notDone, attempts, refused, took.Seconds())
}
