"""The *http.Request values of a process: method and URL.

Law: text as url.URL.String would give it (net/url/url.go, Go 1.21 to 1.27), made safe to print; what does not hold
together as a request (no method token, no host, an unreadable string) is no request.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from urllib.parse import quote, unquote_to_bytes

from leaktui.binary.runtime_types import RuntimeTypes
from leaktui.engines.memory.reader import MemoryReader
from leaktui.engines.memory.struct_view import StructView, find_layout, read_struct
from leaktui.errors import DecodeError
from leaktui.text import printable

_PART_LIMIT = 16 << 10
_METHOD_LIMIT = 64
_METHOD = re.compile(rb"[!#$%&'*+\-.^_`|~0-9A-Za-z]+")
_SCHEME = re.compile(rb"[a-z][a-z0-9+.\-]*")
# What url.shouldEscape lets through in a path, a fragment and userinfo besides letters, digits and -_.~
_PATH_SAFE, _FRAGMENT_SAFE, _USER_SAFE = "$&+,/:;=@", "$&+,/:;=?@!()*", "$&+,;="
_VALID_ENCODED = re.compile(rb"(?:[A-Za-z0-9\-_.~!$&'()*+,;=:@/\[\]]|%[0-9A-Fa-f]{2})*")


@dataclass(frozen=True, slots=True)
class RequestText:
    """A request, printable. `method` is `GET` where it was left empty; `host` is the URL's, as it has it.

    `url_address` is the address of the url.URL, which copies of a request share.
    """

    method: str
    url: str
    scheme: str
    host: str
    url_address: int


class Requests:
    """Reads requests of one process."""

    def __init__(self, memory: MemoryReader, types: RuntimeTypes) -> None:
        self._memory = memory
        self._request = find_layout(types, "http.Request", "net/http", pairs=("Method",), words=("URL",))
        self._url = find_layout(
            types,
            "url.URL",
            "net/url",
            pairs=("Scheme", "Opaque", "Host", "Path", "RawPath", "RawQuery", "Fragment"),
            words=("User",),
        )
        self._userinfo = find_layout(types, "url.Userinfo", "net/url", pairs=("username", "password"))

    def read(self, address: int) -> RequestText | None:
        """The request at *address*, None for what is none. Raises TargetGone."""
        if self._request is None or self._url is None:
            return None
        try:
            request = read_struct(self._memory, self._request, address)
            url = read_struct(self._memory, self._url, request.word("URL"))
            method = self._text(request, "Method", _METHOD_LIMIT) or b"GET"
            scheme, host = self._text(url, "Scheme", _METHOD_LIMIT), self._text(url, "Host")
            if not _METHOD.fullmatch(method) or not host or not _SCHEME.fullmatch(scheme):
                return None
            text = self._format(url, scheme, host)
        except DecodeError:
            return None
        return RequestText(_shown(method), _shown(text), _shown(scheme), _shown(host), url.address)

    def url_of(self, address: int) -> int:
        """The address of the url.URL of the request at *address*, 0 where that cannot be read."""
        if self._request is None:
            return 0
        try:
            return read_struct(self._memory, self._request, address).word("URL")
        except DecodeError:
            return 0

    def _format(self, url: StructView, scheme: bytes, host: bytes) -> bytes:
        query, opaque = self._text(url, "RawQuery"), self._text(url, "Opaque")
        text = scheme + b":"
        if opaque:
            text += opaque
        else:
            path = _escaped(self._text(url, "Path"), self._text(url, "RawPath"), _PATH_SAFE)
            slash = b"" if not path or path.startswith(b"/") else b"/"
            text += b"//" + self._user(url.word("User")) + host + slash + path
        if query:
            text += b"?" + query
        fragment = self._text(url, "Fragment")
        if fragment:
            text += b"#" + quote(fragment, safe=_FRAGMENT_SAFE).encode()
        return text

    def _user(self, address: int) -> bytes:
        if not address or self._userinfo is None:
            return b""
        user = read_struct(self._memory, self._userinfo, address)
        text = quote(self._text(user, "username"), safe=_USER_SAFE).encode()
        if "passwordSet" in user.layout.fields and user.byte("passwordSet"):
            text += b":" + quote(self._text(user, "password"), safe=_USER_SAFE).encode()
        return text + b"@" if text else b""

    def _text(self, view: StructView, field: str, limit: int = _PART_LIMIT) -> bytes:
        """A string, cut off at *limit* where it is longer than anything sensible."""
        pointer, length = view.words(field)
        return self._memory.read(pointer, min(length, limit)) if length else b""


def _escaped(path: bytes, raw: bytes, safe: str) -> bytes:
    """url.URL.EscapedPath: the spelling it came with where that is still right, else the usual one."""
    if raw and _VALID_ENCODED.fullmatch(raw) and unquote_to_bytes(raw) == path:
        return raw
    return b"*" if path == b"*" else quote(path, safe=safe).encode()


def _shown(text: bytes) -> str:
    return printable(text.decode("utf-8", "replace"))
