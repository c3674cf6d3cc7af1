"""Who started whom in a trace: go statements as a tree, each below the one whose goroutines ran it.

Law: the tree stands open; what is folded is remembered by the way down to it, so that a new trace of the same
program finds it folded still.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Sequence
from dataclasses import dataclass

from leaktui.analysis.http_frames import READ_LOOP
from leaktui.model.frame import Frame, Stack
from leaktui.model.trace import Descent, TraceSummary
from leaktui.text import format_count, printable
from leaktui.tui.details import field, stack_lines
from leaktui.tui.facts import Facts
from leaktui.tui.panes.level import DocumentLevel, Level, Listing
from leaktui.tui.panes.trace_bodies import kept_bodies
from leaktui.tui.remembered import remembered
from leaktui.tui.trace_words import named_by
from leaktui.tui.widgets.columns import UNKNOWN, Column, name_column
from leaktui.tui.widgets.document import DocLine
from leaktui.tui.widgets.toned import Span
from leaktui.tui.wording import frame_place, function_name, heading, is_stdlib, owner_of

_RUNTIME = "the runtime"
_DEEPEST_INDENT = 10

Way = tuple[tuple[str, str, int], ...]
"""Function begun with, file and line of the go statement, from the top down."""


@dataclass(frozen=True, slots=True)
class Kin:
    """Goroutines of one go statement in their place. `descent` is None for those that ran before the trace.

    `parked_below` are those of it and of all below it that were blocked at the end; `leaf` has nothing below it.
    """

    way: Way
    name: str
    go_statement: Frame | None
    descent: Descent | None
    created: int
    ended: int
    parked: int
    parked_below: int
    children: tuple[Kin, ...]

    @property
    def leaf(self) -> bool:
        return not self.children


@remembered
def family(trace: TraceSummary | None) -> tuple[Kin, ...]:
    """The tree of *trace*: what ran before it on top, those with most goroutines left blocked first."""
    if trace is None:
        return ()
    ways: list[Way] = []
    tops: dict[str, list[Kin]] = {}
    inside: dict[int, list[Kin]] = {}
    for descent in trace.genealogy:  # parents come before what they started
        stack = descent.creation_stack
        above = ways[descent.parent] if descent.parent is not None else ((_creator(descent), "", 0),)
        file, line = (stack[0].file, stack[0].line) if stack else ("", 0)
        ways.append((*above, (_started(descent), file, line)))
    for index in range(len(ways) - 1, -1, -1):
        descent = trace.genealogy[index]
        children = _sorted(inside.pop(index, []))
        kin = Kin(
            ways[index],
            _started(descent),
            descent.creation_stack[0] if descent.creation_stack else None,
            descent,
            descent.created,
            descent.ended,
            descent.parked,
            descent.parked + sum(child.parked_below for child in children),
            children,
        )
        if descent.parent is None:
            tops.setdefault(_creator(descent), []).append(kin)
        else:
            inside.setdefault(descent.parent, []).append(kin)
    roots = []
    for name, found in tops.items():
        children = _sorted(found)
        parked = sum(child.parked_below for child in children)
        roots.append(Kin(((name, "", 0),), name, None, None, 0, 0, 0, parked, children))
    return _sorted(roots)


def _started(descent: Descent) -> str:
    """The function those goroutines began with."""
    return descent.start[0].function if descent.start else _RUNTIME


def _creator(descent: Descent) -> str:
    """The function whose goroutine ran the go statement, as far as the stack goes."""
    return descent.creation_stack[-1].function if descent.creation_stack else _RUNTIME


def _sorted(kin: Iterable[Kin]) -> tuple[Kin, ...]:
    return tuple(sorted(kin, key=lambda item: (-item.parked_below, -item.created, item.name)))


class Genealogy:
    """The tree with what is folded in it; makes the rows of the listing."""

    def __init__(self) -> None:
        self._folded: set[Way] = set()

    def rows(self, facts: Facts) -> Sequence[Kin]:
        """What is not folded away, from the top down."""
        rows: list[Kin] = []
        waiting = list(reversed(family(facts.snapshot.trace)))
        while waiting:
            kin = waiting.pop()
            rows.append(kin)
            if kin.way not in self._folded:
                waiting += reversed(kin.children)
        return rows

    def fold(self, kin: Kin, *, folded: bool) -> None:
        """Fold what is below *kin* away, or show it again."""
        if folded and not kin.leaf:
            self._folded.add(kin.way)
        else:
            self._folded.discard(kin.way)

    def mark(self, kin: Kin) -> str:
        """`▾` open, `▸` folded, a space where nothing is below."""
        return " " if kin.leaf else "▸" if kin.way in self._folded else "▾"

    def listing(self, empty: str) -> Listing[Kin]:
        """The tree as a table."""
        columns: tuple[Column[Kin], ...] = (
            Column("started", lambda row: _amount(row, row.created), None, 7, align="right"),
            Column("ended", lambda row: _amount(row, row.ended), None, 6, align="right"),
            Column("blocked", _blocked, None, 7, align="right"),
            Column("goroutines", self._draw_name, lambda row: row.name, 30, 4),
            name_column("waits for", _reason, 9, 1, tone="muted"),
            name_column("started at", _place, 14, 1, tone="accent", cut="start"),
            name_column("by", _starter, 18, 2, show=function_name, rank=1, tone="muted"),
        )  # fmt: skip
        return Listing(
            "who started whom", "go statements", columns, self.rows, _key, _search,
            lambda row, facts: kin_lines(row, facts.snapshot.trace), _open, lambda row: row.go_statement, sort=None,
            empty=lambda facts: "No goroutine was started in this trace." if facts.snapshot.trace else empty,
        )  # fmt: skip

    def _draw_name(self, kin: Kin) -> Span:
        depth = len(kin.way) - 1
        indent = "  " * depth if depth <= _DEEPEST_INDENT else "  " * (_DEEPEST_INDENT - 2) + f"{depth:>3} "
        return (
            f"{indent}{self.mark(kin)} {_name(kin)}",
            "strong" if kin.descent is None else "muted" if is_stdlib(kin.name) else "plain",
        )


def _key(kin: Kin) -> Hashable:
    return kin.way


def _name(kin: Kin) -> str:
    return kin.name if kin.name == _RUNTIME else function_name(kin.name)


def _amount(kin: Kin, amount: int) -> Span:
    return ("before", "muted") if kin.descent is None and amount == 0 else (format_count(amount), "plain")


def _blocked(kin: Kin) -> Span:
    if kin.descent is None:
        return "", "muted"
    return (format_count(kin.parked), "warning") if kin.parked else ("0", "muted")


def _starter(kin: Kin) -> str:
    """Whose go statement it is: the user's function, where Go's own started it on its behalf."""
    owner = owner_of(kin.descent.creation_stack) if kin.descent is not None else None
    return owner.function if owner is not None else ""


def _place(kin: Kin) -> str:
    return frame_place(owner_of(kin.descent.creation_stack)) if kin.descent is not None else ""


def _reason(kin: Kin) -> str:
    return printable(kin.descent.parked_reason, 60) if kin.descent is not None else ""


def _search(kin: Kin) -> str:
    frames: Stack = (
        (*kin.descent.creation_stack, *kin.descent.parked_stack) if kin.descent is not None else ()
    )
    return "\n".join((kin.name, *(f"{frame.function} {frame.file}" for frame in frames)))


def kin_lines(kin: Kin, trace: TraceSummary | None) -> list[DocLine]:
    """A node: how many, who started them, where those wait that are left."""
    descent = kin.descent
    if descent is None:
        return [
            field("began with", _name(kin), "strong"),
            field("note", "ran before the trace began; below it is what it started since"),
            field("left blocked", f"{format_count(kin.parked_below)} of all it led to"),
        ]
    alive = descent.created - descent.ended
    lines = [
        field("began with", _name(kin), "strong", target=descent.start[0] if descent.start else None),
        field("started", f"{format_count(descent.created)} in the trace"),
        field("ended", f"{format_count(descent.ended)}, so {format_count(alive)} were left"),
        field(
            "blocked", f"{format_count(descent.parked)} at the end", "warning" if descent.parked else "plain"
        ),
    ]
    if not kin.leaf:
        lines.append(
            field("and below", f"{format_count(kin.parked_below - kin.parked)} blocked that these started")
        )
    for name, file, line in reversed(kin.way[:-1]):
        place = f"  {frame_place(Frame(name, file, line))}" if file else ""
        lines.append(field("started by", f"{_shown(name)}{place}"))
    lines += _left_lines(kin, trace)
    lines += [
        DocLine(),
        DocLine(heading("Started at")),
        *stack_lines(descent.creation_stack, owner_of(descent.creation_stack)),
    ]
    if descent.parked:
        reason = printable(descent.parked_reason, 60) or UNKNOWN
        lines += [
            DocLine(),
            DocLine(heading(f"Most of those left wait here, for: {reason}")),
            *stack_lines(descent.parked_stack, named_by(descent.parked_stack)),
        ]
    return lines


def _left_lines(kin: Kin, trace: TraceSummary | None) -> list[DocLine]:
    """Of readLoops: the requests that left them with a body, by the hand-off and not by who had them opened."""
    parent = kin.descent.parent if kin.descent is not None else None
    if trace is None or parent is None or kin.name != READ_LOOP:
        return []
    opener = trace.genealogy[parent].creation_stack
    left: dict[Frame | None, int] = {}
    for body in kept_bodies(trace):
        if body.handoff.connection_stack == opener:
            left[body.owner] = left.get(body.owner, 0) + 1
    if not left:
        return []
    lines = [DocLine(), DocLine(heading("Still hold a body that was asked for by"))]
    for owner, count in sorted(left.items(), key=lambda item: -item[1]):
        name = function_name(owner.function) if owner is not None else "a request from before the trace"
        place = f"  {frame_place(owner)}" if owner is not None else ""
        lines.append(
            DocLine(
                ((f"{format_count(count):>7}  ", "strong"), (name, "plain"), (place, "accent")),
                owner,
                wrap=False,
            )
        )
    opened = owner_of(opener)
    lines.append(
        field("opened by", f"{function_name(opened.function)}  {frame_place(opened)}" if opened else UNKNOWN)
    )
    return lines


def _shown(name: str) -> str:
    return name if name == _RUNTIME else function_name(name)


def _open(kin: Kin) -> Level:
    return DocumentLevel(
        _name(kin), lambda facts: kin_lines(kin, facts.snapshot.trace), frame=kin.go_statement
    )
