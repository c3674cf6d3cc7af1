// Each request gets a cancellable context whose cancel nobody calls, and a body nobody closes. Either
// would have ended the other.
package main

import (
	"context"
	"net/http"
	"sync"

	"example.com/goprograms/internal/harness"
	"example.com/goprograms/internal/truth"
)

type watcher struct {
	mu      sync.Mutex
	cancels []context.CancelFunc
	root    context.Context
	fixed   bool
}

func (w *watcher) changed(url string) bool {
	ctx, cancel := context.WithCancel(w.root)
	w.remember(cancel)
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return false
	}
	resp, err := http.DefaultClient.Do(req) // LEAK: http-body main.(*watcher).changed
	if err != nil {
		return false
	}
	truth.Opened("guilty")
	if w.fixed {
		cancel() // is enough: the transport lets the connection go
		truth.Closed("guilty")
	}
	return resp.Header.Get("Etag") != ""
}

func (w *watcher) remember(cancel context.CancelFunc) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.cancels = append(w.cancels, cancel)
	if w.fixed {
		w.cancels = w.cancels[:0]
	}
}

func (w *watcher) ping(url string) bool {
	ctx, cancel := context.WithCancel(w.root)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return false
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return false
	}
	truth.Opened("ping")
	defer truth.Closed("ping")
	return resp.Body.Close() == nil
}

func main() {
	program := harness.Start()
	root, stop := context.WithCancel(context.Background())
	defer stop()
	w := &watcher{root: root, fixed: program.Fixed}
	program.Ready()
	program.Every(func(int) {
		w.changed(program.Peer + "/large?n=30000")
		w.ping(program.Peer + "/small")
	})
}
