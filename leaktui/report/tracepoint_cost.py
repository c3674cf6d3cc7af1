"""What a burst of tracepoints will cost the target, in plain words, before anybody is asked; and what it did cost.

Law: the worst that can happen is said first hand, not in a manual. Figures were measured: Delve 1.27, amd64.
"""

from __future__ import annotations

from leaktui.engines.delve.costs import KILL_COST
from leaktui.model.tracepoint import TracepointPlan, TracepointRun
from leaktui.text import format_count, format_duration, short_function

_HIT_MS = (1.0, 4.0)
_BUSY = frozenset(
    {
        "runtime.mallocgc",
        "runtime.newobject",
        "runtime.makeslice",
        "runtime.growslice",
        "runtime.gopark",
        "runtime.goready",
        "runtime.chansend",
        "runtime.chanrecv",
        "runtime.selectgo",
        "runtime.memmove",
        "runtime.schedule",
    }
)
"""Called so often that a breakpoint there all but stops the program, whatever its condition."""

ATTACHING = "Attaching Delve stops it once for 0.3 to 1.3 s."
KILLING = f"However leaktui ends, all is taken out in order; but {KILL_COST}."


def expected_cost(plan: TracepointPlan, *, attached: bool = False) -> tuple[str, ...]:
    """Sentences that say what *plan* will do to the target."""
    least, most = (plan.most_hits * ms / 1000 for ms in _HIT_MS)
    bound = plan.most_stops_ms / 1000
    hits = (
        "Each hit stops the target for about 1 to 4 ms, also where the condition does not hold: at most "
        f"{format_count(plan.most_hits)} hits, {format_duration(min(least, bound))} to "
        f"{format_duration(min(most, bound))} in all, within {format_duration(plan.seconds)}."
    )
    sentences = [hits]
    busy = sorted({point.function for point in plan.tracepoints} & _BUSY)
    if busy:
        names = " and ".join(short_function(name) for name in busy)
        sentences.append(
            f"{names} is called all the time: the target all but stands still, until it was stopped for "
            f"{format_duration(bound)} in all."
        )
    if not attached:
        sentences.append(ATTACHING)
    return (*sentences, KILLING)


def actual_cost(run: TracepointRun) -> str:
    """What *run* took from the target, in a sentence."""
    parts = [f"stopped for {_milliseconds(run.stops_ms)} in all"]
    if run.longest_stop_ms:
        parts.append(f"{_milliseconds(run.longest_stop_ms)} at most at once")
    if run.attach_stop_ms:
        parts.append(f"{_milliseconds(run.attach_stop_ms)} to attach")
    return ", ".join(parts)


def brief_cost(run: TracepointRun) -> str:
    """The same in a few words, without attaching."""
    return f"stopped it {_milliseconds(run.stops_ms)} in all, {_milliseconds(run.longest_stop_ms)} at once"


def _milliseconds(value: float) -> str:
    if value >= 1000:
        return format_duration(value / 1000)
    return f"{value:.1f} ms" if value < 9.95 else f"{value:.0f} ms"


def budget_words(run: TracepointRun) -> str:
    """How far a burst under way is: `120 of 500 hits, 2.1 of 5.0 s`."""
    hits = f"{format_count(sum(run.counts))} hits, {format_count(len(run.hits))} of "
    seconds = f"{format_duration(run.seconds)} of {format_duration(run.plan.seconds)}"
    return f"{hits}{format_count(run.plan.most_hits)} recorded, {seconds}"
