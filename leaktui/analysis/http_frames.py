"""Which frames are net/http's plumbing. Names as of Go 1.22–1.27 (net/http/transport.go, client.go,
h2_bundle.go; since 1.27 net/http/internal/http2) and golang.org/x/net/http2.

Law: functions are told apart by symbol alone, never by line: lines move with every release.
"""

from __future__ import annotations

import re

from leaktui.model.frame import Frame, Stack

READ_LOOP = "net/http.(*persistConn).readLoop"
WRITE_LOOP = "net/http.(*persistConn).writeLoop"

# HTTP/2 lives under three names: bundled into net/http (to Go 1.26), in net/http/internal/http2 (Go 1.27),
# and as golang.org/x/net/http2. A method's symbol is one of these prefixes, a type, and the method.
_H2 = r"^(?:net/http\.\(\*http2|net/http/internal/http2\.\(\*|(?:vendor/)?golang\.org/x/net/http2\.\(\*)"
_H2_VALUE = r"^(?:net/http\.http2|net/http/internal/http2\.|(?:vendor/)?golang\.org/x/net/http2\.)"
_H2_STREAM = re.compile(_H2 + r"[cC]lientStream\)\.doRequest$")
_H2_AWAITING = re.compile(_H2 + r"[cC]lientConn\)\.[rR]oundTrip(?:\.func\d+)*$")
_STREAM_BODY_READ = re.compile(_H2_VALUE + r"transportResponseBody\.Read$|" + _H2 + r"gzipReader\)\.Read$")

_HTTP1_AWAITING = "net/http.(*persistConn).roundTrip"

BODY_READ = "net/http.(*bodyEOFSignal).Read"

# The client's own goroutines: their number follows connections and streams, never a caller's mistake alone.
_PLUMBING_ENTRY = re.compile(
    r"^net/http\.\(\*persistConn\)\."
    r"|^net/http\.\(\*Transport\)\.(?:dial|startDial)"
    r"|^net/http\.setRequestCancel"
    rf"|{_H2}(?:[cC]lientConn|[cC]lientStream|[tT]ransport|clientConnReadLoop|addConnCall|dialCall)\)\."
)

_CLIENT_FRAME = re.compile(
    r"^net/http\.\(\*(?:Client|Transport|persistConn|socksDialer)\)\."
    r"|^net/http\.(?:send|Get|Head|Post|PostForm|setRequestCancel|\w*RoundTripper\.RoundTrip)(?:\.func\d+)*$"
    r"|^net/http/httputil\.\(\*ReverseProxy\)\."
    rf"|{_H2}(?:[cC]lientConn|[cC]lientStream|[tT]ransport|clientConnPool|noDialH2RoundTripper)\)\."
    rf"|{_H2_VALUE}(?:\w*RoundTripper\w*|noDialClientConnPool|unencryptedTransport)\."
)

CLIENT_CALLS = (
    "net/http.(*Client).do",
    "net/http.(*Client).Get",
    "net/http.(*Client).Post",
    "net/http.(*Client).PostForm",
    "net/http.(*Client).Head",
    "net/http.(*Transport).RoundTrip",
)
"""What a program calls to get a response."""

# Wrappers that forward a RoundTrip or a Do and give the response on: never the owner.
KNOWN_WRAPPERS = (
    "go.opentelemetry.io/",
    "go.opencensus.io/",
    "github.com/opentracing-contrib/",
    "gopkg.in/DataDog/dd-trace-go",
    "github.com/DataDog/dd-trace-go",
    "github.com/newrelic/go-agent",
    "go.elastic.co/apm",
    "github.com/prometheus/client_golang",
    "golang.org/x/oauth2",
    "github.com/aws/aws-xray-sdk-go",
    "github.com/getsentry/sentry-go",
    "github.com/gregjones/httpcache",
    "github.com/felixge/httpsnoop",
)


def is_client_frame(function: str) -> bool:
    """Whether *function* is part of net/http's client side (or of HTTP/2's, or the reverse proxy)."""
    return _CLIENT_FRAME.search(function) is not None


def is_known_wrapper(function: str) -> bool:
    """Whether *function* belongs to a well-known instrumentation or authentication transport."""
    return function.startswith(KNOWN_WRAPPERS)


def is_round_trip(function: str) -> bool:
    """Whether *function* is a RoundTrip method (any http.RoundTripper)."""
    return function.endswith(".RoundTrip") or ".RoundTrip.func" in function


def is_plumbing_goroutine(stack: Stack) -> bool:
    """Whether the goroutine is one the HTTP client starts for itself."""
    return any(_PLUMBING_ENTRY.match(frame.function) for frame in stack[-2:])


def waits_for_body(stack: Stack, wait_reason: str) -> bool:
    """Whether this is a `readLoop` that waits for a response body to be read or closed.

    It parks in a select of its own then; an idle connection waits in Peek instead (IO wait). Go 1.22–1.27,
    net/http/transport.go, end of the loop in readLoop.
    """
    return bool(stack) and stack[0].function == READ_LOOP and wait_reason in ("select", "")


def is_idle_connection(stack: Stack) -> bool:
    """Whether this is a `readLoop` that waits for its connection to be used again: parked in Peek."""
    return (
        bool(stack)
        and stack[-1].function == READ_LOOP
        and any(frame.function == "bufio.(*Reader).Peek" for frame in stack)
    )


def is_stream(stack: Stack) -> bool:
    """Whether this is an HTTP/2 client stream's own goroutine (a request under way or an open body)."""
    return any(_H2_STREAM.search(frame.function) for frame in stack[-3:])


def awaits_stream_response(stack: Stack) -> bool:
    """Whether the goroutine is in HTTP/2's RoundTrip, waiting for response headers."""
    return any(_H2_AWAITING.search(frame.function) for frame in stack)


def reads_http1_body(stack: Stack) -> bool:
    """Whether the goroutine is inside a Read of an HTTP/1 response body."""
    return any(frame.function == BODY_READ for frame in stack)


def reads_stream_body(stack: Stack) -> bool:
    """Whether the goroutine is inside a Read of an HTTP/2 response body."""
    return any(_STREAM_BODY_READ.search(frame.function) for frame in stack)


def awaits_peer(stack: Stack) -> bool:
    """Whether the goroutine is in the HTTP client, waiting for what the peer sends next: load, like IO wait.

    An HTTP/1 response's head and everything of HTTP/2 reach it through the client's own goroutines, so that it
    is parked in a select or a cond.
    """
    return (
        any(frame.function == _HTTP1_AWAITING for frame in stack)
        or awaits_stream_response(stack)
        or reads_stream_body(stack)
    )


def outermost_client_frame(stack: Stack) -> int:
    """Index of the outermost client frame of a call that starts at the top of *stack*, -1 if none.

    User frames between client frames (a RoundTripper of the user's under http.send) are passed over; a
    server's frames further out are not client frames and end nothing.
    """
    return max((index for index, frame in enumerate(stack) if is_client_frame(frame.function)), default=-1)


def frame_key(frame: Frame) -> tuple[str, int]:
    """What makes two frames the same call site."""
    return frame.function, frame.line
