// A client with a (generous) Timeout wraps every body once more. The timeout would end the leak in ten
// minutes; at twenty a second that is twelve thousand connections.
package main

import (
	"bufio"
	"io"
	"net/http"
	"time"

	"example.com/goprograms/internal/harness"
	"example.com/goprograms/internal/truth"
)

var client = http.Client{Timeout: 10 * time.Minute}

func firstLines(url string, n int, fixed bool) (lines []string) {
	resp, err := client.Get(url) // LEAK: http-body main.firstLines
	if err != nil {
		return nil
	}
	truth.Opened("guilty")
	if fixed {
		defer truth.Closed("guilty")
		defer resp.Body.Close()
	}
	scanner := bufio.NewScanner(resp.Body)
	for scanner.Scan() && len(lines) < n {
		lines = append(lines, scanner.Text())
	}
	return lines
}

func countLines(url string) (n int) {
	resp, err := client.Get(url)
	if err != nil {
		return 0
	}
	truth.Opened("count")
	defer truth.Closed("count")
	defer resp.Body.Close()
	reader := bufio.NewReader(resp.Body)
	for {
		if _, err := reader.ReadString('\n'); err == io.EOF {
			return n
		}
		n++
	}
}

func main() {
	program := harness.Start()
	program.Ready()
	program.Every(func(int) {
		firstLines(program.Peer+"/ndjson?n=5000", 3, program.Fixed)
		countLines(program.Peer + "/ndjson?n=20")
	})
}
