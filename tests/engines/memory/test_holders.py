"""Who holds an object: every way a Go program can, and those that look like it and do not."""

from __future__ import annotations

import re
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

import pytest

from leaktui.engines.memory.attachment import Attachment, attach
from leaktui.engines.memory.goroutines import Tally
from leaktui.engines.memory.heap_map import HeapMap
from leaktui.engines.memory.holders import HolderFinder
from leaktui.engines.memory.http1_bodies import Http1Bodies
from leaktui.engines.memory.persist_conn import READ_LOOP
from leaktui.engines.protocol import SearchProgress
from leaktui.errors import DecodeError, TargetGone
from leaktui.model.holder import Holder, HolderKind, HolderSearch
from tests.engines.memory.attached import attached, goroutines_of
from tests.engines.memory.go_programs import build_program, run_program
from tests.go_target import GoProcess, Peer, run_target
from tests.go_toolchain import Toolchain, build_programs

pytestmark = pytest.mark.go

GLOBAL, FRAME, OBJECT, RUNTIME = (
    HolderKind.GLOBAL,
    HolderKind.FRAME,
    HolderKind.OBJECT,
    HolderKind.RUNTIME,
)


@dataclass(frozen=True)
class Expected:
    """The way from an object to its root: the root's kind, its variable, function or record; what is in between.

    `way` is (type, field) of the objects from the nearest to the farthest; None where it is not asked about.
    """

    kind: HolderKind
    name: str
    way: list[tuple[str, str]] | None = field(default_factory=list)
    subject: str = "main.widget"


NODE = ("main.node", ".next")
EXPECTED = {
    "nested field": Expected(GLOBAL, "main.nested"),
    "global array": Expected(GLOBAL, "main.table"),
    "interface": Expected(GLOBAL, "main.stringer"),
    "interior": Expected(GLOBAL, "main.label"),
    "boxed struct": Expected(GLOBAL, "main.boxed", [("main.record", ".widget")]),
    "bytes": Expected(GLOBAL, "main.holder", None, subject=""),
    "slice element": Expected(GLOBAL, "main.widgets", [("[]*main.widget", "[4]")]),
    "sync.Map": Expected(GLOBAL, "main.shared", None),
    "large slice": Expected(
        GLOBAL, "main.many", [("main.session", ".widget"), ("[]*main.session", "[2999]")]
    ),
    "channel buffer": Expected(
        GLOBAL, "main.queue", [("[]*main.widget", "[0]"), ("chan *main.widget", ".buf")]
    ),
    "closure": Expected(GLOBAL, "main.callback", [("func main.keepInClosure.func1", "+0x8")]),
    "linked list, node 0": Expected(GLOBAL, "main.list", [("main.node", ".value"), NODE, NODE, NODE]),
    "linked list, node 3": Expected(GLOBAL, "main.list", [("main.node", ".value")]),
    "local": Expected(FRAME, "main.keepLocal"),
    "argument": Expected(FRAME, "main.keepArgument"),
    "blocked send": Expected(FRAME, "main.keepSending"),
    "stack object": Expected(FRAME, "main.keepStackObject"),
    "context value": Expected(
        FRAME, "main.keepContext", [("context.valueCtx", ".val"), ("context.cancelCtx", ".Context")]
    ),
    "deferred": Expected(FRAME, "main.keepDeferred", [("func main.keepDeferred.func1", "+0x8")]),
    "finalizer": Expected(RUNTIME, "object with a finalizer"),
    "finalizer function": Expected(RUNTIME, "finalizer", [("func main.holdInRuntime.func2", "+0x8")]),
    # Up to Go 1.25 the function given to AddCleanup is wrapped in others.
    "cleanup function": Expected(RUNTIME, "cleanup", None),
    "cleanup argument": Expected(RUNTIME, "cleanup", None),
}

UNHELD = ("dead slot", "dead stack object", "unreachable", "cycle")


class Holding:
    """The program, and a finder looking into it."""

    def __init__(self, attachment: Attachment, addresses: dict[str, str], stripped: bool) -> None:
        self.attachment = attachment
        self.finder = HolderFinder(attachment)
        self.addresses = {name: int(address, 16) for name, address in addresses.items()}
        self.stripped = stripped

    def search(self, subject: str | int, cancel: threading.Event | None = None) -> list[HolderSearch]:
        address = self.addresses[subject] if isinstance(subject, str) else subject
        found = self.finder.search(address, cancel or threading.Event())
        return [fact for fact in found if not isinstance(fact, SearchProgress)]

    def last(self, subject: str | int) -> HolderSearch:
        return self.search(subject)[-1]

    def check_root(self, root: Holder, expected: Expected) -> None:
        assert root.is_root
        assert root.kind is expected.kind
        if root.frame is not None:
            assert root.frame.function == expected.name
            assert root.frame.line > 0
            assert root.goid
        elif root.kind is GLOBAL and self.stripped:
            place = f"variable at {root.address:#x}"
            if root.name != f"main ({place})":  # within a variable whose start alone is mentioned
                assert re.fullmatch(rf"{place}, 0x[0-9a-f]+ after the start of one of main", root.name)
        else:
            assert root.name.startswith(expected.name)


