"""Event numbers of the execution trace format and how many arguments each carries.

Law: this is the format's table and nothing else. Source: internal/trace/v2/event (Go 1.22),
internal/trace/event/go122 (1.23, 1.24) and internal/trace/tracev2/events.go (1.25 to 1.27); numbers
are never reused, so one table serves every release.
"""

from __future__ import annotations

EVENT_BATCH = 1
STACKS = 2
STACK = 3
STRINGS = 4
STRING = 5
CPU_SAMPLES = 6
CPU_SAMPLE = 7
FREQUENCY = 8

PROCS_CHANGE = 9
PROC_START = 10
PROC_STOP = 11
PROC_STEAL = 12
PROC_STATUS = 13
GO_CREATE = 14
GO_CREATE_SYSCALL = 15
GO_START = 16
GO_DESTROY = 17
GO_DESTROY_SYSCALL = 18
GO_STOP = 19
GO_BLOCK = 20
GO_UNBLOCK = 21
GO_SYSCALL_BEGIN = 22
GO_SYSCALL_END = 23
GO_SYSCALL_END_BLOCKED = 24
GO_STATUS = 25
STW_BEGIN = 26
STW_END = 27
GC_ACTIVE = 28
GC_BEGIN = 29
GC_END = 30
GC_SWEEP_ACTIVE = 31
GC_SWEEP_BEGIN = 32
GC_SWEEP_END = 33
GC_ASSIST_ACTIVE = 34
GC_ASSIST_BEGIN = 35
GC_ASSIST_END = 36
HEAP_ALLOC = 37
HEAP_GOAL = 38
GO_LABEL = 39
USER_TASK_BEGIN = 40
USER_TASK_END = 41
USER_REGION_BEGIN = 42
USER_REGION_END = 43
USER_LOG = 44
GO_SWITCH = 45
GO_SWITCH_DESTROY = 46
GO_CREATE_BLOCKED = 47
GO_STATUS_STACK = 48

EXPERIMENTAL_BATCH = 49
SYNC = 50
CLOCK_SNAPSHOT = 51
END_OF_GENERATION = 52

# Goroutine statuses (tracev2.GoStatus).
RUNNABLE, RUNNING, SYSCALL, WAITING = 1, 2, 3, 4

EXPERIMENTAL_FIRST = 128

# Arguments of each timed event, the time delta included.
_ARGUMENTS: dict[int, tuple[int, ...]] = {
    # ProcStop, GoDestroy, GoDestroySyscall, GoSyscallEnd, GoSyscallEndBlocked, STWEnd, GCMarkAssistEnd
    1: (11, 17, 18, 23, 24, 27, 36),
    # GoCreateSyscall, GCActive, GCEnd, GCSweepActive, GCSweepBegin, GCMarkAssistActive,
    # GCMarkAssistBegin, HeapAlloc, HeapGoal, GoLabel
    2: (15, 28, 30, 31, 32, 34, 35, 37, 38, 39),
    # ProcsChange, ProcStart, ProcStatus, GoStart, GoStop, GoBlock, GoSyscallBegin, STWBegin, GCBegin,
    # GCSweepEnd, UserTaskEnd, GoSwitch, GoSwitchDestroy
    3: (9, 10, 13, 16, 19, 20, 22, 26, 29, 33, 41, 45, 46),
    # ProcSteal, GoCreate, GoUnblock, GoStatus, UserRegionBegin, UserRegionEnd, GoCreateBlocked
    4: (12, 14, 21, 25, 42, 43, 47),
    # UserTaskBegin, UserLog, GoStatusStack
    5: (40, 44, 48),
}

WIDTHS: tuple[int, ...] = tuple(
    next((count + 1 for count, kinds in _ARGUMENTS.items() if kind in kinds), 0)
    for kind in range(EXPERIMENTAL_FIRST)
)
"""Varints an event takes, its number included; 0 for numbers that are no timed event."""

EXPERIMENTAL_ARGUMENTS: tuple[int, ...] = (4, 4, 2, 3, 3, 2, 3, 3, 2)
"""Arguments of the AllocFree events 128 to 136 (GODEBUG=traceallocfree=1), the time delta included."""
