"""What to ask Delve in a look, and what the answers show.

Law: pure. A look is a list of calls that do not depend on each other's answers, the most telling first, so that it may
be cut off after any of them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from leaktui.engines.delve.rpc import DelveRefused, open_answer
from leaktui.errors import DecodeError
from leaktui.model.goroutine import Goroutine
from leaktui.model.inspection import InspectedFrame, Variable
from leaktui.model.wait import DeferredCall, Panic
from leaktui.wire.delve.shapes import as_object, take_number, take_object, take_objects
from leaktui.wire.delve.stacks import decode_goroutine, decode_inspected_frame, frame_key
from leaktui.wire.delve.variables import decode_variable, format_value

Call = tuple[str, dict[str, Any]]

FRAMES_A_CALL = 4
"""Frames whose values are loaded by one call: between two calls a look can be cut off."""

_READ_DEFERS = 1
_ANY = -1
_MOST_PANICS = 8


def _load(*, recurse: int, strings: int, elements: int, fields: int = -1) -> dict[str, Any]:
    return {
        "FollowPointers": True,
        "MaxVariableRecurse": recurse,
        "MaxStringLen": strings,
        "MaxArrayValues": elements,
        "MaxStructFields": fields,
    }


LOADS = (
    _load(recurse=2, strings=256, elements=16),
    _load(recurse=1, strings=128, elements=8, fields=32),
    _load(recurse=0, strings=64, elements=4, fields=16),
)
"""How much of values is loaded: less where a call turns out to take too long."""

EVALUATION_LOADS = (
    _load(recurse=3, strings=4096, elements=64),
    _load(recurse=1, strings=1024, elements=32),
)
TRACE_LOAD = _load(recurse=1, strings=128, elements=4, fields=24)
_PANIC_LOAD = _load(recurse=4, strings=256, elements=1)


def list_one(place: int) -> Call:
    """The goroutine at *place* of the runtime's list: Delve knows it from then on, until the target runs."""
    return "ListGoroutines", {"Start": place, "Count": 1}


def list_many(start: int, count: int) -> Call:
    """A page of goroutines."""
    return "ListGoroutines", {"Start": start, "Count": count}


def bare_stack(goid: int, depth: int) -> Call:
    """The frames with their deferred calls, and no values."""
    return "Stacktrace", {"Id": goid, "Depth": max(0, depth - 1), "Opts": _READ_DEFERS}


def panics(goid: int) -> Call:
    """The newest panic of a goroutine, and those before it."""
    scope = {"GoroutineID": goid, "Frame": 0}
    return "Eval", {"Scope": scope, "Expr": "runtime.curg._panic", "Cfg": _PANIC_LOAD}


def values(goid: int, first: int, depth: int, load: int) -> Call:
    """Frames *first* to *first* + FRAMES_A_CALL, at most up to *depth*, with arguments and variables."""
    last = min(first + FRAMES_A_CALL, depth)
    arguments = {"Id": goid, "Depth": last - 1, "Skip": first, "Full": True, "Cfg": LOADS[load]}
    return "Stacktrace", arguments


def evaluate(expression: str, goid: int, frame: int, load: int) -> Call:
    """The value of *expression* in a frame of a goroutine; 0 for whichever Delve has in hand."""
    scope = {"GoroutineID": goid or _ANY, "Frame": frame}
    return "Eval", {"Scope": scope, "Expr": expression, "Cfg": EVALUATION_LOADS[load]}


# --- answers ---


def read_page(line: bytes, wait_reasons: Mapping[int, str]) -> tuple[list[Goroutine], int]:
    """The goroutines of a page, and where the next begins (-1 for nowhere). Raises DelveRefused, DecodeError."""
    result = as_object(open_answer(line), "answer")
    found = [decode_goroutine(item, wait_reasons) for item in take_objects(result, "Goroutines")]
    return found, take_number(result, "Nextg")


