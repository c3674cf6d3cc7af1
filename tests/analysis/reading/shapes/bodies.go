// Package shapes holds functions as they are met in the wild, each with one way to leak, and some that have none.
package shapes

import (
	"bufio"
	"compress/gzip"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log"
	"net/http"
	"strings"
	"time"
)

type item struct{ Name string }

func neverClosed(url string) (int, error) {
	resp, err := http.Get(url) // WHY: never released
	if err != nil {
		return 0, err
	}
	return resp.StatusCode, nil
}

func readButNotClosed(url string) ([]byte, error) {
	resp, err := http.Get(url) // WHY: never released
	if err != nil {
		return nil, fmt.Errorf("get: %w", err)
	}
	data, err := io.ReadAll(resp.Body)
	if err != nil {
		return nil, err
	}
	return data, nil
}

func errorIgnored(url string) string {
	resp, _ := http.Get(url) // WHY: never released
	return resp.Status
}

func checkedInHeader(url string) (ok bool) {
	var resp *http.Response
	var err error
	if resp, err = http.Get(url); err != nil { // WHY: never released
		return false
	}
	return resp.StatusCode == http.StatusOK
}

func scopedToIf(url string) bool {
	if resp, err := http.Get(url); err == nil { // WHY: never released
		return resp.StatusCode == http.StatusOK
	}
	return false
}

func scopedToElse(url string) bool {
	if resp, err := http.Get(url); err != nil { // WHY: never released
		return false
	} else {
		return resp.StatusCode == http.StatusOK
	}
}

func onlyLogged(url string) {
	resp, err := http.Get(url) // WHY: never released
	if err != nil {
		log.Println(err)
	}
	if resp != nil {
		log.Println(resp.Status)
	}
}

func dropped(url string) {
	http.Get(url) // WHY: discarded
}

func droppedWithError(url string) error {
	_, err := http.Get(url) // WHY: discarded
	if err != nil {
		return err
	}
	return nil
}

func droppedInHeader(url string) error {
	if _, err := http.Post(url, "text/plain", strings.NewReader("x")); err != nil { // WHY: discarded
		return err
	}
	return nil
}

func droppedBoth(url string) {
	_, _ = http.Get(url) // WHY: discarded
}

func droppedOverLines(client *http.Client, req *http.Request) {
	client.Do( // WHY: discarded
		req,
	)
}

func statusBeforeDefer(client *http.Client, req *http.Request) (*item, error) {
	resp, err := client.Do(req) // WHY: early return
	if err != nil {
		return nil, err
	}
	if resp.StatusCode != http.StatusOK {
		return nil, errors.New(resp.Status)
	}
	defer resp.Body.Close()
	var found item
	return &found, json.NewDecoder(resp.Body).Decode(&found)
}

func oneOfManyReturns(url string) (n int, err error) {
	resp, err := http.Get(url) // WHY: early return
	if err != nil {
		return 0, err
	}
	if resp.StatusCode == http.StatusNotFound {
		resp.Body.Close()
		return 0, nil
	}
	if resp.ContentLength > 1<<20 {
		return 0, errors.New("too large")
	}
	data, err := io.ReadAll(resp.Body)
	if err != nil {
		return 0, err
	}
	resp.Body.Close()
	return len(data), nil
}

func inSwitch(url string) error {
	resp, err := http.Get(url) // WHY: early return
	if err != nil {
		return err
	}
	switch resp.StatusCode {
	case http.StatusOK, http.StatusNoContent:
		resp.Body.Close()
		return nil
	case http.StatusConflict:
		return errors.New("conflict")
	default:
		resp.Body.Close()
	}
	return errors.New(resp.Status)
}

func bodyAlias(url string) (int, error) {
	resp, err := http.Get(url) // WHY: early return
	if err != nil {
		return 0, err
	}
	body := resp.Body
	line, err := bufio.NewReader(body).ReadString('\n')
	if err != nil {
		return 0, err
	}
	body.Close()
	return len(line), nil
}

