// A service with the habits of real ones: helpers, options, retries, logging. What becomes of the responses is
// said above each function, as in the program "responses"; it is never run either.
package main

import (
	"bytes"
	"context"
	"encoding/json"
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/url"
	"os"
	"strconv"
	"strings"
	"sync"
	"time"
)

type Service struct {
	hc      *http.Client
	base    *url.URL
	log     *slog.Logger
	metrics interface{ Observe(string, float64) }
	onResp  func(*http.Response)
	cache   map[string]io.ReadCloser
}

type APIError struct {
	Code int
	Msg  string
}

func (e *APIError) Error() string { return strconv.Itoa(e.Code) + e.Msg }

// want: handed
//
//go:noinline
func (s *Service) send(ctx context.Context, method, path string, in any) (*http.Response, error) {
	var buf bytes.Buffer
	if in != nil {
		if err := json.NewEncoder(&buf).Encode(in); err != nil {
			return nil, err
		}
	}
	u := s.base.JoinPath(path)
	req, err := http.NewRequestWithContext(ctx, method, u.String(), &buf)
	if err != nil {
		return nil, fmt.Errorf("request: %w", err)
	}
	req.Header.Set("Content-Type", "application/json")
	start := time.Now()
	resp, err := s.hc.Do(req)
	s.log.Info("sent", "method", method, "took", time.Since(start))
	if err != nil {
		return nil, fmt.Errorf("send: %w", err)
	}
	return resp, nil
}

// want: sometimes
//
//go:noinline
func (s *Service) Call(ctx context.Context, path string, out any) error {
	req, err := http.NewRequestWithContext(ctx, "GET", path, nil)
	if err != nil {
		return err
	}
	resp, err := s.hc.Do(req)
	if err != nil {
		return err
	}
	s.log.Info("got", "status", resp.StatusCode)
	if resp.StatusCode >= 400 {
		return &APIError{resp.StatusCode, resp.Status} // leaks here
	}
	defer resp.Body.Close()
	if out == nil {
		return nil
	}
	return json.NewDecoder(resp.Body).Decode(out)
}

// want: closed
//
//go:noinline
func (s *Service) CallOK(ctx context.Context, path string, out any) (err error) {
	req, err := http.NewRequestWithContext(ctx, "GET", path, nil)
	if err != nil {
		return err
	}
	resp, err := s.hc.Do(req)
	if err != nil {
		return err
	}
	defer func() {
		_, _ = io.CopyN(io.Discard, resp.Body, 4096)
		if cerr := resp.Body.Close(); err == nil {
			err = cerr
		}
	}()
	switch {
	case resp.StatusCode == http.StatusNotFound:
		return os.ErrNotExist
	case resp.StatusCode >= 400:
		b, _ := io.ReadAll(io.LimitReader(resp.Body, 1024))
		return &APIError{resp.StatusCode, string(b)}
	}
	return xml.NewDecoder(resp.Body).Decode(out)
}

// want: unknown
//
//go:noinline
func (s *Service) Hook(u string) error {
	resp, err := s.hc.Get(u)
	if err != nil {
		return err
	}
	s.onResp(resp)
	return nil
}

// want: sometimes
//
//go:noinline
func (s *Service) Observe(u string) error {
	resp, err := s.hc.Get(u)
	if err != nil {
		return err
	}
	s.metrics.Observe("x", float64(resp.StatusCode))
	if resp.StatusCode == 204 {
		return nil // leaks here
	}
	_, err = io.Copy(io.Discard, resp.Body)
	resp.Body.Close()
	return err
}

// want: handed
//
//go:noinline
func (s *Service) Cached(u string) (io.Reader, error) {
	if r, ok := s.cache[u]; ok {
		return r, nil
	}
	resp, err := s.hc.Get(u)
	if err != nil {
		return nil, err
	}
	s.cache[u] = resp.Body
	return resp.Body, nil
}

type page struct {
	Items []string `json:"items"`
	Next  string   `json:"next"`
}

// want: sometimes
//
//go:noinline
func (s *Service) Pages(u string) (all []string, err error) {
	for u != "" {
		resp, err := s.hc.Get(u)
		if err != nil {
			return nil, err
		}
		var p page
		err = json.NewDecoder(resp.Body).Decode(&p)
		if err != nil {
			return nil, err // leaks here
		}
		resp.Body.Close()
		all = append(all, p.Items...)
		u = p.Next
	}
	return all, nil
}

// want: closed
//
//go:noinline
func (s *Service) PagesOK(u string) (all []string, err error) {
	for u != "" {
		resp, err := s.hc.Get(u)
		if err != nil {
			return nil, err
		}
		var p page
		err = json.NewDecoder(resp.Body).Decode(&p)
		resp.Body.Close()
		if err != nil {
			return nil, err
		}
		all = append(all, p.Items...)
		u = p.Next
	}
	return all, nil
}

