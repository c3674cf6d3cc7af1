"""Delve in words: how it stands, what it may do here, and why it may not. Pure.

Law: Delve is attached by an order only: not attached is no failure. A refusal comes with what to do about it.
"""

from __future__ import annotations

from leaktui.engines.delve.costs import LOOK_KILL_COST
from leaktui.engines.protocol import DEBUGGING, Want
from leaktui.model.capability import Source, SourceState
from leaktui.model.tracepoint import TracepointRun
from leaktui.report.tracepoint_cost import ATTACHING, brief_cost
from leaktui.text import format_count, format_duration, printable
from leaktui.tui.facts import DELVE, Facts
from leaktui.tui.probe_words import Refusal, armed_kinds
from leaktui.tui.widgets.toned import Line, Span, fit_line, join, line_width, wrap_line
from leaktui.tui.wording import STATE_MARKS

_WORST = f"{LOOK_KILL_COST[:1].upper()}{LOOK_KILL_COST[1:]}."
INSPECTING = (
    "It stops the target for some milliseconds, seldom over 100, while frames, arguments and locals are read. "
    f"{ATTACHING} {_WORST}"
)
EVALUATING = (
    "It stops the target for some milliseconds while the expression is evaluated. No function of the target is "
    f"called. {ATTACHING} {_WORST}"
)
_LONGEST = 400
_MOST_LINES = 4


def refusal(facts: Facts, want: Want | None = None, *, read_only: bool = False) -> Refusal | None:
    """Why Delve cannot do *want* (or anything) here; None where it can."""
    if facts.exited is not None:
        return Refusal("the process has exited")
    if read_only:
        return Refusal("--read-only forbids what stops the target", "start leaktui without it")
    wanted = DEBUGGING if want is None else {want}
    if any(facts.offers(item) for item in wanted):
        if armed_kinds(facts):
            return Refusal("probes are armed, and Delve is never used beside them", "a disarms them")
        return None
    capability = next((item for item in facts.capabilities if item.engine == DELVE), None)
    if capability is not None and not capability.usable:
        return Refusal(printable(capability.reason, _LONGEST), printable(capability.remedy, _LONGEST))
    source = next((item for item in facts.snapshot.sources if item.name == DELVE), None)
    if source is not None and source.state is SourceState.WAITING and capability is None:
        return Refusal("whether Delve works here is still being found out", "try again in a moment")
    if capability is not None:
        # A headless server of somebody else is looked at, and no more.
        return Refusal(
            "no tracepoints are set through somebody else's server",
            "run leaktui on the machine of the process, with --pid",
        )
    if source is not None and source.detail:
        return Refusal(printable(source.detail, _LONGEST), printable(source.remedy, _LONGEST))
    if facts.snapshot.target.pid is None:
        return Refusal("only a URL was given", "run leaktui on the machine of the process, with --pid")
    return Refusal("Delve was left out", "start leaktui without --without delve")


def said_of(source: Source) -> str:
    """A source's own words, with the remedy where they do not end with it already."""
    detail, remedy = printable(source.detail, _LONGEST), printable(source.remedy, _LONGEST)
    return detail if not remedy or detail.endswith(remedy) else f"{detail} → {remedy}"


def refusal_text(refused: Refusal) -> str:
    """One sentence, with the remedy."""
    reason = refused.reason or "no reason is known"
    return f"{reason} → {refused.remedy}" if refused.remedy else reason


def recording(facts: Facts) -> bool:
    """Whether a burst is under way, or about to be."""
    return Want.TRACEPOINTS in facts.under_way


# -- the lines on top of the pane ----------------------------------------------------------------


def state_lines(facts: Facts, width: int, *, read_only: bool = False) -> tuple[Line, ...]:
    """How Delve and the newest burst stand: a line each, and one more for what went wrong."""
    run = facts.snapshot.tracepoints
    lines = list(_attachment_lines(facts, width, read_only=read_only))
    if recording(facts) and (run is None or not run.armed):
        # What there is already is of the burst before.
        lines.append(((" ● on its way: Delve is being attached", "accent"),))
    elif run is not None:
        lines.append(_fit(_run_parts(run, under_way=recording(facts)), width))
        for text in _trouble(run):
            lines += wrap_line(((f" {text}", "warning"),), width, 1)
    return tuple(lines[:_MOST_LINES])


