"""What a row has to tell when one goes down into it: documents of lines. Pure.

A line's target is what Enter opens: a Frame (its source), a Goroutine (its stack), a Holder or a link.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from leaktui.model.assessment import GroupRow, SiteRow
from leaktui.model.finding import Finding
from leaktui.model.frame import Frame, Stack
from leaktui.model.goroutine import Goroutine, Labels
from leaktui.text import format_bytes, format_count, printable
from leaktui.tui.links import GoroutineLink
from leaktui.tui.widgets.columns import UNKNOWN
from leaktui.tui.widgets.document import DocLine
from leaktui.tui.widgets.toned import Span, Tone
from leaktui.tui.wording import (
    CONFIDENCE_TONES,
    KIND_NAMES,
    finding_amount,
    frame_path,
    frame_place,
    function_name,
    heading,
    is_stdlib,
    minutes_text,
    slope_text,
)

# Deep recursion and wide dumps are shown by their ends; the figures are for reading, not for counting.
_MOST_FRAMES = 200
_MOST_GOROUTINES = 50


def field(name: str, text: str, tone: Tone = "plain", target: object | None = None) -> DocLine:
    """`name   text`, names in one column."""
    return DocLine(((f"{name:<12}", "muted"), (text, tone)), target, indent=12)


def stack_lines(stack: Stack, owner: Frame | None = None) -> list[DocLine]:
    """A stack, innermost first; the owner is marked, Go's own frames are toned down."""
    lines: list[DocLine] = []
    hidden = len(stack) - _MOST_FRAMES
    half = _MOST_FRAMES // 2
    frames: Iterable[tuple[int, Frame]] = enumerate(stack)
    marked = False
    for index, frame in frames:
        if hidden > 0 and half <= index < half + hidden:
            if index == half:
                lines.append(DocLine(((f"    … {hidden} more frames …", "muted"),), wrap=False))
            continue
        mine = (
            owner is not None and not marked and (frame.function, frame.line) == (owner.function, owner.line)
        )
        marked = marked or mine
        tone: Tone = "strong" if mine else "muted" if is_stdlib(frame.function) else "plain"
        spans: list[Span] = [("▶ " if mine else "  ", "accent"), (function_name(frame.function), tone)]
        spans.append((f"  {frame_place(frame)}", "muted" if not mine else "accent"))
        if frame.inlined:
            spans.append(("  inlined", "muted"))
        lines.append(DocLine(tuple(spans), frame, wrap=False))
    if not stack:
        lines.append(DocLine((("  no stack was seen", "muted"),)))
    return lines


def finding_lines(
    finding: Finding, why: Sequence[DocLine] = (), *, reason: Sequence[DocLine] = ()
) -> list[DocLine]:
    """A suspect with everything it rests on; *why* is what its source says, *reason* that in short and first."""
    lines = [
        DocLine(
            (
                (KIND_NAMES[finding.kind], "strong"),
                (f" · {finding.confidence.value}", CONFIDENCE_TONES[finding.confidence]),
                (f" · {finding_amount(finding)}" if finding_amount(finding) else "", "plain"),
            )
        )
    ]
    lines += _place_lines("at", finding.function, finding.location)
    if finding.created_by is not None:
        lines += _place_lines("go", finding.created_by.function, finding.created_by)
    if reason:
        lines += [DocLine(), *reason]
    if finding.evidence:
        lines += [DocLine(), DocLine(heading("Evidence"))]
        lines += [
            DocLine(
                ((f"• {printable(item.source, 40)}: ", "muted"), (printable(item.text, 1000), "plain")),
                indent=2,
            )
            for item in finding.evidence
        ]
    if why:
        lines += [DocLine(), *why]
    if finding.advice:
        lines += [
            DocLine(),
            DocLine(heading("What to do")),
            DocLine(((printable(finding.advice, 2000), "plain"),)),
        ]
    if finding.stack:
        lines += [DocLine(), DocLine(heading("Stack")), *stack_lines(finding.stack, finding.location)]
    if finding.candidates:
        lines += [DocLine(), DocLine(heading("Possible places"))]
        lines += [_place_line(frame) for frame in finding.candidates[:_MOST_GOROUTINES]]
    return lines


def _place_lines(word: str, function: str, frame: Frame | None) -> list[DocLine]:
    """`at main.loadUser  user.go:41` and, when there is more to it, the whole path below."""
    where = f"  {frame_place(frame)}" if frame is not None and frame.file else "  line not known"
    line = DocLine(
        ((f"{word} ", "muted"), (function_name(function), "strong"), (where, "accent")), frame, indent=3
    )
    if frame is None or frame_path(frame) == frame_place(frame):
        return [line]
    return [line, DocLine((("   ", "plain"), (frame_path(frame), "muted")), wrap=False, keep_end=True)]


def _place_line(frame: Frame) -> DocLine:
    return DocLine(
        (("  ", "plain"), (function_name(frame.function), "plain"), (f"  {frame_place(frame)}", "muted")),
        frame,
        wrap=False,
    )


