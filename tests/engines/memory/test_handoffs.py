"""Who was given which response body, told from memory alone: right, or not told."""

from __future__ import annotations

import threading
import time
from collections import Counter
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from leaktui.analysis.executable_program import ExecutableProgram
from leaktui.analysis.handoffs import Fate, JudgedHandoff, judge_handoffs
from leaktui.binary.executable import Executable
from leaktui.engines.memory.attachment import Attachment
from leaktui.engines.memory.call_order import CallOrder
from leaktui.engines.memory.goroutines import Tally
from leaktui.engines.memory.handoffs import HandoffWatcher
from leaktui.engines.memory.http1_bodies import Http1Bodies
from leaktui.engines.protocol import SearchProgress
from leaktui.model.handoff_watch import HandoffWatch
from tests.engines.memory.attached import attached
from tests.engines.memory.go_programs import build_program, run_program
from tests.go_expected import expected
from tests.go_target import Peer, run_target
from tests.go_toolchain import Toolchain, build

pytestmark = pytest.mark.go

LEAKING = ("amongstreams", "closurecallback", "earlyreturn", "rareleak", "retryoverwrite", "thinwrapper")
HEALTHY = ("keepalive", "slowdownloads")

_KEPT_UP_NS = 250_000_000
"""What goes by between two looks at all goroutines when the machine has time for them, at most."""

_WATCHES = 3
_LONG_CLOSED_NS = 2_000_000_000


def watch(attachment: Attachment, seconds: float) -> HandoffWatch:
    steps = list(HandoffWatcher(attachment).watch(seconds, threading.Event()))
    *before, found = steps
    assert isinstance(found, HandoffWatch)
    assert all(isinstance(step, SearchProgress) for step in before)
    return found


def judge(pid: int, seconds: float) -> tuple[HandoffWatch, tuple[JudgedHandoff, ...]]:
    with attached(pid) as attachment:
        found = watch(attachment, seconds)
        program = ExecutableProgram(attachment.executable, attachment.bias)
        return found, judge_handoffs(found.handoffs, found.end_ns, program)


# -- callers ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("flavour", ["stripped", "pie-stripped"])
def test_each_body_is_ascribed_to_the_function_that_asked_for_it(
    matrix_toolchain: Toolchain, flavour: str
) -> None:
    binary = build_program("handoffs", flavour, matrix_toolchain)
    for _ in range(_WATCHES):
        found, ascribed = watch_handoffs(binary)
        # What is said is right however busy the machine is; how much, depends on the time there was to look.
        if found.longest_gap_ns <= _KEPT_UP_NS:
            assert min(ascribed["forget"], ascribed["wrapped"]) > 10
            # The server takes its time, so that there is plenty to see each caller wait.
            assert sum(ascribed.values()) > found.unattributed
            break


def watch_handoffs(binary: Path) -> tuple[HandoffWatch, Counter[str]]:
    """Watch *binary* for a while: nobody is said to have asked for what another did. How many each one asked for."""
    with run_program(binary) as process, attached(process.pid) as attachment:
        found = watch(attachment, 3)
        seen = list(attachment.goroutines.iter_seen(Tally(), threading.Event()))
        bodies = Http1Bodies(attachment).read(seen, threading.Event()).bodies
    paths = {body.holder_goid: urlsplit(body.url).path.strip("/") for body in bodies}
    ascribed: Counter[str] = Counter()
    callers: dict[str, set[int]] = {}
    for handoff in found.handoffs:
        functions = [frame.function for frame in handoff.stack]
        assert functions[0] == "net/http.(*persistConn).roundTrip"
        assert not handoff.whole or functions[-1] in ("main.every", "main.(*caller).quiet")
        (asker,) = (
            name.rpartition(".")[2]
            for name in functions
            if name.startswith("main.(*caller).") and name != "main.(*caller).fetch"
        )
        assert ("main.(*caller).fetch" in functions) == (asker == "wrapped")
        # They all go on for good. Where it is not sure who called, it is not told.
        assert handoff.caller_alive is not False
        assert handoff.caller_goid or handoff.caller_alive is None
        if handoff.caller_goid:
            callers.setdefault(asker, set()).add(handoff.caller_goid)
        if handoff.released_ns is None:
            assert asker in ("forget", "quiet", "wrapped", "tidy")
            # A body of tidy's that was open just now is closed by the time the census is taken, and its connection
            # may be another's.
            just_now = asker == "tidy" and found.end_ns - handoff.opened_ns < _LONG_CLOSED_NS
            assert just_now or paths[handoff.holder_goid] == asker
        else:
            assert asker == "tidy"
        ascribed[asker] += 1
    # What was open before is told by what its call left on the stack.
    assert ascribed["quiet"] == 3
    assert len(callers["quiet"]) == 3
    assert max(len(callers.get(asker, ())) for asker in ("forget", "wrapped")) <= 1
    return found, ascribed


