// HEALTHY: files, pipes and connections opened and closed all the time, and forty that stay open.
package main

import (
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"strings"

	"example.com/goprograms/internal/harness"
	"example.com/goprograms/internal/truth"
)

func write(name string) error {
	file, err := os.Create(name)
	if err != nil {
		return err
	}
	truth.Opened("file")
	defer truth.Closed("file")
	defer os.Remove(name)
	defer file.Close()
	_, err = io.WriteString(file, "scratch\n")
	return err
}

func ping(address string) error {
	conn, err := net.Dial("tcp", address)
	if err != nil {
		return err
	}
	truth.Opened("conn")
	defer truth.Closed("conn")
	return conn.Close()
}

func main() {
	program := harness.Start()
	dir, err := os.MkdirTemp("", "churn-")
	harness.Must(err)
	program.AtExit(func() error { return os.RemoveAll(dir) })
	var kept []*os.File
	for i := range 40 {
		file, err := os.Create(filepath.Join(dir, fmt.Sprintf("segment-%d", i)))
		harness.Must(err)
		kept = append(kept, file)
	}
	address := strings.TrimPrefix(program.Peer, "http://")
	program.Ready()
	program.Every(func(i int) {
		write(filepath.Join(dir, fmt.Sprint("scratch-", i)))
		ping(address)
		fmt.Fprintln(kept[i%len(kept)], "line", i)
	})
}