@contextmanager
def holding(toolchain: Toolchain, flavour: str) -> Iterator[Holding]:
    with run_program(build_program("holders", flavour, toolchain)) as process:
        attachment = attach(process.pid, threading.Event())
        try:
            yield Holding(attachment, process.ready["addresses"], "stripped" in flavour)
        finally:
            attachment.close()


@pytest.fixture(scope="module")
def program(go_toolchain: Toolchain) -> Iterator[Holding]:
    with holding(go_toolchain, "stripped") as found:
        yield found


@pytest.mark.parametrize("flavour", ["plain", "stripped", "pie-stripped", "cgo-stripped"])
def test_every_way_to_hold_an_object_is_found(matrix_toolchain: Toolchain, flavour: str) -> None:
    with holding(matrix_toolchain, flavour) as program:
        for name, expected in EXPECTED.items():
            if name.startswith("cleanup") and name not in program.addresses:
                continue  # runtime.AddCleanup is of Go 1.24
            found = program.last(name)
            assert found.done, name
            assert not found.unreachable, name
            assert found.path, name
            assert found.type_name == expected.subject, name
            *objects, root = found.path
            assert all(holder.kind is OBJECT for holder in objects)
            if expected.way is not None:
                assert [(holder.type_name, holder.field) for holder in objects] == expected.way, name
            program.check_root(root, expected)
            check_chain(found)


@pytest.mark.parametrize("flavour", ["stripped"])
def test_what_only_looks_held_is_not(matrix_toolchain: Toolchain, flavour: str) -> None:
    """Words of dead slots, and objects that hold each other while nothing holds them."""
    with holding(matrix_toolchain, flavour) as program:
        for name in UNHELD:
            found = program.last(name)
            assert found.path == (), name
            assert found.done, name
            assert found.unreachable, name


def test_maps_are_named_by_key(matrix_toolchain: Toolchain) -> None:
    with holding(matrix_toolchain, "stripped") as program:
        for name, kind, fields in (
            ("map value", "map[string]*main.widget", '["key-39"]'),
            ("map struct value", "map[int]main.record", "[39].widget"),
        ):
            *objects, root = program.last(name).path
            assert root.kind is GLOBAL
            assert (objects[0].type_name, objects[0].field) == (f"{kind} (entries)", fields)
            assert objects[-1].type_name == kind
            assert all(item.type_name.startswith(kind) for item in objects)


def test_a_timer_is_held_by_the_runtime_s_processors(matrix_toolchain: Toolchain) -> None:
    with holding(matrix_toolchain, "plain") as program:
        *objects, root = program.last("timer").path
    assert root.name == "runtime.allp"
    assert objects[0].type_name == "func main.holdInRuntime.func3"
    assert {item.type_name for item in objects} >= {"runtime.p", "[]*runtime.p"}


def test_a_goroutine_is_not_held_by_itself(matrix_toolchain: Toolchain) -> None:
    """One that waits on a channel is held through that by others, which says more than the runtime's list."""
    with holding(matrix_toolchain, "stripped") as program:
        waiting = next(
            seen
            for seen in program.attachment.goroutines.iter_seen(Tally(), threading.Event())
            if any(frame.function == "main.keepLocal" for frame in seen.trace.stack)
        )
        found = program.last(waiting.address)
    assert found.type_name == "runtime.g"
    assert found.path[0].type_name == "runtime.sudog"
    assert found.path[-1].kind in (GLOBAL, FRAME)
    assert all(holder.goid != waiting.state.goid for holder in found.path)
    assert any(holder.name == "runtime.allgs" for holder in found.levels[0].holders)


def check_chain(found: HolderSearch) -> None:
    """Every step holds the one before, and was told in its level."""
    held = found.subject
    for depth, holder in enumerate(found.path, 1):
        assert holder.holds == held
        level = found.levels[depth - 1]
        assert level.depth == depth
        assert holder in level.holders
        assert holder.is_root == (depth == len(found.path))
        held = holder.object