def _attachment_lines(facts: Facts, width: int, *, read_only: bool) -> list[Line]:
    refused = refusal(facts, read_only=read_only)
    source = next((item for item in facts.snapshot.sources if item.name == DELVE), None)
    if refused is not None:
        return wrap_line(((" ✕ ", "muted"), (refusal_text(refused), "warning")), width, 3)[:2]
    parts: list[tuple[int, Line]] = []
    if recording(facts) and source is not None and source.state is SourceState.FAILED:
        return []
    if source is not None and source.state is SourceState.FAILED:
        failed: Line = ((" ✕ ", "danger"), (said_of(source), "warning"))
        return wrap_line(failed, width, 3)[:2]
    used = source is not None and source.state is SourceState.USED
    mark: Span = STATE_MARKS[SourceState.USED] if used else STATE_MARKS[SourceState.WAITING]
    refused_last = source is not None and used and bool(source.detail)
    if source is not None and refused_last:
        parts.append((0, ((" ", "plain"), mark, (f" {said_of(source)}", "warning"))))
    else:
        text = "Delve lets the target go when it is not used" if used else _waiting(facts)
        parts.append((0, ((" ", "plain"), mark, (f" {text}", "plain" if used else "muted"))))
    if source is not None and source.pause_ms:
        parts.append((1, ((f"it stopped the target for {_pause(source.pause_ms)} in all", "muted"),)))
    return [_fit(parts, width)]


def _waiting(facts: Facts) -> str:
    reason = next((item.reason for item in facts.capabilities if item.engine == DELVE), "")
    return printable(reason, _LONGEST) or "Delve is not attached"


def _pause(milliseconds: float) -> str:
    return f"{milliseconds:.0f} ms" if milliseconds < 1000 else format_duration(milliseconds / 1000)


def _run_parts(run: TracepointRun, *, under_way: bool) -> list[tuple[int, Line]]:
    """(rank, part); 0 always stays."""
    total, plan = sum(run.counts), run.plan
    if under_way:
        state: Line = ((" ● ", "success"), (f"recording {format_duration(run.seconds)}", "strong"))
        state = (*state, (f" of {format_duration(plan.seconds)}", "muted"))
        budget = f"{format_count(total)} of {format_count(plan.most_hits)} hits"
    else:
        state = ((" ○ ", "muted"), (f"recorded {format_duration(run.seconds)}", "muted"))
        budget = f"{format_count(total)} hit{'' if total == 1 else 's'}"
    parts: list[tuple[int, Line]] = [(0, state), (0, ((budget, "strong"),))]
    parts.append((1, ((brief_cost(run), "muted"),)))
    if run.ended and not under_way:
        parts.append((2, ((printable(run.ended, 200), "muted"),)))
    return parts


def _trouble(run: TracepointRun) -> list[str]:
    """What could not be set, and what was counted only."""
    said = []
    for index, reason in run.not_set[:2]:
        if 0 <= index < len(run.plan.tracepoints):
            function = printable(run.plan.tracepoints[index].function, 80)
            said.append(f"not set: {function}: {printable(reason, 200)}")
    if len(run.not_set) > 2:
        said.append(f"… and {len(run.not_set) - 2} more could not be set")
    return said


def _fit(parts: list[tuple[int, Line]], width: int) -> Line:
    """*parts* in *width* columns: those of the highest rank are left out first."""
    while True:
        line = join([part for _, part in parts], (" · ", "muted"))
        least = max((rank for rank, _ in parts), default=0)
        if line_width(line) <= width or not least:
            return fit_line(line, width)
        parts = [item for item in parts if item[0] < least]


def empty_text(facts: Facts, *, read_only: bool = False) -> str:
    """What is said where no hits are listed."""
    if recording(facts):
        return "Nothing was hit yet."
    run = facts.snapshot.tracepoints
    if run is not None:
        return "Nothing was hit in this burst; T records another."
    if refusal(facts, Want.TRACEPOINTS, read_only=read_only) is not None:
        return "No tracepoints here."
    return "T records a burst of tracepoints: it asks first, and says what it costs."
