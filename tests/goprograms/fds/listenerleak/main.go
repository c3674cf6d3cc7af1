// Each transfer listens on a port of its own (like passive FTP) and leaves it open.
package main

import (
	"net"
	"sync"

	"example.com/goprograms/internal/harness"
	"example.com/goprograms/internal/truth"
)

type transfers struct {
	mu        sync.Mutex
	listeners map[string]net.Listener
}

func (t *transfers) passive() (string, error) {
	listener, err := net.Listen("tcp", "127.0.0.1:0") // LEAK: fd main.(*transfers).passive
	if err != nil {
		return "", err
	}
	truth.Opened("guilty")
	address := listener.Addr().String()
	t.mu.Lock()
	defer t.mu.Unlock()
	t.listeners[address] = listener
	return address, nil
}

func (t *transfers) finish(address string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if listener, ok := t.listeners[address]; ok {
		listener.Close()
		truth.Closed("guilty")
		delete(t.listeners, address)
	}
}

// freePort is how tests find one: it closes.
func freePort() (int, error) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return 0, err
	}
	truth.Opened("port")
	defer truth.Closed("port")
	defer listener.Close()
	return listener.Addr().(*net.TCPAddr).Port, nil
}

func main() {
	program := harness.Start()
	t := &transfers{listeners: map[string]net.Listener{}}
	program.Ready()
	program.Every(func(int) {
		address, err := t.passive()
		if err == nil && program.Fixed {
			t.finish(address)
		}
		freePort()
	})
}
