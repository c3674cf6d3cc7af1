"""A graph as inline SVG that stretches with the page; its words are HTML beside it.

Law: numbers only: nothing of the target's text comes near it. Strokes do not scale, so that a phone and a printer
draw the same line.
"""

from __future__ import annotations

import statistics
from collections.abc import Callable
from html import escape

from leaktui.report.graphs import Graph
from leaktui.text import format_bytes, format_count, format_duration, format_rate

_WIDTH, _HEIGHT = 1000.0, 300.0
_MARGIN = 14.0
_MOST_POINTS = 400
# A value that trembles by less than this share of itself is drawn as the level line it is.
_LEAST_SPAN_SHARE = 0.05


def draw_graph(graph: Graph) -> str:
    """A figure: title, newest value, growth, and the line with its trend. HTML, escaped."""
    low, high = _bounds(graph)
    seconds = graph.points[-1][0] - graph.points[0][0]
    value = graph.points[-1][1]
    rising = graph.slope is not None and graph.slope.rising
    growth = "growth not measured"
    band = "\u00a0"  # keeps the plots of a row on one line
    if graph.slope is not None:
        growth = format_rate(graph.slope.per_minute, as_bytes=graph.in_bytes)
        bounds = [format_rate(item, as_bytes=graph.in_bytes) for item in (graph.slope.low, graph.slope.high)]
        if rising and bounds[0] != bounds[1]:
            band = escape(f"95 %: {bounds[0]} to {bounds[1]}")
    title, shown = escape(graph.title), escape(_amount(graph, value))
    summary = escape(
        f"{graph.title}: {_amount(graph, graph.points[0][1])} at first, {_amount(graph, value)} "
        f"after {format_duration(seconds)}, {growth}"
    )
    return (
        f'<figure class="graph{" rising" if rising else ""}">'
        f'<figcaption><span class="what">{title}</span><span class="now">{shown}</span>'
        f'<span class="growth">{escape(growth)}</span><span class="band">{band}</span></figcaption>'
        f'<div class="plot"><span class="high">{escape(_amount(graph, high))}</span>'
        f'<span class="low">{escape(_amount(graph, low))}</span>'
        f'<svg viewBox="0 0 {_WIDTH:.0f} {_HEIGHT:.0f}" preserveAspectRatio="none" role="img" '
        f'aria-label="{summary}">{_paths(graph, low, high)}</svg></div>'
        f'<div class="axis"><span>{escape(_moment(graph.points[0][0]))}</span>'
        f"<span>{escape(_moment(graph.points[-1][0]))}</span></div></figure>"
    )


def _amount(graph: Graph, value: float) -> str:
    return format_bytes(value) if graph.in_bytes else format_count(value)


def _moment(seconds: float) -> str:
    return format_duration(seconds) if seconds >= 0.05 else "0 s"


def _bounds(graph: Graph) -> tuple[float, float]:
    """The lowest and highest value of the axis: from 0 where the values begin in its reach."""
    values = [value for _, value in graph.points]
    low, high = min(values), max(values)
    if low <= high / 2:
        return 0.0, max(high, 1.0)
    missing = high * _LEAST_SPAN_SHARE - (high - low)
    if missing > 0:
        low, high = low - missing / 2, high + missing / 2
    return low, high


def _paths(graph: Graph, low: float, high: float) -> str:
    points = graph.points
    if len(points) > _MOST_POINTS:
        step = (len(points) - 1) / (_MOST_POINTS - 1)
        points = tuple(points[round(index * step)] for index in range(_MOST_POINTS))
    first, last = points[0][0], points[-1][0]

    def place(time: float, value: float) -> tuple[float, float]:
        across = (time - first) / (last - first) * _WIDTH
        share = min(1.0, max(0.0, (value - low) / (high - low)))
        return across, _HEIGHT - _MARGIN - share * (_HEIGHT - 2 * _MARGIN)

    placed = [place(time, value) for time, value in points]
    line = " ".join(f"{'L' if index else 'M'}{x:.1f} {y:.1f}" for index, (x, y) in enumerate(placed))
    floor = _HEIGHT - _MARGIN
    area = f"{line} L{placed[-1][0]:.1f} {floor:.1f} L{placed[0][0]:.1f} {floor:.1f} Z"
    grid = "".join(f'<path class="grid" d="M0 {y:.1f}H{_WIDTH:.0f}"/>' for y in (_MARGIN, _HEIGHT / 2, floor))
    x, y = placed[-1]
    trend = _trend(graph, place)
    # The last point is a line of no length with round ends: a circle would be stretched with the picture.
    dot = f'<path class="dot" d="M{x:.1f} {y:.1f}h0"/>'
    return f'{grid}<path class="area" d="{area}"/>{trend}<path class="line" d="{line}"/>{dot}'


def _trend(graph: Graph, place: Callable[[float, float], tuple[float, float]]) -> str:
    """The slope as a dashed line through the middle of the points it rests on."""
    slope = graph.slope
    if slope is None or not slope.rising:
        return ""
    since = graph.points[-1][0] - slope.seconds
    recent = [point for point in graph.points if point[0] >= since - 1e-6]
    per_second = slope.per_minute / 60
    offset = statistics.median(value - per_second * time for time, value in recent)
    (x1, y1), (x2, y2) = (place(time, offset + per_second * time) for time in (recent[0][0], recent[-1][0]))
    return f'<path class="trend" d="M{x1:.1f} {y1:.1f}L{x2:.1f} {y2:.1f}"/>'
