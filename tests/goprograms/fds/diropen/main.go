// A spool watcher keeps the directory open from one scan to the next, and opens it again all the same.
package main

import (
	"io/fs"
	"os"
	"path/filepath"

	"example.com/goprograms/internal/harness"
	"example.com/goprograms/internal/truth"
)

type spool struct {
	path string
	dirs []*os.File
}

func (s *spool) scan(fixed bool) (entries []fs.DirEntry, err error) {
	dir, err := os.Open(s.path) // LEAK: fd main.(*spool).scan
	if err != nil {
		return nil, err
	}
	truth.Opened("guilty")
	if fixed {
		defer truth.Closed("guilty")
		defer dir.Close()
	} else {
		s.dirs = append(s.dirs, dir)
	}
	return dir.ReadDir(-1)
}

func (s *spool) size() (total int64) {
	filepath.WalkDir(s.path, func(_ string, entry fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if info, err := entry.Info(); err == nil {
			total += info.Size()
		}
		return nil
	})
	return total
}

func main() {
	program := harness.Start()
	dir, err := os.MkdirTemp("", "spool-")
	harness.Must(err)
	harness.Must(os.WriteFile(filepath.Join(dir, "job-1"), []byte("print me"), 0o600))
	program.AtExit(func() error { return os.RemoveAll(dir) })
	s := &spool{path: dir}
	program.Ready()
	program.Every(func(int) {
		s.scan(program.Fixed)
		s.size()
	})
}
