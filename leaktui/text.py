"""Numbers, durations and Go symbols as people read them; target-controlled text made safe to print.

Law: every string that comes from a target passes `printable` (or `masked_url`) before it reaches a
terminal, a file or an error message.
"""

from __future__ import annotations

import re
import unicodedata
from urllib.parse import urlsplit, urlunsplit

_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\u061c\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufeff\ud800-\udfff]")

# Headers and query keys whose values never reach a report unless the user asks for secrets.
_MASK = "…"


def printable(text: str, limit: int = 4096) -> str:
    """*text* without control, bidirectional or surrogate code points, cut to *limit* characters.

    Tabs and line breaks become spaces; everything else unprintable becomes `\\xNN`/`\\uNNNN` in plain
    letters, so that it is still recognisable and cannot move a cursor.
    """
    if len(text) > limit:
        text = text[: limit - 1] + "…"
    if text.isascii() and text.isprintable():
        return text
    return _CONTROL.sub(_escape, text)


def _escape(match: re.Match[str]) -> str:
    character = match.group()
    if character in "\t\n\r":
        return " "
    code = ord(character)
    return f"\\x{code:02x}" if code < 0x100 else f"\\u{code:04x}"


def masked_url(url: str, *, show_secrets: bool = False) -> str:
    """*url* with user info and query values masked, safe to print."""
    url = printable(url)
    if show_secrets:
        return url
    try:
        parts = urlsplit(url)
    except ValueError:
        return url.split("?", 1)[0]
    host = parts.netloc.rpartition("@")[2]
    query = "&".join(
        f"{pair.partition('=')[0]}={_MASK}" if "=" in pair else pair
        for pair in parts.query.split("&")
        if pair
    )
    return urlunsplit((parts.scheme, host, parts.path, query, ""))


def format_bytes(count: float) -> str:
    """`1.4 MB`: powers of 1024 with the short names htop and pprof users know; at most 4 digits."""
    sign = "-" if count < 0 else ""
    value = abs(count)
    for unit in ("B", "kB", "MB", "GB", "TB"):
        if value < 999.5 or unit == "TB":
            digits = 0 if unit == "B" or value >= 99.5 else 1
            return f"{sign}{value:.{digits}f} {unit}"
        value /= 1024
    raise AssertionError("unreachable")


def format_count(count: float) -> str:
    """`812`, `14.2k`, `3.1M`."""
    sign = "-" if count < 0 else ""
    value = abs(count)
    if value < 10_000:
        return f"{sign}{value:.0f}"
    for unit in ("k", "M", "G"):
        value /= 1000
        if value < 999.5 or unit == "G":
            digits = 0 if value >= 99.5 else 1
            return f"{sign}{value:.{digits}f}{unit}"
    raise AssertionError("unreachable")


def format_rate(per_minute: float, *, as_bytes: bool = False) -> str:
    """A slope: `+48/min`, `−1.2 MB/min`, `±0/min`."""
    if abs(per_minute) < 0.5:
        return "±0/min"
    magnitude = format_bytes(abs(per_minute)) if as_bytes else format_count(abs(per_minute))
    return f"{'+' if per_minute > 0 else '−'}{magnitude}/min"


def format_duration(seconds: float) -> str:
    """`0.4 s`, `12 s`, `3m05s`, `2h14m`, `6d03h`."""
    if seconds < 0:
        seconds = 0.0
    if seconds < 9.95:
        return f"{seconds:.1f} s"
    whole = round(seconds)
    if whole < 100:
        return f"{whole} s"
    minutes, rest = divmod(whole, 60)
    if minutes < 100:
        return f"{minutes}m{rest:02d}s"
    hours, minutes = divmod(minutes, 60)
    if hours < 48:
        return f"{hours}h{minutes:02d}m"
    days, hours = divmod(hours, 24)
    return f"{days}d{hours:02d}h"


def package_of(function: str) -> str:
    """The import path of a Go symbol: `net/http.(*T).f` → `net/http`; `main.f` → `main`.

    Dots in the last path element arrive as `%2e` in symbols and are decoded
    (cmd/internal/objabi.PathToPrefix, Go 1.22). Generic instantiation brackets may hold slashes and
    dots of their own and are ignored.
    """
    if function.startswith(("type:.", "go:")):
        return ""
    head = function.split("[", 1)[0]
    slash = head.rfind("/")
    dot = head.find(".", slash + 1)
    path = head if dot < 0 else head[:dot]
    return path.replace("%2e", ".").replace("%22", '"').replace("%25", "%")


def short_function(function: str) -> str:
    """A Go symbol without its import path's directories: `net/http.(*T).f` → `http.(*T).f`."""
    bracket = function.find("[")
    head, tail = (function, "") if bracket < 0 else (function[:bracket], function[bracket:])
    slash = head.rfind("/")
    if tail and tail != "[...]":
        end = tail.rfind("]")
        tail = "[...]" + tail[end + 1 :]
    return head[slash + 1 :].replace("%2e", ".") + tail


def short_path(path: str, width: int = 40) -> str:
    """A path cut from the left to *width* columns, keeping its last elements."""
    if len(path) <= width:
        return path
    cut = path[len(path) - width + 1 :]
    slash = cut.find("/")
    return "…" + (cut[slash:] if 0 <= slash < len(cut) - 12 else cut)


def cell_width(text: str) -> int:
    """Terminal columns *text* takes (wide East Asian characters take two)."""
    if text.isascii():
        return len(text)
    return sum(
        0 if unicodedata.combining(char) else 2 if unicodedata.east_asian_width(char) in "WF" else 1
        for char in text
    )
