"""The Bodies pane: every suspected holder of an unclosed response body, or grouped by owner, by host.

Where probes are armed, their sums stand on top; the ledger by owner is one more way to list.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

from textual.app import ComposeResult

from leaktui.engines.protocol import Want
from leaktui.model.body import BodyHolder
from leaktui.model.finding import Confidence
from leaktui.model.ledger import LedgerKind
from leaktui.text import format_bytes, format_count, masked_url, printable
from leaktui.tui.body_lines import body_lines, searched_address, waiting_bytes
from leaktui.tui.facts import Facts
from leaktui.tui.holder_lines import look_of
from leaktui.tui.ledger_lines import sums_lines
from leaktui.tui.panes.ledger import ledger_listing, next_kind
from leaktui.tui.panes.level import DocumentLevel, Level, Listing, TableLevel, find_goroutines
from leaktui.tui.widgets.columns import UNKNOWN, Column, name_column, number_column
from leaktui.tui.widgets.document import DocLine
from leaktui.tui.widgets.line_view import Lines
from leaktui.tui.widgets.toned import Span
from leaktui.tui.wording import CONFIDENCE_TONES, age_text, frame_place, function_name

_STRENGTH = {Confidence.PROVEN: 0, Confidence.LIKELY: 1, Confidence.POSSIBLE: 2}


def _owner_name(body: BodyHolder) -> str:
    return body.owner.function if body.owner is not None else ""


def _owner(body: BodyHolder) -> Span:
    if body.owner is None:
        return UNKNOWN, "muted"
    text = f"{function_name(body.owner.function)} {frame_place(body.owner)}"
    return (f"~ {text}", "plain") if body.owner_inferred else (text, "strong")


def _safe_url(body: BodyHolder) -> str:
    """The URL as it may be shown and exported."""
    return masked_url(body.url)


def _sureness(body: BodyHolder) -> Span:
    return body.confidence.value, CONFIDENCE_TONES[body.confidence]


def _state_name(body: BodyHolder) -> str:
    return f"orphaned, {body.state.value}" if body.orphaned else body.state.value


def _state(body: BodyHolder) -> Span:
    return ("orphaned", "danger") if body.orphaned else (body.state.value, "plain")


_COLUMNS: tuple[Column[BodyHolder], ...] = (
    Column("state", _state, _state_name, 10),
    name_column("method", lambda row: row.method, 6, rank=3),
    name_column("URL", _safe_url, 24, 2, rank=2),
    number_column("status", lambda row: row.status, str, 6, rank=3),
    name_column("proto", lambda row: row.protocol, 8, rank=6),
    name_column("peer", lambda row: row.peer, 14, 1, rank=3),
    number_column("fd", lambda row: row.fd, str, 5, rank=5),
    number_column("length", lambda row: row.content_length, format_bytes, 7, rank=5),
    number_column("waiting", waiting_bytes, format_bytes, 7, rank=4),
    number_column("age", lambda row: row.age_seconds, age_text, 6),
    Column("owner", _owner, lambda row: _owner_name(row) or None, 20, 3),
    Column("sure", _sureness, lambda row: _STRENGTH[row.confidence], 8),
    name_column("seen by", lambda row: ", ".join(row.sources), 12, 1, rank=7, tone="muted"),
    number_column("goroutine", lambda row: row.goid or None, str, 10, rank=7, tone="muted"),
)


def _search(body: BodyHolder) -> str:
    owner = f"{body.owner.function} {body.owner.file}" if body.owner is not None else ""
    return "\n".join(
        (_state_name(body), body.method, body.url, body.protocol, body.peer, owner, str(body.goid))
    )


def _name(body: BodyHolder) -> str:
    """A body in the breadcrumb."""
    if body.owner is not None:
        return function_name(body.owner.function)
    return (
        f"body of goroutine {body.goid}" if body.goid else f"body from {printable(host_of(body)) or UNKNOWN}"
    )


class BodyLevel(DocumentLevel):
    """One body, for as long as it is open; *body* is what it was when it was opened here."""

    def __init__(self, body: BodyHolder) -> None:
        super().__init__(_name(body), self._describe_newest, frame=body.owner)
        self._body = body

    def _describe_newest(self, facts: Facts) -> Sequence[DocLine]:
        key = _key(self._body)
        newest = next((item for item in facts.assessment.bodies if _key(item) == key), None)
        self._body = newest or self._body
        lines = _describe(self._body, facts)
        if newest is None:
            lines.insert(0, DocLine((("no longer listed as open: what was seen last", "warning"),)))
        return lines

    @property
    def held(self) -> int | None:
        return searched_address(self._body)

    @property
    def inspected(self) -> int | None:
        return self._body.goid

    @property
    def body(self) -> BodyHolder:
        """The body as it was seen last."""
        return self._body


def _key(body: BodyHolder) -> tuple[int, str, str, int | None, int, int]:
    return body.goid, body.url, body.peer, body.fd, body.connection, body.stream


def _describe(body: BodyHolder, facts: Facts) -> list[DocLine]:
    waiting = find_goroutines(facts, (body.goid,)) if body.goid else []
    address = searched_address(body)
    look = look_of(facts, address) if address or facts.offers(Want.HOLDERS) else None
    return body_lines(body, waiting[0] if waiting else None, look, unknown_owner=_unknown_owner(facts))


def _unknown_owner(facts: Facts) -> str:
    """What to say of a body whose owner no source has seen: what may tell it here."""
    if facts.offers(Want.TRACE):
        return "not known yet: an execution trace (t) may tell"
    if facts.offers(Want.HANDOFFS):
        return "not known: whoever opens the next ones is watched for"
    return "not known: no source here sees who opened it"


def _empty(facts: Facts) -> str:
    snapshot = facts.snapshot
    if snapshot.bodies is None and snapshot.groups is None and snapshot.goroutines is None:
        return "No source sees bodies yet. Suspects (1) says which sources work here."
    return "No open body is suspected."


def bodies_listing(
    label: str = "one by one", where: Callable[[BodyHolder], bool] | None = None
) -> Listing[BodyHolder]:
    """Bodies one by one; *where* keeps some of them."""

    def rows(facts: Facts) -> Sequence[BodyHolder]:
        bodies = facts.assessment.bodies
        return bodies if where is None else [body for body in bodies if where(body)]

    return Listing(
        label, "bodies", _COLUMNS, rows, _key, _search, _describe, BodyLevel,
        lambda row: row.owner, sort=None, empty=_empty, held=searched_address, inspected=lambda row: row.goid,
    )  # fmt: skip


@dataclass(frozen=True, slots=True)
class BodyCluster:
    """Bodies that share their owner or host."""

    name: str
    place: str
    bodies: tuple[BodyHolder, ...]


def host_of(body: BodyHolder) -> str:
    """The host asked, or else the peer's address."""
    try:
        host = urlsplit(body.url).netloc.rpartition("@")[2]
    except ValueError:
        host = ""
    return host or body.peer


