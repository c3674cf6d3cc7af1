// Sniffing the type of an upload needs its first 512 bytes. An io.LimitReader at its end is not the
// body at its end.
package main

import (
	"io"
	"net/http"
	"os"

	"example.com/goprograms/internal/harness"
	"example.com/goprograms/internal/truth"
)

func sniff(url string, fixed bool) (kind string, err error) {
	resp, err := http.Get(url) // LEAK: http-body main.sniff
	if err != nil {
		return
	}
	truth.Opened("guilty")
	if fixed {
		defer truth.Closed("guilty")
		defer resp.Body.Close()
	}
	head, err := io.ReadAll(io.LimitReader(resp.Body, 512))
	if err != nil {
		return
	}
	return http.DetectContentType(head), nil
}

func save(url, name string) error {
	resp, err := http.Get(url)
	if err != nil {
		return err
	}
	truth.Opened("save")
	defer truth.Closed("save")
	defer resp.Body.Close()
	file, err := os.Create(name)
	if err != nil {
		return err
	}
	defer file.Close()
	_, err = io.Copy(file, resp.Body)
	return err
}

func main() {
	program := harness.Start()
	program.Ready()
	program.Every(func(int) {
		sniff(program.Peer+"/large?n=40000", program.Fixed)
		save(program.Peer+"/large?n=4000", os.DevNull)
	})
}
