"""An execution trace as Go's own reader tells it and as leaktui decodes it, in the same words.

Law: `go_account` knows nothing of the format and `own_account` nothing of Go's reader; what both count must be
equal, event by event, goroutine by goroutine.
"""

from __future__ import annotations

import re
import subprocess
from collections import Counter, defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path

from leaktui.wire.trace import TraceDecoder
from leaktui.wire.trace import events as ev
from tests.go_toolchain import Toolchain, go_environment


@dataclass
class Account:
    """`counts` of events by what they are; `blocks` by reason; `acts` by (what, on goroutine, to goroutine).

    `courses` are the acts of each goroutine in their order.
    """

    counts: Counter[str] = field(default_factory=Counter)
    blocks: Counter[str] = field(default_factory=Counter)
    acts: Counter[tuple[str, int, int]] = field(default_factory=Counter)
    courses: defaultdict[int, list[str]] = field(default_factory=lambda: defaultdict(list))
    procs: int = 0

    def act(self, what: str, on: int, to: int) -> None:
        self.acts[what, on, to] += 1
        self.courses[to].append(what)


_EVENT = re.compile(r"M=-?\d+ P=-?\d+ G=(-?\d+) (\w+) Time=\d+ ?(.*)")
_GO = re.compile(r"\bGoID=(\d+) (\w+)->(\w+)")
_PROC = re.compile(r"\bProcID=\d+ (\w+)->(\w+)")
_REASON = re.compile(r'Reason="([^"]*)"')
_NAME = re.compile(r'(?:Name|Label)="([^"]*)"')
_VALUE = re.compile(r"Uint64\((\d+)\)")
_ACTS = {
    "Running->Waiting": "block",
    "Waiting->Runnable": "unblock",
    "NotExist->Runnable": "create",
    "NotExist->Waiting": "create blocked",
    "Running->NotExist": "end",
    "Syscall->NotExist": "end",
    "Running->Syscall": "call",
    "Running->Runnable": "stop",
}


