"""HTTP to one pprof endpoint, bounded in bytes and time, over connections known to reach our process.

Law: nothing but what lies under the endpoint's path is requested; no proxy of the environment is used;
a redirect is followed only within the same origin; credentials go to a discovered address only after it
asked. What goes wrong is one exception of `leaktui.errors` with a sentence, or CaptureCancelled.

A new connection may reach another process (SO_REUSEPORT, an inherited listener, a proxy), so each one is
identified before its answers count; see pprof_identity.
"""

from __future__ import annotations

import base64
import re
import ssl
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import cast

import httpcore
import httpx

from leaktui import __version__
from leaktui.engines.pprof_connection import Dialer, Patience
from leaktui.engines.pprof_endpoint import Credentials, Endpoint
from leaktui.engines.pprof_identity import Identity, Mappings, compare, decode_mappings
from leaktui.errors import DecodeError, EndpointMismatch, EndpointUnreachable, LimitExceeded, Truncated
from leaktui.text import format_bytes, masked_url, printable

PROBE_LIMIT = 4 << 20
"""Bytes of an answer that only serves to recognise the endpoint."""

_MAX_REDIRECTS = 2
_MAX_CONNECTIONS = 64
_TEXT_BYTES = 4096
_TLS_HINT = b"HTTP request to an HTTPS server"  # net/http/server.go, Go 1.12 and later
_TAG = re.compile(r"<[^>]*>")


@dataclass(frozen=True, slots=True)
class Reply:
    """A whole answer. `first_byte_seconds` is from the request to the first byte that came back."""

    status: int
    from_pprof: bool
    body: bytes
    first_byte_seconds: float
    location: str = ""

    @property
    def text(self) -> str:
        """The body as one short printable line, for messages."""
        text = _TAG.sub(" ", self.body[:_TEXT_BYTES].decode("utf-8", "replace"))
        return printable(" ".join(text.split()), 160)

    @property
    def wants_tls(self) -> bool:
        """Whether a Go server says that we spoke plain HTTP to its TLS port."""
        return self.status == 400 and _TLS_HINT in self.body[:_TEXT_BYTES]


