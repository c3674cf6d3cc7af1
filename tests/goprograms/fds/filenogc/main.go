// Configuration is re-read with os.Open and never closed. The files are not kept either, but with so
// little garbage no collection comes to close them.
package main

import (
	"bufio"
	"os"
	"strings"

	"example.com/goprograms/internal/harness"
	"example.com/goprograms/internal/truth"
)

func setting(path, name string, fixed bool) (string, bool) {
	file, err := os.Open(path) // LEAK: fd main.setting
	if err != nil {
		return "", false
	}
	truth.Opened("guilty")
	if fixed {
		defer truth.Closed("guilty")
		defer file.Close()
	}
	scanner := bufio.NewScanner(file)
	for scanner.Scan() {
		if value, ok := strings.CutPrefix(scanner.Text(), name+"="); ok {
			return value, true
		}
	}
	return "", false
}

func hostname() string {
	name, err := os.ReadFile("/proc/sys/kernel/hostname")
	if err != nil {
		return ""
	}
	return strings.TrimSpace(string(name))
}

func main() {
	program := harness.Start()
	file, err := os.CreateTemp("", "settings-")
	harness.Must(err)
	_, err = file.WriteString("limit=10\nregion=eu\n")
	harness.Must(err)
	harness.Must(file.Close())
	program.AtExit(func() error { return os.Remove(file.Name()) })
	program.Ready()
	program.Every(func(int) {
		setting(file.Name(), "region", program.Fixed)
		hostname()
	})
}
