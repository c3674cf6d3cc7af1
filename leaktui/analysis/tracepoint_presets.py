"""Bursts that are often wanted, by name.

Law: a preset is nothing but tracepoints one could write oneself; what its expressions read was tried on optimised
programs. Those of returns read registers, of amd64.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from leaktui.analysis.tracepoint_grammar import parse_size
from leaktui.errors import UsageError
from leaktui.model.tracepoint import Tracepoint
from leaktui.text import printable

MALLOC = "runtime.mallocgc"
GC_START = "runtime.gcStart"
BODY_CLOSE = "net/http.(*bodyEOFSignal).Close"
ROUND_TRIP = "net/http.(*Transport).RoundTrip"
ROUND_TRIP_RETURN = "net/http.(*Transport).roundTrip"
"""Every response net/http's client makes comes out of it, that of HTTP/2 too (net/http/transport.go, Go 1.22–1.27)."""

# http.Response: Body is an interface at 64: its itab, then its data. A gzipReader's first word is the body it wraps,
# a bodyEOFSignal's the itab of what it reads, http.noBody's is zero.
RESPONSE = '(*(*"net/http.Response")(RAX))'
BODY_ITAB = "*(*uintptr)(RAX+64)"
BODY_DATA = "*(*uintptr)(RAX+72)"
BODY_FIRST_WORD = "*(*uintptr)(*(*uintptr)(RAX+72))"
BODY_METHOD = f"{RESPONSE}.Request.Method"
BODY_HOST = f"{RESPONSE}.Request.URL.Host"
BODY_PATH = f"{RESPONSE}.Request.URL.Path"
BODY_STATUS = f"{RESPONSE}.StatusCode"
CLOSED_BODY = "uintptr(es)"
CLOSED_STREAM = "uintptr(b.cs)"

BODY_OPENED = Tracepoint(
    ROUND_TRIP_RETURN,
    expressions=(BODY_DATA, BODY_FIRST_WORD, BODY_ITAB, BODY_STATUS, BODY_METHOD, BODY_HOST, BODY_PATH),
    returns=True,
)
BODY_CLOSED = Tracepoint(BODY_CLOSE, expressions=(CLOSED_BODY,))

DEFAULT_SIZE = 32 << 10
_HOST = re.compile(r"[\w.:\[\]-]{1,255}")
_RELEASE = re.compile(r"go1\.(\d+)")
_FIRST_WITH_OWN_HTTP2 = 27


@dataclass(frozen=True, slots=True)
class Preset:
    """One of them. `takes` names the value that may follow it, empty for none."""

    name: str
    summary: str
    takes: str
    make: Callable[[str, str], tuple[Tracepoint, ...]]


def _alloc(value: str, go_version: str) -> tuple[Tracepoint, ...]:
    size = parse_size(value) if value else DEFAULT_SIZE
    return (Tracepoint(MALLOC, f"size >= {size}"),)


def _gc(value: str, go_version: str) -> tuple[Tracepoint, ...]:
    return (Tracepoint(GC_START),)


def _close(value: str, go_version: str) -> tuple[Tracepoint, ...]:
    return (Tracepoint(BODY_CLOSE),)


def _round_trip(value: str, go_version: str) -> tuple[Tracepoint, ...]:
    if value and not _HOST.fullmatch(value):
        raise UsageError(
            f"{printable(value, 60)!r} is no host", remedy="write it as in the URL: api.internal:8080"
        )
    condition = f'req.URL.Host == "{value}"' if value else ""
    return (Tracepoint(ROUND_TRIP, condition, ("req.Method", "req.URL.Host", "req.URL.Path")),)


def _bodies(value: str, go_version: str) -> tuple[Tracepoint, ...]:
    return (BODY_OPENED, BODY_CLOSED, Tracepoint(stream_close(go_version), expressions=(CLOSED_STREAM,)))


def stream_close(go_version: str) -> str:
    """The Close of HTTP/2's bodies: bundled into net/http up to Go 1.26, in a package of its own since."""
    release = _RELEASE.match(go_version)
    if release is not None and int(release[1]) >= _FIRST_WITH_OWN_HTTP2:
        return "net/http/internal/http2.transportResponseBody.Close"
    return "net/http.http2transportResponseBody.Close"


PRESETS: tuple[Preset, ...] = (
    Preset("alloc", "allocations of 32 kB and more", "SIZE", _alloc),
    Preset("gc", "garbage collections as they begin", "", _gc),
    Preset("close", "response bodies closed", "", _close),
    Preset("roundtrip", "requests sent", "HOST", _round_trip),
    Preset("bodies", "bodies opened and closed, in pairs", "", _bodies),
)


def parse_preset(text: str, go_version: str = "") -> tuple[Tracepoint, ...]:
    """`alloc`, `alloc=1M`, `roundtrip=HOST`, … Raises UsageError."""
    name, given, value = text.strip().partition("=")
    preset = next((item for item in PRESETS if item.name == name), None)
    if preset is None:
        names = ", ".join(item.name for item in PRESETS)
        raise UsageError(f"{printable(name, 40)!r} is no preset", remedy=f"choose from {names}")
    if given and not preset.takes:
        raise UsageError(f"the preset {name} takes no value", remedy=f"write {name} alone")
    if given and not value:
        raise UsageError(
            f"the preset {name} ends where its {preset.takes} should be", remedy=f"or write {name} alone"
        )
    return preset.make(value, go_version)


def told_values(point: Tracepoint, values: Sequence[tuple[str, str]]) -> tuple[tuple[str, str], ...]:
    """What a hit of *point* recorded, as it is worth reading: of a preset's registers and words what they mean."""
    known = dict(values)
    if point == BODY_OPENED:
        host, path = (_unquoted(known.get(name, "")) for name in (BODY_HOST, BODY_PATH))
        body = _address(known.get(BODY_DATA, ""))
        if not body:
            return (("response", "none: an error"),)
        if not _address(known.get(BODY_FIRST_WORD, "")):
            body = "none"
        request = f"{_unquoted(known.get(BODY_METHOD, '')) or 'GET'} {host}{path}"
        return ("request", request), ("status", known.get(BODY_STATUS, "")), ("body", body)
    if point.function == MALLOC and not point.returns:
        # Beside the size: a type's whole descriptor, and whether to clear.
        return tuple(item for item in values if item[0] not in ("typ", "needzero"))
    for name in (CLOSED_BODY, CLOSED_STREAM):
        if point.expressions == (name,) and (body := _address(known.get(name, ""))):
            return (("body", body),)
    return tuple(values)


def _address(text: str) -> str:
    return f"{int(text):#x}" if text.isascii() and text.isdigit() and int(text) else ""


def _unquoted(text: str) -> str:
    return text[1:-1] if len(text) > 1 and text[0] == text[-1] == '"' else text


def pairs_bodies(tracepoints: Sequence[Tracepoint]) -> bool:
    """Whether both the opening and the closing of bodies are recorded with what pairs them."""
    return BODY_OPENED in tracepoints and BODY_CLOSED in tracepoints
