// Package lifeline ties a process to whoever started it: when the pipe on stdin ends, for whatever
// reason (even kill -9 of the other side), the process exits. It also prints the line that says ready.
package lifeline

import (
	"encoding/json"
	"io"
	"os"
)

// Hold exits the process when stdin ends.
func Hold() {
	go func() {
		io.Copy(io.Discard, os.Stdin)
		os.Exit(0)
	}()
}

// Ready prints facts as one line of JSON, with "ready" and "pid".
func Ready(facts map[string]any) error {
	line := map[string]any{"ready": true, "pid": os.Getpid()}
	for name, value := range facts {
		line[name] = value
	}
	return json.NewEncoder(os.Stdout).Encode(line)
}