// want: sometimes
//
//go:noinline
func (s *Service) Backoff(ctx context.Context, u string) (int, error) {
	var last error
	for i := 0; ; i++ {
		resp, err := s.hc.Get(u) // leaks here
		if err != nil {
			last = err
		} else if resp.StatusCode < 500 {
			defer resp.Body.Close()
			return resp.StatusCode, nil
		} else {
			last = errors.New(resp.Status)
		}
		if i > 4 {
			return 0, last // leaks here
		}
		select {
		case <-ctx.Done():
			return 0, ctx.Err() // leaks here
		case <-time.After(time.Duration(i) * time.Second):
		}
	}
}

// want: closed
//
//go:noinline
func (s *Service) Once(u string) (n int64, err error) {
	resp, err := s.hc.Get(u)
	if err != nil {
		return
	}
	var once sync.Once
	closeIt := func() { resp.Body.Close() }
	n, err = io.Copy(io.Discard, resp.Body)
	once.Do(closeIt)
	return
}

// want: closed or handed
//
//go:noinline
func (s *Service) Cleanup(u string) error {
	var cleanups []func()
	defer func() {
		for _, f := range cleanups {
			f()
		}
	}()
	resp, err := s.hc.Get(u)
	if err != nil {
		return err
	}
	cleanups = append(cleanups, func() { resp.Body.Close() })
	_, err = io.Copy(os.Stdout, resp.Body)
	return err
}

// want: never
//
//go:noinline
func ping(u string) bool {
	resp, err := http.Get(u)
	return err == nil && resp.StatusCode/100 == 2 // leaks here
}

// want: never
//
//go:noinline
func waitReady(u string) error {
	for i := 0; i < 100; i++ {
		if resp, err := http.Head(u); err == nil && resp.StatusCode == 200 { // leaks here
			return nil // leaks here
		}
		time.Sleep(time.Second)
	}
	return errors.New("not ready") // leaks here
}

// want: closed
//
//go:noinline
func download(u, file string) (err error) {
	resp, err := http.Get(u)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	f, err := os.Create(file)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	if _, err := io.Copy(f, resp.Body); err != nil {
		return err
	}
	return nil
}

// want: sometimes
//
//go:noinline
func download2(u, file string) error {
	resp, err := http.Get(u)
	if err != nil {
		return err
	}
	f, err := os.Create(file)
	if err != nil {
		return err // leaks here
	}
	defer f.Close()
	defer resp.Body.Close()
	_, err = io.Copy(f, resp.Body)
	return err
}

type lazy struct {
	body io.ReadCloser
	dec  *json.Decoder
}

func (l *lazy) Close() error { return l.body.Close() }

// want: handed
//
//go:noinline
func stream(u string) (*lazy, error) {
	resp, err := http.Get(u)
	if err != nil {
		return nil, err
	}
	if ct := resp.Header.Get("Content-Type"); !strings.HasPrefix(ct, "application/json") {
		resp.Body.Close()
		return nil, errors.New(ct)
	}
	return &lazy{resp.Body, json.NewDecoder(resp.Body)}, nil
}

//go:noinline
func useStream(u string) error {
	l, err := stream(u)
	if err != nil {
		return err
	}
	defer l.Close()
	var v any
	return l.dec.Decode(&v)
}

// want: closed
//
//go:noinline
func parallel(urls []string) (sum int64) {
	var wg sync.WaitGroup
	var mu sync.Mutex
	for _, u := range urls {
		wg.Add(1)
		go func(u string) {
			defer wg.Done()
			resp, err := http.Get(u)
			if err != nil {
				return
			}
			defer resp.Body.Close()
			n, _ := io.Copy(io.Discard, resp.Body)
			mu.Lock()
			sum += n
			mu.Unlock()
		}(u)
	}
	wg.Wait()
	return sum
}

// want: handed
//
//go:noinline
func firstOf(urls []string) (*http.Response, error) {
	type answer struct {
		resp *http.Response
		err  error
	}
	ch := make(chan answer, len(urls))
	for _, u := range urls {
		go func() {
			resp, err := http.Get(u)
			ch <- answer{resp, err}
		}()
	}
	a := <-ch
	return a.resp, a.err
}

//go:noinline
func expect(resp *http.Response, code int) error {
	if resp.StatusCode != code {
		body, _ := io.ReadAll(resp.Body)
		resp.Body.Close()
		return fmt.Errorf("want %d, got %d: %s", code, resp.StatusCode, body)
	}
	return nil
}

