"""Descriptors of every kind, opened and closed in every way, beside the count of the program that does it."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from leaktui.engines.memory.attachment import Attachment, attach
from leaktui.engines.probes.fd_sites import FdEvent
from leaktui.engines.probes.fd_watcher import FdWatcher
from leaktui.engines.probes.recipe import Hit, Site
from leaktui.errors import TargetGone
from leaktui.model.ledger import Ledger
from tests.engines.probes.fd_matrix import watch
from tests.engines.probes.fd_programs import CommandedProgram, build_program, run_program
from tests.engines.probes.fd_watching import FdWatch, Sum, count_fds, watched_fds
from tests.go_expected import leaking_programs
from tests.go_target import Peer, start_peer
from tests.go_toolchain import Toolchain, build_programs

pytestmark = [pytest.mark.go, pytest.mark.usefixtures("probes_permitted")]

TIMES = 3

# What each does by `TIMES`, where opened − closed = open is not all there is to say (opened, ended, collected).
SPECIAL = {
    "hardClosed": Sum(TIMES, 0, TIMES, 0),
    "forgotten": Sum(TIMES, 0, 0, TIMES),
    "forgottenTCP": Sum(2 * TIMES, TIMES, 0, TIMES),
    "forgottenRoots": Sum(TIMES, 0, 0, TIMES),
}
NEVER_SEEN = {"rawOpened", "memoryPipes"}

POOLED = "splices"
"""It leaves a pipe in internal/poll's own pool, which is not in the books."""


@pytest.mark.parametrize(
    "flavour",
    [
        "plain",
        "stripped",
        # These have the whole standard library compiled anew.
        pytest.param("unoptimised", marks=pytest.mark.matrix),
        pytest.param("pie-stripped", marks=pytest.mark.matrix),
    ],
)
def test_every_kind_is_counted_as_the_program_does(flavour: str, matrix_toolchain: Toolchain) -> None:
    binary = build_program("oddfds", flavour, matrix_toolchain)
    with run_program(binary) as program, watched_fds(program.pid) as fds:
        left_open = {}
        sums: dict[str, Sum] = {}
        for kind in sorted(program.ready["kinds"], key=lambda kind: (kind == POOLED, kind)):
            left_open[kind] = carry_out(fds, program, kind)
            ledger = fds.ledger(settled=True)
            assert fds.armed.dropped() == 0
            total = total_of(ledger)
            # What came since the last kind; the program's own listings of its descriptors are closed again.
            known = Sum(*(sum(getattr(one, name) for one in sums.values()) for name in vars(total)))
            sums[kind] = Sum(*(getattr(total, name) - getattr(known, name) for name in vars(total)))
            if kind != POOLED:
                assert ledger.still_open == count_fds(program.pid) - fds.open_before, kind
        assert {kind: one.open for kind, one in sums.items()} == left_open
        assert ledger.closed_unseen == 0
        for kind, one in sums.items():
            expected = SPECIAL.get(kind, Sum())
            if kind == "forgottenProcesses":
                # Go 1.22 has no descriptors of processes.
                expected = Sum(0, 0, 0, TIMES if sums["processes"].open else 0)
            assert (one.ended, one.collected) == (expected.ended, expected.collected), kind
            assert (one.opened == 0) == (kind in NEVER_SEEN) or kind == "processes", kind
        assert ledger.unseen[0].startswith(
            f"{count_fds(program.pid) - fds.open_before - ledger.still_open} of"
        )
        check_owners(fds, ledger)
        check_names(ledger, program.pid)


def carry_out(fds: FdWatch, program: CommandedProgram, kind: str) -> int:
    """How many *kind* left open; its hits are read while they come."""
    with ThreadPoolExecutor(1) as pool:
        answer = pool.submit(program.do, kind, TIMES)
        while not answer.done():
            fds.ledger()
        return int(answer.result()["open"])


