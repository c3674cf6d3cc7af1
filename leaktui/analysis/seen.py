"""What the running process says to an explanation: deferred calls that are pending, panics, who waits in there.

Law: pure, and only what was looked at is told: a goroutine nobody looked at closely is no witness.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace

from leaktui.model.explanation import Explanation
from leaktui.model.frame import Frame
from leaktui.model.goroutine import Goroutine
from leaktui.model.inspection import Inspection
from leaktui.model.wait import DeferredCall, GoroutineDetail, Panic
from leaktui.text import short_function

_MOST_SENTENCES = 4
_CLOSING = ("Close", "Done", "Unlock", "RUnlock", "Stop", "cancel", "Cancel", "close")


def with_seen(
    explanation: Explanation,
    details: Sequence[GoroutineDetail] = (),
    inspections: Sequence[Inspection] = (),
    goroutines: Sequence[Goroutine] = (),
) -> Explanation:
    """*explanation* with sentences from goroutines looked at closely, from a debugger, and from a dump.

    The newest look at a goroutine counts. Values that were passed to panic are as the target had them: whoever
    shows them makes them safe.
    """
    looks = {item.goid: item for item in details}
    inspected = {item.goid: item for item in inspections if not item.gone}
    waits = {item.goid: item for item in goroutines}
    sentences = [*_pending(explanation, looks, inspected, waits), *_not_deferred(explanation, inspected)]
    sentences += _panics(explanation, looks, inspected, waits)
    if not sentences:
        sentences = _inside(explanation, goroutines)
    return replace(explanation, seen=tuple(dict.fromkeys(sentences))[:_MOST_SENTENCES])


def _pending(
    explanation: Explanation,
    looks: dict[int, GoroutineDetail],
    inspected: dict[int, Inspection],
    waits: dict[int, Goroutine],
) -> list[str]:
    """Deferred calls of this function that have not run."""
    found: dict[str, list[int]] = {}
    for goid in sorted(looks.keys() | inspected.keys()):
        calls: list[DeferredCall] = []
        if goid in looks:
            calls += looks[goid].deferred
        if goid in inspected:
            calls += [call for frame in inspected[goid].frames for call in frame.deferred]
        mine = [call for call in calls if _is_here(explanation, call.deferred_by, call.function)]
        for name in dict.fromkeys(_call_words(call) for call in mine):
            found.setdefault(name, []).append(goid)
    sentences: list[str] = []
    for name, goids in found.items():
        who = f"goroutine {goids[0]}" if len(goids) == 1 else f"{len(goids)} goroutines looked at"
        waiting = _waiting_words(goids, waits, inspected)
        sentences.append(f"{name} is still pending in {who}: the function has not returned{waiting}.")
    return sentences


def _not_deferred(explanation: Explanation, inspected: dict[int, Inspection]) -> list[str]:
    """Frames of this function that a debugger saw with nothing deferred."""
    sentences: list[str] = []
    for goid, inspection in sorted(inspected.items()):
        for item in inspection.frames:
            if item.unreadable or item.deferred or not _covers(explanation, item.frame):
                continue
            sentences.append(
                f"Goroutine {goid} is at line {item.frame.line} with no deferred call in that frame: "
                "nothing will be released on its way out by a defer."
            )
            break
    return sentences[:1]


def _panics(
    explanation: Explanation,
    looks: dict[int, GoroutineDetail],
    inspected: dict[int, Inspection],
    waits: dict[int, Goroutine],
) -> list[str]:
    sentences: list[str] = []
    for goid in sorted(looks.keys() | inspected.keys()):
        frames: list[Frame] = list(waits[goid].stack) if goid in waits else []
        panics: list[Panic] = list(looks[goid].panics) if goid in looks else []
        if goid in inspected:
            frames += [item.frame for item in inspected[goid].frames]
            panics += [panic for panic in inspected[goid].panics if panic not in panics]
        if not any(_covers(explanation, frame) for frame in frames):
            continue
        for panic in panics:
            value = panic.value or panic.type_name or "a value not known"
            word = "was recovered" if panic.recovered else "is in flight"
            sentences.append(f"In goroutine {goid}, which is in this function, a panic {word}: {value}.")
    return sentences


def _inside(explanation: Explanation, goroutines: Sequence[Goroutine]) -> list[str]:
    """How many goroutines of the newest dump are in this function, where nobody looked closer."""
    inside = [item for item in goroutines if any(_covers(explanation, frame) for frame in item.stack)]
    if not inside:
        return []
    oldest = max(inside, key=lambda item: item.wait_minutes or 0)
    reason = oldest.wait_reason or "somewhere"
    since = f" for {oldest.wait_minutes} min" if oldest.wait_minutes else ""
    count = "One goroutine is" if len(inside) == 1 else f"{len(inside)} goroutines are"
    return [f"{count} in this function now; goroutine {oldest.goid} waits in {reason}{since}."]


# -- words -------------------------------------------------------------------------------------------


def _call_words(call: DeferredCall) -> str:
    name = short_function(call.function.function)
    last = name.rpartition(".")[2]
    what = "A deferred Close" if last in _CLOSING and last == "Close" else f"The deferred {name or 'call'}"
    where = call.deferred_by.line if call.deferred_by is not None else 0
    return f"{what} of line {where}" if where else what


def _waiting_words(
    goids: Iterable[int], waits: dict[int, Goroutine], inspected: dict[int, Inspection]
) -> str:
    """`, and waits in select for 12 min`."""
    for goid in goids:
        if goid in waits and waits[goid].wait_reason:
            minutes = waits[goid].wait_minutes
            return f", and waits in {waits[goid].wait_reason}" + (f" for {minutes} min" if minutes else "")
        if goid in inspected and inspected[goid].wait_reason:
            return f", and waits in {inspected[goid].wait_reason}"
    return ""


def _is_here(explanation: Explanation, place: Frame | None, function: Frame) -> bool:
    """Whether a deferred call stands in this function: its defer statement does, or it is a literal in it."""
    return _covers(explanation, place) if place is not None else _covers(explanation, function)


def _covers(explanation: Explanation, frame: Frame | None) -> bool:
    return (
        frame is not None
        and frame.file == explanation.file
        and explanation.first_line <= frame.line <= explanation.last_line
    )