func continues(client *http.Client, urls []string) (found []string) {
	for _, url := range urls {
		resp, err := client.Get(url) // WHY: loop
		if err != nil {
			continue
		}
		if resp.StatusCode != http.StatusOK {
			continue
		}
		found = append(found, resp.Header.Get("Etag"))
		resp.Body.Close()
	}
	return found
}

func defersInLoop(urls []string) (total int64) {
	for _, url := range urls {
		resp, err := http.Get(url) // WHY: loop
		if err != nil {
			continue
		}
		defer resp.Body.Close()
		n, err := io.Copy(io.Discard, resp.Body)
		if err != nil {
			break
		}
		total += n
	}
	return total
}

func retries(client *http.Client, url string) (*http.Response, error) {
	var resp *http.Response
	var err error
	for attempt := 0; attempt < 3; attempt++ {
		resp, err = client.Get(url) // WHY: overwritten
		if err == nil && resp.StatusCode < 500 {
			return resp, nil
		}
		time.Sleep(time.Second)
	}
	return resp, err
}

func followsByHand(client *http.Client, url string) (string, error) {
	resp, err := client.Get(url) // WHY: overwritten
	if err != nil {
		return "", err
	}
	if next := resp.Header.Get("Location"); next != "" {
		resp, err = client.Get(next)
		if err != nil {
			return "", err
		}
	}
	defer resp.Body.Close()
	return resp.Status, nil
}

func replacesBody(client *http.Client, req *http.Request) (*http.Response, error) {
	resp, err := client.Do(req) // WHY: overwritten
	if err != nil {
		return nil, err
	}
	resp.Body = io.NopCloser(strings.NewReader("redacted"))
	return resp, nil
}

func gzipOnly(url string) ([]byte, error) {
	resp, err := http.Get(url) // WHY: wrapped
	if err != nil {
		return nil, err
	}
	unpacked, err := gzip.NewReader(resp.Body)
	if err != nil {
		return nil, err
	}
	defer unpacked.Close()
	return io.ReadAll(unpacked)
}

func returnsReader(url string) (io.Reader, error) {
	resp, err := http.Get(url) // WHY: wrapped
	if err != nil {
		return nil, err
	}
	return bufio.NewReader(resp.Body), nil
}

func closedAtTheEnd(url string, column int) (string, error) {
	resp, err := http.Get(url) // WHY: perhaps panic
	if err != nil {
		return "", err
	}
	line, _ := bufio.NewReader(resp.Body).ReadString('\n')
	field := strings.Split(line, ",")[column]
	resp.Body.Close()
	return field, nil
}

type keeper struct {
	last    *http.Response
	pending map[string]*http.Response
	queue   chan *http.Response
}

func (k *keeper) keeps(id, url string) error {
	resp, err := http.Get(url) // WHY: stored
	if err != nil {
		return err
	}
	k.pending[id] = resp
	return nil
}

func (k *keeper) keepsAtOnce(url string) (err error) {
	k.last, err = http.Get(url) // WHY: perhaps stored
	return err
}

func (k *keeper) sends(url string) {
	resp, err := http.Get(url) // WHY: stored
	if err != nil {
		return
	}
	k.queue <- resp
}

func (k *keeper) sendsOrDrops(url string) {
	resp, err := http.Get(url) // WHY: early return
	if err != nil {
		return
	}
	select {
	case k.queue <- resp:
	default:
		log.Println("full")
	}
}

func inGoroutine(urls []string) {
	for _, url := range urls {
		go func() {
			resp, err := http.Get(url) // WHY: never released
			if err != nil {
				return
			}
			log.Println(resp.Status)
		}()
	}
}

func halfHelper(url string) (*item, error) {
	resp, err := http.Get(url) // WHY: early return
	if err != nil {
		return nil, err
	}
	return decodeItem(resp.Body)
}

func decodeItem(body io.ReadCloser) (*item, error) {
	var found item
	if err := json.NewDecoder(body).Decode(&found); err != nil {
		return nil, err
	}
	body.Close()
	return &found, nil
}

func successOnlyReturned(url string) (*http.Response, error) {
	resp, err := http.Get(url) // WHY: early return
	if err != nil {
		return nil, err
	}
	if resp.StatusCode != http.StatusOK {
		return nil, errors.New(resp.Status)
	}
	return resp, nil
}

