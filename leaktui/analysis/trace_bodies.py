"""Who was given which HTTP response body, and when its holder was let go: the state machine.

Law: this follows what net/http does, release by release, and nothing else.

HTTP/1 (net/http/transport.go, `readLoop`, Go 1.22 to 1.27; functions, never lines):

    the response is sent      the caller sleeps in roundTrip and readLoop wakes it: where it slept is the
                              call site; or readLoop sleeps in select until the caller's roundTrip wakes
                              it: that stack is
    then, no body             (HEAD, 204, Content-Length 0, 101) on to Peek, or the end
    or a body                 select in readLoop itself, until Close, EOF, the end of the context or of the
                              connection
    one that ended already    no sleep; whoever ended it waits in Close or Read for readLoop to take note
                              (`eofc`), or readLoop goes on to put the connection back

HTTP/2 (h2_bundle.go; net/http/internal/http2/transport.go since 1.27; golang.org/x/net/http2): roundTrip
starts `doRequest`, which lives until the stream is over: closed, cancelled, or sent to its end by the
peer. The response is there once the connection's reader has processed its headers, or the caller has left
roundTrip. Responses without body count as bodies that end at once; they cannot be told apart.
"""

from __future__ import annotations

from collections.abc import Iterable

from leaktui.analysis import trace_stacks as role_of
from leaktui.analysis.trace_goroutines import BodyRecord, GoroutineRecord
from leaktui.analysis.trace_readers import Readers
from leaktui.analysis.trace_stacks import StackBook
from leaktui.model.trace import BodyHandoff

# Released bodies kept one by one; more are only counted. Open ones are as many as goroutines hold them.
MAX_RELEASED = 50_000