def group_lines(row: GroupRow, goroutines: Sequence[Goroutine]) -> list[DocLine]:
    """A goroutine group; *goroutines* are those of it found in a dump."""
    group = row.group
    slope, tone = slope_text(row.slope)
    lines = [
        field("goroutines", f"{format_count(group.count)}   {row.delta:+d} since the baseline"),
        field("growth", slope, tone),
        field("waits for", printable(group.wait_reason, 100) or UNKNOWN),
    ]
    if group.oldest_wait_minutes is not None:
        lines.append(field("oldest wait", minutes_text(group.oldest_wait_minutes)))
    if row.unreachable:
        lines.append(field("leaked", _leaked_text(row), "danger"))
    if row.sources:
        lines.append(field("seen by", ", ".join(printable(source, 40) for source in row.sources)))
    lines += _label_lines(group.labels)
    lines += _creator_lines(group.created_by)
    lines += [DocLine(), DocLine(heading("Stack")), *stack_lines(group.stack, row.owner)]
    if goroutines:
        lines += [
            DocLine(),
            DocLine(heading(f"Goroutines in the newest dump: {format_count(len(goroutines))}")),
        ]
        longest = sorted(goroutines, key=lambda item: -(item.wait_minutes or 0))
        lines += [goroutine_line(item) for item in longest[:_MOST_GOROUTINES]]
        if len(goroutines) > _MOST_GOROUTINES:
            lines.append(DocLine(((f"  … {len(goroutines) - _MOST_GOROUTINES} more", "muted"),)))
    elif row.goids:
        shown = ", ".join(str(goid) for goid in row.goids[:20])
        lines += [DocLine(), field("goroutine ids", shown + (" …" if len(row.goids) > 20 else ""))]
    else:
        lines += [
            DocLine(),
            DocLine((("Single goroutines appear after a full dump: r takes one.", "muted"),)),
        ]
    return lines


def _leaked_text(row: GroupRow) -> str:
    """How many of a group nothing can wake any more."""
    every = row.unreachable >= row.group.count
    how_many = "all of them" if every else f"{format_count(row.unreachable)} of them"
    return f"{how_many} wait for ever: nothing live can wake them"


def goroutine_line(goroutine: Goroutine) -> DocLine:
    """One goroutine, to open."""
    wait = f", {minutes_text(goroutine.wait_minutes)}" if goroutine.wait_minutes is not None else ""
    text = f"  goroutine {goroutine.goid}"
    return DocLine(
        ((text, "plain"), (f"  {printable(goroutine.wait_reason, 60)}{wait}", "muted")), goroutine, wrap=False
    )


def goroutine_lines(
    goroutine: Goroutine, owner: Frame | None, closer: Sequence[DocLine] = ()
) -> list[DocLine]:
    """One goroutine of a dump; *closer* are the sections of a closer look, put before its stack."""
    state = printable(goroutine.wait_reason, 100)
    lines = [field("state", state + (", locked to its thread" if goroutine.locked_to_thread else ""))]
    if goroutine.wait_minutes is not None:
        lines.append(field("waits since", minutes_text(goroutine.wait_minutes)))
    if goroutine.leaked:
        lines.append(field("leaked", "the runtime found it unreachable", "danger"))
    lines += _label_lines(goroutine.labels)
    if goroutine.parent_goid is not None:
        link = GoroutineLink(goroutine.parent_goid)
        lines.append(field("parent", f"goroutine {goroutine.parent_goid}", target=link))
    lines += _creator_lines(goroutine.created_by)
    lines += closer
    lines += [DocLine(), DocLine(heading("Stack")), *stack_lines(goroutine.stack, owner)]
    if goroutine.elided:
        count = "some" if goroutine.elided < 0 else str(goroutine.elided)
        lines.append(DocLine(((f"  … {count} frames left out by Go …", "muted"),)))
    for ancestor in goroutine.ancestors:
        lines += [
            DocLine(),
            DocLine(heading(f"Created by goroutine {ancestor.goid}")),
            *stack_lines(ancestor.stack),
        ]
    return lines


def site_lines(row: SiteRow) -> list[DocLine]:
    """An allocation site with its callers."""
    site = row.site
    slope, tone = slope_text(row.slope, as_bytes=True)
    lines = [
        field("live", f"{format_bytes(site.inuse_bytes)} in {format_count(site.inuse_objects)} objects"),
        field(
            "allocated",
            f"{format_bytes(site.alloc_bytes)} in {format_count(site.alloc_objects)} objects since the start",
        ),
        field(
            "difference",
            f"{_signed_bytes(row.delta_bytes)}, {row.delta_objects:+d} objects since the baseline",
        ),
        field("growth", slope, tone),
    ]
    if site.inuse_objects > 0:
        lines.append(field("object size", f"about {format_bytes(site.inuse_bytes / site.inuse_objects)}"))
    lines += [
        DocLine(),
        DocLine(heading("Allocated by, and its callers")),
        *stack_lines(site.stack, row.owner),
    ]
    return lines


def _label_lines(labels: Labels) -> list[DocLine]:
    if not labels:
        return []
    text = ", ".join(f"{printable(key, 100)}={printable(value, 200)}" for key, value in labels[:20])
    return [field("labels", text)]


def _creator_lines(frame: Frame | None) -> list[DocLine]:
    if frame is None:
        return []
    return [field("created by", f"{function_name(frame.function)}  {frame_place(frame)}", target=frame)]


def _signed_bytes(count: int) -> str:
    return f"+{format_bytes(count)}" if count >= 0 else f"−{format_bytes(-count)}"
