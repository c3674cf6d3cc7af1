// Command bodies1 opens HTTP/1 response bodies of every kind and leaves them as they are, or closes them.
// It says what it did: a row for each body that is open. Servers are its own, on loopback.
package main

import (
	"bufio"
	"context"
	"encoding/json"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"syscall"
	"time"
)

// row is what must be seen of one open body.
type row struct {
	Name     string `json:"name"`
	Method   string `json:"method"`
	URL      string `json:"url"`
	Status   int    `json:"status"`
	Protocol string `json:"protocol"`
	Peer     string `json:"peer"`
	FD       int    `json:"fd"`
	TLS      bool   `json:"tls"`
	Length   int64  `json:"length"` // -1: not declared
	State    string `json:"state"`
	Date     int64  `json:"date"` // 0: none, or not asked for
	Dropped  bool   `json:"dropped"`
}

var (
	rows []row
	kept []*http.Response // what is held
	mu   sync.Mutex
)

func must(err error) {
	if err != nil {
		panic(err)
	}
}

// dialer remembers the descriptor of the last connection it made, and wraps it.
type dialer struct {
	network, address string // where to go instead
	wrap             func(net.Conn) net.Conn
	fd               int
	peer             string
}

func (d *dialer) dial(ctx context.Context, network, address string) (net.Conn, error) {
	if d.address != "" {
		network, address = d.network, d.address
	}
	conn, err := (&net.Dialer{}).DialContext(ctx, network, address)
	if err != nil {
		return nil, err
	}
	raw, err := conn.(syscall.Conn).SyscallConn()
	must(err)
	must(raw.Control(func(fd uintptr) { d.fd = int(fd) }))
	d.peer = conn.RemoteAddr().String()
	if d.wrap != nil {
		return d.wrap(conn), nil
	}
	return conn, nil
}

// task is a client with a connection pool of its own.
type task struct {
	dialer
	http.Transport
	client http.Client
}

// newTask is for requests to server, if it wants a certificate trusted.
func newTask(server *httptest.Server) *task {
	t := &task{}
	if server != nil && server.TLS != nil {
		t.Transport.TLSClientConfig = server.Client().Transport.(*http.Transport).TLSClientConfig.Clone()
		t.Transport.TLSClientConfig.NextProtos = []string{"http/1.1"}
	}
	t.Transport.DialContext = t.dial
	t.client.Transport = &t.Transport
	return t
}

// open does the request, takes the row down and reads with read.
func (t *task) open(name, method, target, state string, read func(*http.Response)) *http.Response {
	req, err := http.NewRequest(method, target, nil)
	must(err)
	return t.do(name, req, state, read)
}

func (t *task) do(name string, req *http.Request, state string, read func(*http.Response)) *http.Response {
	resp, err := t.client.Do(req)
	must(err)
	date, _ := http.ParseTime(resp.Header.Get("Date"))
	seen := row{
		Name: name, Method: resp.Request.Method, URL: resp.Request.URL.String(), Status: resp.StatusCode,
		Protocol: resp.Proto, Peer: t.peer, FD: t.fd, TLS: resp.TLS != nil, Length: resp.ContentLength, State: state,
	}
	if state == "unread" && !date.IsZero() {
		seen.Date = date.Unix()
	}
	if read != nil {
		read(resp)
	}
	mu.Lock()
	rows = append(rows, seen)
	kept = append(kept, resp)
	mu.Unlock()
	return resp
}

func some(n int) func(*http.Response) {
	return func(resp *http.Response) {
		_, err := io.ReadFull(resp.Body, make([]byte, n))
		must(err)
	}
}

// reading leaves a goroutine in Read.
func reading(read func(io.Reader)) func(*http.Response) {
	return func(resp *http.Response) { go read(resp.Body) }
}

type loggedConn struct {
	name string
	log  *bufio.Writer
	net.Conn
	other *net.TCPConn // somebody else's
}

type valueConn struct{ *net.TCPConn }

type countingConn struct {
	inner net.Conn
	count [3]int
}

