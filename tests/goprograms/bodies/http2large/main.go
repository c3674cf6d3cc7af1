// HTTP/2: a subscription is opened for the sake of its headers, and its stream stays open for ever.
package main

import (
	"crypto/tls"
	"errors"
	"io"
	"net/http"

	"example.com/goprograms/internal/harness"
	"example.com/goprograms/internal/truth"
)

type broker struct {
	base string
	http *http.Client
}

func newBroker(base string) *broker {
	return &broker{base: base, http: &http.Client{Transport: &http.Transport{
		ForceAttemptHTTP2: true,
		TLSClientConfig:   &tls.Config{InsecureSkipVerify: true},
	}}}
}

func (b *broker) topicType(topic string, fixed bool) (string, error) {
	resp, err := b.http.Get(b.base + "/sse?ms=3600000&topic=" + topic) // LEAK: http-body main.(*broker).topicType
	if err != nil {
		return "", err
	}
	truth.Opened("guilty")
	if fixed {
		defer truth.Closed("guilty")
		defer resp.Body.Close()
	}
	if resp.ProtoMajor != 2 {
		return "", errors.New("broker: not HTTP/2")
	}
	return resp.Header.Get("Content-Type"), nil
}

func (b *broker) publish(n string) (int64, error) {
	resp, err := b.http.Get(b.base + "/large?n=" + n)
	if err != nil {
		return 0, err
	}
	truth.Opened("publish")
	defer truth.Closed("publish")
	defer resp.Body.Close()
	return io.Copy(io.Discard, resp.Body)
}

func main() {
	program := harness.Start()
	b := newBroker(program.Peers().H2)
	_, err := b.topicType("start", true)
	harness.Must(err)
	program.Ready()
	program.Every(func(int) {
		b.topicType("orders", program.Fixed)
		b.publish("3000")
	})
}