def go_account(toolchain: Toolchain, path: Path) -> Account:
    """What `go tool trace` prints of the trace at *path*, counted."""
    mode = "-d=parsed" if toolchain.release >= (1, 24) else "-d=1"
    with subprocess.Popen(
        [toolchain.go, "tool", "trace", mode, path],
        env=go_environment(),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as tool:
        assert tool.stdout is not None and tool.stderr is not None
        account = _account_of(line for line in tool.stdout if line.startswith("M="))
        complaint = tool.stderr.read()
    assert tool.returncode == 0, complaint
    return account


def _account_of(lines: Iterable[str]) -> Account:
    account = Account()
    for line in lines:
        match = _EVENT.match(line)
        assert match is not None, line
        on, what, rest = int(match[1]), match[2], match[3]
        if what == "StateTransition":
            if (proc := _PROC.search(rest)) is not None:
                before, after = proc.groups()
                # Statuses apart: a stolen processor may pass for one where threads of C come and go.
                if before not in (after, "Undetermined"):
                    account.counts[f"proc {before}->{after}"] += 1
            else:
                _count_transition(account, rest, max(0, on))
        elif what == "Metric":
            name = _NAME.search(rest)
            assert name is not None
            account.counts[f"metric {name[1]}"] += 1
            if name[1].startswith("/sched/gomaxprocs") and (value := _VALUE.search(rest)) is not None:
                account.procs = max(account.procs, int(value[1]))
        elif what.startswith("Range"):
            name = _NAME.search(rest)
            assert name is not None
            stopping = name[1].startswith("stop-the-world")
            account.counts[f"{what} {'stop-the-world' if stopping else name[1]}"] += 1
        elif what != "Sync":
            account.counts[what] += 1
    return account


def _count_transition(account: Account, rest: str, on: int) -> None:
    match = _GO.search(rest)
    assert match is not None, rest
    goid, before, after = int(match[1]), match[2], match[3]
    if before in ("Undetermined", after):
        account.counts["go status"] += 1
        return
    name = f"{before}->{after}"
    account.counts[f"go {name}"] += 1
    if name == "Running->Waiting":
        reason = _REASON.search(rest)
        account.blocks[reason[1] if reason is not None else ""] += 1
    if name in _ACTS:
        account.act(_ACTS[name], on, goid)


_KINDS = {
    ev.PROCS_CHANGE: ("metric /sched/gomaxprocs:threads",),
    ev.PROC_START: ("proc Idle->Running",),
    ev.PROC_STOP: ("proc Running->Idle",),
    ev.PROC_STEAL: ("proc Running->Idle",),
    ev.PROC_STATUS: (),
    ev.GO_CREATE: ("go NotExist->Runnable",),
    ev.GO_CREATE_SYSCALL: ("go NotExist->Syscall",),
    ev.GO_CREATE_BLOCKED: ("go NotExist->Waiting",),
    ev.GO_START: ("go Runnable->Running",),
    ev.GO_DESTROY: ("go Running->NotExist",),
    ev.GO_DESTROY_SYSCALL: ("go Syscall->NotExist",),
    ev.GO_STOP: ("go Running->Runnable",),
    ev.GO_BLOCK: ("go Running->Waiting",),
    ev.GO_UNBLOCK: ("go Waiting->Runnable",),
    ev.GO_SYSCALL_BEGIN: ("go Running->Syscall",),
    ev.GO_SYSCALL_END: ("go Syscall->Running",),
    ev.GO_SYSCALL_END_BLOCKED: ("go Syscall->Runnable",),
    ev.GO_STATUS: ("go status",),
    ev.GO_STATUS_STACK: ("go status",),
    ev.GO_SWITCH: ("go Running->Waiting", "go Waiting->Runnable", "go Runnable->Running"),
    ev.GO_SWITCH_DESTROY: ("go Running->NotExist", "go Waiting->Runnable", "go Runnable->Running"),
    ev.GO_LABEL: ("Label",),
    ev.STW_BEGIN: ("RangeBegin stop-the-world",),
    ev.STW_END: ("RangeEnd stop-the-world",),
    ev.GC_ACTIVE: ("RangeActive GC concurrent mark phase",),
    ev.GC_BEGIN: ("RangeBegin GC concurrent mark phase",),
    ev.GC_END: ("RangeEnd GC concurrent mark phase",),
    ev.GC_SWEEP_ACTIVE: ("RangeActive GC incremental sweep",),
    ev.GC_SWEEP_BEGIN: ("RangeBegin GC incremental sweep",),
    ev.GC_SWEEP_END: ("RangeEnd GC incremental sweep",),
    ev.GC_ASSIST_ACTIVE: ("RangeActive GC mark assist",),
    ev.GC_ASSIST_BEGIN: ("RangeBegin GC mark assist",),
    ev.GC_ASSIST_END: ("RangeEnd GC mark assist",),
    ev.HEAP_ALLOC: ("metric /memory/classes/heap/objects:bytes",),
    ev.HEAP_GOAL: ("metric /gc/heap/goal:bytes",),
    ev.USER_TASK_BEGIN: ("TaskBegin",),
    ev.USER_TASK_END: ("TaskEnd",),
    ev.USER_REGION_BEGIN: ("RegionBegin",),
    ev.USER_REGION_END: ("RegionEnd",),
    ev.USER_LOG: ("Log",),
}


def own_account(data: bytes) -> Account:
    """What leaktui decodes of the trace *data*, counted."""
    account = Account()
    decoder = TraceDecoder()
    for generation in decoder.feed(data) + decoder.finish():
        for window in generation.windows():
            for _, kind, goid, first, *_ in window:
                if kind == ev.GO_BLOCK:
                    account.blocks[generation.tables.string(first)] += 1
                    account.act("block", goid, goid)
                elif kind == ev.GO_STOP:
                    account.act("stop", goid, goid)
                elif kind == ev.GO_UNBLOCK:
                    account.act("unblock", goid, first)
                elif kind == ev.GO_CREATE:
                    account.act("create", goid, first)
                elif kind == ev.GO_CREATE_BLOCKED:
                    account.act("create blocked", goid, first)
                elif kind == ev.GO_DESTROY:
                    account.act("end", goid, goid)
                elif kind == ev.GO_SYSCALL_BEGIN:
                    account.act("call", goid, goid)
                elif kind == ev.GO_SWITCH:
                    account.blocks[""] += 1
                    account.act("block", goid, goid)
                    account.act("unblock", goid, first)
                elif kind == ev.GO_SWITCH_DESTROY:
                    account.act("end", goid, goid)
                    account.act("unblock", goid, first)
                elif kind == ev.PROCS_CHANGE:
                    account.procs = max(account.procs, first)
        for kind, count in generation.counts.items():
            if kind >= ev.EXPERIMENTAL_FIRST:
                account.counts["Experimental"] += count
            else:
                for name in _KINDS[kind]:
                    account.counts[name] += count
        if generation.cpu_samples:
            account.counts["StackSample"] += generation.cpu_samples
    return account


def differences(theirs: Account, ours: Account) -> list[str]:
    """Where the two accounts differ, in words; empty when they are equal."""
    odd = set()
    if theirs.counts["go Syscall->NotExist"]:
        # Where a goroutine of a C thread ends, Go's reader adds a ProcSteal that is not in the trace, and shows the
        # true one, if it comes, as Idle->Idle (internal/trace/order.go, advanceGoDestroySyscall).
        odd = {"proc Running->Idle"}
    found = [
        f"{what}: Go {theirs.counts[what]}, leaktui {ours.counts[what]}"
        for what in sorted((theirs.counts.keys() | ours.counts.keys()) - odd)
        if theirs.counts[what] != ours.counts[what]
    ]
    found += [
        f"blocked for {reason!r}: Go {theirs.blocks[reason]}, leaktui {ours.blocks[reason]}"
        for reason in sorted(theirs.blocks.keys() | ours.blocks.keys())
        if theirs.blocks[reason] != ours.blocks[reason]
    ]
    wrong = (theirs.acts - ours.acts) + (ours.acts - theirs.acts)
    found += [f"{what} on {on} to {to}: {count} differ" for (what, on, to), count in wrong.most_common(5)]
    if theirs.procs != ours.procs:
        found.append(f"processors: Go {theirs.procs}, leaktui {ours.procs}")
    return found


def disordered(theirs: Account, ours: Account) -> int:
    """Goroutines whose acts come in another order here than Go's reader puts them."""
    return sum(course != ours.courses.get(goid) for goid, course in theirs.courses.items())
