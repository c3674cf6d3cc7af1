// Shop emits real spans: handlers that ask a stock service over HTTP and, on some paths, forget the response body.
//
// Every client span has the event Body.Open; Body.Close is added by the wrapped body's Close. What the program itself
// counts as forgotten is printed as JSON, so that whoever reads the spans can be held to it.
package main

import (
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/exporters/otlp/otlptrace/otlptracehttp"
	"go.opentelemetry.io/otel/sdk/resource"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/trace"
)

// body adds the event when it is closed; the span is exported without it when nobody does.
type body struct {
	io.ReadCloser
	span   trace.Span
	closed bool
}

func (b *body) Close() error {
	if !b.closed {
		b.closed = true
		b.span.AddEvent("Body.Close")
	}
	return b.ReadCloser.Close()
}

type shop struct {
	tracer trace.Tracer
	events bool
	open   []*body
}

// fetch is the instrumented client: one span a request, which ends when the request is dealt with.
func (s *shop) fetch(ctx context.Context, operation, url, id string) (*http.Response, error) {
	ctx, span := s.tracer.Start(ctx, operation, trace.WithSpanKind(trace.SpanKindClient))
	span.SetAttributes(
		attribute.String("http.request.method", "GET"),
		attribute.String("url.full", url),
	)
	if id != "" {
		span.SetAttributes(attribute.String("request_id", id))
	}
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		span.End()
		return nil, err
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		span.End()
		return nil, err
	}
	span.SetAttributes(attribute.Int("http.response.status_code", response.StatusCode))
	if s.events {
		span.AddEvent("Body.Open", trace.WithAttributes(attribute.String("request_id", id)))
		wrapped := &body{response.Body, span, false}
		response.Body = wrapped
		s.open = append(s.open, wrapped)
	} else {
		span.End()
	}
	return response, nil
}

// stock closes the body only when the status is 200: the leak.
func (s *shop) stock(ctx context.Context, base string, article int, id string) error {
	url := fmt.Sprintf("%s/stock/%d?token=s3cret", base, article)
	response, err := s.fetch(ctx, "stock.get", url, "")
	if err != nil {
		return err
	}
	if response.StatusCode != http.StatusOK {
		return fmt.Errorf("stock: %s", response.Status)
	}
	defer response.Body.Close()
	_, err = io.Copy(io.Discard, response.Body)
	return err
}

// price always closes.
func (s *shop) price(ctx context.Context, base string, article int, id string) error {
	response, err := s.fetch(ctx, "price.get", fmt.Sprintf("%s/price/%d", base, article), id)
	if err != nil {
		return err
	}
	defer response.Body.Close()
	_, err = io.Copy(io.Discard, response.Body)
	return err
}

// show is a handler: its span has the request's id, its children need not.
func (s *shop) show(base string, number int) {
	id := fmt.Sprintf("req-%03d", number)
	ctx, span := s.tracer.Start(context.Background(), "GET /article", trace.WithSpanKind(trace.SpanKindServer))
	defer span.End()
	span.SetAttributes(attribute.String("request.id", id))
	for try := 0; try < 1+number%3; try++ {
		_ = s.stock(ctx, base, number, id)
	}
	_ = s.price(ctx, base, number, id)
}

func main() {
	requests := flag.Int("requests", 24, "how many requests to serve")
	endpoint := flag.String("otlp", "http://127.0.0.1:4318", "where spans go (OTLP over HTTP)")
	events := flag.Bool("events", true, "add Body.Open and Body.Close; without them nothing can be told")
	name := flag.String("service", "shop", "the service's name")
	flag.Parse()

	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		var article int
		if _, err := fmt.Sscanf(r.URL.Path, "/stock/%d", &article); err == nil && article%4 == 0 {
			w.WriteHeader(http.StatusNotFound)
		}
		fmt.Fprintln(w, "42")
	}))
	defer server.Close()

	ctx := context.Background()
	exporter, err := otlptracehttp.New(ctx, otlptracehttp.WithEndpointURL(*endpoint))
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	provider := sdktrace.NewTracerProvider(
		sdktrace.WithBatcher(exporter),
		sdktrace.WithResource(resource.NewSchemaless(attribute.String("service.name", *name))),
	)
	s := &shop{tracer: provider.Tracer("shop"), events: *events}
	for number := range *requests {
		s.show(server.URL, number)
	}
	forgotten := 0
	for _, opened := range s.open {
		if !opened.closed {
			forgotten++
		}
		opened.span.End()
	}
	if err := provider.Shutdown(ctx); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	_ = json.NewEncoder(os.Stdout).Encode(map[string]int{"opened": len(s.open), "forgotten": forgotten})
}
