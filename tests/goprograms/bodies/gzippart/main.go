// A CSV import that unpacks by hand. It closes the gzip reader, which does not close what it reads.
package main

import (
	"compress/gzip"
	"encoding/csv"
	"fmt"
	"io"
	"net/http"

	"example.com/goprograms/internal/harness"
	"example.com/goprograms/internal/truth"
)

func columns(url string, fixed bool) (int, error) {
	req, err := http.NewRequest("GET", url, nil)
	if err != nil {
		return 0, err
	}
	req.Header.Set("Accept-Encoding", "gzip") // from here on unpacking is our business
	resp, err := http.DefaultClient.Do(req)   // LEAK: http-body main.columns
	if err != nil {
		return 0, err
	}
	truth.Opened("guilty")
	if fixed {
		defer truth.Closed("guilty")
		defer resp.Body.Close()
	}
	unpacked, err := gzip.NewReader(resp.Body)
	if err != nil {
		return 0, fmt.Errorf("columns: %w", err)
	}
	defer unpacked.Close()
	row, err := csv.NewReader(unpacked).Read()
	return len(row), err
}

// rows lets the transport unpack, and closes.
func rows(url string) (n int, err error) {
	resp, err := http.DefaultClient.Get(url)
	if err != nil {
		return 0, err
	}
	truth.Opened("rows")
	defer truth.Closed("rows")
	defer resp.Body.Close()
	for records := csv.NewReader(resp.Body); ; n++ {
		if _, err := records.Read(); err == io.EOF {
			return n, nil
		} else if err != nil {
			return n, err
		}
	}
}

func main() {
	program := harness.Start()
	program.Ready()
	program.Every(func(i int) {
		columns(program.Peer+"/gzip?n=8192", program.Fixed)
		rows(program.Peer + "/gzip?n=100")
	})
}
