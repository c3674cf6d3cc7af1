"""What holds an object, as lines: the path to a root, nearest first, and the levels around it. Pure.

A heap object leads to its own holders, a goroutine's frame to its source and the goroutine.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from leaktui.engines.protocol import Want
from leaktui.model.holder import Holder, HolderKind, HolderLevel, HolderSearch
from leaktui.text import format_bytes, format_count, format_duration, printable
from leaktui.tui.details import field
from leaktui.tui.facts import Facts
from leaktui.tui.links import GoroutineLink, HoldersLink, ObjectLink
from leaktui.tui.widgets.columns import UNKNOWN
from leaktui.tui.widgets.document import DocLine
from leaktui.tui.widgets.toned import Span, Tone
from leaktui.tui.wording import frame_place, function_name, heading, type_name

# Of a level's holders so many are listed; all of them are counted.
_MOST_HOLDERS = 12


@dataclass(frozen=True, slots=True)
class HolderLook:
    """Where the search for the holders of `address` stands.

    `offered`: some source can search; `asked`: it was ordered before; `under_way`: it goes on now.
    """

    address: int
    search: HolderSearch | None = None
    offered: bool = False
    asked: bool = False
    under_way: bool = False


def find_search(searches: Sequence[HolderSearch], address: int) -> HolderSearch | None:
    """The newest search from the object that *address* is, or points into."""
    for search in reversed(searches):
        if search.subject <= address < search.subject + max(1, search.size):
            return search
    return None


def look_of(facts: Facts, address: int) -> HolderLook:
    """What *facts* know of the search from *address*."""
    return HolderLook(
        address,
        find_search(facts.snapshot.holders, address) if address else None,
        offered=facts.offers(Want.HOLDERS),
        asked=address in facts.searched,
        under_way=facts.searching == address and address != 0,
    )


def holders_lines(look: HolderLook, title: str = "Who holds it") -> list[DocLine]:
    """The section on the holders of an object, with its heading."""
    lines = [DocLine(), DocLine(heading(title))]
    search = look.search
    if not look.address:
        return [*lines, _sentence("not known: no source has seen where it lies in memory")]
    lines += _state_lines(look)
    if search is None:
        return lines
    if search.path:
        lines.append(_root_line(search.path))
        lines.append(_subject_line(search))
        lines += [_path_line(holder) for holder in search.path]
        root = search.path[-1]
        if root.kind is HolderKind.FRAME and root.goid is not None:
            lines.append(_goroutine_line(root.goid))
        if search.forsaken:
            lines.append(_sentence("it only waits for it to be closed; nothing else holds it", "warning"))
    if search.levels:
        lines.append(_count_line(search.levels))
    for level in search.levels:
        lines += _level_lines(level, frozenset(search.path))
    return [*lines, _cost_line(search)] if search.scanned_bytes else lines


def _state_lines(look: HolderLook) -> list[DocLine]:
    """What can be said of the search as a whole."""
    search = look.search
    if look.under_way:
        far = f"level {len(search.levels) + 1}" if search is not None and not search.done else "level 1"
        return [_sentence(f"looking at {far} … Esc gives it up", "accent")]
    if search is None:
        if not look.offered:
            return [_sentence("not known: no source here can search the target's memory")]
        words = "nothing was found there: it may have been freed; look again (h)"
        return [_link(words if look.asked else "look for it in the target's memory (h)", look.address)]
    if search.path:
        return []
    if search.unreachable:
        circle = any(level.holders for level in search.levels)
        words = "nothing live holds it: what points at it is held by nothing itself"
        return [_sentence(words if circle else "nothing holds it", "warning"), *_again(look)]
    if search.done:
        return [
            _sentence("not known: it moved while we looked, or the root is one leaktui does not see"),
            *_again(look),
        ]
    return [_link("given up before a root was met: look again (h)", look.address)]


def _again(look: HolderLook) -> list[DocLine]:
    return [_link("look again (h)", look.address)] if look.offered else []


def _sentence(text: str, tone: Tone = "muted") -> DocLine:
    return DocLine((("  ", "plain"), (text, tone)), indent=2)


def _link(text: str, address: int) -> DocLine:
    return DocLine((("  ", "plain"), (text, "accent")), HoldersLink(address), indent=2)


def _subject_line(search: HolderSearch) -> DocLine:
    name = type_name(search.type_name) if search.type_name else "an object of unknown type"
    return DocLine(
        (("  ", "plain"), (name, "strong"), (f"  {format_bytes(search.size)}", "muted")), wrap=False
    )


def _root_line(path: Sequence[Holder]) -> DocLine:
    """The end of the path first: what holds the object in the end, and how far away that is."""
    root, steps = path[-1], len(path)
    away = "directly" if steps == 1 else f"{steps} steps away"
    spans = (("  ", "plain"), *holder_spans(root)[:-1], (f"  {away}", "muted"))
    return DocLine(spans, holder_target(root), indent=4)


def _path_line(holder: Holder) -> DocLine:
    return _holder_line(holder, "  ← held by " if holder.is_root else "  ← ")


def _count_line(levels: Sequence[HolderLevel]) -> DocLine:
    """`level 1: 1 holder, level 2: 5 holders`."""
    counts = []
    for level in levels:
        count = len(level.holders) + level.omitted
        counts.append(f"level {level.depth}: {format_count(count)} holder{'' if count == 1 else 's'}")
    return DocLine((("  " + ", ".join(counts), "muted"),), indent=2)


def _level_lines(level: HolderLevel, path: frozenset[Holder]) -> list[DocLine]:
    """The first of a level's holders that are not on the path."""
    others = [holder for holder in level.holders if holder not in path]
    if not others and not level.omitted:
        return []
    lines = [DocLine(((f"  {'also ' if path else ''}at level {level.depth}", "muted"),), wrap=False)]
    lines += [_holder_line(holder, "    ") for holder in others[:_MOST_HOLDERS]]
    more = max(0, len(others) - _MOST_HOLDERS) + level.omitted
    if more:
        lines.append(DocLine(((f"    … {format_count(more)} more", "muted"),), wrap=False))
    return lines


