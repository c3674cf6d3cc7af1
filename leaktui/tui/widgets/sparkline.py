"""A graph of one line, drawn as one piece of text so that a change costs the terminal few bytes."""

from __future__ import annotations

from collections.abc import Sequence

_BARS = "▁▂▃▄▅▆▇█"
# Column widths in seconds; the first that lets the whole series fit is taken.
_STEPS = (
    1,
    2,
    3,
    4,
    6,
    8,
    12,
    16,
    24,
    30,
    45,
    60,
    90,
    120,
    180,
    300,
    600,
    1200,
    1800,
    3600,
    7200,
    21600,
    86400,
)


def draw_sparkline(series: Sequence[tuple[float, float]], width: int, *, start: float | None = None) -> str:
    """*series* of (seconds, value) in *width* columns, oldest left, padded on the right.

    A column spans a whole number of seconds counted from *start* (default: the first point) and shows
    the last value in it, so columns already drawn stay as they are. A flat series is a flat low line; the
    scale starts at zero only when the values come near it.
    """
    if not series or width <= 0:
        return " " * max(0, width)
    origin = series[0][0] if start is None else start
    elapsed = max(0.0, series[-1][0] - origin)
    step = next((step for step in _STEPS if elapsed < step * width), _STEPS[-1])
    columns: list[float | None] = [None] * width
    for time, value in series:
        columns[min(width - 1, max(0, int((time - origin) / step)))] = value
    known = [value for value in columns if value is not None]
    low, high = min(known), max(known)
    # A ripple of a few percent is not a mountain: the scale spans a tenth of the height at least.
    span = max(high - low, abs(high) * 0.1)
    drawn: list[str] = []
    last: float | None = None
    newest = max(index for index, value in enumerate(columns) if value is not None)
    for index, seen in enumerate(columns):
        last = last if seen is None else seen
        if last is None or index > newest:
            drawn.append(" ")
        elif span == 0:
            drawn.append(_BARS[0])
        else:
            drawn.append(_BARS[min(7, int((last - low) / span * 7.999))])
    return "".join(drawn)


def draw_bar(fraction: float, width: int) -> str:
    """A bar of *width* columns, told apart by weight and not by colour: `━━━──`."""
    filled = min(width, max(0, round(fraction * width)))
    return "━" * filled + "─" * (width - filled)
