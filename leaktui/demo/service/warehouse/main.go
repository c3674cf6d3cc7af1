// Warehouse is the upstream of the storefront: it knows the stock of every article. It runs in a
// process of its own, so that everything seen in the storefront is the storefront's.
package main

import (
	"encoding/json"
	"fmt"
	"log"
	"net"
	"net/http"
	"strconv"
	"strings"
	"time"

	"example.com/shop/internal/lifeline"
)

const articles = 500

func main() {
	lifeline.Hold()
	mux := http.NewServeMux()
	mux.HandleFunc("GET /stock/{article}", stock)
	mux.HandleFunc("GET /price/{article}", price)
	mux.HandleFunc("GET /catalogue", catalogue)
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		log.Fatal(err)
	}
	if err := lifeline.Ready(map[string]any{"url": "http://" + listener.Addr().String()}); err != nil {
		log.Fatal(err)
	}
	log.Fatal(http.Serve(listener, mux))
}

// stock answers 404 for one article in three: it was discontinued.
func stock(w http.ResponseWriter, r *http.Request) {
	article, err := strconv.Atoi(r.PathValue("article"))
	if err != nil || article < 0 {
		http.Error(w, "no such article", http.StatusBadRequest)
		return
	}
	w.Header().Set("Content-Type", "application/json")
	if article%3 == 0 {
		w.WriteHeader(http.StatusNotFound)
		fmt.Fprintf(w, `{"article":%d,"error":"discontinued","see":%q}`+"\n", article, strings.Repeat("x", 200))
		return
	}
	json.NewEncoder(w).Encode(map[string]int{"article": article, "stock": article * 7 % 43})
}

// price thinks for as long as the query says, 2 ms by default.
func price(w http.ResponseWriter, r *http.Request) {
	pause := 2 * time.Millisecond
	if ms, err := strconv.Atoi(r.URL.Query().Get("ms")); err == nil && 0 <= ms && ms <= 10_000 {
		pause = time.Duration(ms) * time.Millisecond
	}
	select {
	case <-time.After(pause):
		json.NewEncoder(w).Encode(map[string]any{"article": r.PathValue("article"), "cents": 1299})
	case <-r.Context().Done():
	}
}

func catalogue(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Content-Type", "text/csv")
	for article := range articles {
		fmt.Fprintf(w, "%d,article %d,%d\n", article, article, 500+article*37%9000)
	}
}
