package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log"
	"net/http"
	"os"
	"strings"
	"time"
)

func registerPlain() {
	for name, f := range map[string]any{
		"plainClose": plainClose, "neverClosed": neverClosed, "ignored": ignored, "earlyReturn": earlyReturn,
		"errorPath": errorPath, "decodePath": decodePath, "retryOverwrites": retryOverwrites,
		"retryCloses": retryCloses, "retryBreaks": retryBreaks, "switchStatus": switchStatus,
		"switchLong": switchLong, "switchForgets": switchForgets, "statusOnly": statusOnly, "errorsJoin": errorsJoin,
		"namedResults": namedResults, "closeBoth": closeBoth, "unchecked": unchecked, "nilChecked": nilChecked,
		"withTimeout": withTimeout, "fatal": fatal, "panics": panics, "loopCloses": loopCloses,
		"loopForgets": loopForgets, "longStatus": longStatus, "doOverInterface": doOverInterface,
		"closeHelper": closeHelper, "drainHelper": drainHelper, "bodyHelper": bodyHelper, "checkHelper": checkHelper,
		"lookHelper": lookHelper, "gotoCleanup": gotoCleanup, "boolFlag": boolFlag,
		"responseCopy": responseCopy, "headers": headers, "logged": logged,
	} {
		shapes[name] = f
	}
}

// want: closed
func plainClose(url string) (int, error) {
	resp, err := client.Get(url)
	if err != nil {
		return 0, err
	}
	status := resp.StatusCode
	resp.Body.Close()
	return status, nil
}

// want: never
func neverClosed(url string) ([]byte, error) {
	resp, err := client.Get(url)
	if err != nil {
		return nil, err
	}
	return io.ReadAll(resp.Body) // leaks here
}

// want: never
func ignored(url string) error {
	_, err := client.Get(url)
	if err != nil {
		return fmt.Errorf("ping: %w", err)
	}
	return nil // leaks here
}

// want: sometimes
func earlyReturn(url string) ([]byte, error) {
	resp, err := client.Get(url)
	if err != nil {
		return nil, err
	}
	if resp.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("status %d", resp.StatusCode) // leaks here
	}
	defer resp.Body.Close()
	return io.ReadAll(resp.Body)
}

// want: sometimes
func errorPath(url string) (string, error) {
	resp, err := client.Get(url)
	if err != nil {
		return "", err
	}
	data, err := io.ReadAll(resp.Body)
	if err != nil {
		return "", err // leaks here
	}
	resp.Body.Close()
	return string(data), nil
}

// want: sometimes
func decodePath(url string) (int, error) {
	resp, err := client.Get(url)
	if err != nil {
		return 0, err
	}
	var n int
	if _, err := fmt.Fscan(resp.Body, &n); err != nil {
		return 0, err // leaks here
	}
	if n < 0 {
		resp.Body.Close()
		return 0, errors.New("negative")
	}
	return n, resp.Body.Close()
}

// want: sometimes
func retryOverwrites(url string) ([]byte, error) {
	var resp *http.Response
	var err error
	for i := 0; i < 3; i++ {
		resp, err = client.Get(url) // leaks here
		if err == nil && resp.StatusCode < 500 {
			break
		}
		time.Sleep(time.Millisecond)
	}
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	return io.ReadAll(resp.Body)
}

// want: closed
func retryCloses(url string) ([]byte, error) {
	for i := 0; i < 3; i++ {
		resp, err := client.Get(url)
		if err != nil {
			continue
		}
		if resp.StatusCode >= 500 {
			resp.Body.Close()
			continue
		}
		data, err := io.ReadAll(resp.Body)
		resp.Body.Close()
		return data, err
	}
	return nil, errors.New("gave up")
}

// want: closed
func retryBreaks(url string) ([]byte, error) {
	var resp *http.Response
	var err error
	for i := 0; i < 3; i++ {
		resp, err = client.Get(url)
		if err == nil {
			break
		}
	}
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	return io.ReadAll(resp.Body)
}