func (c *countingConn) Read(p []byte) (int, error)         { return c.inner.Read(p) }
func (c *countingConn) Write(p []byte) (int, error)        { return c.inner.Write(p) }
func (c *countingConn) Close() error                       { return c.inner.Close() }
func (c *countingConn) LocalAddr() net.Addr                { return c.inner.LocalAddr() }
func (c *countingConn) RemoteAddr() net.Addr               { return c.inner.RemoteAddr() }
func (c *countingConn) SetDeadline(t time.Time) error      { return c.inner.SetDeadline(t) }
func (c *countingConn) SetReadDeadline(t time.Time) error  { return c.inner.SetReadDeadline(t) }
func (c *countingConn) SetWriteDeadline(t time.Time) error { return c.inner.SetWriteDeadline(t) }

func bodies(server, secure *httptest.Server, raw string) {
	plain := func() *task { return newTask(server) }
	safe := func() *task { return newTask(secure) }

	plain().open("declared", "GET", server.URL+"/declared?n=5000", "unread", nil)
	plain().open("declared small", "GET", server.URL+"/declared?n=7", "unread", nil)
	plain().open("chunked", "GET", server.URL+"/chunked?n=100", "unread", nil)
	plain().open("missing", "DELETE", server.URL+"/status/404", "unread", nil)
	plain().open("part", "GET", server.URL+"/declared?n=5000", "part read", some(10))
	plain().open("part, past the buffer", "GET", server.URL+"/declared?n=300000", "part read", some(100000))
	plain().open("part, by large reads", "GET", server.URL+"/declared?n=2000000", "part read", some(1500000))
	plain().open("chunked part", "GET", server.URL+"/chunked?n=50000", "part read", some(40000))
	plain().open("all but the end", "GET", server.URL+"/slowend", "part read", some(100))
	plain().open("long head", "GET", server.URL+"/longhead?n=200", "unread", nil)
	plain().open("long head part", "GET", server.URL+"/longhead?n=200", "part read", some(100))
	plain().open("early hints", "GET", server.URL+"/hints", "unread", nil)
	plain().open("odd url", "GET", server.URL+"/status/410?q=a%20b&c=%C3%A4#frag", "unread", nil)
	plain().open("escaped", "GET", server.URL+"/any/a%2Fb%20c/%E2%82%AC", "unread", nil)

	t := plain()
	req, _ := http.NewRequest("GET", server.URL+"/any/user", nil)
	req.URL.User = url.UserPassword("me", "p w/d")
	t.do("userinfo", req, "unread", nil)

	t = plain()
	req, _ = http.NewRequest("POST", server.URL+"/status/201", strings.NewReader(strings.Repeat("x", 100000)))
	t.do("post", req, "unread", nil)

	t = plain()
	req, _ = http.NewRequest("PUT", server.URL+"/status/202", strings.NewReader("continue?"))
	req.Header.Set("Expect", "100-continue")
	t.Transport.ExpectContinueTimeout = time.Second
	t.do("expect", req, "unread", nil)

	t = plain()
	t.Transport.ReadBufferSize = 64 << 10
	t.open("large buffer", "GET", server.URL+"/declared?n=20000", "unread", nil)

	t = plain()
	t.client.Timeout = time.Hour
	t.open("client timeout", "GET", server.URL+"/declared?n=9000", "part read", some(8000))

	t = plain()
	ctx, cancel := context.WithTimeout(context.WithValue(context.Background(), t, "value"), time.Hour)
	_ = cancel
	req, _ = http.NewRequestWithContext(ctx, "GET", server.URL+"/declared?n=900", nil)
	t.do("context", req, "unread", nil)

	t = plain()
	for range 3 {
		resp, err := t.client.Get(server.URL + "/declared?n=50")
		must(err)
		io.Copy(io.Discard, resp.Body)
		resp.Body.Close()
	}
	t.open("used before", "GET", server.URL+"/status/503", "unread", nil)

	plain().open("redirected", "GET", server.URL+"/redirect", "unread", nil)
	t = plain()
	t.client.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	t.open("not redirected", "GET", server.URL+"/redirect", "unread", nil)

	plain().open("gzip", "GET", server.URL+"/gzip", "unread", nil)
	plain().open("gzip part", "GET", server.URL+"/gzip", "part read", some(5000))
	plain().open("closing", "GET", server.URL+"/closing", "unread", nil)

	plain().open("http/1.0", "GET", raw+"/old", "unread", nil)
	plain().open("http/1.0 part", "GET", raw+"/old", "part read", some(3))
	plain().open("bare", "GET", raw+"/bare", "unread", nil)
	plain().open("mimicry", "GET", raw+"/mimicry", "part read", some(40))

	safe().open("tls", "GET", secure.URL+"/declared?n=5000", "unread", nil)
	safe().open("tls part", "GET", secure.URL+"/declared?n=500000", "part read", some(100000))
	safe().open("tls chunked", "GET", secure.URL+"/chunked?n=10", "unread", nil)

	// Connections of the user's own making.
	for name, wrap := range map[string]func(net.Conn) net.Conn{
		"embedded": func(c net.Conn) net.Conn { return &loggedConn{"x", bufio.NewWriter(os.Stderr), c, stranger()} },
		"by value": func(c net.Conn) net.Conn { return valueConn{c.(*net.TCPConn)} },
		"field":    func(c net.Conn) net.Conn { return &countingConn{inner: c} },
		"nested": func(c net.Conn) net.Conn {
			return &countingConn{inner: &loggedConn{"y", nil, loggedConn{"z", nil, c, nil}, stranger()}}
		},
	} {
		t = plain()
		t.wrap = wrap
		t.open("wrapped "+name, "GET", server.URL+"/declared?n=100", "unread", nil)
		t = safe()
		t.wrap = wrap
		t.open("wrapped tls "+name, "GET", secure.URL+"/declared?n=100", "part read", some(50))
	}

	// Somebody reads.
	plain().open("read line by line", "GET", server.URL+"/events", "being read", reading(func(r io.Reader) {
		for lines := bufio.NewScanner(r); lines.Scan(); {
		}
	}))
	plain().open("decoded", "GET", server.URL+"/events", "being read", reading(func(r io.Reader) {
		var value any
		json.NewDecoder(r).Decode(&value)
	}))
	plain().open("copied", "GET", server.URL+"/stall", "being read", reading(func(r io.Reader) { io.Copy(io.Discard, r) }))
	plain().open("unzipped", "GET", server.URL+"/gzipstall", "being read", reading(func(r io.Reader) { io.ReadAll(r) }))
	safe().open("read over tls", "GET", secure.URL+"/stall", "being read", reading(func(r io.Reader) { io.ReadAll(r) }))
	t = plain()
	t.wrap = func(c net.Conn) net.Conn { return &countingConn{inner: c} }
	t.open("read, wrapped", "GET", server.URL+"/stall", "being read", reading(func(r io.Reader) { io.ReadAll(r) }))
}

