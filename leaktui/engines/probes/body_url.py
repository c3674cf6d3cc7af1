"""A request's URL from the pieces a probe read: what url.URL.String would make of them.

Law: pure. The text is printable, and bounded by the pieces; a piece that fills its limit was cut off and says so.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import NamedTuple
from urllib.parse import quote, unquote_to_bytes

from leaktui.text import printable

LIMITS: Mapping[str, int] = {
    "method": 16,
    "scheme": 16,
    "opaque": 64,
    "host": 128,
    "path": 256,
    "raw_path": 256,
    "raw_query": 256,
    "username": 32,
}
"""Bytes read of each piece at most. A probe takes no more than eight: a password is not read."""

_CUT = "…"
# What url.shouldEscape lets through in a path and in userinfo besides letters, digits and -_.~ (net/url/url.go).
_PATH_SAFE, _USER_SAFE = "$&+,/:;=@", "$&+,;="
_VALID_ENCODED = re.compile(rb"(?:[A-Za-z0-9\-_.~!$&'()*+,;=:@/\[\]]|%[0-9A-Fa-f]{2})*")
_METHOD = re.compile(rb"[!#$%&'*+\-.^_`|~0-9A-Za-z]+")
_SCHEME = re.compile(rb"[a-z][a-z0-9+.\-]*")


class UrlPieces(NamedTuple):
    """The strings of an http.Request and its url.URL that are read, by the names in `LIMITS`."""

    method: bytes = b""
    scheme: bytes = b""
    opaque: bytes = b""
    host: bytes = b""
    path: bytes = b""
    raw_path: bytes = b""
    raw_query: bytes = b""
    username: bytes = b""


def format_method(pieces: UrlPieces) -> str:
    """`GET` where it was left empty, empty for what is no method."""
    method = pieces.method or b"GET"
    return method.decode("ascii") if _METHOD.fullmatch(method) else ""


def format_url(pieces: UrlPieces, *, with_password: bool = False) -> str:
    """The URL, empty where the pieces make none; *with_password* says that it has one, which is shown as `…`."""
    if not _SCHEME.fullmatch(pieces.scheme) or not (pieces.host or pieces.opaque):
        return ""
    text = f"{pieces.scheme.decode('ascii')}:"
    if pieces.opaque:
        text += _decoded("opaque", pieces.opaque)
    else:
        path = _path(pieces.path, pieces.raw_path)
        slash = "" if not path or path.startswith("/") else "/"
        text += f"//{_user(pieces.username, with_password)}{_decoded('host', pieces.host)}{slash}{path}"
    if pieces.raw_query:
        text += f"?{_decoded('raw_query', pieces.raw_query)}"
    return printable(text)


def _path(path: bytes, raw: bytes) -> str:
    """url.URL.EscapedPath: the spelling it came with where that is still right, else the usual one."""
    if _is_cut("path", path) or _is_cut("raw_path", raw):
        # Which spelling is right would only show at the end.
        return quote(path, safe=_PATH_SAFE) + _CUT
    if raw and _VALID_ENCODED.fullmatch(raw) and unquote_to_bytes(raw) == path:
        return raw.decode("ascii")
    return "*" if path == b"*" else quote(path, safe=_PATH_SAFE)


def _user(name: bytes, with_password: bool) -> str:
    user = quote(name, safe=_USER_SAFE) + (f":{_CUT}" if with_password else "")
    return user + "@" if user else ""


def _decoded(name: str, piece: bytes) -> str:
    return piece.decode("utf-8", "replace") + (_CUT if _is_cut(name, piece) else "")


def _is_cut(name: str, piece: bytes) -> bool:
    return len(piece) >= LIMITS[name]
