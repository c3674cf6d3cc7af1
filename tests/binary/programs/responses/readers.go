package main

import (
	"bufio"
	"compress/gzip"
	"encoding/json"
	"fmt"
	"io"
	"os"
)

func registerReaders() {
	for name, f := range map[string]any{
		"jsonForgets": jsonForgets, "jsonCloses": jsonCloses, "jsonPath": jsonPath, "gzipForgets": gzipForgets,
		"gzipCloses": gzipCloses, "scanner": scanner, "limitForgets": limitForgets, "teeCloses": teeCloses,
		"copyForgets": copyForgets, "bufferedForgets": bufferedForgets, "nopCloser": nopCloser,
	} {
		shapes[name] = f
	}
}

type user struct {
	Name string
	Age  int
}

// want: never
func jsonForgets(url string) (*user, error) {
	resp, err := client.Get(url)
	if err != nil {
		return nil, err
	}
	var u user
	if err := json.NewDecoder(resp.Body).Decode(&u); err != nil {
		return nil, err // leaks here
	}
	return &u, nil // leaks here
}

// want: closed
func jsonCloses(url string) (u user, err error) {
	resp, err := client.Get(url)
	if err != nil {
		return u, err
	}
	defer resp.Body.Close()
	err = json.NewDecoder(resp.Body).Decode(&u)
	return u, err
}

// want: sometimes
func jsonPath(url string) (*user, error) {
	resp, err := client.Get(url)
	if err != nil {
		return nil, err
	}
	u := new(user)
	if err := json.NewDecoder(resp.Body).Decode(u); err != nil {
		return nil, fmt.Errorf("decode: %w", err) // leaks here
	}
	resp.Body.Close()
	return u, nil
}

// want: never
func gzipForgets(url string) ([]byte, error) {
	resp, err := client.Get(url)
	if err != nil {
		return nil, err
	}
	z, err := gzip.NewReader(resp.Body)
	if err != nil {
		return nil, err // leaks here
	}
	defer z.Close()
	return io.ReadAll(z) // leaks here
}

// want: closed
func gzipCloses(url string) ([]byte, error) {
	resp, err := client.Get(url)
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	z, err := gzip.NewReader(resp.Body)
	if err != nil {
		return nil, err
	}
	defer z.Close()
	return io.ReadAll(z)
}

// want: sometimes
func scanner(url string) (lines int, err error) {
	resp, err := client.Get(url)
	if err != nil {
		return 0, err
	}
	lineScanner := bufio.NewScanner(resp.Body)
	for lineScanner.Scan() {
		if lineScanner.Text() == "end" {
			return lines, nil // leaks here
		}
		lines++
	}
	resp.Body.Close()
	return lines, lineScanner.Err()
}

// want: never
func limitForgets(url string) ([]byte, error) {
	resp, err := client.Get(url)
	if err != nil {
		return nil, err
	}
	return io.ReadAll(io.LimitReader(resp.Body, 512)) // leaks here
}

// want: closed
func teeCloses(url string) error {
	resp, err := client.Get(url)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	_, err = io.Copy(io.Discard, io.TeeReader(resp.Body, os.Stdout))
	return err
}

// want: never
func copyForgets(url string) (int64, error) {
	resp, err := client.Get(url)
	if err != nil {
		return 0, err
	}
	return io.Copy(os.Stdout, resp.Body) // leaks here
}

// want: never
func bufferedForgets(url string) (string, error) {
	resp, err := client.Get(url)
	if err != nil {
		return "", err
	}
	line, err := bufio.NewReader(resp.Body).ReadString('\n')
	if err != nil {
		return "", err // leaks here
	}
	return line, nil // leaks here
}

// want: never
func nopCloser(url string) error {
	resp, err := client.Get(url)
	if err != nil {
		return err
	}
	body := io.NopCloser(resp.Body)
	defer body.Close()
	_, err = io.Copy(io.Discard, body)
	return err // leaks here
}
