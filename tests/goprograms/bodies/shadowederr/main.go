// The deferred Close looks at a resp that := has shadowed: it is always nil.
package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net/http"

	"example.com/goprograms/internal/harness"
	"example.com/goprograms/internal/truth"
)

type event struct {
	Kind string
	Seq  int
}

type publisher struct {
	endpoint string
	client   *http.Client
	fixed    bool
}

func (p *publisher) publish(e event) (err error) {
	var resp *http.Response
	defer func() {
		if resp != nil {
			resp.Body.Close()
			truth.Closed("guilty")
		}
	}()
	payload, err := json.Marshal(e)
	if err != nil {
		return err
	}
	req, err := http.NewRequest(http.MethodPost, p.endpoint, bytes.NewReader(payload))
	if err != nil {
		return err
	}
	req.Header.Set("Content-Type", "application/json")
	if !p.fixed {
		resp, err := p.client.Do(req) // LEAK: http-body main.(*publisher).publish
		if err != nil {
			return err
		}
		truth.Opened("guilty")
		return check(resp)
	}
	if resp, err = p.client.Do(req); err != nil {
		return err
	}
	truth.Opened("guilty")
	return check(resp)
}

func check(resp *http.Response) error {
	if resp.StatusCode/100 != 2 {
		return fmt.Errorf("publish: %s", resp.Status)
	}
	return nil
}

func (p *publisher) acknowledge(seq int) error {
	resp, err := p.client.Post(p.endpoint, "text/plain", bytes.NewBufferString(fmt.Sprint(seq)))
	if err != nil {
		return err
	}
	truth.Opened("acknowledge")
	defer truth.Closed("acknowledge")
	defer resp.Body.Close()
	return check(resp)
}

func main() {
	program := harness.Start()
	p := &publisher{endpoint: program.Peer + "/echo", client: new(http.Client), fixed: program.Fixed}
	program.Ready()
	program.Every(func(i int) {
		p.publish(event{"sold", i})
		p.acknowledge(i)
	})
}