def total_of(ledger: Ledger) -> Sum:
    return Sum(
        ledger.opened,
        ledger.closed,
        sum(place.ended for place in ledger.places),
        sum(place.collected for place in ledger.places),
    )


def check_owners(fds: FdWatch, ledger: Ledger) -> None:
    """Everything was opened by a line of the program, and each chain begins in the library and ends at the root."""
    assert "" not in {function for function, _, _ in fds.by_owner(ledger)}
    for place in ledger.places:
        assert place.whole
        assert place.stack[0].function.split(".")[0] in ("internal/poll", "os")
        assert place.stack[-1].function.startswith("main.")


def check_names(ledger: Ledger, pid: int) -> None:
    """Each that is open is what the kernel says it is."""
    for item in ledger.open:
        link = str(Path(f"/proc/{pid}/fd/{item.key}").readlink())
        assert item.goid > 0
        if link.startswith("socket:"):
            assert item.name.split(":")[0] in ("tcp", "udp", "unix")
        elif link.startswith("pipe:"):
            assert item.name in ("|0", "|1")
        elif "pidfd" in link:
            assert item.name.startswith("process ")
        else:
            assert item.name in (link, "wrapped")


def test_programs_leave_open_what_they_say(go_toolchain: Toolchain, peer: Peer) -> None:
    programs = [*leaking_programs("fd"), "fdchurn"]
    binaries = build_programs(programs, go_toolchain, stripped=True)
    for program in programs:
        row = watch(program, binaries[program], go_toolchain, True, peer, 1.0)
        assert row.right, row.said
        assert row.total.opened > 5
        assert (row.guilty > 2) == (program != "fdchurn")


@pytest.mark.matrix
@pytest.mark.parametrize("stripped", [False, True], ids=["symbols", "stripped"])
def test_programs_on_every_release(stripped: bool, matrix_toolchain: Toolchain) -> None:
    programs = [*leaking_programs("fd"), "fdchurn"]
    binaries = build_programs(programs, matrix_toolchain, stripped=stripped)
    server = start_peer(matrix_toolchain)
    try:
        rows = [
            watch(program, binaries[program], matrix_toolchain, stripped, server, 2.0) for program in programs
        ]
    finally:
        server.stop()
    assert not [row for row in rows if not row.right]


def test_closes_that_were_lost_leave_nothing_open_in_the_books(go_toolchain: Toolchain) -> None:
    with (
        run_program(build_program("oddfds", "plain", go_toolchain)) as program,
        watched_fds(program.pid, ring_bytes=1 << 16) as fds,
    ):
        program.do("churn", TIMES)  # nobody reads meanwhile
        ledger = fds.ledger(settled=True)
        assert fds.armed.dropped() > 0
        listed = {int(path.name) for path in Path(f"/proc/{program.pid}/fd").iterdir()}
        assert {item.key for item in ledger.open} <= listed
        assert ledger.still_open <= len(listed) - fds.open_before
        # And from then on all is counted again.
        before = ledger.still_open
        assert program.do("pipes", TIMES)["open"] == fds.ledger(settled=True).still_open - before


# --- what no program can be told to do at the right moment ---


@pytest.fixture
def attachment(go_toolchain: Toolchain) -> Iterator[Attachment]:
    with run_program(build_program("oddfds", "plain", go_toolchain)) as program:
        attached = attach(program.pid, threading.Event())
        yield attached
        attached.close()


