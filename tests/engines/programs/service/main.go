// Command service is what the pprof and proc engines are tried on: an HTTP service that serves
// net/http/pprof in the ways services do. It prints one line, its addresses as JSON, once it listens.
package main

import (
	"bufio"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"log"
	"math/big"
	"net"
	"net/http"
	"net/http/httputil"
	"net/http/pprof"
	"net/url"
	"os"
	"runtime"
	"runtime/metrics"
	"strings"
	"syscall"
	"time"
)

var kept [][]byte

// retain is the allocation site the heap tests look for.
//
//go:noinline
func retain(megabytes int) {
	for i := 0; i < megabytes; i++ {
		kept = append(kept, make([]byte, 1<<20))
	}
}

//go:noinline
func parkForever(gate chan struct{}) { <-gate }

//go:noinline
func parkDeep(depth int, gate chan struct{}) {
	if depth > 0 {
		parkDeep(depth-1, gate)
		return
	}
	parkForever(gate)
}

// leakOne leaves a goroutine that nothing can ever wake.
//
//go:noinline
func leakOne() {
	unreachable := make(chan struct{})
	go func() { <-unreachable }()
}

func pprofMux(prefix string) *http.ServeMux {
	mux := http.NewServeMux()
	mux.HandleFunc("/debug/pprof/", pprof.Index)
	mux.HandleFunc("/debug/pprof/cmdline", pprof.Cmdline)
	mux.HandleFunc("/debug/pprof/trace", pprof.Trace)
	outer := http.NewServeMux()
	outer.Handle(prefix+"/", http.StripPrefix(strings.TrimSuffix(prefix, "/"), mux))
	return outer
}

// singleRoutes mounts a few profiles one by one, as routers without subtree patterns make people do.
func singleRoutes() *http.ServeMux {
	mux := http.NewServeMux()
	mux.HandleFunc("/debug/pprof/{$}", pprof.Index)
	mux.HandleFunc("/debug/pprof/cmdline", pprof.Cmdline)
	mux.Handle("/debug/pprof/heap", pprof.Handler("heap"))
	mux.Handle("/debug/pprof/goroutine", pprof.Handler("goroutine"))
	return mux
}

func authenticated(next http.Handler, user, password, token string) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		name, secret, ok := r.BasicAuth()
		if token != "" && r.Header.Get("Authorization") == "Bearer "+token || user != "" && ok && name == user && secret == password {
			next.ServeHTTP(w, r)
			return
		}
		w.Header().Set("WWW-Authenticate", `Basic realm="ops"`)
		http.Error(w, "who are you?", http.StatusUnauthorized)
	})
}

func selfSigned() tls.Certificate {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		log.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(1), NotAfter: time.Now().Add(time.Hour), DNSNames: []string{"nowhere.invalid"}}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		log.Fatal(err)
	}
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}
}

// stoppedSeconds sums the stop-the-world pauses that were not for a GC.
func stoppedSeconds(w http.ResponseWriter, _ *http.Request) {
	sample := []metrics.Sample{{Name: "/sched/pauses/total/other:seconds"}}
	metrics.Read(sample)
	histogram := sample[0].Value.Float64Histogram()
	total, count := 0.0, uint64(0)
	for i, n := range histogram.Counts {
		if n > 0 {
			total += float64(n) * (histogram.Buckets[i] + histogram.Buckets[i+1]) / 2
			count += n
		}
	}
	fmt.Fprintf(w, "%g %d\n", total, count)
}

func sharePort(_, _ string, conn syscall.RawConn) error {
	const soReusePort = 0xf // Linux; package syscall does not name it on amd64
	var failure error
	err := conn.Control(func(fd uintptr) {
		failure = syscall.SetsockoptInt(int(fd), syscall.SOL_SOCKET, soReusePort, 1)
	})
	return errors.Join(err, failure)
}

