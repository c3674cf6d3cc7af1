// An audit trail that opens a file per day and customer and keeps them all "for the next line".
package main

import (
	"fmt"
	"os"
	"path/filepath"

	"example.com/goprograms/internal/harness"
	"example.com/goprograms/internal/truth"
)

type trail struct {
	dir  string
	open map[string]*os.File
}

func (t *trail) write(name, line string, fixed bool) error {
	f, ok := t.open[name]
	if !ok {
		var err error
		f, err = os.OpenFile(filepath.Join(t.dir, name), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600) // LEAK: fd main.(*trail).write
		if err != nil {
			return err
		}
		truth.Opened("guilty")
		t.open[name] = f
	}
	if fixed {
		defer func() {
			f.Close()
			delete(t.open, name)
			truth.Closed("guilty")
		}()
	}
	_, err := fmt.Fprintln(f, line)
	return err
}

// rotate is innocent: it opens and closes.
func (t *trail) rotate(name string) error {
	f, err := os.Create(filepath.Join(t.dir, name))
	if err != nil {
		return err
	}
	truth.Opened("rotate")
	defer truth.Closed("rotate")
	defer f.Close()
	_, err = f.WriteString("rotated\n")
	return err
}

func main() {
	program := harness.Start()
	dir, err := os.MkdirTemp("", "trail-")
	harness.Must(err)
	program.AtExit(func() error { return os.RemoveAll(dir) })
	t := &trail{dir: dir, open: map[string]*os.File{}}
	program.Ready()
	program.Every(func(i int) {
		harness.Must(t.write(fmt.Sprintf("customer-%d.log", i), "paid", program.Fixed))
		harness.Must(t.rotate("current.log"))
	})
}
