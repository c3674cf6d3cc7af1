"""What the first steps saw: the sources, the numbers at the start, and how they move. Pure."""

from __future__ import annotations

from leaktui.analysis.growth import theil_sen
from leaktui.guide.sight import Sight
from leaktui.guide.state import Seen, Weight
from leaktui.guide.words import COSTS, GIVES, METRIC_WORDS, in_bytes, value_of
from leaktui.model.assessment import Slope
from leaktui.model.capability import Capability, SourceState
from leaktui.session.history import Metric
from leaktui.text import format_rate, printable

METRICS = (Metric.OPEN_BODIES, Metric.GOROUTINES, Metric.FDS, Metric.LIVE_HEAP, Metric.RSS)
_MOST_GIVEN = 4


def seen_sources(sight: Sight) -> tuple[Seen, ...]:
    """A line a source: what it sees and costs, or why it does not work and what would help."""
    lines = []
    for source in sight.snapshot.sources:
        name = printable(source.name, 20)
        capability = sight.capability(source.name)
        if source.state in (SourceState.UNAVAILABLE, SourceState.FAILED) or (
            capability is not None and not capability.usable
        ):
            detail = printable(source.detail, 300) or "it does not say why"
            remedy = printable(source.remedy, 300)
            lines.append(Seen(f"not here: {detail}" + (f" → {remedy}" if remedy else ""), name, Weight.SIDE))
        elif capability is None:
            lines.append(Seen("no answer yet", name, Weight.SIDE))
        else:
            lines.append(Seen(f"{COSTS[capability.impact]}; sees {_given(capability)}", name, Weight.GOOD))
    return tuple(lines)


def _given(capability: Capability) -> str:
    known = [GIVES[give] for give in capability.gives if give in GIVES]
    return ", ".join(known[:_MOST_GIVEN]) + (" and more" if len(known) > _MOST_GIVEN else "")


def seen_start(sight: Sight) -> tuple[Seen, ...]:
    """How much of everything there is."""
    lines = []
    for metric in METRICS:
        points = sight.series.get(metric)
        if points:
            text = f"{value_of(metric, points[-1][1])} {METRIC_WORDS[metric]}"
            lines.append(Seen(text, source_of(metric, sight)))
    return tuple(lines) or (Seen("nothing yet", weight=Weight.SIDE),)


def seen_growth(sight: Sight) -> tuple[Seen, ...]:
    """How each number went since the looking began, what rises for sure first."""
    rising, level = [], []
    for metric in METRICS:
        points = sight.series.get(metric)
        if not points:
            continue
        slope = theil_sen(points)
        text = f"{METRIC_WORDS[metric]}: {value_of(metric, points[0][1])} → {value_of(metric, points[-1][1])}"
        source = source_of(metric, sight)
        if slope is not None and slope.rising:
            rate = format_rate(slope.per_minute, as_bytes=in_bytes(metric))
            rising.append(Seen(f"{text}, {rate}, and rising", source, Weight.BAD))
        else:
            level.append(Seen(text, source, Weight.PLAIN))
    return (*rising, *level) or (Seen("nothing yet", weight=Weight.SIDE),)


def slope_of(metric: Metric, sight: Sight) -> Slope | None:
    """The trend of *metric* since the looking began."""
    points = sight.series.get(metric)
    return theil_sen(points) if points else None


def rising_metric(sight: Sight) -> Metric | None:
    """A number of things that rises for sure. Memory alone does not count: it rises in any program that starts."""
    for metric in (Metric.OPEN_BODIES, Metric.GOROUTINES, Metric.FDS):
        slope = slope_of(metric, sight)
        if slope is not None and slope.rising:
            return metric
    return None


def source_of(metric: Metric, sight: Sight) -> str:
    """Which source counted *metric*."""
    snapshot = sight.snapshot
    if metric in (Metric.RSS, Metric.FDS):
        return "proc"
    if metric is Metric.LIVE_HEAP:
        return snapshot.heap_from
    if metric is Metric.OPEN_BODIES and snapshot.bodies is not None:
        return "memory"
    return snapshot.groups_from
