// Responses are put aside in a map, to be read when somebody asks for the export. Nobody does.
package main

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"sync"

	"example.com/goprograms/internal/harness"
	"example.com/goprograms/internal/truth"
)

type exports struct {
	sync.Mutex
	client  *http.Client
	base    string
	pending map[string]*http.Response
}

var errUnknown = errors.New("no such export")

func (e *exports) begin(id string) error {
	resp, err := e.client.Get(e.base + "/large?n=50000&id=" + id) // LEAK: http-body main.(*exports).begin
	if err != nil {
		return err
	}
	truth.Opened("guilty")
	e.Lock()
	e.pending[id] = resp
	e.Unlock()
	return nil
}

func (e *exports) finish(id string, to io.Writer) (int64, error) {
	e.Lock()
	resp, ok := e.pending[id]
	delete(e.pending, id)
	e.Unlock()
	if !ok {
		return 0, errUnknown
	}
	defer truth.Closed("guilty")
	defer resp.Body.Close()
	return io.Copy(to, resp.Body)
}

func (e *exports) preview(id string) (int64, error) {
	resp, err := e.client.Get(e.base + "/large?n=500&id=" + id)
	if err != nil {
		return 0, err
	}
	truth.Opened("preview")
	defer truth.Closed("preview")
	defer resp.Body.Close()
	return io.Copy(io.Discard, resp.Body)
}

func main() {
	program := harness.Start()
	e := &exports{client: &http.Client{}, base: program.Peer, pending: make(map[string]*http.Response)}
	program.Ready()
	program.Every(func(i int) {
		id := fmt.Sprintf("export-%d", i)
		e.preview(id)
		e.begin(id)
		if program.Fixed || i%5 == 0 {
			e.finish(id, io.Discard)
		}
	})
}
