"""Hits of tracepoints and their groups as documents. Pure."""

from __future__ import annotations

from collections.abc import Sequence

from leaktui.analysis.tracepoint_grammar import format_tracepoint
from leaktui.analysis.tracepoint_groups import HitGroup
from leaktui.analysis.tracepoint_presets import told_values
from leaktui.model.assessment import BodyPairs, OwnerPairs
from leaktui.model.frame import Frame
from leaktui.model.ledger import Ledger, LedgerPlace
from leaktui.model.tracepoint import Tracepoint, TracepointHit
from leaktui.report.redaction import MASKED
from leaktui.text import format_bytes, format_count, printable
from leaktui.tui.details import field, stack_lines
from leaktui.tui.links import GoroutineLink, HitLink
from leaktui.tui.widgets.document import DocLine
from leaktui.tui.wording import CONFIDENCE_TONES, frame_path, frame_place, function_name, heading

_MOST_HITS = 50
_MOST_CHAINS = 20
_VALUE_LIMIT = 400


def hit_lines(hit: TracepointHit, point: Tracepoint, owner: Frame | None) -> list[DocLine]:
    """One hit: when, where, with which values, and how the program came there."""
    lines = [
        DocLine(((format_tracepoint(point), "strong"),), indent=2),
        field("at", f"{hit.time:.3f} s after the burst began"),
        field("goroutine", str(hit.goid), target=GoroutineLink(hit.goid)),
    ]
    if hit.size is not None:
        lines.append(field("size", format_bytes(hit.size)))
    for name, value in told_values(point, hit.values):
        if name == "size" and hit.size is not None:
            continue
        lines.append(field(printable(name, 60), MASKED.text(value, _VALUE_LIMIT)))
    return [*lines, DocLine(), DocLine(heading("Stack")), *stack_lines(hit.stack, owner)]


def group_lines(group: HitGroup, hits: Sequence[HitLink]) -> list[DocLine]:
    """A group with the stack of all of them, or of the first, and the hits themselves."""
    lines = [
        field("hits", f"{format_count(group.hits)}, {group.per_second:.1f} a second"),
        field("first, last", f"{group.first:.3f} s, {group.last:.3f} s"),
        field("goroutines", format_count(group.goroutines)),
    ]
    if group.bytes is not None:
        lines.insert(1, field("asked for", format_bytes(group.bytes), "strong"))
    if group.caller is not None:
        text = f"{function_name(group.caller.function)}  {frame_path(group.caller)}"
        lines.append(field("caller", text, "strong", group.caller))
    title = "Stack" if group.stacks == 1 else f"Stack of the first of {group.stacks}"
    lines += [DocLine(), DocLine(heading(title)), *stack_lines(group.stack, group.caller)]
    lines += [DocLine(), DocLine(heading("Hits"))]
    for link in hits[:_MOST_HITS]:
        size = f"  {format_bytes(link.hit.size)}" if link.hit.size is not None else ""
        text = f"  {link.hit.time:8.3f} s  goroutine {link.hit.goid}{size}"
        lines.append(DocLine(((text, "plain"),), link, wrap=False))
    if len(hits) > _MOST_HITS:
        lines.append(DocLine(((f"  … {format_count(len(hits) - _MOST_HITS)} more", "muted"),)))
    return lines


def pair_lines(owner: OwnerPairs, pairs: BodyPairs) -> list[DocLine]:
    """What one owner opened and closed during the burst, and why that is as sure as it is."""
    row, ledger = owner.row, pairs.ledger
    lines: list[DocLine] = []
    if row.owner is not None:
        text = f"{function_name(row.owner.function)}  {frame_path(row.owner)}"
        lines.append(field("owner", text, "strong", row.owner))
    counts = f"{format_count(row.opened)} opened, {format_count(row.closed)} closed"
    lines.append(field("bodies", counts))
    left = f"{format_count(row.left_open)} left open"
    if row.busy:
        left += f", {format_count(row.busy)} in use or young"
    lines.append(field("", left, "warning" if row.left_open else "plain"))
    if owner.confidence is not None:
        why = confidence_reason(owner)
        lines.append(field("sure", f"{owner.confidence.value}: {why}", CONFIDENCE_TONES[owner.confidence]))
    lines += [field("" if index else "note", text, "muted") for index, text in enumerate(pairs.reservations)]
    for place in _places(owner, ledger)[:_MOST_CHAINS]:
        title = f"Opened by   opened {place.opened} · closed {place.closed} · open {place.open}"
        lines += [DocLine(), DocLine(heading(title)), *stack_lines(place.stack, row.owner)]
    return lines


def _places(owner: OwnerPairs, ledger: Ledger) -> list[LedgerPlace]:
    places = [ledger.places[index] for index in owner.row.places if index < len(ledger.places)]
    return sorted(places, key=lambda place: (-place.open, -place.opened))


def confidence_reason(owner: OwnerPairs) -> str:
    """Why it is as sure as it is."""
    if owner.confirmed:
        return f"memory still lists {format_count(owner.confirmed)} of them as open"
    if owner.row.owner is None or not owner.row.sure:
        return "another function on the stack may own them"
    return "read to the end without Close they would look the same"


def pair_name(owner: OwnerPairs) -> str:
    """An owner in the breadcrumb."""
    return function_name(owner.row.owner.function) if owner.row.owner is not None else "owner not known"


def hit_name(hit: TracepointHit, point: Tracepoint) -> str:
    """A hit in the breadcrumb."""
    return f"{function_name(point.function)} at {hit.time:.2f} s"


def group_name(group: HitGroup) -> str:
    """A group in the breadcrumb."""
    if group.caller is not None:
        return f"{function_name(group.caller.function)} {frame_place(group.caller)}"
    return function_name(group.function)
