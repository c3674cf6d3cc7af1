"""A request's method and URL from the pieces a probe read.

Law: pure. The text is printable, and bounded by the pieces; a piece that fills its limit was cut off and says so.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

from leaktui.engines.request_url import CUT, RequestUrl, escape_user, format_method

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

    def format_method(self) -> str:
        """`GET` where it was left empty, empty for what is no method."""
        return format_method(self.method)

    def format_url(self, *, with_password: bool = False) -> str:
        """The URL, empty where there is none; *with_password* says that it has one, which is shown as `…`."""
        user = escape_user(self.username) + (f":{CUT}" if with_password else "")
        return RequestUrl(
            self.scheme,
            self.opaque,
            self.host,
            self.path,
            self.raw_path,
            self.raw_query,
            userinfo=user,
            cut=frozenset(
                name for (name, limit), piece in zip(LIMITS.items(), self, strict=True) if len(piece) >= limit
            ),
        ).format()
