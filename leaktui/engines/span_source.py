"""Where exported traces come from: a file, standard input, or the query API of a Jaeger.

Law: bounded in bytes and time; a redirect leaves no origin; credentials go to the address that was given and nowhere
else, and are in no message.
"""

from __future__ import annotations

import os
import stat
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import IO
from urllib.parse import parse_qs, unquote, urlsplit

from leaktui.engines.pprof_endpoint import Credentials, Endpoint
from leaktui.errors import (
    EndpointDenied,
    EndpointMismatch,
    EndpointUnreachable,
    LimitExceeded,
    UsageError,
)
from leaktui.text import format_bytes, printable

MAX_BYTES = 128 << 20
STDIN = "-"

_TOTAL_SECONDS = 120.0
_IDLE_SECONDS = 30.0
_DEFAULT_LIMIT = 100
"""Traces that Jaeger's query API answers where no `limit` is given."""

_EXAMPLE = "give it as http://HOST:16686/api/traces?service=NAME"


def read_spans(
    source: str, *, credentials: Credentials | None = None, insecure: bool = False, limit: int = MAX_BYTES
) -> bytes:
    """The bytes at *source*: a path, `-`, or an http(s) URL.

    Raises UsageError for what cannot be opened, LimitExceeded, and EngineError for an address that does not answer.
    """
    if source == STDIN:
        return _read_stdin(limit)
    if "://" in source[:12]:
        return _fetch(parse_query_url(source, insecure=insecure), credentials, limit)
    return _read_file(source, limit)


def _read_stdin(limit: int) -> bytes:
    stream = getattr(sys.stdin, "buffer", None)
    if stream is None:
        raise UsageError("there is no standard input to read", remedy="name a file")
    if sys.stdin.isatty():
        raise UsageError("standard input is a terminal", remedy="pipe an export into it, or name a file")
    return _bounded(stream, "standard input", limit)


def _read_file(path: str, limit: int) -> bytes:
    name = printable(path, 200)
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NOCTTY)
        if stat.S_ISDIR(os.fstat(descriptor).st_mode):
            os.close(descriptor)
            raise UsageError(f"{name} is a directory", remedy="name a file in it")
        with os.fdopen(descriptor, "rb") as stream:
            return _bounded(stream, name, limit)
    except (OSError, ValueError) as error:
        why = getattr(error, "strerror", None) or "no name of a file"
        raise UsageError(f"cannot read {name} ({why})", remedy="name a file, a URL, or - for stdin") from None


def _bounded(stream: IO[bytes], name: str, limit: int) -> bytes:
    data = stream.read(limit + 1)
    if len(data) > limit:
        raise LimitExceeded(
            f"{name} holds more than {format_bytes(limit)}, the most leaktui reads",
            remedy="export fewer traces",
        )
    return data


# -- the query API -----------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Query:
    """A request to the query API. `endpoint.path` is its directory, `name` the last part of the path."""

    endpoint: Endpoint
    name: str
    query: str
    credentials: Credentials

    @property
    def most_traces(self) -> int:
        """How many traces the answer holds at most; 0 where that is not told."""
        if not self.name.endswith("traces") or self.endpoint.path.endswith("/v3/"):
            return 0
        asked = parse_qs(self.query).get("limit", [str(_DEFAULT_LIMIT)])[0]
        return int(asked) if asked.isascii() and asked.isdigit() and len(asked) < 10 else 0


def parse_query_url(text: str, *, insecure: bool = False) -> Query:
    """*text* as a request; the address of a page of Jaeger's UI is turned into that of its data. Raises UsageError."""
    try:
        parts = urlsplit(text.strip())
        port = parts.port
    except ValueError:
        raise UsageError("this is not a URL", remedy=_EXAMPLE) from None
    scheme = parts.scheme.lower()
    if scheme not in ("http", "https") or not parts.hostname:
        raise UsageError("this is not an http or https URL", remedy=_EXAMPLE)
    path = parts.path
    head, separator, last = path.rstrip("/").rpartition("/")
    if last == "search":
        path = f"{head}/api/traces"
    elif head.rpartition("/")[2] == "trace":
        path = f"{head.removesuffix('trace')}api/traces/{last}"
    elif not separator or not last:
        if not parts.query:
            raise UsageError("the address names no service", remedy=_EXAMPLE)
        path = "/api/traces"
    directory, _, name = path.rpartition("/")
    endpoint = Endpoint(
        scheme=scheme,
        host=parts.hostname,
        port=port or (443 if scheme == "https" else 80),
        path=f"{directory}/",
        verify=not insecure,
    )
    own = Credentials(user=unquote(parts.username or ""), password=unquote(parts.password or ""))
    return Query(endpoint, name, parts.query, own)


def _fetch(query: Query, credentials: Credentials | None, limit: int) -> bytes:
    from leaktui.engines.pprof_client import PprofClient, describe_redirect
    from leaktui.engines.pprof_connection import Patience

    client = PprofClient(query.endpoint, query.credentials or credentials, ask_first=False)
    where = query.endpoint.name.rstrip("/")
    try:
        reply = client.get(
            query.name,
            Patience(total=_TOTAL_SECONDS, idle=_IDLE_SECONDS),
            limit=limit,
            what="answer",
            query=query.query,
        )
    except EndpointUnreachable as error:
        remedy = (
            error.remedy if "--insecure" in error.remedy else "check the address, and that Jaeger runs there"
        )
        raise EndpointUnreachable(str(error.args[0]), remedy=remedy) from None
    except EndpointMismatch as error:
        raise EndpointMismatch(str(error.args[0]), remedy=_EXAMPLE) from None
    finally:
        client.close()
    if reply.status in (401, 403):
        raise EndpointDenied(
            f"{where} wants to know who asks (HTTP {reply.status})", remedy="give --user or --token-env"
        )
    if 300 <= reply.status < 400:
        raise EndpointMismatch(
            f"{where} sends on to {describe_redirect(reply)}, and leaktui leaves no origin",
            remedy="give that address, if you trust it",
        )
    # Jaeger says in JSON what is wrong with a query: that is for the decoder.
    if reply.status != 200 and not reply.body.lstrip().startswith(b'{"data"'):
        raise EndpointMismatch(f"{where} answers HTTP {reply.status}: {reply.text}", remedy=_EXAMPLE)
    return reply.body


def describe_source(source: str) -> str:
    """*source* for a report, without user info or query values that could be secret."""
    if source == STDIN:
        return "standard input"
    if "://" in source[:12]:
        query = parse_query_url(source)
        service = parse_qs(query.query).get("service", [""])[0]
        name = f"{query.endpoint.name}{printable(query.name, 80)}"
        return f"{name}, service {printable(service, 80)}" if service else name
    return printable(Path(source).name, 120)
