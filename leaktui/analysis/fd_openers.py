"""Who opens descriptors without closing them, from the system calls of an execution trace or the books of probes.

Law: a trace shows calls, not descriptors. What one goroutine opens and closes was paired when the trace
was read; other closes are set against the openers of the same function, and closes by functions that open
nothing against every opener, so that nobody is blamed for what another function closes for him.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from leaktui.analysis.attribution import innermost_user_frame
from leaktui.analysis.ledger_accounts import Account, balance
from leaktui.analysis.program import Program
from leaktui.model.frame import Frame, Stack
from leaktui.model.ledger import Ledger, LedgerKind
from leaktui.model.process import FdKind
from leaktui.model.snapshot import Snapshot
from leaktui.model.trace import SyscallFlow, TraceSummary

_KINDS = {
    "open": FdKind.FILE,
    "openat": FdKind.FILE,
    "openat2": FdKind.FILE,
    "creat": FdKind.FILE,
    "pipe2": FdKind.PIPE,
    "connect": FdKind.SOCKET,
    "listen": FdKind.SOCKET,
    "accept": FdKind.SOCKET,
    "accept4": FdKind.SOCKET,
    "socket": FdKind.SOCKET,
}

# The goroutine that runs finalizers (to Go 1.24) and cleanups (since): runtime/mfinal.go, mcleanup.go.
_COLLECTOR = ("runtime.runfinq", "runtime.runFinalizers", "runtime.runCleanups")


@dataclass(frozen=True, slots=True)
class OpenerTally:
    """Opens and closes of one owner line over the `seconds` that `source` watched.

    `collected` of those left open the garbage collector closed, whenever it came by. `exact` is True where each was
    followed from its opening to its close. What is too young to be judged is not counted; what its opener still has in
    hand is as good as closed.
    """

    owner: Frame
    stack: Stack
    kind: FdKind
    opened: int
    closed: int
    seconds: float
    source: str = "trace"
    collected: int = 0
    exact: bool = True

    @property
    def left_open(self) -> int:
        return self.opened - self.closed


def tally_booked(snapshot: Snapshot, program: Program) -> list[OpenerTally]:
    """Owner lines by the books of probes, those that leave most open first; empty where none were kept."""
    ledger = snapshot.ledger(LedgerKind.FDS)
    if ledger is None:
        return []
    return [
        OpenerTally(
            account.attribution.frame,
            account.stack,
            _booked_kind(ledger, account),
            account.opened - account.young,
            account.opened - account.young - account.left_open,
            ledger.seconds,
            "probes",
            account.collected,
            ledger.exact and not ledger.dropped,
        )
        for account in balance(ledger, snapshot, program)
        if account.attribution is not None
    ]


def _booked_kind(ledger: Ledger, account: Account) -> FdKind:
    """What the calls of *account* open: told from the library's functions on the way."""
    functions = {frame.function for place in account.places for frame in ledger.places[place].stack}
    if "os.Pipe" in functions:
        return FdKind.PIPE
    return FdKind.SOCKET if any(name.startswith("net.") for name in functions) else FdKind.FILE


def tally_openers(traces: Sequence[TraceSummary], program: Program) -> list[OpenerTally]:
    """Owner lines that open descriptors, those that leave most of them open first."""
    seconds = sum(trace.duration_ns for trace in traces) / 1e9
    openers: dict[tuple[Frame, FdKind], _Calls] = {}
    closes: Counter[tuple[str, bool]] = Counter()
    for trace in traces:
        for flow in trace.syscalls:
            found = innermost_user_frame(flow.stack, program)
            if flow.call == "close":
                # What the garbage collector closes, its opener has forgotten.
                if not any(frame.function in _COLLECTOR for frame in flow.stack):
                    name = found[1].function if found else ""
                    closes[name, _is_socket(flow)] += flow.count - flow.paired
            elif found is not None and flow.call in _KINDS:
                index, frame = found
                key = (Frame(frame.function, frame.file, frame.line), _KINDS[flow.call])
                calls = openers.setdefault(key, _Calls(flow.stack[index:]))
                calls.opened += flow.count - flow.failed
                calls.paired += flow.paired
    functions = {(frame.function, kind is FdKind.SOCKET) for frame, kind in openers}
    strays: Counter[bool] = Counter()
    for (name, is_socket), count in closes.items():
        if (name, is_socket) not in functions:
            strays[is_socket] += count
    tallies = []
    for (frame, kind), calls in openers.items():
        is_socket = kind is FdKind.SOCKET
        others = closes[frame.function, is_socket] + strays[is_socket]
        closed = min(calls.opened, calls.paired + others)
        tallies.append(OpenerTally(frame, calls.stack, kind, calls.opened, closed, seconds))
    tallies.sort(key=lambda tally: (-tally.left_open, -tally.opened))
    return tallies


@dataclass(slots=True)
class _Calls:
    stack: Stack
    opened: int = 0
    paired: int = 0


def _is_socket(flow: SyscallFlow) -> bool:
    return any(frame.function.startswith("net.") for frame in flow.stack)