class PprofClient:
    """One kept connection to one endpoint. Not for two threads at once; `close` is, at any time.

    *mappings*, where given, is the process each connection must prove to be. *ask_first* holds the
    credentials back until the endpoint answers 401 or 403.
    """

    def __init__(
        self,
        endpoint: Endpoint,
        credentials: Credentials | None = None,
        *,
        mappings: Mappings | None = None,
        ask_first: bool = True,
    ) -> None:
        self.endpoint = endpoint
        self.mappings = mappings
        self._credentials = credentials or Credentials()
        self._authorise = bool(self._credentials) and not ask_first
        self._dialer = Dialer(endpoint)
        self._identified_connection = 0
        self._keeps = True
        self._context = _tls_context(endpoint)
        self._http = self._new_http()

    def close(self) -> None:
        """Drop the connection; another thread's exchange ends with an error."""
        self._http.close()

    def get(
        self, name: str, patience: Patience, *, limit: int, what: str = "answer", query: str = ""
    ) -> Reply:
        """The whole answer for the profile *name*; *what* it is called in messages."""
        with self.open(name, patience, query=query) as (response, first_byte_seconds):
            return self.read(response, first_byte_seconds, limit, what)

    @contextmanager
    def open(
        self, name: str, patience: Patience, *, query: str = ""
    ) -> Iterator[tuple[httpx.Response, float]]:
        """The answer for *name* with its body still to be read, and the seconds until it began."""
        self._dialer.patience = patience
        with self._translated():
            response, seconds = self._send_identified(name, query)
            try:
                yield response, seconds
            finally:
                response.close()

    def read(self, response: httpx.Response, seconds: float, limit: int, what: str) -> Reply:
        """The rest of an answer that was opened, as a whole."""
        return Reply(
            status=response.status_code,
            from_pprof=response.headers.get("x-go-pprof") == "1",
            body=b"".join(self.iter_body(response, limit=limit, what=what)),
            first_byte_seconds=seconds,
            location=response.headers.get("location", ""),
        )

    def iter_body(self, response: httpx.Response, *, limit: int, what: str) -> Iterator[bytes]:
        """The body in pieces; raises LimitExceeded before more than *limit* bytes are held."""
        announced = response.headers.get("content-length", "")
        received = 0
        if announced.isdigit() and int(announced) > limit:
            received = limit + 1
        chunks: Iterable[bytes] = () if received else response.iter_bytes()
        for chunk in chunks:
            received += len(chunk)
            if received > limit:
                break
            yield chunk
        if received > limit:
            raise LimitExceeded(
                f"the {what} of {self.endpoint.name} is larger than {format_bytes(limit)}, "
                "the most leaktui is ready to hold"
            )

    def identify(self, patience: Patience) -> Introduction:
        """Ask who is there: the `threadcreate` profile, compared with `mappings`.

        Processes that share a listening socket take turns, so a sibling's answer is a reason to connect
        again.
        """
        self._dialer.patience = patience
        with self._translated():
            return self._identify()

    # -- within one exchange -------------------------------------------------------------------

    def _identify(self) -> Introduction:
        for _ in range(_MAX_CONNECTIONS):
            response, seconds = self._send("threadcreate", "")
            try:
                self._keeps = response.headers.get("connection", "").lower() != "close"
                reply = self.read(response, seconds, PROBE_LIMIT, "answer")
            finally:
                response.close()
            try:
                identity = compare(self.mappings, decode_mappings(reply.body))
            except DecodeError:
                return Introduction(Identity.UNKNOWN, is_profile=False, reply=reply)
            if identity is not Identity.SIBLING:
                break
            self._reconnect()
        if identity is Identity.SAME:
            self._identified_connection = self._dialer.connections
        return Introduction(identity, is_profile=reply.status == 200, reply=reply)

    def _send_identified(self, name: str, query: str) -> tuple[httpx.Response, float]:
        for _ in range(_MAX_CONNECTIONS):
            known = self.mappings is None or self._identified_connection == self._dialer.connections
            if not known and self._identify().identity is not Identity.SAME:
                break
            response, seconds = self._send(name, query)
            # A server that closes after each answer cannot be held to one connection: the proof of a
            # moment ago has to do.
            if self.mappings is None or not self._keeps:
                return response, seconds
            if self._identified_connection == self._dialer.connections:
                return response, seconds
            response.close()
        raise EndpointMismatch(
            f"{self.endpoint.name} now answers for another process",
            remedy="the program may have been restarted: open the new process with --pid",
        )

    def _send(self, name: str, query: str) -> tuple[httpx.Response, float]:
        """One request, with redirects and credentials; the body is not read yet."""
        began = time.monotonic()
        url = httpx.URL(self.endpoint.origin + self.endpoint.path + name + (f"?{query}" if query else ""))
        redirects = 0
        while True:
            request = self._http.build_request("GET", url, headers=self._headers())
            response = self._http.send(request, stream=True)
            following = response.next_request
            if response.status_code in (401, 403) and self._credentials and not self._authorise:
                self._authorise = True
            elif following is not None and redirects < _MAX_REDIRECTS and _same_origin(following.url, url):
                url = following.url
                redirects += 1
            else:
                break
            response.close()
        return response, time.monotonic() - began

    def _reconnect(self) -> None:
        self._http.close()
        self._http = self._new_http()

    def _headers(self) -> dict[str, str]:
        if not self._authorise:
            return {}
        if self._credentials.token:
            return {"Authorization": f"Bearer {self._credentials.token}"}
        pair = f"{self._credentials.user}:{self._credentials.password}".encode()
        return {"Authorization": "Basic " + base64.b64encode(pair).decode("ascii")}

    def _new_http(self) -> httpx.Client:
        return httpx.Client(
            transport=_Transport(self._dialer, self._context),
            trust_env=False,
            follow_redirects=False,
            # The Dialer keeps time; httpx's own time-outs would end a connection that can go on.
            timeout=None,
            headers={
                "User-Agent": f"leaktui/{__version__}",
                "Accept": "*/*",
                # A profile is gzip already; a second coat by some middleware only costs the target CPU.
                "Accept-Encoding": "identity",
            },
        )

    @contextmanager
    def _translated(self) -> Iterator[None]:
        """httpcore's and httpx's exceptions as ours."""
        name = self.endpoint.name
        try:
            yield
        except (httpcore.ConnectError, httpcore.ReadError, httpcore.WriteError) as error:
            verb = "cannot be reached" if isinstance(error, httpcore.ConnectError) else "broke off"
            raise EndpointUnreachable(f"{name} {verb}: {_clause(error)}", remedy=_remedy(error)) from None
        except httpcore.RemoteProtocolError as error:
            raise self._protocol_error(error) from None
        except httpx.DecodingError:
            raise DecodeError(f"{name} sent data that is not in the encoding it announced") from None
        except (httpcore.ProtocolError, httpx.InvalidURL, httpx.HTTPError, UnicodeError):
            # The library's words may quote the header that holds the credentials.
            raise EndpointMismatch(
                f"{name} cannot be asked: its address, or the credentials, hold characters HTTP does not allow"
            ) from None
        except (httpcore.ConnectionNotAvailable, RuntimeError, httpx.StreamError):
            # httpx says RuntimeError for a client that was closed: by `close`, from another thread.
            raise EndpointUnreachable(f"the connection to {name} was closed") from None

    def _protocol_error(self, error: Exception) -> EndpointUnreachable | EndpointMismatch | Truncated:
        name, text = self.endpoint.name, str(error)
        if "complete message body" in text:
            return Truncated(f"{name} broke off in the middle of its answer", remedy="try again")
        if "disconnected" in text or "without sending" in text:
            return EndpointUnreachable(
                f"{name} closed the connection without an answer",
                remedy="it may not speak HTTP, or want TLS: try --url with https://",
            )
        return EndpointMismatch(
            f"{name} does not answer in HTTP", remedy="give the address of the pprof endpoint with --url"
        )