class BodyLedger:
    """Bodies handed over, open and released. The methods are called for events that may matter to it."""

    def __init__(self, book: StackBook) -> None:
        self.omitted = 0
        self.open = 0
        """Bodies handed over and not released yet."""
        self._book = book
        self._bodies: list[BodyRecord] = []
        self._released = 0

    def blocked(self, goroutine: GoroutineRecord, time: int, role: int) -> None:
        """*goroutine* goes to sleep at a stack that plays *role*."""
        if role & role_of.READ_LOOP_SELECTS:
            held = goroutine.held
            if held is None:
                goroutine.sending = True
            elif not held.parked:
                held.parked = True
                self._give(held)
        else:
            self.went_on(goroutine, time, role)

    def went_on(self, goroutine: GoroutineRecord, time: int, role: int) -> None:
        """*goroutine* does something at a stack that plays *role*."""
        if goroutine.held is not None:
            self._holder_moved(goroutine, goroutine.held, time, role)
        if goroutine.stream is not None and not role & role_of.H2_UNDER_ROUND_TRIP:
            self._open_stream(goroutine, time)

    def _holder_moved(self, holder: GoroutineRecord, held: BodyRecord, time: int, role: int) -> None:
        # An h2 holder is let go when it ends; a parked readLoop when it is unblocked.
        if held.protocol == "HTTP/1" and not held.parked:
            if role & (role_of.AFTER_BODY | role_of.READ_LOOP_NOTES_END):
                self._release(holder, held, time, 0)
            elif role & role_of.AWAITS_NEXT:
                self._drop(holder)

    def unblocked(
        self, target: GoroutineRecord, waker: GoroutineRecord | None, time: int, stack: int, role: int
    ) -> None:
        """*target* was woken, by *waker* at *stack* where a goroutine did it."""
        held = target.held
        if held is not None:
            if held.protocol == "HTTP/1":
                if held.parked:
                    self._release(target, held, time, stack)
            else:
                target.unblocked_ns, target.unblocker_stack = time, stack
                if role & role_of.H2_UNDER_ROUND_TRIP and waker is held.caller:
                    waker.stream = None  # it gave the request up without having slept
        elif target.sending:
            target.sending = False
            if waker is not None and role & role_of.ROUND_TRIP_SELECTS:
                self._hand_over(target, waker, time, stack)
        if target.stream is not None:
            if role & role_of.H2_GIVES_RESPONSE:
                self._open_stream(target, time)
            elif self._book.roles[target.stack] & role_of.H2_UNDER_ROUND_TRIP and target.reason == "select":
                target.stream = None  # woken for another reason: cancelled, timed out, connection lost
                target.watched = held is not None
        if waker is not None:
            if role & role_of.READ_LOOP_SELECTS:
                self._response_sent(waker, target, time)
            elif role & (role_of.READ_LOOP_NOTES_END | role_of.AFTER_BODY):
                held = waker.held
                if held is not None and held.protocol == "HTTP/1" and not held.parked:
                    # Whoever closed it, or read it to its end, waited for this, at that stack.
                    ender = target.stack if role & role_of.READ_LOOP_NOTES_END else 0
                    self._release(waker, held, time, ender)

    def _response_sent(self, holder: GoroutineRecord, caller: GoroutineRecord, time: int) -> None:
        # A caller without any stack has been waiting since before the trace: it can only be there.
        if not caller.stack or self._book.roles[caller.stack] & role_of.UNDER_ROUND_TRIP:
            self._hand_over(holder, caller, time, caller.stack)

    def _hand_over(self, holder: GoroutineRecord, caller: GoroutineRecord, time: int, stack: int) -> None:
        holder.held = BodyRecord(holder.goid, caller, time, stack, "HTTP/1")
        holder.watched = True

    def stream_started(self, caller: GoroutineRecord, holder: GoroutineRecord, stack: int) -> None:
        """*caller* started *holder*, the goroutine of an HTTP/2 request, at *stack*."""
        body = BodyRecord(holder.goid, caller, 0, stack, "HTTP/2")
        holder.held = caller.stream = body
        holder.watched = caller.watched = True

    def _open_stream(self, caller: GoroutineRecord, time: int) -> None:
        body, caller.stream = caller.stream, None
        caller.watched = caller.held is not None
        if body is not None and body.released_ns is None:
            body.opened_ns = time
            body.parked = True
            self._give(body)

    def ended(self, goroutine: GoroutineRecord, time: int) -> None:
        """*goroutine* is gone."""
        if goroutine.stream is not None:
            self._open_stream(goroutine, time)
        held = goroutine.held
        if held is None:
            return
        if held.protocol != "HTTP/1" and held.parked:
            self._release(goroutine, held, goroutine.unblocked_ns or time, goroutine.unblocker_stack)
        else:
            if held.caller.stream is held:
                held.caller.stream = None  # the request failed
            self._drop(goroutine)

    def _give(self, body: BodyRecord) -> None:
        self.open += 1
        if body.caller.bodies is None:
            body.caller.bodies = []
        body.caller.bodies.append(body)

    def _release(self, holder: GoroutineRecord, body: BodyRecord, time: int, stack: int) -> None:
        holder.held = None
        holder.watched = holder.stream is not None
        self.open -= body.parked
        body.released_ns, body.release_stack = time, stack
        caller = body.caller
        if caller.bodies and body in caller.bodies:
            caller.bodies.remove(body)
        self._released += 1
        if self._released > MAX_RELEASED:
            self.omitted += 1
        else:
            self._bodies.append(body)

    def _drop(self, holder: GoroutineRecord) -> None:
        self.open -= holder.held is not None and holder.held.parked
        holder.held = None
        holder.watched = holder.stream is not None

    def handoffs(self, goroutines: Iterable[GoroutineRecord], readers: Readers) -> tuple[BodyHandoff, ...]:
        """Every body handed over, oldest first; *goroutines* are those alive at the end."""
        bodies: list[tuple[BodyRecord, GoroutineRecord | None]] = [(body, None) for body in self._bodies]
        for goroutine in goroutines:
            if goroutine.held is not None and goroutine.held.parked:
                bodies.append((goroutine.held, goroutine))
        bodies.sort(key=lambda pair: (pair[0].opened_ns, pair[0].holder_goid))
        return tuple(self._handoff(body, holder, readers) for body, holder in bodies)

    def _handoff(self, body: BodyRecord, holder: GoroutineRecord | None, readers: Readers) -> BodyHandoff:
        caller, stacks = body.caller, self._book.stacks
        reader = readers.of(body)
        # `dialConn` starts readLoop on a goroutine that the request's own call started.
        dialler = holder.creator if holder is not None and body.protocol == "HTTP/1" else None
        return BodyHandoff(
            holder_goid=body.holder_goid,
            caller_goid=caller.goid,
            opened_ns=body.opened_ns,
            stack=stacks[body.stack],
            protocol=body.protocol,
            released_ns=body.released_ns,
            release_stack=stacks[body.release_stack],
            caller_alive=not caller.ended,
            caller_reading=reader is caller,
            caller_stack=stacks[caller.stack],
            last_read_ns=body.last_read_ns,
            reader_goid=reader.goid if reader is not None else None,
            last_reader_goid=body.reader.goid if body.reader is not None else None,
            last_read_stack=stacks[body.read_stack],
            last_read_sure=body.read_sure,
            connection_stack=stacks[dialler.creation] if dialler is not None else (),
        )