def read_stack(line: bytes) -> list[dict[str, Any]]:
    """The frames of a stack, as they came. Raises DelveRefused, DecodeError."""
    return take_objects(as_object(open_answer(line), "answer"), "Locations")


def read_value(line: bytes) -> Variable:
    """Raises DelveRefused with Delve's reason, DecodeError."""
    item = take_object(as_object(open_answer(line), "answer"), "Variable")
    if item is None:
        raise DecodeError("Delve gave no value")
    return decode_variable(item)


def read_panics(line: bytes) -> tuple[Panic, ...]:
    """The panics in flight, the newest first; none where Delve cannot tell. Raises DecodeError."""
    try:
        pointer = read_value(line)
    except DelveRefused:
        return ()
    found: list[Panic] = []
    while pointer.children and len(found) < _MOST_PANICS:
        fields = {field.name: field for field in pointer.children[0].children}
        if not fields:
            break
        argument = fields.get("arg")
        if argument is not None and not _is_true(fields.get("goexit")):
            inner = argument.children[0] if argument.children else argument
            found.append(Panic(_innermost(argument), inner.type_name, _is_true(fields.get("recovered"))))
        pointer = fields.get("link") or Variable("", "")
    return tuple(found)


def read_wait_reasons(line: bytes) -> dict[int, str]:
    """`runtime.waitReasonStrings` by number; empty where it cannot be read."""
    try:
        value = read_value(line)
    except (DelveRefused, DecodeError):
        return {}
    return {index: item.value for index, item in enumerate(value.children)}


def _innermost(variable: Variable) -> str:
    """The text in an error or the like: what is left when all that only wraps is taken off."""
    while len(variable.children) == 1:
        (variable,) = variable.children
    return variable.value if variable.value and not variable.children else format_value(variable)


def _is_true(variable: Variable | None) -> bool:
    return variable is not None and variable.value == "true"


class Frames:
    """The frames of one goroutine, gathered in several looks. They count as long as the stack is the same."""

    def __init__(self) -> None:
        self.frames: list[InspectedFrame] = []
        self._keys: list[tuple[int, int]] = []
        self.filled = 0
        """How many have their values."""

    def begin(self, items: Sequence[dict[str, Any]]) -> bool:
        """Take the bare stack; False when that is not the one that was begun with. Raises DecodeError."""
        keys = [frame_key(item) for item in items]
        if self._keys and keys != self._keys:
            return False
        if not self._keys:
            self._keys = keys
            self.frames = [decode_inspected_frame(item) for item in items]
        return True

    def fill(self, items: Sequence[dict[str, Any]]) -> None:
        """Take the values of the next frames. Raises DecodeError."""
        for item in items:
            if self.filled >= len(self.frames) or frame_key(item) != self._keys[self.filled]:
                break
            bare, full = self.frames[self.filled], decode_inspected_frame(item)
            self.frames[self.filled] = replace(bare, arguments=full.arguments, variables=full.variables)
            self.filled += 1

    def add_open_coded(self, calls: Sequence[DeferredCall]) -> None:
        """Give each of *calls* to the frame that deferred it; of a function that calls itself, to each its share."""
        by_function: dict[str, list[DeferredCall]] = {}
        for call in calls:
            by_function.setdefault(call.deferred_by.function if call.deferred_by else "", []).append(call)
        for function, mine in by_function.items():
            places = [index for index, item in enumerate(self.frames) if item.frame.function == function]
            share = max(1, len(mine) // len(places)) if places else 0
            for number, index in enumerate(places):
                part = mine[number * share : (number + 1) * share]
                item = self.frames[index]
                self.frames[index] = replace(item, deferred=(*part, *item.deferred))

    def leave_out(self, reason: str) -> None:
        """The values of the others will not come."""
        for index in range(self.filled, len(self.frames)):
            self.frames[index] = replace(self.frames[index], unreadable=reason)
        self.filled = len(self.frames)

    @property
    def complete(self) -> bool:
        """Whether every frame has its values, or the reason why not."""
        return self.filled >= len(self.frames)
