// Opens and closes descriptors of every kind the standard library has, on command, and counts them itself.
//
// A command is "KIND TIMES"; the answer says what TIMES of it left open: {"done": {"kind": "pipes", "open": 4}}.
package main

import (
	"bufio"
	"encoding/json"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"
)

// kind does its thing once and says how many descriptors it left open.
type kind func() int

var (
	kinds = map[string]kind{
		"files": files, "closedFiles": closedFiles, "dirs": dirs, "readDir": readDir, "pipes": pipes,
		"halfPipes": halfPipes, "tcp": tcp, "closedTCP": closedTCP, "duplicates": duplicates,
		"fileConns": fileConns, "unixSockets": unixSockets, "datagrams": datagrams, "refused": refused,
		"commands": commands, "outputs": outputs, "processes": processes, "rawClosed": rawClosed,
		"rawOpened": rawOpened, "hardClosed": hardClosed, "wrapped": wrapped, "memoryPipes": memoryPipes,
		"forgotten": forgotten, "forgottenTCP": forgottenTCP, "forgottenProcesses": forgottenProcesses,
		"ports": ports, "splices": splices, "churn": churn,
	}
	kept []any
	dir  string
	tcpL net.Listener
)

func keep(things ...any) { kept = append(kept, things...) }

func must[T any](value T, err error) T {
	if err != nil {
		panic(err)
	}
	return value
}

func files() int {
	file := must(os.Open(filepath.Join(dir, "file")))
	keep(file)
	return 1
}

func closedFiles() int {
	file := must(os.Create(filepath.Join(dir, "scratch")))
	file.WriteString("scratch")
	file.Close()
	must(os.ReadFile(file.Name()))
	return 0
}

func dirs() int {
	directory := must(os.Open(dir))
	must(directory.ReadDir(-1))
	keep(directory)
	return 1
}

func readDir() int {
	must(os.ReadDir(dir))
	filepath.WalkDir(dir, func(string, os.DirEntry, error) error { return nil })
	made := must(os.MkdirTemp(dir, "made-"))
	must(os.Create(filepath.Join(made, "inner"))).Close()
	os.RemoveAll(made)
	return 0
}

func pipes() int {
	r, w, err := os.Pipe()
	if err != nil {
		panic(err)
	}
	keep(r, w)
	return 2
}

func halfPipes() int {
	r, w, err := os.Pipe()
	if err != nil {
		panic(err)
	}
	w.Close()
	keep(r)
	return 1
}

func tcp() int {
	conn := must(net.Dial("tcp", tcpL.Addr().String()))
	peer := must(tcpL.Accept())
	keep(conn, peer)
	return 2
}

func closedTCP() int {
	conn := must(net.Dial("tcp", tcpL.Addr().String()))
	peer := must(tcpL.Accept())
	conn.Close()
	peer.Close()
	return 0
}

func duplicates() int {
	conn := must(net.Dial("tcp", tcpL.Addr().String()))
	peer := must(tcpL.Accept())
	file := must(conn.(*net.TCPConn).File())
	conn.Close()
	peer.Close()
	keep(file)
	return 1
}

func fileConns() int {
	conn := must(net.Dial("tcp", tcpL.Addr().String()))
	peer := must(tcpL.Accept())
	file := must(conn.(*net.TCPConn).File())
	again := must(net.FileConn(file))
	conn.Close()
	peer.Close()
	file.Close()
	keep(again)
	return 1
}

func unixSockets() int {
	listener := must(net.Listen("unix", filepath.Join(dir, "s"+strconv.Itoa(len(kept)))))
	conn := must(net.Dial("unix", listener.Addr().String()))
	peer := must(listener.Accept())
	peer.Close()
	keep(listener, conn)
	return 2
}

func datagrams() int {
	bound := must(net.ListenPacket("udp", "127.0.0.1:0"))
	sender := must(net.Dial("udp", bound.LocalAddr().String()))
	fmt.Fprint(sender, "hello")
	bound.Close()
	keep(sender)
	return 1
}

// refused: one connect fails at once, the other when the poller says so.
func refused() int {
	if _, err := net.Dial("unix", filepath.Join(dir, "nobody")); err == nil {
		panic("somebody listens there")
	}
	listener := must(net.Listen("tcp", "127.0.0.1:0"))
	listener.Close()
	if _, err := net.DialTimeout("tcp", listener.Addr().String(), time.Second); err == nil {
		panic("somebody listens there")
	}
	return 0
}

func commands() int {
	must(exec.Command("true").CombinedOutput())
	return 0
}

func outputs() int {
	command := exec.Command("echo", "hello")
	out := must(command.StdoutPipe())
	if err := command.Start(); err != nil {
		panic(err)
	}
	bufio.NewReader(out).ReadString('\n')
	command.Wait()
	return 0
}

