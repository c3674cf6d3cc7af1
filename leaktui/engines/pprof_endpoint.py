"""Where a pprof endpoint is: `http(s)://host:port/prefix/debug/pprof/` or a unix socket.

Law: an Endpoint is an address and nothing more; it holds no secret. A URL the user typed is taken apart
here, and only here, so that user info never reaches a message.
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from urllib.parse import quote_from_bytes, unquote, unquote_to_bytes, urlsplit

from leaktui.errors import UsageError
from leaktui.text import printable

PPROF_PATH = "/debug/pprof/"

_LOOPBACK = re.compile(r"^(localhost|127\.\d+\.\d+\.\d+|::1)$", re.IGNORECASE)
_SAFE_PATH = "/:@!$&'()*+,;=-._~%"
_EXAMPLE = "give it as http://HOST:PORT, https://HOST:PORT/PREFIX/debug/pprof/ or unix:/PATH"


@dataclass(frozen=True, slots=True)
class Endpoint:
    """Where to connect, and the path under which the profiles lie (`path` ends with a slash).

    `unix_path` is set for a unix socket (bytes; a leading NUL for an abstract name); `owner_pid` then
    says whose root directory it is under. `namespace_pid` is the process whose network namespace must
    be entered to connect, None for ours. `verify` is whether a TLS certificate must be trusted.
    """

    scheme: str = "http"
    host: str = "localhost"
    port: int = 80
    path: str = PPROF_PATH
    unix_path: bytes | None = None
    owner_pid: int | None = None
    namespace_pid: int | None = None
    verify: bool = True

    @property
    def origin(self) -> str:
        """`http://127.0.0.1:6060`, `https://[::1]:443`; a unix socket has `http://localhost`."""
        if self.unix_path is not None:
            return f"{self.scheme}://localhost"
        host = f"[{self.host}]" if ":" in self.host else self.host
        default = {"http": 80, "https": 443}[self.scheme]
        return f"{self.scheme}://{host}" + ("" if self.port == default else f":{self.port}")

    @property
    def url(self) -> str:
        """The address in the form the user can give back with --url."""
        if self.unix_path is None:
            return self.origin + self.path
        socket_path = b"@" + self.unix_path[1:] if self.unix_path.startswith(b"\0") else self.unix_path
        if self.scheme == "http" and self.path == PPROF_PATH:
            return "unix:" + printable(socket_path.decode("utf-8", "surrogateescape"))
        return f"{self.scheme}+unix://{quote_from_bytes(socket_path, safe='')}{self.path}"

    @property
    def name(self) -> str:
        """The address for a sentence, safe to print."""
        return printable(self.url, 200)

    @property
    def is_local(self) -> bool:
        """Whether a packet to it cannot leave the machine."""
        return self.unix_path is not None or bool(_LOOPBACK.match(self.host))


@dataclass(frozen=True, slots=True, repr=False)
class Credentials:
    """What to show an endpoint that asks who we are. Never printed: there is no repr."""

    user: str = ""
    password: str = ""
    token: str = ""

    @classmethod
    def from_environment(cls, environment: Mapping[str, str] = os.environ) -> Credentials:
        """LEAKTUI_PPROF_USER with LEAKTUI_PPROF_PASSWORD, or LEAKTUI_PPROF_TOKEN."""
        return cls(
            user=environment.get("LEAKTUI_PPROF_USER", ""),
            password=environment.get("LEAKTUI_PPROF_PASSWORD", ""),
            token=environment.get("LEAKTUI_PPROF_TOKEN", ""),
        )

    def __bool__(self) -> bool:
        return bool(self.user or self.password or self.token)

    def __repr__(self) -> str:
        return "Credentials(…)" if self else "Credentials()"


def parse_url(text: str, *, insecure: bool = False) -> tuple[tuple[Endpoint, ...], Credentials]:
    """The endpoints *text* may mean, the likeliest first, and the credentials it carries.

    Only one endpoint unless the path leaves open where the profiles are: `http://h/ops` means
    `/ops/debug/pprof/`, or, with pprof mounted there by StripPrefix, `/ops/`. Raises UsageError.
    """
    text = text.strip()
    if text.startswith("unix:"):
        return (_unix_endpoint("http", text.removeprefix("unix:").encode(), PPROF_PATH),), Credentials()
    if "://" not in text:
        text = "http://" + text
    try:
        parts = urlsplit(text)
        port = parts.port
    except ValueError:
        raise UsageError(f"{_without_secrets(text)} is not a URL", remedy=_EXAMPLE) from None
    user, password = unquote(parts.username or ""), unquote(parts.password or "")
    credentials = Credentials(user=user, password=password)
    scheme = parts.scheme.lower()
    if scheme in ("http+unix", "https+unix"):
        socket_path = unquote_to_bytes(parts.netloc.rpartition("@")[2])
        first = _unix_endpoint(scheme.partition("+")[0], socket_path, PPROF_PATH)
        return tuple(replace(first, path=path) for path in _paths(parts.path)), credentials
    if scheme not in ("http", "https") or not parts.hostname:
        raise UsageError(f"{_without_secrets(text)} is not an http or https URL", remedy=_EXAMPLE)
    endpoint = Endpoint(
        scheme=scheme,
        host=parts.hostname,
        port=port or (443 if scheme == "https" else 80),
        verify=not insecure,
    )
    return tuple(replace(endpoint, path=path) for path in _paths(parts.path)), credentials


def _unix_endpoint(scheme: str, path: bytes, base: str) -> Endpoint:
    if not path:
        raise UsageError("the unix socket has no path", remedy=_EXAMPLE)
    raw = b"\0" + path[1:] if path.startswith(b"@") else path
    # A certificate for a unix socket has no host name it could be checked against.
    return Endpoint(scheme=scheme, path=base, unix_path=raw, verify=False)


def _paths(path: str) -> tuple[str, ...]:
    """Where the profiles may be, given the path the user typed (perhaps that of one profile)."""
    path = "/" + "".join(char if char in _SAFE_PATH or char.isalnum() else "%20" for char in path).strip("/")
    head, found, _ = path.partition("/debug/pprof")
    if found:
        return (head + PPROF_PATH,)
    prefix = path.rstrip("/")
    return (PPROF_PATH,) if not prefix else (prefix + PPROF_PATH, prefix + "/")


def _without_secrets(text: str) -> str:
    """A malformed URL for a message: whatever stands before an `@` may be a password."""
    scheme, separator, rest = text.partition("://")
    return printable(scheme + separator + rest.split("?", 1)[0].rpartition("@")[2], 200)
