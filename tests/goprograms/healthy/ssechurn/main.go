// HEALTHY: event streams that come and go, some quiet for long: about fifteen at any time.
package main

import (
	"bufio"
	"context"
	"fmt"
	"math/rand/v2"
	"net/http"
	"time"

	"example.com/goprograms/internal/harness"
	"example.com/goprograms/internal/truth"
)

type listener struct {
	client *http.Client
	base   string
}

func (l *listener) listen(ctx context.Context, quiet time.Duration) error {
	url := fmt.Sprintf("%s/sse?ms=%d", l.base, quiet.Milliseconds())
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return err
	}
	resp, err := l.client.Do(req)
	if err != nil {
		return err
	}
	truth.Opened("listen")
	defer truth.Closed("listen")
	defer resp.Body.Close()
	reader := bufio.NewReader(resp.Body)
	for {
		if _, err := reader.ReadString('\n'); err != nil {
			return err
		}
	}
}

func main() {
	program := harness.Start()
	l := &listener{&http.Client{}, program.Peer}
	for i := range 15 {
		go func() {
			for {
				ctx, cancel := context.WithTimeout(context.Background(), time.Duration(2+rand.IntN(12))*time.Second)
				l.listen(ctx, time.Duration(50+400*i)*time.Millisecond)
				cancel()
			}
		}()
	}
	program.Ready()
	select {}
}