// want: closed
func switchStatus(url string) (string, error) {
	resp, err := client.Get(url)
	if err != nil {
		return "", err
	}
	switch resp.StatusCode {
	case 200:
		defer resp.Body.Close()
		data, err := io.ReadAll(resp.Body)
		return string(data), err
	case 404:
		resp.Body.Close()
		return "", os.ErrNotExist
	default:
		resp.Body.Close()
		return "", errors.New(resp.Status)
	}
}

// want: closed
func switchLong(url string) string {
	resp, err := client.Get(url)
	if err != nil {
		return ""
	}
	name := ""
	switch resp.StatusCode {
	case 200:
		name = "ok"
	case 201:
		name = "created"
	case 202:
		name = "accepted"
	case 203:
		name = "other"
	case 204:
		name = "nothing"
	case 205:
		name = "reset"
	case 206:
		name = "partial"
	case 207:
		name = "multi"
	case 208:
		name = "reported"
	}
	resp.Body.Close()
	return name
}

// want: sometimes
func switchForgets(url string) (string, error) {
	resp, err := client.Get(url)
	if err != nil {
		return "", err
	}
	switch resp.StatusCode {
	case 200:
		data, err := io.ReadAll(resp.Body)
		resp.Body.Close()
		return string(data), err
	case 404:
		return "", os.ErrNotExist // leaks here
	}
	resp.Body.Close()
	return "", errors.New(resp.Status)
}

// want: never
func statusOnly(url string) bool {
	resp, err := client.Get(url)
	if err != nil {
		return false
	}
	return resp.StatusCode == http.StatusOK // leaks here
}

// want: closed
func errorsJoin(url string) error {
	resp, err := client.Get(url)
	if err != nil {
		return err
	}
	_, err = io.Copy(io.Discard, resp.Body)
	return errors.Join(err, resp.Body.Close())
}

// want: closed
func namedResults(url string) (data []byte, err error) {
	resp, err := client.Get(url)
	if err != nil {
		return nil, err
	}
	defer func() {
		if failed := resp.Body.Close(); failed != nil && err == nil {
			err = failed
		}
	}()
	data, err = io.ReadAll(resp.Body)
	return data, err
}

// want: closed
func closeBoth(url string, wanted bool) error {
	resp, err := client.Get(url)
	if err != nil {
		return err
	}
	if !wanted {
		return resp.Body.Close()
	}
	_, err = io.Copy(os.Stdout, resp.Body)
	if err != nil {
		resp.Body.Close()
		return err
	}
	return resp.Body.Close()
}

// want: closed
func unchecked(url string) int {
	resp, _ := client.Get(url)
	defer resp.Body.Close()
	return resp.StatusCode
}

// want: closed
func nilChecked(url string) error {
	resp, err := client.Get(url)
	if resp != nil {
		defer resp.Body.Close()
	}
	if err != nil {
		return err
	}
	_, err = io.Copy(io.Discard, resp.Body)
	return err
}

// want: closed
func withTimeout(url string) ([]byte, error) {
	ctx, cancel := context.WithTimeout(context.Background(), time.Second)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, "GET", url, nil)
	if err != nil {
		return nil, err
	}
	resp, err := client.Do(req)
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	return io.ReadAll(resp.Body)
}

// want: closed
func fatal(url string) {
	resp, err := client.Get(url)
	if err != nil {
		log.Fatal(err)
	}
	if resp.StatusCode != 200 {
		log.Fatalf("status %d", resp.StatusCode)
	}
	resp.Body.Close()
}

// want: closed
func panics(url string) {
	resp, err := client.Get(url)
	if err != nil {
		panic(err)
	}
	if resp.ContentLength < 0 {
		panic("no length")
	}
	resp.Body.Close()
}

// want: closed
func loopCloses(urls []string) (total int) {
	for _, url := range urls {
		resp, err := client.Get(url)
		if err != nil {
			continue
		}
		n, _ := io.Copy(io.Discard, resp.Body)
		resp.Body.Close()
		total += int(n)
	}
	return total
}

// want: never
func loopForgets(urls []string) (total int) {
	for _, url := range urls {
		resp, err := client.Get(url) // leaks here
		if err != nil {
			continue
		}
		n, _ := io.Copy(io.Discard, resp.Body)
		total += int(n)
	}
	return total // leaks here
}

