package main

import (
	"io"
	"net/http"
	"sync"
)

func registerStored() {
	for name, f := range map[string]any{
		"inMap": inMap, "inGlobal": inGlobal, "inStruct": (*holder).fetch, "inSlice": inSlice, "inChannel": inChannel,
		"inLocalSlice": inLocalSlice, "goroutineCloses": goroutineCloses, "goroutineForgets": goroutineForgets,
		"fanOut": fanOut, "selectSend": selectSend, "asRequestBody": asRequestBody, "waitGroup": waitGroup,
	} {
		shapes[name] = f
	}
}

var (
	responses = map[string]*http.Response{}
	last      *http.Response
	all       []*http.Response
)

// want: handed
func inMap(url string) error {
	resp, err := client.Get(url)
	if err != nil {
		return err
	}
	responses[url] = resp
	return nil
}

// want: handed
func inGlobal(url string) error {
	resp, err := client.Get(url)
	if err != nil {
		return err
	}
	last = resp
	return nil
}

type holder struct {
	mu   sync.Mutex
	resp *http.Response
	body io.ReadCloser
}

// want: handed
func (h *holder) fetch(url string) error {
	resp, err := client.Get(url)
	if err != nil {
		return err
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	h.body = resp.Body
	return nil
}

// want: handed
func inSlice(url string) error {
	resp, err := client.Get(url)
	if err != nil {
		return err
	}
	all = append(all, resp)
	return nil
}

// want: handed
func inChannel(url string, out chan<- *http.Response) {
	resp, err := client.Get(url)
	if err != nil {
		return
	}
	out <- resp
}

// want: closed
func inLocalSlice(urls []string) {
	var got []*http.Response
	for _, url := range urls {
		resp, err := client.Get(url)
		if err != nil {
			continue
		}
		got = append(got, resp)
	}
	for _, resp := range got {
		resp.Body.Close()
	}
}

// want: closed
func goroutineCloses(url string) {
	resp, err := client.Get(url)
	if err != nil {
		return
	}
	go func() {
		defer resp.Body.Close()
		io.Copy(io.Discard, resp.Body)
	}()
}

// want: handed
func goroutineForgets(url string) {
	resp, err := client.Get(url)
	if err != nil {
		return
	}
	go func() {
		io.Copy(io.Discard, resp.Body)
	}()
}

// want: handed
func fanOut(urls []string) *http.Response {
	results := make(chan *http.Response, len(urls))
	for _, url := range urls {
		go func() {
			resp, err := client.Get(url)
			if err != nil {
				return
			}
			results <- resp
		}()
	}
	return <-results
}

// want: sometimes
func selectSend(url string, out chan<- *http.Response, done <-chan struct{}) {
	resp, err := client.Get(url)
	if err != nil {
		return
	}
	select {
	case out <- resp:
	case <-done:
		// leaks here
	}
}

// want: handed
func asRequestBody(url string) error {
	resp, err := client.Get(url)
	if err != nil {
		return err
	}
	relayed, err = http.NewRequest("POST", url, resp.Body)
	return err
}

var relayed *http.Request

// want: closed
func waitGroup(url string) {
	var wait sync.WaitGroup
	resp, err := client.Get(url)
	if err != nil {
		return
	}
	wait.Add(1)
	go func() {
		defer wait.Done()
		drain(resp)
	}()
	wait.Wait()
}