def test_a_caller_that_holds_its_body_is_seen_where_it_is_now(matrix_toolchain: Toolchain) -> None:
    with run_program(build_program("handoffs", "stripped", matrix_toolchain)) as process:
        found, judged = judge(process.pid, 1)
    quiet = [item for item in judged if item.handoff.stack[-1].function == "main.(*caller).quiet"]
    assert len(quiet) == 3
    for item in quiet:
        assert item.handoff.opened_ns == found.start_ns
        assert item.handoff.caller_stack[-1].function == "main.(*caller).quiet"
        assert item.handoff.caller_stack[-1].line == item.handoff.stack[-1].line + 2
        assert item.fate is Fate.IN_USE  # nobody else can say that it is forgotten


@pytest.mark.parametrize("program", LEAKING)
def test_owners_are_the_marked_lines_and_no_others(
    matrix_toolchain: Toolchain, peer: Peer, program: str
) -> None:
    answer = expected(program)
    assert answer is not None
    binary = build(program, matrix_toolchain, stripped=True)
    with run_target(binary, peer, pprof=False, rate=40) as target:
        time.sleep(0.5)
        found, judged = judge(target.pid, 4)
        assert target.leaked() > 20
    left = [item for item in judged if item.fate is Fate.LEFT_OPEN]
    assert left, f"{found.unattributed} of them are not ascribed"
    for item in left:
        assert item.owner is not None
        frame = item.owner.frame
        assert answer.matches(frame.function, frame.file, frame.line), frame


@pytest.mark.parametrize("program", HEALTHY)
def test_nothing_is_left_open_where_all_is_closed_or_read(
    matrix_toolchain: Toolchain, peer: Peer, program: str
) -> None:
    binary = build(program, matrix_toolchain, stripped=True)
    with run_target(binary, peer, pprof=False, rate=40) as target:
        time.sleep(0.5)
        _, judged = judge(target.pid, 3)
    assert [item for item in judged if item.fate is Fate.LEFT_OPEN] == []


# -- the watch --------------------------------------------------------------------------------------


def test_a_cancelled_watch_tells_nothing(go_toolchain: Toolchain) -> None:
    cancel = threading.Event()
    with (
        run_program(build_program("handoffs", "stripped", go_toolchain)) as process,
        attached(process.pid) as attachment,
    ):
        steps = []
        for step in HandoffWatcher(attachment).watch(60, cancel):
            steps.append(step)
            cancel.set()
    assert steps and all(isinstance(step, SearchProgress) for step in steps)


def test_a_program_without_a_client_has_none(go_toolchain: Toolchain) -> None:
    with (
        run_program(build_program("unprofiled", "stripped", go_toolchain)) as process,
        attached(process.pid) as attachment,
    ):
        found = watch(attachment, 0.2)
    assert (found.handoffs, found.unattributed) == ((), 0)


# -- the order of calls -----------------------------------------------------------------------------


def test_the_last_call_is_known_where_every_way_has_it(matrix_toolchain: Toolchain) -> None:
    with Executable.open(build_program("handoffs", "stripped", matrix_toolchain)) as executable:
        order = CallOrder(executable)
        entries = {}
        for name in ("order", "repeat", "step", "other", "last"):
            function = executable.find_function(f"main.{name}")
            assert function is not None
            entries[name] = function.entry

        def call(caller: str, callee: str) -> int:
            (pc,) = order.calls_of(entries[caller] + 1, entries[callee])
            return pc

        def last_call(caller: str, now: str, before: str) -> int | None:
            return order.last_call(call(caller, now), entries[before])

        assert last_call("order", "last", "step") == call("order", "step")
        assert last_call("order", "other", "step") == call("order", "step")
        assert last_call("order", "last", "other") is None  # it may not have been called
        assert last_call("order", "step", "last") is None  # it comes later
        assert last_call("order", "step", "step") == call("order", "step")
        assert last_call("repeat", "other", "step") is None  # for all the code says there may be no turn
        assert last_call("repeat", "step", "last") is None  # not in the first turns
        assert order.is_past(call("order", "other"), entries["step"])
        assert order.is_past(call("repeat", "other"), entries["step"])
        assert not order.is_past(call("repeat", "last"), entries["step"])  # it will be called again
        assert order.is_call(call("order", "last"))
        assert not order.is_call(call("order", "last") - 1)
        assert order.target_of(call("order", "last")) == entries["last"]