// stranger is a connection that has nothing to do with the request.
func stranger() *net.TCPConn {
	conn, err := net.Dial("tcp", other.Addr().String())
	must(err)
	return conn.(*net.TCPConn)
}

var other net.Listener

// elsewhere opens bodies by ways that are not there on every machine, and through proxies.
func elsewhere(handler http.Handler, server, secure *httptest.Server) {
	directory, err := os.MkdirTemp("", "bodies1-")
	must(err)
	defer os.RemoveAll(directory)
	path := filepath.Join(directory, "socket")
	listener, err := net.Listen("unix", path)
	must(err)
	go http.Serve(listener, handler)
	t := newTask(nil)
	t.network, t.address = "unix", path
	t.open("unix socket", "GET", "http://unix/declared?n=100", "unread", nil)
	t = newTask(nil)
	t.network, t.address = "unix", path
	t.open("unix socket part", "GET", "http://unix/declared?n=100", "part read", some(99))

	if listener, err := net.Listen("tcp", "[::1]:0"); err == nil {
		go http.Serve(listener, handler)
		newTask(nil).open("ipv6", "GET", "http://"+listener.Addr().String()+"/status/418", "unread", nil)
	}

	proxy := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method != http.MethodConnect {
			r.URL.Scheme, r.URL.Host = "http", server.Listener.Addr().String()
			handler.ServeHTTP(w, r)
			return
		}
		to, err := net.Dial("tcp", r.Host)
		must(err)
		from, buffered, err := w.(http.Hijacker).Hijack()
		must(err)
		io.WriteString(from, "HTTP/1.1 200 Connection established\r\n\r\n")
		go io.Copy(to, buffered) // what came early, too
		io.Copy(from, to)
	}))
	proxyURL, _ := url.Parse(proxy.URL)
	t = newTask(nil)
	t.Transport.Proxy = http.ProxyURL(proxyURL)
	t.open("by proxy", "GET", "http://example.com/declared?n=30", "unread", nil)
	t = newTask(secure)
	t.Transport.Proxy = http.ProxyURL(proxyURL)
	t.open("by connect", "GET", secure.URL+"/declared?n=300", "unread", nil)
}

