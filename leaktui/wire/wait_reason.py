"""Why a goroutine is parked, told from the functions at the top of its stack.

Law: the phrases are the runtime's own (waitReasonStrings, runtime/runtime2.go), and only what the
stack proves is said: a stack that does not show a park or a system call gives the empty phrase, since
a running goroutine and one that waits for a CPU look the same. (One that has been woken and has not
run yet still shows its park: the stack cannot tell.)

Who parks for which reason: the callers of gopark, goparkunlock and semacquire1 in Go 1.22 to 1.27.
"""

from __future__ import annotations

from leaktui.model.frame import Stack

SELECT = "select"
SELECT_NO_CASES = "select (no cases)"
CHAN_RECEIVE = "chan receive"
CHAN_SEND = "chan send"
CHAN_RECEIVE_NIL = "chan receive (nil chan)"
CHAN_SEND_NIL = "chan send (nil chan)"
IO_WAIT = "IO wait"
SLEEP = "sleep"
SEMACQUIRE = "semacquire"
MUTEX_LOCK = "sync.Mutex.Lock"
RWMUTEX_RLOCK = "sync.RWMutex.RLock"
RWMUTEX_LOCK = "sync.RWMutex.Lock"
WAITGROUP_WAIT = "sync.WaitGroup.Wait"
COND_WAIT = "sync.Cond.Wait"
SYSCALL = "syscall"

# A coroutine (iter.Pull) hands its thread over instead of parking (runtime/coro.go).
_SWITCH = "runtime.coroswitch"

_PARKS = frozenset(("runtime.gopark", "runtime.goparkunlock", _SWITCH))

# The innermost of these on the stack decides. sync.runtime_*, time.Sleep and their like are the
# runtime's functions under a linkname, and what is left of it when its own frames are hidden.
_REASONS = {
    "runtime.selectgo": SELECT,
    "reflect.rselect": SELECT,
    "runtime.block": SELECT_NO_CASES,
    "runtime.chanrecv": CHAN_RECEIVE,
    "runtime.chansend": CHAN_SEND,
    "runtime.netpollblock": IO_WAIT,
    "internal/poll.runtime_pollWait": IO_WAIT,
    "internal/poll.runtime_pollWaitCanceled": IO_WAIT,
    "runtime.timeSleep": SLEEP,
    "time.Sleep": SLEEP,
    "sync.runtime_Semacquire": SEMACQUIRE,
    "internal/poll.runtime_Semacquire": SEMACQUIRE,
    "sync.runtime_SemacquireMutex": MUTEX_LOCK,
    "internal/sync.runtime_SemacquireMutex": MUTEX_LOCK,
    "sync.runtime_SemacquireRWMutexR": RWMUTEX_RLOCK,
    "sync.runtime_SemacquireRWMutex": RWMUTEX_LOCK,
    "sync.runtime_SemacquireWaitGroup": WAITGROUP_WAIT,  # Go 1.24; a plain semacquire before
    "sync.runtime_notifyListWait": COND_WAIT,
    "runtime.semacquire": SEMACQUIRE,
    "runtime.metricsLock": SEMACQUIRE,
    _SWITCH: "coroutine",
    "internal/synctest.Run": "synctest.Run",
    "internal/synctest.Wait": "synctest.Wait",
    "runtime.gcWaitOnMark": "wait for GC cycle",
    "runtime.gcParkAssist": "GC assist wait",
    "runtime.gcParkStrongFromWeak": "GC weak to strong wait",
    "runtime.ReadTrace": "trace reader (blocked)",
    "runtime/trace.runtime_readTrace": "trace reader (blocked)",
    "runtime.runfinq": "finalizer wait",
    "runtime.runFinalizers": "finalizer wait",
    "runtime.(*cleanupQueue).dequeue": "cleanup wait",
    "runtime.gcBgMarkWorker": "GC worker (idle)",
    "runtime.bgsweep": "GC sweep wait",
    "runtime.(*scavengerState).park": "GC scavenge wait",
    "runtime.(*scavengerState).sleep": SLEEP,
    "runtime.forcegchelper": "force gc (idle)",
    "runtime.updateMaxProcsGoroutine": "GOMAXPROCS updater (idle)",
    "runtime.main": "panicwait",
}

_NIL_CHANNEL = {CHAN_RECEIVE: CHAN_RECEIVE_NIL, CHAN_SEND: CHAN_SEND_NIL}

# Functions that call entersyscall: the stack of a goroutine in a system call begins at its caller.
_SYSCALLS = frozenset(
    (
        "syscall.Syscall",
        "syscall.Syscall6",
        "syscall.syscall",
        "runtime.cgocall",
        "runtime.notetsleepg",
        "os/signal.signal_recv",
    )
)

# How far outwards the deciding function can be: gopark, goparkunlock, semacquire1, its linkname.
_REACH = 6

# chanrecv and chansend park on a nil channel within their first dozen lines and on a live one about a
# hundred lines on (lines 5 and 12 against 99 to 143 in Go 1.22 to 1.27).
_NIL_CHANNEL_LINES = 40


def wait_reason_of(stack: Stack, *, start_lines: dict[str, int] | None = None) -> str:
    """The phrase for *stack*, innermost frame first, runtime frames included or hidden; "" if unknown.

    *start_lines* (function name → its first line) tells nil channels apart; without it they are plain
    `chan receive` and `chan send`. With the runtime frames hidden, as in a `debug=1` text, channel
    operations and selects leave no trace and give "".
    """
    if not stack:
        return ""
    first = stack[0].function
    if first in _SYSCALLS or "._Cfunc_" in first:
        return SYSCALL
    if first.startswith("runtime.") and first not in _PARKS:
        return ""
    for frame in stack[:_REACH]:
        reason = _REASONS.get(frame.function)
        if reason is not None:
            if start_lines and reason in _NIL_CHANNEL:
                start = start_lines.get(frame.function, 0)
                if start and 0 <= frame.line - start < _NIL_CHANNEL_LINES:
                    return _NIL_CHANNEL[reason]
            return reason
        if not _is_inside_park(frame.function):
            return ""
    return ""


def _is_inside_park(function: str) -> bool:
    """True for a function that parks on behalf of its caller and does not itself say why."""
    return function in _PARKS or function.startswith("runtime.semacquire")
