"""The probe engine as a whole: books that are right, refusals that help, and nothing left behind however it ends."""

from __future__ import annotations

import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from leaktui.engines.memory.attachment import attach
from leaktui.engines.probes.body_watcher import BodyWatcher
from leaktui.engines.probes.engine import ProbesEngine
from leaktui.engines.probes.recipe import Site
from leaktui.engines.proc import read_target
from leaktui.engines.protocol import LedgerSeen, Refused, Request, Want
from leaktui.errors import TargetGone
from leaktui.model.ledger import Ledger
from leaktui.model.target import Target
from tests.engines.conftest import as_nobody
from tests.engines.probes.fd_programs import build_program, run_program
from tests.engines.probes.sudden_death import busy_client, has_probes, kill_at_random, wait_until
from tests.go_target import GoProcess
from tests.go_toolchain import Toolchain

pytestmark = [pytest.mark.go, pytest.mark.root, pytest.mark.usefixtures("probes_permitted")]

BODIES = Request(frozenset({Want.BODY_LEDGER}), trace_seconds=60)
LEAK_ONE_IN = 10

_TRACE = """
import ctypes, sys
libc = ctypes.CDLL(None, use_errno=True)
libc.ptrace.argtypes = (ctypes.c_long, ctypes.c_long, ctypes.c_void_p, ctypes.c_void_p)
assert libc.ptrace(0x4206, int(sys.argv[1]), None, None) == 0, ctypes.get_errno()  # PTRACE_SEIZE
print("ready", flush=True)
sys.stdin.read()
"""


@pytest.fixture(scope="module")
def client(go_toolchain: Toolchain, tmp_path_factory: pytest.TempPathFactory) -> Iterator[GoProcess]:
    """A busy HTTP client that forgets one body in ten."""
    directory = tmp_path_factory.mktemp("load")
    with busy_client(go_toolchain, directory, "-rate", "200", "-leak", str(LEAK_ONE_IN)) as process:
        yield process
        assert process.ask("latency", "latency")["failed"] == 0
        assert process.alive()


@pytest.fixture(scope="module")
def sites(client: GoProcess) -> tuple[Site, ...]:
    attachment = attach(client.pid, threading.Event())
    try:
        return BodyWatcher(attachment).sites()
    finally:
        attachment.close()


def keep_books(
    engine: ProbesEngine,
    until: Callable[[Ledger], bool],
    cancel: threading.Event | None = None,
    request: Request = BODIES,
) -> list[Ledger]:
    """All books until *until* says that it is enough, and the last ones."""
    cancel = cancel or threading.Event()
    ledgers = []
    for fact in engine.capture(request, cancel):
        assert isinstance(fact, LedgerSeen), fact
        ledgers.append(fact.ledger)
        if until(fact.ledger):
            cancel.set()
    return ledgers


def test_the_books_tell_who_closes_and_who_does_not(client: GoProcess, sites: tuple[Site, ...]) -> None:
    engine = ProbesEngine(client.pid)
    capability = engine.probe(read_target(client.pid))
    assert capability.usable and Want.BODY_LEDGER.value in capability.gives
    assert not has_probes(client.pid, sites), "looking what works touches nothing"
    ledgers = keep_books(engine, lambda ledger: ledger.opened >= 600)
    engine.close()
    first, last = ledgers[0], ledgers[-1]
    assert (first.opened, first.armed, first.probes) == (0, True, len(sites))
    assert (last.armed, last.dropped, last.ended) == (False, 0, "")
    assert not has_probes(client.pid, sites)
    by_function = {
        next(frame.function for frame in place.stack if frame.function.startswith("main.")): place
        for place in last.places
    }
    kept, forgotten = by_function["main.fetch"], by_function["main.forget"]
    assert kept.opened > 500 and kept.open <= 8  # a few were under way when it ended
    assert (forgotten.closed, forgotten.ended) == (0, 0)
    assert abs(forgotten.opened * LEAK_ONE_IN - last.opened) <= 2 * LEAK_ONE_IN
    assert [points[1] for points in last.points] == sorted(points[1] for points in last.points)
    item = last.open[0]
    assert (item.method, item.status, item.protocol, item.content_length) == ("GET", 200, "HTTP/1.1", 64)
    assert item.url.endswith("/item") and item.goid


def test_what_is_hit_too_often_takes_itself_out(client: GoProcess, sites: tuple[Site, ...]) -> None:
    engine = ProbesEngine(client.pid, most_hits_a_second=50)
    last = keep_books(engine, lambda ledger: False)[-1]
    engine.close()
    assert not last.armed and last.ended.endswith("hits a second are more than the 50 allowed")
    assert last.opened > 200, "what was booked until then stays"
    assert not has_probes(client.pid, sites)


