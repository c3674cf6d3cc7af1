"""Values of a trace's JSON, taken for what they should be: text, tags, times, lists.

Law: what is needed and has the wrong type is a DecodeError that names it; what is optional and absent is empty.
"""

from __future__ import annotations

import json
import math
import sys
from collections.abc import Iterable
from typing import Any

from leaktui.errors import DecodeError, LimitExceeded
from leaktui.model.span import Tags
from leaktui.text import format_count, printable

MAX_TAGS = 1_000
"""Of one span or event."""

MAX_EVENTS = 20_000
"""Of one span. More is not cut: the event that is looked for may be among the rest."""

_LONGEST = 2_000
_YEAR_3000 = 32_503_680_000.0


def as_list(value: Any, name: str) -> list[Any]:
    """A list, empty for null. Raises DecodeError."""
    if value is None:
        return []
    if not isinstance(value, list):
        raise DecodeError(f"the export is damaged: `{name}` is no list")
    return value


def as_object(value: Any, name: str) -> dict[str, Any]:
    """An object. Raises DecodeError."""
    if not isinstance(value, dict):
        raise DecodeError(f"the export is damaged: {name} is no object")
    return value


def as_identity(value: Any, name: str) -> str:
    """An identifier that must be there. Raises DecodeError."""
    if not isinstance(value, str) or not value:
        raise DecodeError(f"the export is damaged: a span has no `{name}`")
    return printable(value, 128)


def as_text(value: Any) -> str:
    """Anything as printable text: JSON's own spelling for what is no string."""
    if isinstance(value, str):
        return printable(value, _LONGEST)
    if value is None:
        return ""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, (int, float)):
        return str(value) if isinstance(value, float) or abs(value) < 1 << 64 else ""
    try:
        return printable(json.dumps(value), _LONGEST)
    except (RecursionError, ValueError):
        return ""


def as_seconds(value: Any, per_second: float) -> float:
    """A number of *per_second*-ths of a second, or its digits, as seconds; 0 where it is none that makes sense."""
    if isinstance(value, str) and len(value) <= 24 and value.isascii() and value.isdigit():
        value = int(value)
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        return 0.0
    if isinstance(value, int) and abs(value) > 1 << 63:
        return 0.0
    seconds = value / per_second
    return seconds if math.isfinite(seconds) and 0 <= seconds < _YEAR_3000 else 0.0


def as_tags(pairs: Iterable[tuple[Any, Any]]) -> Tags:
    """Keys and values as text; keys that are none are left out. Raises LimitExceeded."""
    # The same few keys come a hundred thousand times.
    tags = tuple(
        (sys.intern(printable(key, 200)), as_text(value)) for key, value in pairs if isinstance(key, str)
    )
    if len(tags) > MAX_TAGS:
        raise LimitExceeded(f"a span has more than {format_count(MAX_TAGS)} tags, the most leaktui reads")
    return tags


def bounded_events(events: list[Any]) -> list[Any]:
    """*events*. Raises LimitExceeded where they are too many."""
    if len(events) > MAX_EVENTS:
        raise LimitExceeded(f"a span has more than {format_count(MAX_EVENTS)} events, the most leaktui reads")
    return events