def cluster_bodies(
    bodies: Sequence[BodyHolder], name_of: Callable[[BodyHolder], str], *, places: bool
) -> list[BodyCluster]:
    """*bodies* grouped by *name_of*; with *places*, also by the owner's line. Largest first."""
    members: dict[tuple[str, str], list[BodyHolder]] = {}
    for body in bodies:
        place = frame_place(body.owner) if places else ""
        members.setdefault((name_of(body), place), []).append(body)
    clusters = [BodyCluster(name, place, tuple(items)) for (name, place), items in members.items()]
    return sorted(clusters, key=lambda cluster: -len(cluster.bodies))


def _clusters_listing(
    label: str, title: str, name_of: Callable[[BodyHolder], str], *, places: bool
) -> Listing[BodyCluster]:
    def oldest(row: BodyCluster) -> float | None:
        return max((body.age_seconds for body in row.bodies if body.age_seconds is not None), default=None)

    def states(row: BodyCluster) -> str:
        counts = Counter("orphaned" if body.orphaned else body.state.value for body in row.bodies)
        return ", ".join(f"{count} {state}" for state, count in counts.most_common())

    def surest(row: BodyCluster) -> Confidence:
        return min((body.confidence for body in row.bodies), key=_STRENGTH.__getitem__)

    def surest_cell(row: BodyCluster) -> Span:
        return surest(row).value, CONFIDENCE_TONES[surest(row)]

    columns: list[Column[BodyCluster]] = [
        number_column("open", lambda row: len(row.bodies), format_count, 6, tone="strong"),
        name_column(title, lambda row: row.name, 20, 2, show=function_name if places else printable),
        name_column("states", states, 16, 1, rank=1, tone="muted"),
        number_column("oldest", oldest, age_text, 7, rank=1),
        Column("sure", surest_cell, lambda row: _STRENGTH[surest(row)], 8),
    ]
    if places:
        columns.insert(2, name_column("where", lambda row: row.place, 16, 1, tone="accent", cut="start"))

    def open_cluster(row: BodyCluster) -> Level:
        name, place = row.name, row.place

        def belongs(body: BodyHolder) -> bool:
            return name_of(body) == name and (not places or frame_place(body.owner) == place)

        return TableLevel(function_name(name) if name else "owner not known", [bodies_listing("", belongs)])

    return Listing(
        label, "groups", tuple(columns), lambda facts: cluster_bodies(facts.assessment.bodies, name_of, places=places),
        lambda row: (row.name, row.place), lambda row: f"{row.name}\n{row.place}",
        lambda row, facts: _describe(row.bodies[0], facts), open_cluster,
        lambda row: row.bodies[0].owner, empty=_empty,
    )  # fmt: skip


class BodiesRoot(TableLevel):
    """The first level of the pane. The ledger is of one kind at a time: bodies, descriptors or allocations."""

    def __init__(self) -> None:
        self._kind = LedgerKind.BODIES
        self._sums = Lines(classes="sums")
        super().__init__("Bodies", self._all_listings())

    def _all_listings(self) -> list[Listing[Any]]:
        return [
            bodies_listing(),
            _clusters_listing("by owner", "owner", _owner_name, places=True),
            _clusters_listing("by host", "host", host_of, places=False),
            ledger_listing(self._kind),
        ]

    def compose(self) -> ComposeResult:
        yield self._sums
        yield from super().compose()

    @property
    def in_ledger(self) -> bool:
        """Whether the ledger is shown, and not what the other sources see."""
        return self._mode == self.modes - 1

    @property
    def kind(self) -> LedgerKind:
        """What the sums are of."""
        return self._kind if self.in_ledger else LedgerKind.BODIES

    @property
    def export_suffix(self) -> str:
        return f"-ledger-{self._kind.value}" if self.in_ledger else ""

    def show_ledger(self, kind: LedgerKind) -> None:
        """List what probes saw of *kind*."""
        self._kind = kind
        self._listings = tuple(self._all_listings())
        self.change_mode(self.modes - 1)

    def next_kind(self) -> None:
        """The ledger of the next kind."""
        self.show_ledger(next_kind(self._kind))

    def show(self, facts: Facts) -> None:
        super().show(facts)
        self._draw_sums(facts)

    def on_resize(self) -> None:
        super().on_resize()
        if self.facts is not None:
            self._draw_sums(self.facts)

    def _draw_sums(self, facts: Facts) -> None:
        self._sums.set_lines(sums_lines(facts, self.kind, max(20, self.size.width)))
