// An object store whose Open returns an io.ReadCloser, so no *http.Response is in sight of the job that
// reads the magic number of each object and goes on to the next.
package main

import (
	"bytes"
	"context"
	"encoding/binary"
	"fmt"
	"io"
	"net/http"

	"example.com/goprograms/internal/harness"
	"example.com/goprograms/internal/truth"
)

type bucket struct {
	endpoint string
	client   *http.Client
}

// Open returns the object's content. The caller closes it.
func (b *bucket) Open(ctx context.Context, key string) (io.ReadCloser, error) {
	body, _, err := b.get(ctx, key)
	return body, err
}

func (b *bucket) get(ctx context.Context, key string) (io.ReadCloser, http.Header, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, b.endpoint+key, nil)
	if err != nil {
		return nil, nil, err
	}
	resp, err := b.client.Do(req)
	if err != nil {
		return nil, nil, err
	}
	if resp.StatusCode != http.StatusOK {
		resp.Body.Close()
		return nil, nil, fmt.Errorf("get %s: %s", key, resp.Status)
	}
	return resp.Body, resp.Header, nil
}

func magic(ctx context.Context, b *bucket, key string, fixed bool) (uint32, error) {
	object, err := b.Open(ctx, key) // LEAK: http-body main.magic
	if err != nil {
		return 0, err
	}
	truth.Opened("guilty")
	if fixed {
		defer truth.Closed("guilty")
		defer object.Close()
	}
	var number uint32
	err = binary.Read(object, binary.BigEndian, &number)
	return number, err
}

func download(ctx context.Context, b *bucket, key string) (*bytes.Buffer, error) {
	object, err := b.Open(ctx, key)
	if err != nil {
		return nil, err
	}
	truth.Opened("download")
	defer truth.Closed("download")
	defer object.Close()
	content := new(bytes.Buffer)
	_, err = content.ReadFrom(object)
	return content, err
}

func main() {
	program := harness.Start()
	b := &bucket{program.Peer, &http.Client{Transport: &http.Transport{DisableCompression: true}}}
	ctx := context.Background()
	program.Ready()
	program.Every(func(int) {
		magic(ctx, b, "/large?n=12000", program.Fixed)
		download(ctx, b, "/large?n=3000")
		b.Open(ctx, "/status/404")
	})
}
