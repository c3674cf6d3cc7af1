"""Delve's frames, deferred calls and goroutines → facts."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from leaktui.model.frame import Frame
from leaktui.model.goroutine import Goroutine
from leaktui.model.inspection import InspectedFrame
from leaktui.model.wait import DeferredCall
from leaktui.wire.delve.shapes import take_number, take_object, take_objects, take_text
from leaktui.wire.delve.variables import decode_variable

_STATUSES = {0: "idle", 1: "runnable", 2: "running", 3: "syscall", 6: "dead"}
"""runtime/runtime2.go: `_Gidle` … `_Gdead`; 4 (waiting) has a reason of its own, 0x1000 is `_Gscan`."""

_SCAN = 0x1000


def decode_frame(item: dict[str, Any]) -> Frame:
    """A location as a Frame. Raises DecodeError."""
    function = take_object(item, "function")
    return Frame(
        take_text(function, "name") if function is not None else "",
        take_text(item, "file"),
        max(0, take_number(item, "line")),
        take_number(item, "pc"),
    )


def decode_inspected_frame(item: dict[str, Any]) -> InspectedFrame:
    """A stack frame with its values. Raises DecodeError."""
    return InspectedFrame(
        decode_frame(item),
        arguments=tuple(decode_variable(value) for value in take_objects(item, "Arguments")),
        variables=tuple(decode_variable(value) for value in take_objects(item, "Locals")),
        deferred=tuple(_decode_deferred(value) for value in take_objects(item, "Defers")),
        unreadable=take_text(item, "Err"),
    )


def frame_key(item: dict[str, Any]) -> tuple[int, int]:
    """What tells a frame from another, or from itself later on: where it is, and how far up its stack."""
    return take_number(item, "pc"), take_number(item, "FrameOffset")


def _decode_deferred(item: dict[str, Any]) -> DeferredCall:
    unreadable = take_text(item, "Unreadable")
    if unreadable:
        return DeferredCall(Frame(f"({unreadable})"))
    function = take_object(item, "DeferredLoc")
    place = take_object(item, "DeferLoc")
    return DeferredCall(
        decode_frame(function) if function is not None else Frame(""),
        decode_frame(place) if place is not None else None,
    )


def decode_goroutine(item: dict[str, Any], wait_reasons: Mapping[int, str]) -> Goroutine:
    """One of a listing, its stack only the place where it is. Raises DecodeError."""
    current = take_object(item, "userCurrentLoc") or take_object(item, "currentLoc")
    started = take_object(item, "startLoc")
    created = take_object(item, "goStatementLoc")
    stack = tuple(decode_frame(place) for place in (current, started) if place is not None)
    labels = take_object(item, "labels") or {}
    return Goroutine(
        goid=take_number(item, "id"),
        wait_reason=decode_wait_reason(
            take_number(item, "status"), take_number(item, "waitReason"), wait_reasons
        ),
        stack=stack,
        created_by=decode_frame(created) if created is not None and created.get("function") else None,
        labels=tuple(sorted((str(key), str(value)) for key, value in labels.items())),
    )


def decode_wait_reason(status: int, reason: int, names: Mapping[int, str]) -> str:
    """The runtime's phrase: *names* is its `waitReasonStrings`, which differs by release."""
    status &= ~_SCAN
    if status in _STATUSES:
        return _STATUSES[status]
    if status == 4:
        return names.get(reason, f"wait reason {reason}")
    return f"status {status}"
