"""The Delve pane: how Delve stands, and what the newest burst of tracepoints recorded.

Hits one by one, by stack, by calling function; and bodies by owner, where the burst paired them.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from textual.app import ComposeResult

from leaktui.analysis.tracepoint_groups import Grouping, HitGroup, caller_of, group_hits
from leaktui.analysis.tracepoint_presets import told_values
from leaktui.model.assessment import OwnerPairs
from leaktui.model.finding import Confidence
from leaktui.model.frame import Frame
from leaktui.model.tracepoint import TracepointRun
from leaktui.report.redaction import MASKED
from leaktui.text import format_bytes, format_count
from leaktui.tui.delve_words import empty_text, state_lines
from leaktui.tui.facts import Facts
from leaktui.tui.links import HitLink
from leaktui.tui.panes.drill import hit_level
from leaktui.tui.panes.level import DocumentLevel, Level, Listing, TableLevel
from leaktui.tui.tracepoint_lines import group_lines, group_name, hit_lines, pair_lines, pair_name
from leaktui.tui.widgets.columns import UNKNOWN, Column, name_column, number_column
from leaktui.tui.widgets.document import DocLine
from leaktui.tui.widgets.line_view import Lines
from leaktui.tui.widgets.toned import Span
from leaktui.tui.wording import CONFIDENCE_TONES, frame_place, function_name

_STRENGTH: dict[Confidence | None, int] = {
    Confidence.PROVEN: 0,
    Confidence.LIKELY: 1,
    Confidence.POSSIBLE: 2,
    None: 3,
}


class _Burst:
    """What was made of the newest run, made once: a screen is drawn every second."""

    def __init__(self) -> None:
        self._run: TracepointRun | None = None
        self._hits: list[HitLink] = []
        self._groups: dict[Grouping, Sequence[HitGroup]] = {}

    def _of(self, run: TracepointRun | None) -> bool:
        if run is not self._run:
            self._run, self._groups = run, {}
            points = run.plan.tracepoints if run is not None else ()
            hits = run.hits if run is not None else ()
            self._hits = [
                HitLink(hit, points[hit.tracepoint]) for hit in hits if 0 <= hit.tracepoint < len(points)
            ]
        return run is not None

    def hits(self, run: TracepointRun | None) -> Sequence[HitLink]:
        self._of(run)
        return self._hits

    def groups(self, run: TracepointRun | None, by: Grouping) -> Sequence[HitGroup]:
        if not self._of(run) or run is None:
            return ()
        if by not in self._groups:
            self._groups[by] = group_hits(run, by)
        return self._groups[by]

    def members(self, run: TracepointRun | None, group: HitGroup) -> list[HitLink]:
        """The hits of *group*, in their order."""
        calls = [(frame.function, frame.line) for frame in group.stack]

        def belongs(link: HitLink) -> bool:
            if link.hit.tracepoint != group.tracepoint:
                return False
            if group.stacks == 1:
                return [(frame.function, frame.line) for frame in link.hit.stack] == calls
            caller = caller_of(link.hit.stack)
            return (caller.function if caller else "") == (group.caller.function if group.caller else "")

        return [link for link in self.hits(run) if belongs(link)]


def _place(frame: Frame | None) -> str | None:
    return f"{function_name(frame.function)} {frame_place(frame)}" if frame is not None else None


def _values(link: HitLink) -> str:
    skip = ("size",) if link.hit.size is not None else ()
    return ", ".join(
        f"{name}={MASKED.text(value, 200)}"
        for name, value in told_values(link.point, link.hit.values)
        if name not in skip
    )


def _search_hit(link: HitLink) -> str:
    functions = [frame.function for frame in link.hit.stack]
    return "\n".join([link.point.function, str(link.hit.goid), _values(link), *functions])


def _hits_listing(burst: _Burst) -> Listing[HitLink]:
    def caller(link: HitLink) -> Frame | None:
        return caller_of(link.hit.stack)

    columns: tuple[Column[HitLink], ...] = (
        number_column("time", lambda link: link.hit.time, lambda value: f"{value:.3f}", 8),
        name_column("function", lambda link: link.point.function, 16, 1, show=function_name),
        number_column("goroutine", lambda link: link.hit.goid, str, 9, rank=2, tone="muted"),
        number_column("size", lambda link: link.hit.size, format_bytes, 8, rank=1, tone="strong"),
        name_column("caller", lambda link: _place(caller(link)), 22, 2, show=str),
        name_column("values", _values, 14, 2, rank=3, tone="muted"),
    )

    def describe(link: HitLink, facts: Facts) -> Sequence[DocLine]:
        return hit_lines(link.hit, link.point, caller(link))

    return Listing(
        "in order", "hits", columns, lambda facts: burst.hits(facts.snapshot.tracepoints),
        lambda link: (link.hit.time, link.hit.tracepoint, link.hit.goid), _search_hit, describe, hit_level, caller,
        sort=None, empty=empty_text, inspected=lambda link: link.hit.goid,
    )  # fmt: skip


def _groups_listing(burst: _Burst, by: Grouping) -> Listing[HitGroup]:
    def chain(group: HitGroup) -> str:
        stack = group.stack
        if group.caller is not None:
            stack = stack[stack.index(group.caller) :]
        else:
            stack = stack[1:] or stack
        stack = tuple(frame for frame in stack if frame.function not in ("runtime.main", "runtime.goexit"))
        return " ← ".join(_place(frame) or "" for frame in stack[:6])

    columns: list[Column[HitGroup]] = [
        number_column("hits", lambda group: group.hits, format_count, 6, tone="strong"),
        number_column("a second", lambda group: group.per_second, lambda value: f"{value:.1f}", 8, rank=2),
        number_column("bytes", lambda group: group.bytes, format_bytes, 8, rank=1, tone="strong"),
        number_column(
            "first", lambda group: group.first, lambda value: f"{value:.2f}", 6, rank=3, tone="muted"
        ),
        number_column(
            "last", lambda group: group.last, lambda value: f"{value:.2f}", 6, rank=3, tone="muted"
        ),
        name_column("function", lambda group: group.function, 16, 1, show=function_name),
    ]
    if by is Grouping.STACK:
        columns.append(name_column("called by", chain, 24, 3, show=str))
    else:
        columns.append(name_column("caller", lambda group: _place(group.caller), 24, 3, show=str))
        columns.append(
            number_column("stacks", lambda group: group.stacks, format_count, 6, rank=2, tone="muted")
        )

    def describe(group: HitGroup, facts: Facts) -> Sequence[DocLine]:
        return group_lines(group, burst.members(facts.snapshot.tracepoints, group))

    def open_group(group: HitGroup) -> Level:
        return DocumentLevel(group_name(group), lambda facts: describe(group, facts), frame=group.caller)

    def key(group: HitGroup) -> tuple[int, Any]:
        if by is Grouping.FUNCTION:
            return group.tracepoint, group.caller.function if group.caller is not None else ""
        return group.tracepoint, tuple((frame.function, frame.line) for frame in group.stack)

    return Listing(
        f"by {by.value}", "groups", tuple(columns), lambda facts: burst.groups(facts.snapshot.tracepoints, by),
        key, lambda group: f"{group.function}\n{chain(group)}", describe, open_group,
        lambda group: group.caller, sort=None, empty=empty_text,
    )  # fmt: skip


def _pairs_listing() -> Listing[OwnerPairs]:
    def sure(owner: OwnerPairs) -> Span:
        if owner.confidence is None:
            return UNKNOWN, "muted"
        return owner.confidence.value, CONFIDENCE_TONES[owner.confidence]

    def left(owner: OwnerPairs) -> Span:
        return format_count(owner.row.left_open), "warning" if owner.row.left_open else "muted"

    columns: tuple[Column[OwnerPairs], ...] = (
        number_column("opened", lambda owner: owner.row.opened, format_count, 6),
        number_column("closed", lambda owner: owner.row.closed, format_count, 6),
        Column("left open", left, lambda owner: owner.row.left_open, 9, align="right", descending=True),
        number_column("busy", lambda owner: owner.row.busy or None, format_count, 5, rank=2, tone="muted"),
        name_column("owner", lambda owner: _place(owner.row.owner), 26, 3, show=str),
        Column("sure", sure, lambda owner: _STRENGTH[owner.confidence], 8),
    )

    def rows(facts: Facts) -> Sequence[OwnerPairs]:
        return facts.assessment.pairs.owners if facts.assessment.pairs is not None else ()

    def describe(owner: OwnerPairs, facts: Facts) -> Sequence[DocLine]:
        return pair_lines(owner, facts.assessment.pairs) if facts.assessment.pairs is not None else ()

    def empty(facts: Facts) -> str:
        if facts.snapshot.tracepoints is None:
            return empty_text(facts)
        return "This burst paired no bodies: T, then the preset of bodies opened and closed."

    return Listing(
        "bodies by owner", "owners", columns, rows,
        lambda owner: (owner.row.owner, owner.row.places), lambda owner: _place(owner.row.owner) or "", describe,
        lambda owner: DocumentLevel(pair_name(owner), lambda facts: describe(owner, facts), frame=owner.row.owner),
        lambda owner: owner.row.owner, sort=None, empty=empty,
    )  # fmt: skip


class DelveRoot(TableLevel):
    """The first level of the pane: the state of Delve above the hits of the newest burst."""

    def __init__(self) -> None:
        burst = _Burst()
        self._state = Lines(classes="sums")
        self._paired: TracepointRun | None = None
        super().__init__(
            "Delve",
            [
                _hits_listing(burst),
                _groups_listing(burst, Grouping.STACK),
                _groups_listing(burst, Grouping.FUNCTION),
                _pairs_listing(),
            ],
        )

    def compose(self) -> ComposeResult:
        yield self._state
        yield from super().compose()

    @property
    def export_suffix(self) -> str:
        return ("-hits", "-stacks", "-functions", "-bodies")[self._mode]

    @property
    def inspected(self) -> int | None:
        return super().inspected or 0

    def show_pairs(self) -> None:
        """List the bodies by owner."""
        self.change_mode(self.modes - 1)

    def show(self, facts: Facts) -> None:
        super().show(facts)
        self._draw_state(facts)

    def on_resize(self) -> None:
        super().on_resize()
        if self.facts is not None:
            self._draw_state(self.facts)

    def _draw_state(self, facts: Facts) -> None:
        read_only = bool(getattr(self.app, "read_only", False))
        lines = state_lines(facts, max(20, self.size.width), read_only=read_only)
        self._state.set_lines(lines)