// want: sometimes
func longStatus(url string) ([]byte, error) {
	resp, err := client.Get(url)
	if err != nil {
		return nil, err
	}
	if strings.HasPrefix(resp.Header.Get("Content-Type"), "text/html") {
		return nil, errors.New("a page, not data") // leaks here
	}
	data, err := io.ReadAll(io.LimitReader(resp.Body, 1<<20))
	if err != nil {
		resp.Body.Close()
		return nil, fmt.Errorf("read: %w", err)
	}
	if err := resp.Body.Close(); err != nil {
		return nil, err
	}
	return data, nil
}

type doer interface {
	Do(*http.Request) (*http.Response, error)
}

// No call of the client that can be seen: the interface hides it.
func doOverInterface(d doer, req *http.Request) error {
	resp, err := d.Do(req)
	if err != nil {
		return err
	}
	return resp.Body.Close()
}

//go:noinline
func closeQuietly(c io.Closer) {
	if err := c.Close(); err != nil {
		log.Print(err)
	}
}

//go:noinline
func drain(resp *http.Response) {
	io.Copy(io.Discard, resp.Body)
	resp.Body.Close()
}

//go:noinline
func closeBody(body io.ReadCloser) error {
	if body == nil {
		return nil
	}
	return body.Close()
}

// Closes where it returns an error, and only there.
//
//go:noinline
func check(resp *http.Response) error {
	if resp.StatusCode < 300 {
		return nil
	}
	resp.Body.Close()
	return fmt.Errorf("status %s", resp.Status)
}

//go:noinline
func look(resp *http.Response) int64 {
	if resp.ContentLength < 0 {
		return 0
	}
	return resp.ContentLength
}

// want: closed
func closeHelper(url string) error {
	resp, err := client.Get(url)
	if err != nil {
		return err
	}
	defer closeQuietly(resp.Body)
	_, err = io.Copy(io.Discard, resp.Body)
	return err
}

// want: closed
func drainHelper(url string) error {
	resp, err := client.Get(url)
	if err != nil {
		return err
	}
	drain(resp)
	return nil
}

// want: closed
func bodyHelper(url string) error {
	resp, err := client.Get(url)
	if err != nil {
		return err
	}
	return closeBody(resp.Body)
}

// want: closed
func checkHelper(url string) ([]byte, error) {
	resp, err := client.Get(url)
	if err != nil {
		return nil, err
	}
	if err := check(resp); err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	return io.ReadAll(resp.Body)
}

// want: never
func lookHelper(url string) int64 {
	resp, err := client.Get(url)
	if err != nil {
		return 0
	}
	return look(resp) + 1 // leaks here
}

// want: closed
func gotoCleanup(url string) (err error) {
	resp, err := client.Get(url)
	if err != nil {
		return err
	}
	if resp.StatusCode != 200 {
		err = errors.New(resp.Status)
		goto done
	}
	_, err = io.Copy(os.Stdout, resp.Body)
done:
	resp.Body.Close()
	return err
}

// want: sometimes
func boolFlag(url string, keep bool) error {
	resp, err := client.Get(url)
	if err != nil {
		return err
	}
	if !keep {
		defer resp.Body.Close()
	}
	_, err = io.Copy(io.Discard, resp.Body)
	return err // leaks here
}

// want: closed
func responseCopy(url string) (int, error) {
	resp, err := client.Get(url)
	if err != nil {
		return 0, err
	}
	copied := *resp
	defer copied.Body.Close()
	return copied.StatusCode, nil
}

// want: sometimes
func headers(url string) (http.Header, error) {
	resp, err := client.Head(url)
	if err != nil {
		return nil, err
	}
	if len(resp.Header) == 0 {
		return nil, errors.New("no headers") // leaks here
	}
	defer resp.Body.Close()
	return resp.Header, nil
}

type logger interface{ Printf(string, ...any) }

var output logger = log.Default()

// want: closed
func logged(url string) {
	resp, err := client.Get(url)
	if err != nil {
		output.Printf("get: %v", err)
		return
	}
	output.Printf("status %s", resp.Status)
	defer func() {
		io.Copy(io.Discard, resp.Body)
		resp.Body.Close()
	}()
}
