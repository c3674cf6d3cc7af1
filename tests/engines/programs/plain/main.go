// Command plain serves HTTP and does not link net/http/pprof.
package main

import (
	"encoding/json"
	"io"
	"log"
	"net"
	"net/http"
	"os"
)

func main() {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		log.Fatal(err)
	}
	if err := json.NewEncoder(os.Stdout).Encode(map[string]string{"tcp": listener.Addr().String()}); err != nil {
		log.Fatal(err)
	}
	go func() { log.Fatal(http.Serve(listener, http.NotFoundHandler())) }()
	_, _ = io.Copy(io.Discard, os.Stdin)
}