// want: sometimes
//
//go:noinline
func create(u string, in io.Reader) (string, error) {
	resp, err := http.Post(u, "text/plain", in)
	if err != nil {
		return "", err
	}
	if err := expect(resp, 201); err != nil {
		return "", err
	}
	loc := resp.Header.Get("Location")
	if loc == "" {
		return "", errors.New("no location") // leaks here
	}
	return loc, resp.Body.Close()
}

// want: never
//
//go:noinline
func form(u string) (string, error) {
	resp, err := http.PostForm(u, url.Values{"a": {"b"}})
	if err != nil {
		return "", err
	}
	return resp.Status, nil // leaks here
}

type gen[T any] struct{ hc *http.Client }

// want: sometimes
//
//go:noinline
func (g *gen[T]) Get(u string) (v T, err error) {
	resp, err := g.hc.Get(u)
	if err != nil {
		return v, err
	}
	if resp.StatusCode != 200 {
		return v, errors.New(resp.Status) // leaks here
	}
	defer resp.Body.Close()
	err = json.NewDecoder(resp.Body).Decode(&v)
	return v, err
}

type authTransport struct {
	base  http.RoundTripper
	token string
}

func (t *authTransport) RoundTrip(r *http.Request) (*http.Response, error) {
	r = r.Clone(r.Context())
	r.Header.Set("Authorization", t.token)
	resp, err := t.base.RoundTrip(r)
	if err == nil && resp.StatusCode == 401 {
		resp.Body.Close()
		return t.base.RoundTrip(r)
	}
	return resp, err
}

// want: closed
//
//go:noinline
func bodyVar(u string) (out string) {
	var body io.ReadCloser
	if resp, err := http.Get(u); err == nil {
		body = resp.Body
	}
	if body != nil {
		defer body.Close()
		b, _ := io.ReadAll(body)
		out = string(b)
	}
	return out
}

// want: closed
//
//go:noinline
func must(u string) []byte {
	resp, err := http.Get(u)
	if err != nil {
		panic(err)
	}
	defer func() {
		if err := resp.Body.Close(); err != nil {
			slog.Error("close", "err", err)
		}
	}()
	b, err := io.ReadAll(resp.Body)
	if err != nil {
		panic(err)
	}
	return b
}

// want: never
//
//go:noinline
func poll(ctx context.Context, u string) {
	t := time.NewTicker(time.Second)
	defer t.Stop()
	for {
		select {
		case <-ctx.Done():
			return // leaks here
		case <-t.C:
			resp, err := http.Get(u) // leaks here
			if err != nil {
				continue
			}
			slog.Info("poll", "status", resp.Status)
		}
	}
}

// want: closed
//
//go:noinline
func pollOK(ctx context.Context, u string) {
	t := time.NewTicker(time.Second)
	defer t.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-t.C:
			resp, err := http.Get(u)
			if err != nil {
				continue
			}
			slog.Info("poll", "status", resp.Status)
			resp.Body.Close()
		}
	}
}

// want: sometimes
//
//go:noinline
func two(a, b string) error {
	ra, err := http.Get(a)
	if err != nil {
		return err
	}
	rb, err := headOf(b)
	if err != nil {
		return err // leaks here
	}
	defer ra.Body.Close()
	_, err = fmt.Println(ra.Status, rb)
	return err
}

//go:noinline
func headOf(u string) (string, error) { return u, nil }

// want: closed
//
//go:noinline
func tern(u string, f func(io.Reader) error) error {
	resp, err := http.Get(u)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	return f(resp.Body)
}

// want: closed
//
//go:noinline
func readClose(u string, f func(int) error) error {
	resp, err := http.Get(u)
	if err != nil {
		return err
	}
	err = f(resp.StatusCode)
	resp.Body.Close()
	return err
}

// want: closed
//
//go:noinline
func big(u string) (string, error) {
	resp, err := http.Get(u)
	if err != nil {
		return "", err
	}
	body := resp.Body
	defer body.Close()
	buf := make([]byte, 512)
	var sb strings.Builder
	for {
		n, err := body.Read(buf)
		sb.Write(buf[:n])
		if err == io.EOF {
			break
		}
		if err != nil {
			return "", err
		}
	}
	return sb.String(), nil
}

var table = []any{}

func main() {
	s := &Service{hc: http.DefaultClient, log: slog.Default()}
	table = append(table, s.Call, s.CallOK, s.Hook, s.Observe, s.Cached, s.Pages, s.PagesOK, s.Backoff, s.Once, s.Cleanup,
		ping, waitReady, download, download2, useStream, parallel, firstOf, create, form, &gen[page]{}, (*gen[page]).Get, (*gen[string]).Get,
		&authTransport{}, bodyVar, must, poll, pollOK, two, tern, readClose, big)
	_, err := s.send(context.Background(), "GET", "x", nil)
	fmt.Println(err, len(table))
}