func shadowed(client *http.Client, req *http.Request) (err error) {
	var resp *http.Response
	defer func() {
		if resp != nil {
			resp.Body.Close()
		}
	}()
	if req.Body != nil {
		resp, err := client.Do(req) // WHY: never released
		if err != nil {
			return err
		}
		log.Println(resp.Status)
		return nil
	}
	resp, err = client.Do(req) // WHY: nothing
	return err
}

func explicitPanic(ctx context.Context, url string) int {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		panic(err)
	}
	resp, err := http.DefaultClient.Do(req) // WHY: panic
	if err != nil {
		panic(err)
	}
	if resp.StatusCode != http.StatusOK {
		panic(resp.Status)
	}
	resp.Body.Close()
	return resp.StatusCode
}

// -- nothing is wrong with these ---------------------------------------------------------------------

func healthy(url string) ([]byte, error) {
	resp, err := http.Get(url) // WHY: nothing
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	return io.ReadAll(resp.Body)
}

func healthyClosure(url string) (n int64, err error) {
	resp, err := http.Get(url) // WHY: nothing
	if err != nil {
		return 0, err
	}
	defer func() {
		if closeErr := resp.Body.Close(); err == nil {
			err = closeErr
		}
	}()
	return io.Copy(io.Discard, resp.Body)
}

func healthyReturned(url string) (*http.Response, error) {
	resp, err := http.Get(url) // WHY: nothing
	if err != nil {
		return nil, err
	}
	resp.Header.Del("Set-Cookie")
	return resp, nil
}

func healthyCheckedTogether(url string) error {
	resp, err := http.Get(url) // WHY: nothing
	if resp != nil {
		defer resp.Body.Close()
	}
	return err
}

func healthyHelper(url string) error {
	resp, err := http.Get(url) // WHY: nothing
	if err != nil {
		return err
	}
	defer drain(resp)
	return nil
}

func drain(resp *http.Response) {
	io.Copy(io.Discard, resp.Body)
	resp.Body.Close()
}

func healthyLoop(urls []string) (total int64) {
	for _, url := range urls {
		resp, err := http.Get(url) // WHY: nothing
		if err != nil {
			continue
		}
		func() {
			defer resp.Body.Close()
			n, _ := io.Copy(io.Discard, resp.Body)
			total += n
		}()
	}
	return total
}

type body struct {
	io.Reader
	closer io.Closer
}

func (b body) Close() error { return b.closer.Close() }

func healthyWrapped(url string) (io.ReadCloser, error) {
	resp, err := http.Get(url) // WHY: nothing
	if err != nil {
		return nil, err
	}
	return body{bufio.NewReader(resp.Body), resp.Body}, nil
}

func healthyRetries(client *http.Client, url string) (resp *http.Response, err error) {
	for attempt := 0; attempt < 3; attempt++ {
		resp, err = client.Get(url) // WHY: nothing
		if err != nil {
			continue
		}
		if resp.StatusCode < 500 {
			return resp, nil
		}
		resp.Body.Close()
	}
	return nil, err
}

func healthySwitch(url string) (string, error) {
	resp, err := http.Get(url) // WHY: nothing
	switch {
	case err != nil:
		return "", err
	case resp.StatusCode >= 500:
		resp.Body.Close()
		return "", errors.New(resp.Status)
	}
	defer resp.Body.Close()
	return resp.Status, nil
}

func unknownHelper(url string, use func(*http.Response) error) error {
	resp, err := http.Get(url) // WHY: perhaps never released
	if err != nil {
		return err
	}
	return use(resp)
}

func healthyEmptyBody(client *http.Client, req *http.Request) (*http.Response, error) {
	resp, err := client.Do(req) // WHY: nothing
	if err != nil {
		return nil, err
	}
	if resp.Body == nil {
		resp.Body = io.NopCloser(strings.NewReader(""))
	}
	return resp, nil
}

type once interface{ Do(func()) }

func healthyOnce(o once) {
	o.Do(func() { log.Println("once") }) // WHY: nothing
}