def _holder_line(holder: Holder, lead: str) -> DocLine:
    return DocLine(((lead, "muted"), *holder_spans(holder)), holder_target(holder), wrap=False)


def holder_spans(holder: Holder) -> tuple[Span, ...]:
    """`http.Response .Body`, `global main.pending [3]`, `goroutine 18 at main.keep keep.go:7`."""
    kind = type_name(holder.type_name) if holder.type_name else ""
    within: Span = (f" {printable(holder.field, 100)}" if holder.field else "", "accent")
    if holder.kind is HolderKind.FRAME:
        who = f"goroutine {holder.goid}" if holder.goid is not None else "a goroutine"
        if holder.frame is None:
            return (who, "strong"), within
        return (
            (f"{who} at ", "strong"),
            (function_name(holder.frame.function), "strong"),
            (f":{holder.frame.line}" if not holder.frame.file and holder.frame.line else "", "accent"),
            (f"  {frame_place(holder.frame)}" if holder.frame.file else "", "accent"),
            within,
        )
    if holder.kind is HolderKind.OBJECT:
        return (
            (kind or "an object of unknown type", "plain"),
            within,
            (f"  {format_bytes(holder.size)}", "muted"),
        )
    name = printable(holder.name, 200)
    if holder.kind is HolderKind.GLOBAL:
        name = f"global {name or f'at {holder.address:#x}'}"
    else:
        name = f"the runtime: {name}" if name else "the runtime"
    return (name, "strong"), within, (f"  {kind}" if kind else "", "muted")


def holder_target(holder: Holder) -> object | None:
    """What Enter opens: the source of a frame, its goroutine, or the holders of an object."""
    if holder.kind is HolderKind.FRAME:
        if holder.frame is not None and holder.frame.file:
            return holder.frame
        return GoroutineLink(holder.goid) if holder.goid is not None else None
    return holder if holder.kind is HolderKind.OBJECT and holder.object else None


def _goroutine_line(goid: int) -> DocLine:
    return DocLine(((f"    goroutine {goid}", "plain"),), GoroutineLink(goid), wrap=False)


def _cost_line(search: HolderSearch) -> DocLine:
    text = f"  {format_bytes(search.scanned_bytes)} read in {format_duration(search.seconds)}"
    return DocLine(((text, "muted"),), wrap=False)


def holder_lines(holder: Holder, look: HolderLook) -> list[DocLine]:
    """One heap object on the way to a root, and what holds it in turn."""
    field_line = [field("holds by", printable(holder.field, 100), "accent")] if holder.field else []
    return [*_object_lines(look, holder.type_name, holder.size), *field_line, *holders_lines(look)]


def object_lines(link: ObjectLink, look: HolderLook) -> list[DocLine]:
    """One heap object, and what holds it."""
    return [*_object_lines(look, "", link.size), *holders_lines(look)]


def _object_lines(look: HolderLook, name: str, size: int) -> list[DocLine]:
    """What is known of an object, from where it was found or else from the search."""
    if look.search is not None:
        name, size = name or look.search.type_name, size or look.search.size
    return [
        field("type", printable(name, 400) or "not known", "strong"),
        field("size", format_bytes(size) if size else UNKNOWN),
        field("address", f"{look.address:#x}"),
    ]


def holder_name(holder: Holder) -> str:
    """A heap object's name for the breadcrumb: its type without its package's directories."""
    return type_name(holder.type_name) if holder.type_name else f"object {holder.object:#x}"
