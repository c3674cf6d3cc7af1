// A handler whose parser panics on an unexpected record. The middleware recovers, the service lives,
// and the Close at the end of the function is never reached.
package main

import (
	"bufio"
	"fmt"
	"net/http"
	"strings"

	"example.com/goprograms/internal/harness"
	"example.com/goprograms/internal/truth"
)

type server struct {
	upstream string
	client   http.Client
	fixed    bool
}

func (s *server) showPrice(w http.ResponseWriter, r *http.Request) {
	column := 1
	if strings.HasSuffix(r.URL.RawQuery, "0") || strings.HasSuffix(r.URL.RawQuery, "5") {
		column = 7 // there are not that many
	}
	resp, err := s.client.Get(s.upstream + "/ndjson?n=2000") // LEAK: http-body main.(*server).showPrice
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadGateway)
		return
	}
	truth.Opened("guilty")
	if s.fixed {
		defer truth.Closed("guilty")
		defer resp.Body.Close()
	}
	line, _ := bufio.NewReader(resp.Body).ReadString('\n')
	fmt.Fprintln(w, field(line, column))
	if !s.fixed {
		resp.Body.Close()
		truth.Closed("guilty")
	}
}

func field(line string, n int) string {
	return strings.Split(line, ",")[n]
}

func recovering(next http.HandlerFunc) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		defer func() {
			if problem := recover(); problem != nil {
				http.Error(w, "internal error", http.StatusInternalServerError)
			}
		}()
		next(w, r)
	}
}

func main() {
	program := harness.Start()
	program.Rate *= 5 // one visit in five panics
	s := &server{upstream: program.Peer, fixed: program.Fixed}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /price", recovering(s.showPrice))
	program.Serve(mux, "/price")
	program.Ready()
	select {}
}
