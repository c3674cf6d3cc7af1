package main

import (
	"compress/gzip"
	"io"
	"net/http"
)

func pack(w http.ResponseWriter, payload string) {
	w.Header().Set("Content-Encoding", "gzip")
	out := gzip.NewWriter(w)
	defer out.Close()
	io.WriteString(out, payload)
}