@dataclass(frozen=True, slots=True)
class Introduction:
    """What the endpoint said when asked for `threadcreate`: whose profile, or no profile at all."""

    identity: Identity
    is_profile: bool
    reply: Reply


class _Transport(httpx.BaseTransport):
    """httpx on a pool of one kept connection, through our own Dialer."""

    def __init__(self, dialer: Dialer, context: ssl.SSLContext | None) -> None:
        self._pool = httpcore.ConnectionPool(
            ssl_context=context,
            max_connections=1,
            max_keepalive_connections=1,
            keepalive_expiry=30.0,
            network_backend=dialer,
        )

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        answer = self._pool.handle_request(
            httpcore.Request(
                method=request.method,
                url=httpcore.URL(
                    scheme=request.url.raw_scheme,
                    host=request.url.raw_host,
                    port=request.url.port,
                    target=request.url.raw_path,
                ),
                headers=request.headers.raw,
            )
        )
        return httpx.Response(answer.status, headers=answer.headers, stream=_Body(answer))

    def close(self) -> None:
        self._pool.close()


class _Body(httpx.SyncByteStream):
    """An httpcore body as httpx wants it."""

    def __init__(self, answer: httpcore.Response) -> None:
        self._answer = answer

    def __iter__(self) -> Iterator[bytes]:
        yield from cast(Iterable[bytes], self._answer.stream)

    def close(self) -> None:
        self._answer.close()


def _tls_context(endpoint: Endpoint) -> ssl.SSLContext | None:
    if endpoint.scheme != "https":
        return None
    if endpoint.verify:
        return ssl.create_default_context()
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context


def _same_origin(one: httpx.URL, other: httpx.URL) -> bool:
    return (one.scheme, one.host, one.port) == (other.scheme, other.host, other.port)


def _clause(error: Exception) -> str:
    return printable(str(error), 160) or type(error).__name__


def _remedy(error: Exception) -> str:
    text = str(error)
    if "certificate is not trusted" in text:
        return "pass --insecure to accept it"
    if "certificate required" in text:
        return "it wants a client certificate, which leaktui cannot show: use an address without that"
    return ""


def describe_redirect(reply: Reply) -> str:
    """Where a redirect leads, masked for a message."""
    return masked_url(reply.location) if reply.location else "nowhere"
