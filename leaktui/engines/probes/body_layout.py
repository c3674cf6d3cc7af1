"""The structs a probe follows from an http.Response to its body, as the program describes them.

Law: by the names of fields, Go 1.21 to 1.27 (net/http/transport.go, response.go; net/url; runtime/runtime2.go). What
only adds to what is known may be None.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from leaktui.binary.executable import Executable
from leaktui.binary.runtime_types import RuntimeTypes, StructLayout
from leaktui.engines.memory.struct_view import find_layout

_MOST_PACKAGES = 5
_STREAM_CLOSE = re.compile(r"(?P<package>[^()]+)\.(?P<prefix>http2)?transportResponseBody\.Close")


@dataclass(frozen=True, slots=True)
class StreamPackage:
    """A package with an HTTP/2 client: `symbol` as it is in the names of functions, `path` its import path.

    `prefix` is what the names in it begin with: `http2` where it is bundled into net/http (up to Go 1.26).
    """

    symbol: str
    path: str
    prefix: str

    @property
    def bundled(self) -> bool:
        """Whether it is net/http's own, of which net/http's Transport makes use."""
        return self.path in ("net/http", "net/http/internal/http2")

    def method(self, receiver: str, name: str) -> str:
        """The linker's name of a method of *receiver*, a pointer."""
        return f"{self.symbol}.(*{self.prefix}{receiver}).{name}"

    @property
    def close(self) -> str:
        """The linker's name of the function that closes a body."""
        return f"{self.symbol}.{self.prefix}transportResponseBody.Close"

    def type_name(self, name: str) -> str:
        """What reflect calls a type of it."""
        return f"{self.path.rpartition('/')[2]}.{self.prefix}{name}"


def find_stream_packages(executable: Executable) -> tuple[StreamPackage, ...]:
    """The HTTP/2 clients linked into the program: net/http's, golang.org/x/net/http2, somebody's copy of it.

    net/http's come first, and there are a handful at most: each has words of its own in what is read.
    """
    found = []
    for name in executable.pc_lines.iter_names():
        match = _STREAM_CLOSE.fullmatch(name) if name.endswith("ransportResponseBody.Close") else None
        if match is not None:
            symbol = match["package"]
            # The linker escapes dots in the last element of an import path (cmd/internal/objabi/path.go).
            found.append(StreamPackage(symbol, symbol.replace("%2e", "."), match["prefix"] or ""))
    found.sort(key=lambda package: not package.bundled)
    return tuple(found[:_MOST_PACKAGES])


@dataclass(frozen=True, slots=True)
class BodyLayout:
    """What is needed to tell what a response's body is, and what adds to it."""

    goid: int
    """Where in a runtime.g its number is."""
    response: StructLayout
    request: StructLayout
    url: StructLayout
    userinfo: StructLayout | None
    signal: StructLayout
    """http.bodyEOFSignal, the body proper of every HTTP/1 response."""
    gzip: int | None
    """Where in an http.gzipReader the address of the bodyEOFSignal is."""
    connection: StructLayout | None
    """http.persistConn"""
    reader: StructLayout | None
    """bufio.Reader"""


def find_body_layout(types: RuntimeTypes) -> BodyLayout | None:
    """The layouts of the program whose types these are; None where it has no HTTP client known to us."""
    g = find_layout(types, "runtime.g", "runtime", words=("goid",))
    response = find_layout(
        types,
        "http.Response",
        "net/http",
        words=("StatusCode", "ProtoMajor", "ProtoMinor", "ContentLength", "Request"),
        pairs=("Body",),
    )
    request = find_layout(types, "http.Request", "net/http", words=("URL",), pairs=("Method",))
    url = find_layout(
        types, "url.URL", "net/url", words=("User",), pairs=("Scheme", "Opaque", "Host", "Path", "RawQuery")
    )
    signal = find_layout(types, "http.bodyEOFSignal", "net/http", words=("fn",), pairs=("body",))
    if g is None or response is None or request is None or url is None or signal is None:
        return None
    gzip = find_layout(types, "http.gzipReader", "net/http", words=("body",))
    inner = gzip.fields["body"] if gzip is not None else None
    return BodyLayout(
        goid=g.fields["goid"].offset,
        response=response,
        request=request,
        url=url,
        userinfo=find_layout(types, "url.Userinfo", "net/url", pairs=("username", "password")),
        signal=signal,
        gzip=inner.offset if inner is not None and inner.size == 8 else None,
        connection=find_layout(types, "http.persistConn", "net/http", words=("br",)),
        reader=find_layout(types, "bufio.Reader", "bufio", pairs=("rd",)),
    )


@dataclass(frozen=True, slots=True)
class StreamLayout:
    """What is needed of an HTTP/2 client's own types; None for what was not found.

    `gzip_body` is where in its gzipReader the interface with the body is, `abort_error` where in a stream the error
    is that it was given up with. `identity` are where the stream's connection and its number there are: together
    they tell it from another that has its address later.
    """

    gzip_body: int | None
    abort_error: int | None
    identity: tuple[int, ...]


def find_stream_layout(types: RuntimeTypes, package: StreamPackage) -> StreamLayout:
    """The layouts of the client in *package*."""
    gzip = find_layout(types, package.type_name("gzipReader"), package.path, pairs=("body",))
    stream = find_layout(
        types, package.type_name("clientStream"), package.path, words=("cc",), pairs=("abortErr",)
    )
    number = stream.fields.get("ID") if stream is not None else None
    return StreamLayout(
        None if gzip is None else gzip.fields["body"].offset,
        None if stream is None else stream.fields["abortErr"].offset,
        () if stream is None or number is None else (stream.fields["cc"].offset, number.offset),
    )
