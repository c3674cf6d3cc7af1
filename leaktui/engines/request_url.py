"""What an http.Request says of itself, from the strings of it and of its url.URL.

Law: pure. Text as url.URL.String would give it (net/url/url.go, Go 1.21 to 1.27), made safe to print; what does not
hold together as a URL is none.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from urllib.parse import quote, unquote_to_bytes

from leaktui.text import printable

CUT = "…"
"""Stands for what was not read."""

_METHOD = re.compile(rb"[!#$%&'*+\-.^_`|~0-9A-Za-z]+")
_SCHEME = re.compile(rb"[a-z][a-z0-9+.\-]*")
# What url.shouldEscape lets through in a path, a fragment and userinfo besides letters, digits and -_.~
_PATH_SAFE, _FRAGMENT_SAFE, _USER_SAFE = "$&+,/:;=@", "$&+,/:;=?@!()*", "$&+,;="
_VALID_ENCODED = re.compile(rb"(?:[A-Za-z0-9\-_.~!$&'()*+,;=:@/\[\]]|%[0-9A-Fa-f]{2})*")


@dataclass(frozen=True, slots=True)
class RequestUrl:
    """The fields of a url.URL. `userinfo` is escaped already; `cut` are the names of fields not read to their end."""

    scheme: bytes
    opaque: bytes = b""
    host: bytes = b""
    path: bytes = b""
    raw_path: bytes = b""
    raw_query: bytes = b""
    fragment: bytes = b""
    userinfo: str = ""
    cut: frozenset[str] = frozenset()

    def format(self) -> str:
        """The URL, empty where the fields make none."""
        if not _SCHEME.fullmatch(self.scheme) or not (self.host or self.opaque):
            return ""
        text = f"{self.scheme.decode('ascii')}:"
        if self.opaque:
            text += self._decoded("opaque", self.opaque)
        else:
            path = self._escaped_path()
            slash = "" if not path or path.startswith("/") else "/"
            user = f"{self.userinfo}@" if self.userinfo else ""
            text += f"//{user}{self._decoded('host', self.host)}{slash}{path}"
        if self.raw_query:
            text += f"?{self._decoded('raw_query', self.raw_query)}"
        if self.fragment:
            text += f"#{quote(self.fragment, safe=_FRAGMENT_SAFE)}"
        return printable(text)

    def _escaped_path(self) -> str:
        """url.URL.EscapedPath: the spelling it came with where that is still right, else the usual one."""
        if self.cut & {"path", "raw_path"}:
            # Which spelling is right would only show at the end.
            return quote(self.path, safe=_PATH_SAFE) + CUT
        raw = self.raw_path
        if raw and _VALID_ENCODED.fullmatch(raw) and unquote_to_bytes(raw) == self.path:
            return raw.decode("ascii")
        return "*" if self.path == b"*" else quote(self.path, safe=_PATH_SAFE)

    def _decoded(self, name: str, field: bytes) -> str:
        return field.decode("utf-8", "replace") + (CUT if name in self.cut else "")


def escape_user(text: bytes) -> str:
    """A user's name, or password, as it stands in a URL."""
    return quote(text, safe=_USER_SAFE)


def format_method(method: bytes) -> str:
    """`GET` where it was left empty, empty for what is no method."""
    method = method or b"GET"
    return method.decode("ascii") if _METHOD.fullmatch(method) else ""
