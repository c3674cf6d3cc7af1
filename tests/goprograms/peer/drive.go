package main

import (
	"fmt"
	"io"
	"net/http"
	"strconv"
	"time"
)

// drive answers at once and then plays the visitors of the program that asked: ?url= is called
// ?rate= times a second, with i=0, 1, 2… in its query, until it stops answering.
func drive(w http.ResponseWriter, r *http.Request) {
	rate, err := strconv.ParseFloat(r.URL.Query().Get("rate"), 64)
	if err != nil || rate <= 0 {
		http.Error(w, "rate must be a positive number", http.StatusBadRequest)
		return
	}
	go visit(r.URL.Query().Get("url"), time.Duration(float64(time.Second)/rate))
}

func visit(url string, interval time.Duration) {
	client := &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: 16}, Timeout: time.Minute}
	defer client.CloseIdleConnections()
	failed := make(chan struct{}, 1)
	tickets := make(chan struct{}, 64) // visitors under way
	ticker := time.NewTicker(interval)
	defer ticker.Stop()
	for i := 0; ; i++ {
		<-ticker.C
		select {
		case <-failed:
			return
		case tickets <- struct{}{}:
		default:
			continue
		}
		go func() {
			defer func() { <-tickets }()
			resp, err := client.Get(fmt.Sprintf("%s?i=%d", url, i))
			if err != nil {
				select {
				case failed <- struct{}{}:
				default:
				}
				return
			}
			defer resp.Body.Close()
			io.Copy(io.Discard, resp.Body)
		}()
	}
}
