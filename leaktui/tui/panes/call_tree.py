"""The heap's stacks as one tree: from the roots down to what allocates, or from the allocations up.

Law: children are computed when a node is opened; only open nodes exist.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from textual import events
from textual.app import ComposeResult

from leaktui.model.assessment import SiteRow
from leaktui.model.frame import Frame
from leaktui.text import format_bytes, format_count
from leaktui.tui.facts import Facts
from leaktui.tui.panes.drill import SourceLevel
from leaktui.tui.panes.level import Level
from leaktui.tui.widgets.columns import Column
from leaktui.tui.widgets.line_table import LineTable
from leaktui.tui.widgets.sparkline import draw_bar
from leaktui.tui.widgets.toned import Line, Span
from leaktui.tui.wording import frame_place, function_name, is_stdlib

Path = tuple[str, ...]
"""Functions from the tree's root down to a node."""

_DEEPEST = 400


@dataclass(frozen=True, slots=True)
class CallNode:
    """A function below its path. `value` is all of its subtree, `own` what ends here; share is of the whole."""

    path: Path
    frame: Frame
    value: int
    own: int
    share: float
    leaf: bool


Weighted = tuple[tuple[Frame, ...], int]
"""A stack in the tree's direction, and its value."""


def split_below(stacks: Sequence[Weighted], depth: int) -> dict[str, list[Weighted]]:
    """*stacks*, which agree in their first *depth* functions, by the next one; those that end there are left out."""
    found: dict[str, list[Weighted]] = {}
    for weighted in stacks:
        if len(weighted[0]) > depth:
            found.setdefault(weighted[0][depth].function, []).append(weighted)
    return found


def children_of(stacks: Sequence[Weighted], path: Path, total: int) -> list[CallNode]:
    """The nodes right below *path*, largest first."""
    depth = len(path)
    inside = [
        (stack, value)
        for stack, value in stacks
        if len(stack) > depth and all(stack[index].function == path[index] for index in range(depth))
    ]
    nodes = []
    for name, members in split_below(inside, depth).items():
        value = sum(value for _, value in members)
        own = sum(value for stack, value in members if len(stack) == depth + 1)
        if value > 0:
            nodes.append(
                CallNode((*path, name), members[0][0][depth], value, own, value / (total or 1), value == own)
            )
    return sorted(nodes, key=lambda node: -node.value)


class CallTreeLevel(Level):
    """The tree as a table: Enter or → opens a node, ← closes it, Enter on a leaf shows its source."""

    def __init__(self, label: str, *, in_bytes: bool, value: Callable[[SiteRow], int]) -> None:
        super().__init__("call tree")
        self._label = label
        self._value = value
        self._upwards = False
        self._open: set[Path] = set()
        self._stacks: list[Weighted] = []
        self._total = 0
        self._children: dict[Path, list[CallNode]] = {}
        show: Callable[[float], str] = format_bytes if in_bytes else format_count
        columns: tuple[Column[CallNode], ...] = (
            Column("total", lambda node: (show(node.value), "strong"), None, 9, align="right"),
            Column("own", lambda node: (show(node.own) if node.own else "", "muted"), None, 9, align="right", rank=2),
            Column("share", lambda node: (draw_bar(node.share, 8), "graph"), None, 8, rank=1),
            Column("%", lambda node: (f"{node.share * 100:.1f}", "muted"), None, 5, align="right"),
            Column("call", self._draw_call, None, 30, 4),
            Column("where", lambda node: (frame_place(node.frame), "muted"), None, 16, 1, cut="start", rank=1),
        )  # fmt: skip
        self._table = LineTable(columns, key=lambda node: node.path, search=lambda node: "\n".join(node.path))

    def compose(self) -> ComposeResult:
        yield self._table

    @property
    def table(self) -> LineTable[Any]:
        return self._table

    @property
    def frame(self) -> Frame | None:
        node = self._table.cursor_row
        return node.frame if node is not None else None

    def caption(self) -> Line:
        way = "from what allocates up to its callers" if self._upwards else "from the roots down"
        return ((f"{self._label} · {way} · g turns it round", "muted"),)

    def _draw_call(self, node: CallNode) -> Span:
        mark = " " if node.leaf else "▾" if node.path in self._open else "▸"
        depth = len(node.path) - 1
        indent = "  " * depth if depth <= 12 else "  " * 10 + f"{depth:>3} "
        return f"{indent}{mark} {function_name(node.frame.function)}", "muted" if is_stdlib(
            node.frame.function
        ) else "plain"

    def turn_round(self) -> None:
        """Callers below callees instead of callees below callers."""
        self._upwards = not self._upwards
        self._open.clear()
        if self.facts is not None:
            self.show(self.facts)

    def show(self, facts: Facts) -> None:
        super().show(facts)
        self._stacks = []
        for row in facts.assessment.sites:
            value = self._value(row)
            if value > 0:
                stack = row.site.stack if self._upwards else row.site.stack[::-1]
                self._stacks.append((stack, value))
        self._total = sum(value for _, value in self._stacks)
        self._children = {}
        if not self._open:
            self._open_widest()
        self._relist()

    def _open_widest(self) -> None:
        """Open the path along which nearly everything goes, so that the first look shows something."""
        path: Path = ()
        while len(path) < 12:
            nodes = self._below(path)
            if not nodes or nodes[0].leaf or (path and nodes[0].share < 0.5):
                return
            path = nodes[0].path
            self._open.add(path)

    def _below(self, path: Path) -> list[CallNode]:
        if path not in self._children:
            self._children[path] = children_of(self._stacks, path, self._total)
        return self._children[path]

    def _iter_open(self) -> Iterator[CallNode]:
        waiting = list(reversed(self._below(())))
        while waiting:
            node = waiting.pop()
            yield node
            if node.path in self._open and len(node.path) < _DEEPEST:
                waiting += reversed(self._below(node.path))

    def _relist(self) -> None:
        self._table.set_empty("No heap profile yet.")
        self._table.set_rows(list(self._iter_open()))

    def on_line_table_chosen(self, message: LineTable.Chosen) -> None:
        message.stop()
        node: CallNode = message.row
        if node.leaf:
            self.post_message(self.Descended(SourceLevel(node.frame)))
            return
        self._open ^= {node.path}
        self._relist()

    def on_key(self, event: events.Key) -> None:
        node: CallNode | None = self._table.cursor_row
        if node is None or event.key not in ("left", "right"):
            return
        event.stop()
        if event.key == "right":
            self._open.add(node.path)
        else:
            self._open.discard(node.path)
        self._relist()
