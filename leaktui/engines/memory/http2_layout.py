"""The structs behind an HTTP/2 client connection, as the program describes them.

Law: by the names of fields, and by the types of fields of what was found before; Go 1.21 to 1.27. The same client
is linked as net/http (`http2ClientConn` in h2_bundle.go, up to Go 1.26), net/http/internal/http2 (1.27), and
golang.org/x/net/http2 or somebody's copy: which of them a program runs is known by the names of its functions.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import Enum
from typing import NamedTuple

from leaktui.binary.runtime_types import (
    KIND_MAP,
    KIND_POINTER,
    KIND_STRUCT,
    RuntimeTypes,
    StructLayout,
    TypeInfo,
)
from leaktui.engines.memory.struct_view import find_layout


class Http2Package(NamedTuple):
    """A package with an HTTP/2 client in it, and what the names of its types begin with."""

    path: str
    prefix: str


class Http2Duty(Enum):
    """What a goroutine of an HTTP/2 client does."""

    FRAMES = "reads the frames of a connection"
    BODY = "reads a body"
    STREAM = "waits for the end of a stream"


_PACKAGE = r"(?P<package>[^()]+)\."
_DUTIES = {
    Http2Duty.FRAMES: re.compile(
        _PACKAGE + r"\(\*(?P<prefix>http2)?"
        r"(?:clientConnReadLoop\)\.run|ClientConn\)\.readLoop|Transport\)\.newClientConn\.gowrap\d+)"
    ),
    Http2Duty.BODY: re.compile(_PACKAGE + r"(?P<prefix>http2)?transportResponseBody\.Read"),
    Http2Duty.STREAM: re.compile(
        _PACKAGE
        + r"\(\*(?P<prefix>http2)?(?:clientStream\)\.doRequest|ClientConn\)\.[rR]oundTrip\.gowrap\d+)"
    ),
}


def find_duty(function: str) -> tuple[Http2Duty, Http2Package] | None:
    """What a goroutine with a frame of *function*, the linker's name, does in an HTTP/2 client; None for nothing."""
    for duty, pattern in _DUTIES.items():
        match = pattern.fullmatch(function)
        if match is not None:
            # The linker escapes dots in the last element of an import path (cmd/internal/objabi/path.go).
            return duty, Http2Package(match["package"].replace("%2e", "."), match["prefix"] or "")
    return None


@dataclass(frozen=True, slots=True)
class Http2Layout:
    """The structs of one HTTP/2 client."""

    connection: StructLayout
    cond_locker: int
    """Where in a sync.Cond its Locker is."""
    streams: int
    """The address of the type of the connection's map of streams."""
    stream: StructLayout
    pipe: StructLayout
    pipe_waiters: int
    """Where in the pipe the list of goroutines that wait for bytes begins: the address of its first sudog."""
    pipe_place: int
    """Where in the stream the pipe is."""
    response: StructLayout
    """What a stream's `res` points at: the http.Response, or in 1.27 an http2.ClientResponse."""
    handed: StructLayout
    """http.Response."""
    header: int
    """The address of the type of the responses' header."""


def find_http2_layout(types: RuntimeTypes, package: Http2Package) -> Http2Layout | None:
    """The layouts of the client in *package*; None where they are not as known."""
    name = package.path.rpartition("/")[2]
    connection = find_layout(
        types,
        f"{name}.{package.prefix}ClientConn",
        package.path,
        words=("cond", "streams", "br", "fr", "mu", "reqHeaderMu", "pendingRequests"),
        pairs=("tconn",),
    )
    cond = find_layout(types, "sync.Cond", "sync", pairs=("L",), words=("notify",))
    if connection is None or cond is None or not _has_bytes(connection, closed=1, nextStreamID=4):
        return None
    streams = types.at(connection.fields["streams"].type)
    stream_pointer = types.element_of(streams.address) if streams and streams.kind == KIND_MAP else None
    stream = find_pointed(types, stream_pointer)
    if streams is None or stream is None:
        return None
    words = ("cc", "res", "resTrailer", "peerClosed", "abort", "respHeaderRecv", "bytesRemain", "bufPipe")
    if not _has(stream, words=words, pairs=("abortErr",)) or not _has_bytes(stream, ID=4, isHead=1):
        return None
    pipe = types.struct_at(stream.fields["bufPipe"].type)
    response = find_pointed(types, types.at(stream.fields["res"].type))
    if pipe is None or response is None:
        return None
    if not _has(pipe, words=("c",), pairs=("b", "err", "breakErr")) or pipe.fields["c"].size != cond.size:
        return None
    if not _has(response, words=("StatusCode", "ContentLength", "Header"), pairs=("Body",)):
        return None
    handed = (
        response
        if "Request" in response.fields
        else find_layout(types, "http.Response", "net/http", words=("StatusCode", "Request", "Trailer"))
    )
    notify = types.struct_at(cond.fields["notify"].type)
    header = types.at(response.fields["Header"].type)
    if handed is None or notify is None or "head" not in notify.fields or header is None:
        return None
    if not _has(handed, words=("StatusCode", "Request", "Trailer")) or header.kind != KIND_MAP:
        return None
    return Http2Layout(
        connection=connection,
        cond_locker=cond.fields["L"].offset,
        streams=streams.address,
        stream=stream,
        pipe=pipe,
        pipe_waiters=pipe.fields["c"].offset + cond.fields["notify"].offset + notify.fields["head"].offset,
        pipe_place=stream.fields["bufPipe"].offset,
        response=response,
        handed=handed,
        header=header.address,
    )


def find_buffer_layout(types: RuntimeTypes, kind: TypeInfo | None) -> StructLayout | None:
    """The data buffer that a pipe's interface of dynamic type *kind* points at; None where it is none."""
    buffer = find_pointed(types, kind)
    if buffer is None or not buffer.name.endswith("dataBuffer"):
        return None
    return buffer if _has(buffer, words=("size", "expected")) else None


def find_pointed(types: RuntimeTypes, kind: TypeInfo | None) -> StructLayout | None:
    """The struct a pointer type is of."""
    if kind is None or kind.kind != KIND_POINTER:
        return None
    element = types.element_of(kind.address)
    return types.struct_at(element.address) if element is not None and element.kind == KIND_STRUCT else None


def _has(layout: StructLayout, words: tuple[str, ...] = (), pairs: tuple[str, ...] = ()) -> bool:
    """Whether it has *words*, of a word or more, and *pairs*, of two or more."""
    fields = layout.fields
    return all(name in fields and fields[name].size >= 8 for name in words) and all(
        name in fields and fields[name].size >= 16 for name in pairs
    )


def _has_bytes(layout: StructLayout, **sizes: int) -> bool:
    """Whether it has fields of exactly these sizes in bytes."""
    return all(name in layout.fields and layout.fields[name].size == size for name, size in sizes.items())
