"""The head of an HTTP/1 response, as far as it still is in the buffer it was parsed from.

Law: bytes in, values out. A bufio.Reader that has no data left reads to the beginning of its buffer, so that the head
of a response begins there, interim responses (1xx) before it, unless it is longer than the buffer.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from email.utils import parsedate_to_datetime

_STATUS_LINE = re.compile(rb"HTTP/(1\.[01]) ([1-9]\d\d)(?: [^\r\n]*)?\r?\n")
_END = re.compile(rb"\r?\n\r?\n")
_FIELD = re.compile(rb"(?:^|\n)([!#$%&'*+\-.^_`|~0-9A-Za-z]+):[ \t]*([^\r\n]*)")
_SWITCHING = 101
_INTERIM_LIMIT = 16


@dataclass(frozen=True, slots=True)
class ResponseHead:
    """A response's status line and what we ask of its fields; it takes `size` bytes of the buffer, from its start.

    `date` is seconds since 1970. None where the head has no such field.
    """

    protocol: str
    status: int
    size: int
    content_length: int | None
    date: float | None


def decode_response_head(buffer: bytes) -> ResponseHead | None:
    """The head at the start of *buffer*, None where there is no whole one."""
    start = 0
    for _ in range(_INTERIM_LIMIT):
        line = _STATUS_LINE.match(buffer, start)
        end = None if line is None else _END.search(buffer, line.end() - 2)
        if line is None or end is None:
            return None
        status = int(line[2])
        if status >= 200 or status == _SWITCHING:
            return _decode_fields(buffer[line.end() : end.start()], line[1].decode(), status, end.end())
        start = end.end()
    return None


def _decode_fields(text: bytes, version: str, status: int, size: int) -> ResponseHead:
    length: int | None = None
    date: float | None = None
    chunked = False
    for name, value in _FIELD.findall(text):
        match name.lower():
            case b"content-length":
                length = int(value) if value.isdigit() and len(value) < 20 else None
            case b"transfer-encoding":
                chunked = True
            case b"date":
                date = _decode_date(value)
    return ResponseHead(f"HTTP/{version}", status, size, None if chunked else length, date)


def _decode_date(value: bytes) -> float | None:
    try:
        return parsedate_to_datetime(value.decode("ascii")).timestamp()
    except (ValueError, TypeError, OverflowError, IndexError):
        return None
