package main

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"net/http"
	"sync/atomic"
	"time"

	"example.com/libpa/pa"
)

// A page is what there is to know about one. The body itself is hashed as it comes in, and not kept.
type page struct {
	size   int
	sha256 string
}

type fetcher struct {
	urls    []string
	refused []atomic.Int32 // how many attempts were answered 429, by index
	client  *http.Client
}

func newFetcher(urls []string, workers int) *fetcher {
	transport := http.DefaultTransport.(*http.Transport).Clone()
	transport.MaxIdleConnsPerHost = workers // so that each connection is used again and again
	transport.MaxIdleConns = workers
	return &fetcher{urls, make([]atomic.Int32, len(urls)), &http.Client{Transport: transport}}
}

// get is what pa.Map calls for each address. Its context is done after Ctrl-C, and when the attempt takes too long.
func (f *fetcher) get(ctx context.Context, url string) (page, error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return page{}, &wrongAddress{err}
	}
	response, err := f.client.Do(request)
	if err != nil {
		return page{}, err
	}
	defer response.Body.Close()
	digest := sha256.New()
	size, err := io.Copy(digest, response.Body) // all of it, also of an error, so that the connection can be used again
	if err != nil {
		return page{}, err
	}
	if response.StatusCode == http.StatusTooManyRequests {
		f.refused[pa.Index(ctx)].Add(1)
	}
	if response.StatusCode != http.StatusOK {
		return page{}, newStatusError(response)
	}
	return page{int(size), hex.EncodeToString(digest.Sum(nil))}, nil
}

type wrongAddress struct{ error }

// A statusError is an answer other than 200.
type statusError struct {
	code int
	wait time.Duration
}

func newStatusError(response *http.Response) error {
	wait, asked := pa.ParseRetryAfter(response.Header.Get("Retry-After"), time.Now())
	if !asked {
		wait = -1
	}
	return &statusError{response.StatusCode, wait}
}

func (e *statusError) Error() string { return fmt.Sprintf("the server answered %d", e.code) }

// RetryAfter tells libpa how long the server wants to be left alone. That pauses the limiter, and with it all requests.
func (e *statusError) RetryAfter() time.Duration {
	if e.code == http.StatusTooManyRequests || e.code == http.StatusServiceUnavailable {
		return e.wait
	}
	return -1
}

// worthRetrying: an address that is wrong stays wrong, a server that is busy may have time later.
func worthRetrying(err error) bool {
	var answered *statusError
	if !errors.As(err, &answered) {
		var wrong *wrongAddress
		return !errors.As(err, &wrong) // a connection that broke, or an attempt that took too long
	}
	switch answered.code {
	case http.StatusTooManyRequests, http.StatusBadGateway, http.StatusServiceUnavailable, http.StatusGatewayTimeout:
		return true
	}
	return false
}