// processes are started and not waited for: where the kernel gives a descriptor for a process, it stays.
func processes() int {
	before := countFds()
	keep(must(os.StartProcess("/bin/true", []string{"true"}, &os.ProcAttr{})))
	return countFds() - before
}

func rawClosed() int {
	file := must(os.Open(filepath.Join(dir, "file")))
	keep(file) // its finalizer would close the number again, which is another's by then
	syscall.Close(int(file.Fd()))
	return 0
}

// rawOpened is seen by nobody.
func rawOpened() int {
	fd := must(syscall.Open(filepath.Join(dir, "file"), syscall.O_RDONLY|syscall.O_CLOEXEC, 0))
	syscall.Close(fd)
	return 0
}

func hardClosed() int {
	file := must(os.Open(filepath.Join(dir, "file")))
	keep(file)
	syscall.RawSyscall(syscall.SYS_CLOSE, file.Fd(), 0, 0)
	return 0
}

func wrapped() int {
	fd := must(syscall.Open(filepath.Join(dir, "file"), syscall.O_RDONLY|syscall.O_CLOEXEC, 0))
	keep(os.NewFile(uintptr(fd), "wrapped"))
	return 1
}

func memoryPipes() int {
	a, b := net.Pipe()
	keep(a, b)
	return 0
}

// What is forgotten is closed by the garbage collector.
func forgotten() int { return forget(forgetFile) }

func forgottenTCP() int { return forget(forgetTCP) }

func forgottenProcesses() int { return forget(forgetProcess) }

func forget(open func()) int {
	before := countFds()
	open()
	for tries := 0; countFds() > before && tries < 400; tries++ {
		runtime.GC()
		time.Sleep(5 * time.Millisecond)
	}
	return countFds() - before
}

//go:noinline
func forgetFile() {
	file := must(os.Open(filepath.Join(dir, "file")))
	file.Stat()
}

//go:noinline
func forgetTCP() {
	conn := must(net.Dial("tcp", tcpL.Addr().String()))
	peer := must(tcpL.Accept())
	conn.Write([]byte("hello"))
	peer.Close()
}

//go:noinline
func forgetProcess() {
	process := must(os.StartProcess("/bin/true", []string{"true"}, &os.ProcAttr{}))
	process.Signal(syscall.Signal(0))
}

func ports() int {
	keep(must(net.Listen("tcp", "127.0.0.1:0")))
	return 1
}

// splices: io.Copy between sockets takes a pipe of internal/poll's own pool.
func splices() int {
	from := must(net.Dial("tcp", tcpL.Addr().String())).(*net.TCPConn)
	in := must(tcpL.Accept()).(*net.TCPConn)
	to := must(net.Dial("tcp", tcpL.Addr().String())).(*net.TCPConn)
	out := must(tcpL.Accept()).(*net.TCPConn)
	from.Write([]byte("hello"))
	from.CloseWrite()
	to.ReadFrom(in)
	for _, conn := range []net.Conn{from, in, to, out} {
		conn.Close()
	}
	return 0
}

// churn has numbers go from one goroutine to another as fast as they can, and a few stay open.
func churn() int {
	var wait sync.WaitGroup
	var mu sync.Mutex
	for range 8 {
		wait.Add(1)
		go func() {
			defer wait.Done()
			for i := range 50 {
				file := must(os.Open(filepath.Join(dir, "file")))
				r, w, err := os.Pipe()
				if err != nil {
					panic(err)
				}
				r.Close()
				w.Close()
				if i%25 != 0 {
					file.Close()
					continue
				}
				mu.Lock()
				keep(file)
				mu.Unlock()
			}
		}()
	}
	wait.Wait()
	return 16
}

func countFds() int {
	// The listing itself has one open.
	return len(must(os.ReadDir("/proc/self/fd"))) - 1
}

func main() {
	dir = must(os.MkdirTemp("", "oddfds-"))
	defer os.RemoveAll(dir)
	if err := os.WriteFile(filepath.Join(dir, "file"), []byte("hello"), 0o600); err != nil {
		panic(err)
	}
	tcpL = must(net.Listen("tcp", "127.0.0.1:0"))
	answers := json.NewEncoder(os.Stdout)
	names := make([]string, 0, len(kinds))
	for name := range kinds {
		names = append(names, name)
	}
	answers.Encode(map[string]any{"ready": true, "kinds": names})
	lines := bufio.NewScanner(os.Stdin)
	for lines.Scan() {
		name, times, _ := strings.Cut(lines.Text(), " ")
		n, _ := strconv.Atoi(times)
		open := 0
		for range n {
			open += kinds[name]()
		}
		answers.Encode(map[string]any{"done": map[string]any{"kind": name, "open": open}})
	}
}
