"""The Goroutines pane: groups of equal stacks, or grouped by owner, wait reason, creator; or one by one."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from leaktui.model.assessment import GroupRow
from leaktui.model.frame import Frame, Stack
from leaktui.model.goroutine import Goroutine, Labels
from leaktui.text import format_count, format_rate, printable
from leaktui.tui.details import goroutine_lines, group_lines
from leaktui.tui.facts import Facts
from leaktui.tui.panes.drill import find_detail, goroutine_level
from leaktui.tui.panes.level import DocumentLevel, Level, Listing, TableLevel, find_goroutines
from leaktui.tui.wait_lines import detail_lines
from leaktui.tui.widgets.columns import UNKNOWN, Column, name_column, number_column
from leaktui.tui.widgets.document import DocLine
from leaktui.tui.widgets.toned import Span
from leaktui.tui.wording import (
    delta_text,
    frame_place,
    function_name,
    minutes_text,
    owner_of,
    slope_text,
)

GroupKey = tuple[Labels, Stack]


def group_key(row: GroupRow) -> GroupKey:
    """What names a group for good: its labels and stack."""
    return row.group.labels, row.group.stack


def _named_by(row: GroupRow) -> Frame | None:
    """The frame a group is named by: its owner, else the outermost, which is what was started."""
    return row.owner or (row.group.stack[-1] if row.group.stack else None)


def _owner_name(row: GroupRow) -> str:
    frame = _named_by(row)
    return frame.function if frame is not None else ""


def _search(row: GroupRow) -> str:
    group = row.group
    words = [group.wait_reason, *[frame.function for frame in group.stack]]
    if (owner := _named_by(row)) is not None:
        words.append(owner.file)
    if group.created_by is not None:
        words.append(group.created_by.function)
    for pair in group.labels:
        words += pair
    return "\n".join(words)


def _delta(row: GroupRow) -> Span:
    return delta_text(row.delta, format_count(abs(row.delta)))


def _per_minute(row: GroupRow) -> float | None:
    return row.slope.per_minute if row.slope is not None else None


def _owner_place(row: GroupRow) -> str:
    return frame_place(_named_by(row))


def _creator_name(row: GroupRow) -> str:
    return row.group.created_by.function if row.group.created_by is not None else ""


def _leaked(unreachable: int) -> Span:
    return (format_count(unreachable), "danger") if unreachable else (UNKNOWN, "muted")


_GROUP_COLUMNS: tuple[Column[GroupRow], ...] = (
    number_column("count", lambda row: row.group.count, format_count, 6, tone="strong"),
    Column("Δ", _delta, lambda row: row.delta, 6, align="right", descending=True),
    Column(
        "growth", lambda row: slope_text(row.slope), _per_minute, 9, align="right", rank=2, descending=True
    ),
    Column(
        "leaked", lambda row: _leaked(row.unreachable), lambda row: row.unreachable or None, 6,
        align="right", rank=1, descending=True,
    ),
    name_column("waits for", lambda row: row.group.wait_reason, 12, 1, rank=1, tone="muted"),
    number_column("oldest", lambda row: row.group.oldest_wait_minutes, minutes_text, 7, rank=3, tone="muted"),
    name_column("owner", _owner_name, 24, 3, show=function_name),
    name_column("where", _owner_place, 15, 1, rank=1, tone="muted", cut="start"),
    name_column("created by", _creator_name, 18, 2, show=function_name, rank=4, tone="muted"),
    name_column("seen by", lambda row: ", ".join(row.sources), 13, rank=5, tone="muted"),
)  # fmt: skip


def _open_group(row: GroupRow) -> Level:
    key = group_key(row)

    def describe(facts: Facts) -> Sequence[DocLine] | None:
        newest = next((item for item in facts.assessment.groups if group_key(item) == key), None)
        if newest is None:
            return None
        return group_lines(newest, find_goroutines(facts, newest.goids))

    return DocumentLevel(function_name(_owner_name(row)), describe, frame=_named_by(row))


def _empty(facts: Facts) -> str:
    if facts.snapshot.groups is not None or facts.snapshot.goroutines is not None:
        return "No goroutine matches."
    return (
        "No goroutines seen yet: they come from memory or pprof. Suspects (1) says which sources work here."
    )


def stacks_listing(
    label: str = "by stack", where: Callable[[GroupRow], bool] | None = None
) -> Listing[GroupRow]:
    """Goroutines grouped by equal stacks; *where* keeps some of them."""

    def rows(facts: Facts) -> Sequence[GroupRow]:
        groups = facts.assessment.groups
        return groups if where is None else [row for row in groups if where(row)]

    return Listing(
        label, "stacks", _GROUP_COLUMNS, rows, group_key, _search,
        lambda row, facts: group_lines(row, find_goroutines(facts, row.goids)),
        _open_group, _named_by, empty=_empty,
    )  # fmt: skip


@dataclass(frozen=True, slots=True)
class Cluster:
    """Groups that share something: `name` is what they share."""

    name: str
    rows: tuple[GroupRow, ...]
    count: int
    delta: int
    per_minute: float
    unreachable: int = 0


def cluster_rows(rows: Sequence[GroupRow], name_of: Callable[[GroupRow], str]) -> list[Cluster]:
    """*rows* grouped by *name_of*, most goroutines first."""
    members: dict[str, list[GroupRow]] = {}
    for row in rows:
        members.setdefault(name_of(row), []).append(row)
    clusters = [
        Cluster(
            name,
            tuple(items),
            sum(item.group.count for item in items),
            sum(item.delta for item in items),
            sum(item.slope.per_minute for item in items if item.slope is not None),
            sum(item.unreachable for item in items),
        )
        for name, items in members.items()
    ]
    return sorted(clusters, key=lambda cluster: -cluster.count)


def _cluster_delta(row: Cluster) -> Span:
    return delta_text(row.delta, format_count(abs(row.delta)))


def _clusters_listing(label: str, title: str, name_of: Callable[[GroupRow], str]) -> Listing[Cluster]:
    columns: tuple[Column[Cluster], ...] = (
        number_column("count", lambda row: row.count, format_count, 6, tone="strong"),
        Column("Δ", _cluster_delta, lambda row: row.delta, 6, align="right", descending=True),
        number_column("growth", lambda row: row.per_minute, format_rate, 9, tone="muted"),
        Column(
            "leaked", lambda row: _leaked(row.unreachable), lambda row: row.unreachable or None, 6,
            align="right", rank=1, descending=True,
        ),
        number_column("stacks", lambda row: len(row.rows), format_count, 7, tone="muted"),
        name_column(title, lambda row: row.name, 20, 1, show=function_name),
    )  # fmt: skip

    def describe(row: Cluster, facts: Facts) -> Sequence[DocLine]:
        if len(row.rows) == 1:
            only = row.rows[0]
            return group_lines(only, find_goroutines(facts, only.goids))
        most = sorted(row.rows, key=lambda item: -item.group.count)[:30]
        return [
            DocLine(((f"{len(row.rows)} different stacks", "muted"),)),
            *(
                DocLine(
                    (
                        (f"{format_count(item.group.count):>7}  ", "strong"),
                        (function_name(_owner_name(item)), "plain"),
                        (f"  {printable(item.group.wait_reason, 40)}", "muted"),
                    ),
                    wrap=False,
                )
                for item in most
            ),
        ]

    def open_cluster(row: Cluster) -> Level:
        if len(row.rows) == 1:
            return _open_group(row.rows[0])
        name = row.name
        return TableLevel(function_name(name), [stacks_listing("", lambda item: name_of(item) == name)])

    return Listing(
        label, "groups", columns, lambda facts: cluster_rows(facts.assessment.groups, name_of),
        lambda row: row.name, lambda row: row.name, describe, open_cluster,
        lambda row: _named_by(row.rows[0]), empty=_empty,
    )  # fmt: skip


def _goroutine_search(goroutine: Goroutine) -> str:
    words = [str(goroutine.goid), goroutine.wait_reason, *(frame.function for frame in goroutine.stack)]
    return "\n".join(words)


def _goroutine_owner(goroutine: Goroutine) -> Frame | None:
    return owner_of(goroutine.stack)


def _goroutine_function(goroutine: Goroutine) -> str:
    owner = _goroutine_owner(goroutine)
    return owner.function if owner is not None else ""


_GOROUTINE_COLUMNS: tuple[Column[Goroutine], ...] = (
    Column("goroutine", lambda row: (str(row.goid), "strong"), lambda row: row.goid, 10, align="right"),
    number_column("waits", lambda row: row.wait_minutes, minutes_text, 7, tone="muted"),
    name_column("state", lambda row: row.wait_reason, 14, 1, tone="muted"),
    name_column("owner", _goroutine_function, 20, 3, show=function_name),
    name_column(
        "where", lambda row: frame_place(_goroutine_owner(row)), 14, 1, rank=1, tone="muted", cut="start"
    ),
    name_column(
        "created by",
        lambda row: row.created_by.function if row.created_by is not None else "",
        18,
        2,
        show=function_name,
        rank=2,
        tone="muted",
    ),
)


def _describe_goroutine(row: Goroutine, facts: Facts) -> Sequence[DocLine]:
    return goroutine_lines(row, _goroutine_owner(row), detail_lines(find_detail(facts, row.goid)))


def _goroutines_listing() -> Listing[Goroutine]:
    def empty(facts: Facts) -> str:
        return "Single goroutines come from memory or a full dump: r takes one."

    return Listing(
        "one by one, from the newest dump", "goroutines", _GOROUTINE_COLUMNS,
        lambda facts: facts.snapshot.goroutines or (),
        lambda row: row.goid, _goroutine_search,
        _describe_goroutine,
        goroutine_level, _goroutine_owner, sort=1, empty=empty, inspected=lambda row: row.goid,
    )  # fmt: skip


def goroutines_root() -> TableLevel:
    """The first level of the pane."""
    return TableLevel(
        "Goroutines",
        [
            stacks_listing(),
            _clusters_listing("by owner", "owner", _owner_name),
            _clusters_listing("by what they wait for", "waits for", lambda row: row.group.wait_reason),
            _clusters_listing("by creator", "created by", _creator_name),
            _goroutines_listing(),
        ],
    )
