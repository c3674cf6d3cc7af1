"""Descriptors opened and closed, as far as system calls show it.

Law: a trace holds the call and its stack, neither arguments nor result. What a goroutine does next tells
whether it got a descriptor, where Go always does the same next. Measured on Go 1.22 and 1.27, Linux:

    openat     traced; a success through os.OpenFile goes on to fcntl in os.newFile
    pipe2      not traced; os.Pipe goes on to fcntl in os.newFile, twice for each of its two ends
    socket     not traced; a client's goes on to connect, a server's to listen
    accept4    traced, also each time there is nobody: the goroutine then sleeps in (*FD).Accept
    dup        traced (syscall.Dup); fcntl(F_DUPFD_CLOEXEC) is not
    close      traced
"""

from __future__ import annotations

from leaktui.analysis.trace_goroutines import CallRecord, GoroutineRecord
from leaktui.analysis.trace_stacks import StackBook
from leaktui.model.frame import Stack
from leaktui.model.trace import SyscallFlow
from leaktui.text import package_of

_OPENING = {
    "open": "open",
    "openat": "openat",
    "openat2": "openat2",
    "Openat": "openat",
    "connect": "connect",
    "Listen": "listen",
    "listen": "listen",
    "accept4": "accept4",
    "accept": "accept",
    "Dup": "dup",
    "Dup2": "dup2",
    "Dup3": "dup3",
    "MemfdCreate": "memfd_create",
    "PidFDOpen": "pidfd_open",
}
_CLOSING = {"Close": "close", "close": "close"}
_LIBRARY = (
    "syscall",
    "internal/syscall/unix",
    "golang.org/x/sys/unix",
    "internal/poll",
    "os",
    "net",
    "runtime",
)
_NEW_FILE = "os.newFile"
_PIPE = "os.Pipe"
_PIPE_CALLS = 2  # F_GETFL and F_SETFL, for each end
_OPEN_FILE = "os.openFileNolog"
_ACCEPT = "internal/poll.(*FD).Accept"
# Opens without a close that a goroutine is remembered for.
_MAX_OPEN = 256


class DescriptorCalls:
    """Calls that open or close, by stack. `called` takes system calls, `settle` what came after one."""

    def __init__(self, book: StackBook) -> None:
        self._book = book
        self._calls: dict[int, CallRecord | None] = {}
        self._pipes: dict[Stack, CallRecord] = {}

    def called(self, goroutine: GoroutineRecord, stack: int) -> None:
        """*goroutine* entered a system call of one of the descriptor packages at *stack*."""
        if stack in self._calls:
            call = self._calls[stack]
        else:
            call = self._calls[stack] = self._classify(stack)
        if call is None:
            return
        call.count += 1
        if not call.opens:
            self._pair(goroutine, call)
            return
        if call.call == "pipe2" and call.count % _PIPE_CALLS:
            return
        opened = goroutine.opened_calls
        if opened is None:
            opened = goroutine.opened_calls = []
        elif len(opened) >= _MAX_OPEN:
            del opened[0]
        opened.append(call)
        goroutine.unsettled = call if _outcome_shows(call, self._book.stacks[stack]) else None

    def settle(self, goroutine: GoroutineRecord, stack: int) -> None:
        """What *goroutine* did after its last open, at *stack*: was that one a success?"""
        call, goroutine.unsettled = goroutine.unsettled, None
        if call is None:
            return
        functions = [frame.function for frame in self._book.stacks[stack]]
        if call.call.startswith("accept"):
            failed = _ACCEPT in functions[:4]
        elif _NEW_FILE in functions:
            failed = False
        elif _OPEN_FILE in functions and not functions[0].startswith("syscall."):
            goroutine.unsettled = call  # still on its way there: the collector asked for help
            return
        else:
            failed = True
        if failed:
            call.failed += 1
            if goroutine.opened_calls and goroutine.opened_calls[-1] is call:
                goroutine.opened_calls.pop()

    def _pair(self, goroutine: GoroutineRecord, close: CallRecord) -> None:
        best, best_rank = -1, (-1, False)
        opened = goroutine.opened_calls or []
        for index, call in enumerate(opened):
            if call.socket is None or close.socket is None or call.socket is close.socket:
                shared = self._book.shared_frames(call.stack, close.stack)
                # Most frames in common; who opened it has not returned yet; the newest.
                rank = (shared, shared == call.asker_depth)
                if rank >= best_rank:
                    best, best_rank = index, rank
        if best >= 0:
            opened.pop(best).paired += 1
            close.paired += 1

    def _classify(self, number: int) -> CallRecord | None:
        """What the system call at stack *number* does to descriptors; None for nothing."""
        stack = self._book.stacks[number]
        functions = [frame.function for frame in stack]
        socket, depth = _is_socket(functions), _asker_depth(functions)
        # syscall.openat under syscall.Open: the innermost one that has a name we know.
        for function in functions[:2]:
            name = function.rpartition(".")[2]
            if name in _CLOSING:
                return CallRecord(number, depth, _CLOSING[name], opens=False, socket=socket)
            if name in _OPENING:
                return CallRecord(number, depth, _OPENING[name], opens=True, socket=socket)
        if _NEW_FILE in functions and _PIPE in functions:
            # The two calls differ in their line of syscall.SetNonblock only.
            call = CallRecord(number, depth, "pipe2", opens=True, socket=False)
            return self._pipes.setdefault(stack[functions.index(_NEW_FILE) :], call)
        return None

    def flows(self) -> tuple[SyscallFlow, ...]:
        """Calls by stack, the most frequent first."""
        flows = [
            SyscallFlow(
                stack=self._book.stacks[call.stack],
                count=call.count // _PIPE_CALLS if call.call == "pipe2" else call.count,
                call=call.call,
                failed=call.failed,
                paired=call.paired,
            )
            for call in dict.fromkeys(self._calls.values())
            if call is not None
        ]
        flows.sort(key=lambda flow: -flow.count)
        return tuple(flows)


def _is_socket(functions: list[str]) -> bool | None:
    """Whether it is a socket, by who asks; None where package os or net have no part in it."""
    if any(function.startswith("net.") for function in functions):
        return True
    if any(function.startswith("os.") for function in functions):
        return False
    return None


def _asker_depth(functions: list[str]) -> int:
    for index, function in enumerate(functions):
        if package_of(function) not in _LIBRARY:
            return len(functions) - index
    return 0


def _outcome_shows(call: CallRecord, stack: Stack) -> bool:
    if call.call.startswith("accept"):
        return any(frame.function == _ACCEPT for frame in stack)
    return call.call == "openat" and any(frame.function == _OPEN_FILE for frame in stack)