// none does everything that must not be seen as an open body. It returns how many connections are idle and how
// many requests wait for an answer.
func none(server *httptest.Server, raw string) (idle, awaiting int) {
	for _, path := range []string{"/declared?n=0", "/status/204", "/declared?n=9", "/chunked?n=9"} {
		resp, err := newTask(server).client.Get(server.URL + path)
		must(err)
		io.Copy(io.Discard, resp.Body)
		idle++
	}
	resp, err := newTask(server).client.Head(server.URL + "/declared?n=9")
	must(err)
	kept = append(kept, resp)
	idle++

	t := newTask(server)
	t.Transport.DisableKeepAlives = true
	resp, err = t.client.Get(server.URL + "/declared?n=9")
	must(err)
	resp.Body.Close()

	req, _ := http.NewRequest("GET", raw+"/upgrade", nil)
	req.Header.Set("Connection", "upgrade")
	req.Header.Set("Upgrade", "chat")
	resp, err = newTask(nil).client.Do(req)
	must(err)
	kept = append(kept, resp)

	ctx, cancel := context.WithCancel(context.Background())
	req, _ = http.NewRequestWithContext(ctx, "GET", server.URL+"/stall", nil)
	resp, err = newTask(server).client.Do(req)
	must(err)
	kept = append(kept, resp)
	cancel()
	io.Copy(io.Discard, resp.Body)

	for _, url := range []string{server.URL + "/never", server.URL + "/never", raw + "/half"} {
		go newTask(server).client.Get(url)
		awaiting++
	}
	return idle, awaiting
}

// dropped opens bodies and forgets them; what it leaves is the collector's.
func dropped(server *httptest.Server) {
	for i := range 12 {
		t := newTask(server)
		if i%2 == 0 {
			t.open("dropped", "GET", server.URL+"/declared?n=4000", "unread", nil)
		} else {
			t.open("dropped part", "GET", server.URL+"/declared?n=4000", "part read", some(2000))
		}
		rows[len(rows)-1].Dropped = true
		kept = kept[:len(kept)-1]
		clear(kept[len(kept):cap(kept)])
	}
}

var rubbish [][]byte

func main() {
	var err error
	other, err = net.Listen("tcp", "127.0.0.1:0")
	must(err)
	handler := routes()
	server := httptest.NewServer(handler)
	secure := httptest.NewUnstartedServer(handler)
	secure.StartTLS()
	raw := rawServer()

	bodies(server, secure, raw)
	elsewhere(handler, server, secure)
	done := make(chan struct{})
	go func() { // on a stack that goes away
		dropped(server)
		close(done)
	}()
	<-done
	idle, awaiting := none(server, raw)
	time.Sleep(300 * time.Millisecond)
	for range 3 {
		runtime.GC()
		for range 20000 {
			rubbish = append(rubbish, make([]byte, 64))
		}
		rubbish = nil
	}
	json.NewEncoder(os.Stdout).Encode(map[string]any{
		"ready": true, "bodies": rows, "idle": idle, "awaiting": awaiting,
	})
	io.Copy(io.Discard, os.Stdin)
	runtime.KeepAlive(kept)
}
