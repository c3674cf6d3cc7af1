"""What a row has to tell when one goes down into it: documents of lines. Pure.

A line's target is what Enter opens: a Frame (its source) or a Goroutine (its stack).
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from leaktui.model.assessment import GroupRow, SiteRow
from leaktui.model.body import BodyHolder
from leaktui.model.finding import Finding
from leaktui.model.frame import Frame, Stack
from leaktui.model.goroutine import Goroutine, Labels
from leaktui.text import format_bytes, format_count, format_duration, masked_url, printable
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


def finding_lines(finding: Finding) -> list[DocLine]:
    """A suspect with everything it rests on."""
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
    if finding.evidence:
        lines += [DocLine(), DocLine(heading("Evidence"))]
        lines += [
            DocLine(
                ((f"• {printable(item.source, 40)}: ", "muted"), (printable(item.text, 1000), "plain")),
                indent=2,
            )
            for item in finding.evidence
        ]
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


def goroutine_line(goroutine: Goroutine) -> DocLine:
    """One goroutine, to open."""
    wait = f", {minutes_text(goroutine.wait_minutes)}" if goroutine.wait_minutes is not None else ""
    text = f"  goroutine {goroutine.goid}"
    return DocLine(
        ((text, "plain"), (f"  {printable(goroutine.wait_reason, 60)}{wait}", "muted")), goroutine, wrap=False
    )


def goroutine_lines(goroutine: Goroutine, owner: Frame | None) -> list[DocLine]:
    """One goroutine of a dump."""
    state = printable(goroutine.wait_reason, 100)
    lines = [field("state", state + (", locked to its thread" if goroutine.locked_to_thread else ""))]
    if goroutine.wait_minutes is not None:
        lines.append(field("waits since", minutes_text(goroutine.wait_minutes)))
    if goroutine.leaked:
        lines.append(field("leaked", "the runtime found it unreachable", "danger"))
    lines += _label_lines(goroutine.labels)
    if goroutine.parent_goid is not None:
        lines.append(field("parent", f"goroutine {goroutine.parent_goid}"))
    lines += _creator_lines(goroutine.created_by)
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


def body_lines(body: BodyHolder, goroutine: Goroutine | None) -> list[DocLine]:
    """A suspected holder of an unclosed body. Cells no source has seen stay dashes."""
    request = (
        f"{printable(body.method, 20)} {masked_url(body.url)}".strip() if body.url or body.method else UNKNOWN
    )
    age = format_duration(body.age_seconds) if body.age_seconds is not None else UNKNOWN
    lines = [
        DocLine(
            ((body.state.value, "strong"), (f" · {body.confidence.value}", CONFIDENCE_TONES[body.confidence]))
        ),
        field("request", request),
        field("status", str(body.status) if body.status is not None else UNKNOWN),
        field("protocol", printable(body.protocol, 20) or UNKNOWN),
        field("peer", printable(body.peer, 200) or UNKNOWN),
        field("fd", str(body.fd) if body.fd is not None else UNKNOWN),
        field("age", age),
        field("seen by", ", ".join(printable(source, 40) for source in body.sources) or UNKNOWN),
    ]
    if body.owner is not None:
        lines.append(
            field(
                "owner",
                f"{function_name(body.owner.function)}  {frame_path(body.owner)}",
                "strong",
                body.owner,
            )
        )
    else:
        lines.append(field("owner", "not known yet: an execution trace (t) may tell", "muted"))
    if goroutine is not None:
        lines += [
            DocLine(),
            DocLine(heading("The goroutine that waits for Close")),
            goroutine_line(goroutine),
        ]
    if body.stack:
        lines += [DocLine(), DocLine(heading("Opened by")), *stack_lines(body.stack, body.owner)]
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
