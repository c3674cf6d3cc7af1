"""The *http.Request values of a process: method and URL.

Law: what does not hold together as a request (no method token, no host, an unreadable string) is no request. Text is
printable.
"""

from __future__ import annotations

from dataclasses import dataclass

from leaktui.binary.runtime_types import RuntimeTypes
from leaktui.engines.memory.reader import MemoryReader
from leaktui.engines.memory.struct_view import StructView, find_layout, read_struct
from leaktui.engines.request_url import RequestUrl, escape_user, format_method
from leaktui.errors import DecodeError
from leaktui.text import printable

_PART_LIMIT = 16 << 10
_METHOD_LIMIT = 64


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
            method = format_method(self._text(request, "Method", _METHOD_LIMIT))
            scheme, host = self._text(url, "Scheme", _METHOD_LIMIT), self._text(url, "Host")
            if not method or not host:
                return None
            text = RequestUrl(
                scheme,
                self._text(url, "Opaque"),
                host,
                self._text(url, "Path"),
                self._text(url, "RawPath"),
                self._text(url, "RawQuery"),
                self._text(url, "Fragment"),
                self._userinfo_of(url.word("User")),
            ).format()
        except DecodeError:
            return None
        return RequestText(method, text, _shown(scheme), _shown(host), url.address) if text else None

    def url_of(self, address: int) -> int:
        """The address of the url.URL of the request at *address*, 0 where that cannot be read."""
        if self._request is None:
            return 0
        try:
            return read_struct(self._memory, self._request, address).word("URL")
        except DecodeError:
            return 0

    def _userinfo_of(self, address: int) -> str:
        if not address or self._userinfo is None:
            return ""
        user = read_struct(self._memory, self._userinfo, address)
        text = escape_user(self._text(user, "username"))
        if "passwordSet" in user.layout.fields and user.byte("passwordSet"):
            text += f":{escape_user(self._text(user, 'password'))}"
        return text

    def _text(self, view: StructView, field: str, limit: int = _PART_LIMIT) -> bytes:
        """A string, cut off at *limit* where it is longer than anything sensible."""
        pointer, length = view.words(field)
        return self._memory.read(pointer, min(length, limit)) if length else b""


def _shown(text: bytes) -> str:
    return printable(text.decode("utf-8", "replace"))
