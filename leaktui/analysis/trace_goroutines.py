"""What is known of each goroutine while a trace is folded, and the flows of goroutines by creator.

Law: a record lives as long as its goroutine, or as long as a body it was given stays open; who started whom is
kept by go statement, not by goroutine, and its depth is bounded by the number of those.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable

from leaktui.analysis.trace_stacks import StackBook
from leaktui.model.trace import Descent, GoroutineFlow

MAX_DESCENTS = 1 << 15


class BodyRecord:
    """A response body from hand-off to release. `parked` is set once the holder waited for it."""

    __slots__ = (
        "caller",
        "holder_goid",
        "last_read_ns",
        "opened_ns",
        "parked",
        "protocol",
        "read_stack",
        "read_sure",
        "reader",
        "release_stack",
        "released_ns",
        "stack",
    )

    def __init__(self, holder_goid: int, caller: GoroutineRecord, opened_ns: int, stack: int, protocol: str):
        self.holder_goid = holder_goid
        self.caller = caller
        self.opened_ns = opened_ns
        self.stack = stack
        self.protocol = protocol
        self.parked = False
        self.released_ns: int | None = None
        self.release_stack = 0
        self.last_read_ns: int | None = None
        self.read_stack = 0
        self.read_sure = True
        self.reader: GoroutineRecord | None = None


class GoroutineRecord:
    """One goroutine. `blocked_ns` is 0 while it is not blocked, -1 when it may be since before the trace."""

    __slots__ = (
        "blocked_ns",
        "bodies",
        "created_ns",
        "creation",
        "creator",
        "early_ns",
        "ended",
        "flow",
        "given_ns",
        "giver",
        "giver_stack",
        "goid",
        "has_read",
        "held",
        "opened_calls",
        "reading",
        "reason",
        "sending",
        "stack",
        "stream",
        "unblocked_ns",
        "unblocker_stack",
        "unsettled",
        "watched",
    )

    def __init__(self, goid: int, blocked_ns: int = -1):
        self.goid = goid
        self.stack = 0  # newest seen
        self.blocked_ns = blocked_ns
        self.reason = ""
        self.early_ns = 0
        self.ended = False
        self.created_ns = 0
        self.creation = 0  # stack
        self.creator: GoroutineRecord | None = None
        self.flow: FlowRecord | None = None
        # Who sent it something over a channel last, as far as one of both waited for it.
        self.giver: GoroutineRecord | None = None
        self.given_ns = 0
        self.giver_stack = 0
        # HTTP: what it holds as readLoop or doRequest, what it was given as a caller, what it reads.
        self.held: BodyRecord | None = None
        self.sending = False
        self.stream: BodyRecord | None = None
        self.bodies: list[BodyRecord] | None = None
        self.reading: BodyRecord | None = None
        self.has_read = False
        self.unblocked_ns = 0
        self.unblocker_stack = 0
        # System calls: opens not yet closed, and the one whose outcome its next event will show.
        self.opened_calls: list[CallRecord] | None = None
        self.unsettled: CallRecord | None = None
        # Whether an event of its own with any stack at all can mean something (see trace_bodies).
        self.watched = False


class CallRecord:
    """System calls at one stack that open or close descriptors.

    `asker_depth` counts frames from the outermost to the one that asked the library for it.
    """

    __slots__ = ("asker_depth", "call", "count", "failed", "opens", "paired", "socket", "stack")

    def __init__(self, stack: int, asker_depth: int, call: str, opens: bool, socket: bool | None):
        self.stack = stack
        self.asker_depth = asker_depth
        self.call = call
        self.opens = opens
        self.socket = socket
        self.count = 0
        self.failed = 0
        self.paired = 0


class FlowRecord:
    """Goroutines of one go statement and one entry function, started by those of `parent`."""

    __slots__ = ("created", "creation", "ended", "number", "parent", "parked", "start")

    def __init__(self, creation: int, start: int, number: int = 0, parent: FlowRecord | None = None) -> None:
        self.creation = creation
        self.start = start
        self.number = number
        self.parent = parent
        self.created = 0
        self.ended = 0
        self.parked: Counter[tuple[int, str]] = Counter()

    def mostly_parked(self) -> tuple[int, str]:
        """The stack and the reason that most of the parked wait at; ties go to the stack met first."""
        if not self.parked:
            return 0, ""
        place, _ = min(self.parked.items(), key=lambda item: (-item[1], item[0]))
        return place


class Flows:
    """The go statements seen, each below those whose goroutines ran it."""

    def __init__(self, book: StackBook) -> None:
        self._book = book
        self._found: dict[tuple[int, int, int], FlowRecord] = {}
        self._records: list[FlowRecord] = []

    def of(self, parent: FlowRecord | None, creation: int, start: int) -> FlowRecord:
        """The flow of goroutines that those of *parent* start at stack *creation*."""
        key = (parent.number if parent is not None else -1, creation, start)
        flow = self._found.get(key)
        if flow is None:
            flow = self._found[key] = self._line(parent, creation, start)
        return flow

    def _line(self, parent: FlowRecord | None, creation: int, start: int) -> FlowRecord:
        above = parent
        while above is not None:
            if above.creation == creation and above.start == start:
                return above  # a line that comes back to itself must not grow without end
            above = above.parent
        if len(self._records) >= MAX_DESCENTS:
            parent = None
        flow = FlowRecord(creation, start, len(self._records), parent)
        self._records.append(flow)
        return flow

    def count_parked(self, goroutines: Iterable[GoroutineRecord]) -> None:
        """Take note of who is blocked at the end."""
        for flow in self._records:
            flow.parked.clear()
        for goroutine in goroutines:
            if goroutine.flow is not None and goroutine.blocked_ns > 0 and not goroutine.ended:
                goroutine.flow.parked[goroutine.stack, goroutine.reason] += 1

    def genealogy(self) -> tuple[Descent, ...]:
        """All go statements, parents before children."""
        stacks = self._book.stacks
        descents = []
        for flow in self._records:
            stack, reason = flow.mostly_parked()
            descents.append(
                Descent(
                    parent=flow.parent.number if flow.parent is not None else None,
                    creation_stack=stacks[flow.creation],
                    start=stacks[flow.start],
                    created=flow.created,
                    ended=flow.ended,
                    parked=sum(flow.parked.values()),
                    parked_stack=stacks[stack],
                    parked_reason=reason,
                )
            )
        return tuple(descents)

    def flows(self) -> tuple[GoroutineFlow, ...]:
        """The same whoever started them, those that left most parked first."""
        stacks = self._book.stacks
        merged: dict[tuple[int, int], FlowRecord] = {}
        for flow in self._records:
            key = flow.creation, flow.start
            whole = merged.get(key)
            if whole is None:
                whole = merged[key] = FlowRecord(flow.creation, flow.start)
            whole.created += flow.created
            whole.ended += flow.ended
            whole.parked.update(flow.parked)
        result = []
        for flow in merged.values():
            stack, reason = flow.mostly_parked()
            result.append(
                GoroutineFlow(
                    creation_stack=stacks[flow.creation],
                    start=stacks[flow.start],
                    created=flow.created,
                    ended=flow.ended,
                    parked=sum(flow.parked.values()),
                    parked_stack=stacks[stack],
                    parked_reason=reason,
                )
            )
        result.sort(key=lambda flow: (-flow.parked, -flow.created))
        return tuple(result)