func main() {
	listen := flag.String("listen", "127.0.0.1:0", "TCP address; empty for none")
	unixPath := flag.String("unix", "", "unix socket path, @name for an abstract one")
	useTLS := flag.Bool("tls", false, "serve TLS with a self-signed certificate")
	clientCert := flag.Bool("client-cert", false, "with -tls: demand a client certificate")
	mount := flag.String("mount", "default", "default, prefix, single, none")
	prefix := flag.String("prefix", "/ops", "with -mount prefix: where")
	user := flag.String("user", "", "basic auth user")
	password := flag.String("password", "", "basic auth password")
	token := flag.String("token", "", "bearer token")
	goroutines := flag.Int("goroutines", 0, "parked goroutines")
	depth := flag.Int("depth", 4, "their stack depth")
	leaks := flag.Int("leaks", 0, "goroutines nothing can wake")
	megabytes := flag.Int("megabytes", 4, "heap kept by retain")
	files := flag.Int("files", 0, "descriptors of /dev/null kept open")
	forward := flag.String("forward", "", "be a reverse proxy to this URL instead")
	writeTimeout := flag.Duration("write-timeout", 0, "http.Server.WriteTimeout")
	trimArgs := flag.Bool("trim-args", false, "cut os.Args as some programs do")
	reusePort := flag.Bool("reuse-port", false, "share the TCP address with others by SO_REUSEPORT")
	slow := flag.Duration("slow", 0, "wait that long before each answer")
	silent := flag.Int("silent", 0, "listeners that accept and never answer")
	flag.Parse()
	if *trimArgs {
		os.Args = os.Args[:1]
	}

	gate := make(chan struct{})
	for i := 0; i < *goroutines; i++ {
		go parkDeep(*depth, gate)
	}
	for i := 0; i < *leaks; i++ {
		leakOne()
	}
	retain(*megabytes)
	runtime.GC()
	var open []*os.File
	for i := 0; i < *files; i++ {
		file, err := os.Open("/dev/null")
		if err != nil {
			log.Fatal(err)
		}
		open = append(open, file)
	}
	for i := 0; i < *silent; i++ {
		listener, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			log.Fatal(err)
		}
		go func() {
			for {
				conn, err := listener.Accept()
				if err != nil {
					return
				}
				go func() { _, _ = io.Copy(io.Discard, conn) }()
			}
		}()
	}

	var handler http.Handler = http.DefaultServeMux
	switch *mount {
	case "default":
		http.HandleFunc("/stopped", stoppedSeconds)
		http.HandleFunc("/leak", func(http.ResponseWriter, *http.Request) { leakOne() })
	case "prefix":
		handler = pprofMux(*prefix)
	case "single":
		handler = singleRoutes()
	case "none":
		handler = http.NotFoundHandler()
	}
	if *slow > 0 {
		inner := handler
		handler = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			time.Sleep(*slow)
			inner.ServeHTTP(w, r)
		})
	}
	if *forward != "" {
		backend, err := url.Parse(*forward)
		if err != nil {
			log.Fatal(err)
		}
		handler = httputil.NewSingleHostReverseProxy(backend)
	}
	if *user != "" || *token != "" {
		handler = authenticated(handler, *user, *password, *token)
	}
	server := &http.Server{Handler: handler, WriteTimeout: *writeTimeout, ErrorLog: log.New(io.Discard, "", 0)}

	addresses := map[string]string{}
	if *listen != "" {
		config := net.ListenConfig{}
		if *reusePort {
			config.Control = sharePort
		}
		listener, err := config.Listen(context.Background(), "tcp", *listen)
		if err != nil {
			log.Fatal(err)
		}
		addresses["tcp"] = listener.Addr().String()
		if *useTLS {
			secure := &tls.Config{Certificates: []tls.Certificate{selfSigned()}}
			if *clientCert {
				secure.ClientAuth = tls.RequireAnyClientCert
			}
			listener = tls.NewListener(listener, secure)
		}
		go func() { log.Fatal(server.Serve(listener)) }()
	}
	if *unixPath != "" {
		listener, err := net.Listen("unix", *unixPath)
		if err != nil {
			log.Fatal(err)
		}
		addresses["unix"] = *unixPath
		go func() { log.Fatal(server.Serve(listener)) }()
	}
	if err := json.NewEncoder(os.Stdout).Encode(addresses); err != nil {
		log.Fatal(err)
	}
	// The tests hold the other end of stdin: when they die, so does the service.
	commands := bufio.NewScanner(os.Stdin)
	for commands.Scan() {
		if commands.Text() == "exec" { // as servers do that restart without losing their pid
			log.Fatal(syscall.Exec("/proc/self/exe", os.Args, os.Environ()))
		}
	}
	runtime.KeepAlive(open)
	runtime.KeepAlive(gate)
}
