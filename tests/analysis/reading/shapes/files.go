package shapes

import (
	"bufio"
	"errors"
	"io"
	"net"
	"os"
	"strings"
)

func fileForgotten(path string) (string, error) {
	file, err := os.Open(path) // WHY: never released
	if err != nil {
		return "", err
	}
	return bufio.NewReader(file).ReadString('\n')
}

func fileBeforeStat(path string) (int64, error) {
	file, err := os.Open(path) // WHY: early return
	if err != nil {
		return 0, err
	}
	info, err := file.Stat()
	if err != nil {
		return 0, err
	}
	if info.IsDir() {
		return 0, errors.New("a directory")
	}
	defer file.Close()
	return io.Copy(io.Discard, file)
}

func fileTouched(path string) {
	os.Create(path) // WHY: discarded
}

func filesInLoop(paths []string) (lines int, err error) {
	for _, path := range paths {
		file, err := os.Open(path) // WHY: loop
		if err != nil {
			return 0, err
		}
		defer file.Close()
		scanner := bufio.NewScanner(file)
		for scanner.Scan() {
			lines++
		}
	}
	return lines, nil
}

func pipeHalf(run func(io.Writer)) (string, error) {
	r, w, err := os.Pipe() // WHY: never released
	if err != nil {
		return "", err
	}
	run(w)
	w.Close()
	text, err := io.ReadAll(r)
	return string(text), err
}

func listens() (string, error) {
	listener, err := net.Listen("tcp", "127.0.0.1:0") // WHY: never released
	if err != nil {
		return "", err
	}
	return listener.Addr().String(), nil
}

func accepts(listener net.Listener) {
	for {
		conn, err := listener.Accept() // WHY: loop
		if err != nil {
			return
		}
		line, err := bufio.NewReader(conn).ReadString('\n')
		if err != nil {
			continue
		}
		conn.Write([]byte(strings.ToUpper(line)))
		conn.Close()
	}
}

func acceptsAndServes(listener net.Listener, serve func(net.Conn)) {
	for {
		conn, err := listener.Accept() // WHY: perhaps never released
		if err != nil {
			return
		}
		go serve(conn)
	}
}

type pool struct{ conns []net.Conn }

func (p *pool) dials(address string) error {
	conn, err := net.Dial("tcp", address) // WHY: stored
	if err != nil {
		return err
	}
	p.conns = append(p.conns, conn)
	return nil
}

type handle struct{ file *os.File }

func healthyConstructor(path string) (*handle, error) {
	file, err := os.Open(path) // WHY: nothing
	if err != nil {
		return nil, err
	}
	h := &handle{file: file}
	return h, nil
}

func constructorLeaksOnError(path string) (*handle, error) {
	file, err := os.Open(path) // WHY: early return
	if err != nil {
		return nil, err
	}
	if _, err := file.Seek(10, io.SeekStart); err != nil {
		return nil, err
	}
	return &handle{file}, nil
}

func healthyFile(path string) (err error) {
	file, err := os.Create(path) // WHY: nothing
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, file.Close()) }()
	_, err = file.WriteString("x")
	return err
}

func healthyBothWays(path string) (int, error) {
	file, err := os.Open(path) // WHY: perhaps panic
	if err != nil {
		return 0, err
	}
	buffer := make([]byte, 64)
	n, err := file.Read(buffer)
	if err != nil {
		file.Close()
		return 0, err
	}
	return n, file.Close()
}

type wrappedFile struct {
	io.Reader
	closer io.Closer
}

func healthyFieldOfNew(path string) (*wrappedFile, error) {
	file, err := os.Open(path) // WHY: nothing
	if err != nil {
		return nil, err
	}
	w := new(wrappedFile)
	if err := w.init(file); err != nil {
		file.Close()
		return nil, err
	}
	w.closer = file
	return w, nil
}

func (w *wrappedFile) init(file *os.File) error {
	w.Reader = bufio.NewReader(file)
	return nil
}

func healthyMaker(path string) (*wrappedFile, error) {
	file, err := os.Open(path) // WHY: nothing
	if err != nil {
		return nil, err
	}
	return newWrapped(file), nil
}

func newWrapped(file *os.File) *wrappedFile {
	w := &wrappedFile{Reader: file}
	w.closer = file
	return w
}

func healthyFlag(path string) error {
	file, opened := os.Stdout, false
	var err error
	if path != "" {
		file, err = os.Create(path) // WHY: perhaps panic
		if err != nil {
			return err
		}
		opened = true
	}
	file.WriteString("x")
	if opened {
		return file.Close()
	}
	return nil
}

func healthySentinel(listener net.Listener) (net.Conn, error) {
	conn, err := listener.Accept() // WHY: nothing
	if err == net.ErrClosed {
		return nil, io.EOF
	}
	return conn, err
}
