// Bodyends asks a server of its own for responses and does one thing with all their bodies, as it is told on stdin:
// `h1 eof 5` has five HTTP/1 bodies read to their end and not closed. It answers with a line of JSON.
package main

import (
	"bufio"
	"context"
	"crypto/tls"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"time"
)

type asker struct {
	name   string
	client *http.Client
	base   string
}

var kept []any // bodies nobody closes, so that no collector takes them

func main() {
	askers := start()
	say(map[string]any{"ready": true, "pid": os.Getpid()})
	lines := bufio.NewScanner(os.Stdin)
	for lines.Scan() {
		var protocol, what string
		var count int
		if _, err := fmt.Sscan(lines.Text(), &protocol, &what, &count); err != nil {
			continue
		}
		answer := "ok"
		for range count {
			if err := ask(askers[protocol], what); err != nil {
				answer = err.Error()
			}
		}
		say(map[string]any{"done": answer})
	}
}

func say(value any) {
	line, _ := json.Marshal(value)
	os.Stdout.Write(append(line, '\n'))
}

func start() map[string]*asker {
	found := map[string]*asker{}
	for _, name := range []string{"h1", "tls", "h2"} {
		server := httptest.NewUnstartedServer(http.HandlerFunc(serve))
		server.EnableHTTP2 = name == "h2"
		if name == "h1" {
			server.Start()
		} else {
			server.StartTLS()
		}
		transport := &http.Transport{
			TLSClientConfig:   &tls.Config{InsecureSkipVerify: true},
			ForceAttemptHTTP2: name == "h2",
		}
		transport.RegisterProtocol("file", http.NewFileTransport(http.Dir("/")))
		found[name] = &asker{name, &http.Client{Transport: transport}, server.URL}
	}
	return found
}

// serve answers with 40,000 bytes, or what the path says.
func serve(w http.ResponseWriter, r *http.Request) {
	payload := strings.Repeat("0123456789abcdef", 2500)
	switch r.URL.Path {
	case "/nothing":
		w.WriteHeader(http.StatusNoContent)
	case "/length":
		w.Header().Set("Content-Length", fmt.Sprint(len(payload)))
		io.WriteString(w, payload)
	case "/cut":
		w.Header().Set("Content-Length", fmt.Sprint(2*len(payload)))
		io.WriteString(w, payload)
		w.(http.Flusher).Flush()
		panic(http.ErrAbortHandler)
	case "/endless":
		io.WriteString(w, payload)
		w.(http.Flusher).Flush()
		<-r.Context().Done()
	case "/packed":
		pack(w, payload)
	case "/redirect":
		w.Header().Set("Location", "/length")
		w.WriteHeader(http.StatusFound)
		io.WriteString(w, payload)
	case "/switch":
		w.Header().Set("Connection", "Upgrade")
		w.Header().Set("Upgrade", "talk")
		w.WriteHeader(http.StatusSwitchingProtocols)
	case "/old":
		conn, out, _ := w.(http.Hijacker).Hijack()
		fmt.Fprintf(out, "HTTP/1.0 200 OK\r\n\r\n%s", payload)
		out.Flush()
		conn.Close()
	default:
		io.WriteString(w, payload[:len(payload)/2])
		w.(http.Flusher).Flush()
		io.WriteString(w, payload[len(payload)/2:])
	}
}

func ask(a *asker, what string) error {
	switch what {
	case "closed":
		return a.get("/chunks", closed)
	case "twice":
		return a.get("/length", func(body io.ReadCloser) error { body.Close(); return body.Close() })
	case "unread":
		return a.get("/length", keep)
	case "part":
		return a.get("/chunks", func(body io.ReadCloser) error {
			kept = append(kept, body)
			_, err := io.ReadFull(body, make([]byte, 9))
			return err
		})
	case "eof":
		return a.get("/length", read)
	case "eof-chunks":
		return a.get("/chunks", read)
	case "eof-closed":
		return a.get("/chunks", readClosed)
	case "packed-closed":
		return a.get("/packed", closed)
	case "packed-unread":
		return a.get("/packed", keep)
	case "packed-eof":
		return a.get("/packed", read)
	case "packed-eof-closed":
		return a.get("/packed", readClosed)
	case "nothing":
		return a.get("/nothing", closed)
	case "head":
		resp, err := a.client.Head(a.base + "/length")
		if err == nil {
			err = resp.Body.Close()
		}
		return err
	case "cut":
		return a.get("/cut", func(body io.ReadCloser) error {
			if read(body) == nil {
				return fmt.Errorf("a body that was cut off was read")
			}
			return nil
		})
	case "cut-unread":
		return a.get("/cut", keep)
	case "old":
		return a.get("/old", read)
	case "redirect":
		return a.get("/redirect", closed)
	case "switch":
		return a.get("/switch", keep)
	case "file":
		resp, err := a.client.Get("file:///proc/self/status")
		if err == nil {
			err = closed(resp.Body)
		}
		return err
	case "cancelled":
		ctx, cancel := context.WithCancel(context.Background())
		return a.do(ctx, "/endless", func(body io.ReadCloser) error { cancel(); return keep(body) })
	case "cancelled-closed":
		ctx, cancel := context.WithCancel(context.Background())
		return a.do(ctx, "/endless", func(body io.ReadCloser) error {
			cancel()
			time.Sleep(20 * time.Millisecond)
			return closed(body)
		})
	case "late":
		client := *a.client
		client.Timeout = 100 * time.Millisecond
		resp, err := client.Get(a.base + "/endless")
		if err == nil {
			kept = append(kept, resp.Body)
		}
		return err
	case "conn":
		return askConn(a)
	}
	return fmt.Errorf("nothing is called %s", what)
}

func (a *asker) get(path string, use func(io.ReadCloser) error) error {
	return a.do(context.Background(), path, use)
}

func (a *asker) do(ctx context.Context, path string, use func(io.ReadCloser) error) error {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, a.base+path, nil)
	if err != nil {
		return err
	}
	resp, err := a.client.Do(req)
	if err != nil {
		return err
	}
	return use(resp.Body)
}

func closed(body io.ReadCloser) error { return body.Close() }

func keep(body io.ReadCloser) error {
	kept = append(kept, body)
	return nil
}

func read(body io.ReadCloser) error {
	kept = append(kept, body)
	_, err := io.Copy(io.Discard, body)
	return err
}

func readClosed(body io.ReadCloser) error {
	defer body.Close()
	return read(body)
}
