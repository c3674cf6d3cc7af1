// A table of jobs whose fetch is a method value of the client; one runner closes, one does not.
package main

import (
	"io"
	"net/http"

	"example.com/goprograms/internal/harness"
	"example.com/goprograms/internal/truth"
)

type fetcher func(url string) (*http.Response, error)

type job struct {
	name  string
	path  string
	fetch fetcher
}

type runner struct {
	base  string
	fixed bool
	etags map[string]string
}

// warm only wants the answer to be in the cache of the other side.
func (r *runner) warm(j job) error {
	resp, err := j.fetch(r.base + j.path) // LEAK: http-body main.(*runner).warm
	if err != nil {
		return err
	}
	truth.Opened("guilty")
	r.etags[j.name] = resp.Header.Get("Etag")
	if r.fixed {
		resp.Body.Close()
		truth.Closed("guilty")
	}
	return nil
}

func (r *runner) load(j job) (int, error) {
	resp, err := j.fetch(r.base + j.path)
	if err != nil {
		return 0, err
	}
	truth.Opened("load")
	defer truth.Closed("load")
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	return len(text), err
}

func main() {
	program := harness.Start()
	client := &http.Client{}
	head := &http.Client{Transport: &http.Transport{}}
	jobs := []job{
		{"prices", "/large?n=7000", client.Get},
		{"stock", "/small", head.Get},
	}
	r := &runner{base: program.Peer, fixed: program.Fixed, etags: map[string]string{}}
	program.Ready()
	program.Every(func(i int) {
		r.warm(jobs[i%2])
		r.load(jobs[0])
		r.load(jobs[1])
	})
}