def test_its_time_ends(client: GoProcess, sites: tuple[Site, ...]) -> None:
    engine = ProbesEngine(client.pid)
    request = Request(frozenset({Want.BODY_LEDGER}), trace_seconds=1.0)
    last = keep_books(engine, lambda ledger: False, request=request)[-1]
    engine.close()
    assert 1.0 <= last.seconds < 10 and not last.armed and not last.ended
    assert not has_probes(client.pid, sites)


def test_close_from_another_thread_takes_them_out(client: GoProcess, sites: tuple[Site, ...]) -> None:
    engine = ProbesEngine(client.pid)
    worker = threading.Thread(target=keep_books, args=(engine, lambda ledger: False))
    worker.start()
    assert wait_until(lambda: has_probes(client.pid, sites), 20)
    engine.close()
    worker.join(20)
    assert not worker.is_alive() and not has_probes(client.pid, sites)
    assert list(engine.capture(BODIES, threading.Event())) == []


def test_when_a_debugger_comes_the_probes_go(client: GoProcess, sites: tuple[Site, ...]) -> None:
    engine = ProbesEngine(client.pid)
    with subprocess.Popen(
        [sys.executable, "-c", _TRACE, str(client.pid)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    ) as tracer:
        assert tracer.stdin is not None and tracer.stdout is not None
        try:
            assert tracer.stdout.readline() == b"ready\n"
            refused = engine.probe(read_target(client.pid))
            assert not refused.usable and f"is traced by process {tracer.pid}" in refused.reason
            assert "end that session first" in refused.remedy
        finally:
            tracer.stdin.close()
            tracer.wait(20)

    def attach_tracer(ledger: Ledger) -> bool:
        if ledger.opened and not late:
            late.append(
                subprocess.Popen(
                    [sys.executable, "-c", _TRACE, str(client.pid)],
                    stdin=subprocess.PIPE,
                    stdout=subprocess.PIPE,
                )
            )
        return False

    late: list[subprocess.Popen[bytes]] = []
    try:
        last = keep_books(engine, attach_tracer)[-1]
        assert last.ended.startswith(f"process {late[0].pid} (python")
        assert last.ended.endswith("has begun to trace the target")
        assert not has_probes(client.pid, sites)
    finally:
        for process in late:
            process.communicate(timeout=20)
        engine.close()


@pytest.mark.parametrize("kills", [5])
def test_killed_at_any_moment_it_leaves_nothing(client: GoProcess, kills: int) -> None:
    outcome = kill_at_random(client, kills)
    assert outcome.kills == outcome.armed == kills
    assert outcome.is_clean, outcome


def test_a_program_without_a_client_has_no_bodies_to_pair(go_toolchain: Toolchain) -> None:
    with run_program(build_program("oddfds", "stripped", go_toolchain)) as process:
        engine = ProbesEngine(process.pid)
        capability = engine.probe(read_target(process.pid))
        engine.close()
    assert capability.usable
    assert Want.BODY_LEDGER.value not in capability.gives and Want.FD_LEDGER.value in capability.gives
    assert "HTTP client" in capability.reason


def test_a_program_without_a_client_is_refused_bodies_in_one_sentence(go_toolchain: Toolchain) -> None:
    with run_program(build_program("oddfds", "stripped", go_toolchain)) as process:
        engine = ProbesEngine(process.pid)
        (fact,) = engine.capture(BODIES, threading.Event())
        engine.close()
    assert isinstance(fact, Refused) and "HTTP client" in fact.reason and fact.remedy


def test_a_process_that_exits_is_gone(go_toolchain: Toolchain, tmp_path: Path) -> None:
    with busy_client(go_toolchain, tmp_path, "-rate", "100") as process:
        engine = ProbesEngine(process.pid)

        def stop(ledger: Ledger) -> bool:
            if ledger.opened:
                process.stop()
            return False

        with pytest.raises(TargetGone):
            keep_books(engine, stop)
        engine.close()


def test_a_url_alone_and_somebody_who_is_not_root(client: GoProcess) -> None:
    refused = ProbesEngine(None).probe(Target(pid=None, url="http://127.0.0.1:1/"))
    assert not refused.usable and "--pid" in refused.remedy
    target = read_target(client.pid)
    with as_nobody():
        refused = ProbesEngine(client.pid).probe(target)
    assert not refused.usable and "probes need root" in refused.reason and "sudo" in refused.remedy


def test_doctor_says_what_they_would_see(client: GoProcess) -> None:
    """`leaktui doctor` names what the probes see, and arms none."""
    done = subprocess.run(
        [sys.executable, "-m", "leaktui", "doctor", "--pid", str(client.pid)],
        capture_output=True,
        text=True,
        cwd=Path(__file__).parents[3],
        timeout=60,
    )
    text = " ".join(done.stdout.split())
    assert "probes works" in text and "every response body opened and closed, with its caller" in text
