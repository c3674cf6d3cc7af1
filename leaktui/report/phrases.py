"""The words all forms of a report share.

Law: one phrase per thing, defined here once, so that the text, the ticket and the JSON never disagree.
"""

from __future__ import annotations

from leaktui.model.capability import Source
from leaktui.model.finding import Diagnosis, Finding, LeakKind, Verdict
from leaktui.model.frame import Frame
from leaktui.report.redaction import Redaction
from leaktui.text import format_count, format_duration, format_rate, short_function

KIND_TITLES = {
    LeakKind.HTTP_BODY: "HTTP response bodies never closed",
    LeakKind.GOROUTINE: "goroutines that never end",
    LeakKind.FD: "file descriptors left open",
    LeakKind.HEAP: "heap that only grows",
}

_HELD = {
    LeakKind.HTTP_BODY: ("open body", "open bodies"),
    LeakKind.GOROUTINE: ("goroutine", "goroutines"),
    LeakKind.FD: ("descriptor", "descriptors"),
    LeakKind.HEAP: ("live object", "live objects"),
}


def format_headline(diagnosis: Diagnosis, redaction: Redaction) -> str:
    """The verdict in one line, without the place."""
    if diagnosis.verdict is Verdict.LEAK and diagnosis.suspects:
        culprit = diagnosis.suspects[0]
        function = redaction.name(short_function(culprit.function))
        where = f" in {function}" if function else ""
        return f"Leak: {KIND_TITLES[culprit.kind]}{where}"
    watched = format_duration(diagnosis.elapsed_seconds)
    if diagnosis.verdict is Verdict.LEAK:
        return "Leak: something grows, but no suspect could be named"
    if diagnosis.verdict is Verdict.CLEAN:
        return f"Clean: watched for {watched}, nothing leaks"
    return f"Undecided: {watched} of watching did not settle it"


def format_held(finding: Finding) -> str:
    """`212 open bodies, +480/min`: how much is held, and how fast it grows where that was measured."""
    one, many = _HELD[finding.kind]
    held = f"{format_count(finding.count)} {one if finding.count == 1 else many}"
    if finding.growth_per_minute is None:
        return held
    # A heap suspect counts objects and grows in bytes.
    return f"{held}, {format_rate(finding.growth_per_minute, as_bytes=finding.kind is LeakKind.HEAP)}"


def format_notes_title(verdict: Verdict) -> str:
    """What stands over a diagnosis' notes."""
    return "What was missing" if verdict is Verdict.UNDECIDED else "Keep in mind"


def format_place(frame: Frame | None, redaction: Redaction) -> str:
    """`/src/main.go:24`, `/src/main.go` where the line is unknown, `` where nothing is."""
    if frame is None or not frame.file:
        return ""
    file = redaction.name(frame.file)
    return f"{file}:{frame.line}" if frame.line > 0 else file


def format_source_detail(source: Source, redaction: Redaction) -> str:
    """What became of a source, with the remedy where it has one and does not say so itself."""
    detail = source.detail
    if source.remedy and source.remedy not in detail:
        detail = f"{detail}: {source.remedy}" if detail else source.remedy
    return redaction.text(detail)


def format_target(diagnosis: Diagnosis, redaction: Redaction) -> str:
    """`pid 4242, /srv/app, go1.26.6, example.com/app, stripped`."""
    target = diagnosis.target
    parts = []
    if target.pid is not None:
        parts.append(f"pid {target.pid}")
    if target.exe:
        parts.append(redaction.name(target.exe))
    if target.pid is None and target.url:
        parts.append(redaction.url(target.url))
    parts += [redaction.name(item) for item in (target.go_version, target.module) if item]
    if target.stripped:
        parts.append("stripped")
    return ", ".join(parts) or "unknown"


def format_pause(milliseconds: float) -> str:
    """`0 ms`, `under 0.1 ms`, `0.3 ms`, `48 ms`, `1.4 s`."""
    if 0 < milliseconds < 0.05:
        return "under 0.1 ms"
    if milliseconds >= 1000:
        return f"{milliseconds / 1000:.1f} s"
    return f"{milliseconds:.1f} ms" if 0 < milliseconds < 9.95 else f"{milliseconds:.0f} ms"