def test_it_is_told_level_by_level(program: Holding) -> None:
    searches = program.search("linked list, node 0")
    assert [len(item.levels) for item in searches] == [1, 2, 3, 4, 5]
    assert [item.done for item in searches] == [False] * 4 + [True]
    assert all(not item.path for item in searches[:-1])
    assert searches[-1].scanned_bytes > searches[0].scanned_bytes > 0


def test_an_address_inside_an_object_will_do(program: Holding) -> None:
    address = program.addresses["slice element"]
    inside, whole = program.last(address + 17), program.last(address)
    assert inside.subject == whole.subject == address
    assert inside.path == whole.path


@pytest.mark.parametrize("address", [0, 8, 1 << 46, (1 << 64) - 8])
def test_what_is_no_object_is_refused(program: Holding, address: int) -> None:
    with pytest.raises(DecodeError, match="no heap object"):
        program.search(address)


def test_it_stops_when_told_to(program: Holding) -> None:
    cancel = threading.Event()
    cancel.set()
    assert program.search("timer", cancel) == []
    cancel = threading.Event()
    found = []
    for fact in program.finder.search(program.addresses["timer"], cancel):
        if isinstance(fact, HolderSearch):
            found.append(fact)
            cancel.set()
    assert [item.done for item in found] == [False]


def test_a_depth_is_kept(program: Holding) -> None:
    finder = program.finder
    facts = list(finder.search(program.addresses["linked list, node 0"], threading.Event(), depth=2))
    last = facts[-1]
    assert isinstance(last, HolderSearch)
    assert last.done
    assert len(last.levels) == 2
    assert not last.path
    assert not last.unreachable  # it was not looked at all the way


def test_what_moves_all_the_time_is_never_called_unheld(go_toolchain: Toolchain) -> None:
    """Each ball is held at any moment, if only by a register: a way to a root may be missed, and no more said."""
    with run_program(build_program("juggling", "stripped", go_toolchain)) as process:
        attachment = attach(process.pid, threading.Event())
        finder = HolderFinder(attachment)
        ended = 0
        try:
            for address in list(process.ready["addresses"].values()) * 6:
                *_, last = finder.search(int(address, 16), threading.Event())
                assert isinstance(last, HolderSearch)
                assert last.done
                assert not last.unreachable
                assert last.type_name in ("", "main.ball")
                if last.path:
                    check_chain(last)
                    ended += 1
        finally:
            attachment.close()
    assert ended > 0


def test_a_process_that_ends_is_gone(go_toolchain: Toolchain) -> None:
    process = GoProcess([str(build_program("holders", "stripped", go_toolchain))])
    attachment = attach(process.pid, threading.Event())
    finder = HolderFinder(attachment)
    process.stop()
    with pytest.raises(TargetGone):
        list(finder.search(int(process.ready["addresses"]["timer"], 16), threading.Event()))
    attachment.close()


def holders_of_bodies(pid: int) -> list[HolderSearch]:
    """What holds the oldest few of the bodies that are open."""
    with attached(pid) as attachment:
        cancel = threading.Event()
        bodies = Http1Bodies(attachment).read(
            goroutines_of(attachment), cancel, HeapMap.read(attachment, cancel)
        )
        finder = HolderFinder(attachment)
        found = []
        for body in bodies.bodies[:3]:
            *_, last = finder.search(body.body, cancel)
            assert isinstance(last, HolderSearch)
            found.append(last)
        return found


def test_the_connection_that_waits_for_a_body_does_not_hold_it(
    matrix_toolchain: Toolchain, peer: Peer
) -> None:
    """Since Go 1.27 readLoop has it in a live variable: what the program has besides is looked for all the same."""
    binaries = build_programs(("earlyreturn", "storedinmap"), matrix_toolchain, stripped=True, tags="nopprof")
    with run_target(binaries["earlyreturn"], peer, rate=5, pprof=False) as target:
        time.sleep(2)
        left = holders_of_bodies(target.pid)
    assert len(left) == 3
    for search in left:
        assert search.unreachable or search.forsaken
        loops = [holder.frame.function for holder in search.path if holder.frame is not None]
        assert loops == ([READ_LOOP] if search.forsaken else [])
    with run_target(binaries["storedinmap"], peer, rate=5, pprof=False) as target:
        time.sleep(2)
        kept = holders_of_bodies(target.pid)
    assert len(kept) == 3
    for search in kept:
        assert not (search.unreachable or search.forsaken)
        assert any(holder.type_name == "http.Response" for holder in search.path)
        root = search.path[-1]
        assert root.frame is None or root.frame.function != READ_LOOP