class MadeUp:
    """Hits that never happened, at the sites of a watcher; the program itself has none of the numbers."""

    def __init__(self, watcher: FdWatcher) -> None:
        self.watcher = watcher
        self.sites: dict[str, Site] = {}
        for site in watcher.sites():
            self.sites.setdefault(site.event, site)
        self.began = self.now = time.monotonic()

    def opened(self, number: int, seconds: float, *, address: int = 0xC000) -> None:
        words = (address, number, 1, 17, 2, 4)
        self._hit(FdEvent.INIT, seconds, words, (b"file", b"/tmp/\x1b[31mred"))

    def closed(self, number: int, seconds: float, frames: tuple[int, ...] = ()) -> None:
        self._hit(FdEvent.CLOSE, seconds, (number,), (), frames)

    def books(self) -> Ledger:
        """The books, compared with the kernel's list."""
        self.now += 1000
        return self.watcher.ledger(self.began, self.now)

    def _hit(
        self,
        event: FdEvent,
        seconds: float,
        words: tuple[int, ...],
        texts: tuple[bytes, ...],
        frames: tuple[int, ...] = (),
    ) -> None:
        when = round((self.began + seconds) * 1e9)
        self.watcher.handle(Hit(self.sites[event.value], when, 1, words, texts, frames))


@pytest.fixture
def made_up(attachment: Attachment) -> MadeUp:
    return MadeUp(FdWatcher(attachment))


def test_one_that_is_initialised_twice_counts_once(made_up: MadeUp) -> None:
    made_up.opened(900, -3)
    made_up.opened(900, -2)
    assert made_up.books().opened == 1


def test_a_number_given_again_was_closed_by_somebody(made_up: MadeUp) -> None:
    made_up.opened(900, -3)
    made_up.opened(900, -2, address=0xD000)
    (place,) = made_up.books().places
    assert (place.opened, place.ended, place.open) == (2, 1, 1)


def test_what_the_kernel_does_not_list_twice_has_ended(made_up: MadeUp) -> None:
    made_up.opened(900, -3)
    assert made_up.books().still_open == 1, "one listing is not enough: its close may be on the way"
    ledger = made_up.books()
    assert [place.ended for place in ledger.places] == [1]
    assert ledger.open == ()


def test_what_was_opened_after_the_listing_is_not_ended_by_it(made_up: MadeUp) -> None:
    made_up.opened(900, 1000)
    made_up.books()
    assert made_up.books().still_open == 1


def test_a_close_that_comes_late_is_a_close_all_the_same(made_up: MadeUp) -> None:
    made_up.opened(900, -3)
    made_up.books()
    made_up.books()
    made_up.closed(900, -2)
    (place,) = made_up.books().places
    assert (place.closed, place.ended) == (1, 0)


def test_the_next_close_of_an_ended_number_is_somebody_elses(made_up: MadeUp) -> None:
    made_up.opened(900, -3)
    made_up.books()
    made_up.books()
    made_up.closed(900, 2000)
    ledger = made_up.books()
    assert (ledger.closed, [place.ended for place in ledger.places]) == (0, [1])


def test_only_what_was_open_before_is_closed_unseen(made_up: MadeUp, attachment: Attachment) -> None:
    made_up.books()
    for number in (0, 0, 901):
        made_up.closed(number, 1)
    assert made_up.books().closed_unseen == 1


def test_what_the_collector_closes_is_collected(made_up: MadeUp, attachment: Attachment) -> None:
    executable = attachment.executable
    function = executable.find_function("runtime.runfinq") or executable.find_function(
        "runtime.runFinalizers"
    )
    assert function is not None
    made_up.opened(900, -3)
    made_up.closed(900, -2, (0x400000, function.entry + 8 + attachment.bias))
    assert [place.collected for place in made_up.books().places] == [1]


def test_names_are_made_safe_to_print(made_up: MadeUp) -> None:
    made_up.opened(900, -3)
    assert made_up.books().open[0].name.isprintable()


def test_a_process_that_is_gone_says_so_and_its_books_stay(go_toolchain: Toolchain) -> None:
    with run_program(build_program("oddfds", "plain", go_toolchain)) as program:
        attached = attach(program.pid, threading.Event())
        made_up = MadeUp(FdWatcher(attached))
        made_up.opened(900, -3)
    assert [made_up.books().still_open for _ in range(3)] == [1, 1, 1]
    with pytest.raises(TargetGone):
        FdWatcher(attached).sites()
    attached.close()
