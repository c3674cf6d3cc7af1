"""The demo at work: it leaks what it says, where its source says, and never outlives us."""

from __future__ import annotations

import re
import signal
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable
from pathlib import Path

import pytest

from leaktui.demo import LEAKS, DemoService
from leaktui.demo.builder import DemoBinaries
from leaktui.errors import LeaktuiError, UsageError

RATE = 50.0
PATIENCE = 30.0


def wait_until(condition: Callable[[], bool]) -> bool:
    deadline = time.monotonic() + PATIENCE
    while time.monotonic() < deadline:
        if condition():
            return True
        time.sleep(0.05)
    return condition()


def fetch(demo: DemoService, page: str) -> str:
    with urllib.request.urlopen(f"{demo.pprof_url}/{page}", timeout=30) as response:
        return str(response.read().decode())


def fd_count(demo: DemoService) -> int:
    return len(list(Path(f"/proc/{demo.pid}/fd").iterdir()))


def goroutines(demo: DemoService, function: str) -> int:
    return len(re.findall(rf"^{re.escape(function)}\(", fetch(demo, "goroutine?debug=2"), re.MULTILINE))


def live_at(demo: DemoService, mark: tuple[str, int]) -> int:
    """Live objects of the allocation records that show a file:line, by the heap profile.

    One object in 8.5 of 64 KiB is sampled, 1/(1-exp(-64/512)), and debug=1 does not scale.
    """
    sampled = 0
    for record in fetch(demo, "heap?debug=1&gc=1").split("\n\n"):
        for entry in re.split(r"\n(?=\d+: \d+ \[)", record):
            if f"{mark[0]}:{mark[1]}" in entry and (count := re.match(r"(\d+): ", entry)):
                sampled += int(count[1])
    return int(sampled * 8.5)


def marks(source: Path) -> dict[str, tuple[str, int]]:
    """The lines marked DEMO in the demo's source, by what they mark."""
    found = {}
    for path in source.glob("**/*.go"):
        for number, line in enumerate(path.read_text().splitlines(), 1):
            if match := re.search(r"// DEMO: (\S+) (\S+)$", line):
                found[match[1]] = (str(path), number)
    return found


def held(demo: DemoService) -> int:
    """How much of what it leaks the demo holds, seen from outside."""
    if demo.leak == "body":
        return goroutines(demo, "net/http.(*persistConn).readLoop")
    if demo.leak == "goroutine":
        return goroutines(demo, "main.(*shop).quote.func1")
    if demo.leak == "fd":
        return fd_count(demo)
    return live_at(demo, marks(demo.source)["heap"])


@pytest.mark.go
@pytest.mark.parametrize("leak", [leak for leak in LEAKS if leak != "none"])
def test_it_leaks_and_its_fixed_twin_does_not(leak: str, binaries: DemoBinaries) -> None:
    many = 200
    with (
        DemoService(leak, rate=RATE, binaries=binaries) as leaking,
        DemoService(leak, rate=RATE, binaries=binaries, fixed=True) as fixed,
    ):
        assert wait_until(lambda: held(leaking) >= many)
        # The twin has run as long at the same rate.
        assert held(fixed) < many * 3 // 4
        assert leaking.alive
        assert fixed.alive


@pytest.mark.go
def test_without_a_leak_nothing_grows(binaries: DemoBinaries) -> None:
    with DemoService("none", rate=RATE, binaries=binaries) as demo:
        time.sleep(1)
        before = fd_count(demo), goroutines(demo, "net/http.(*persistConn).readLoop")
        time.sleep(1)
        after = fd_count(demo), goroutines(demo, "net/http.(*persistConn).readLoop")
        assert after[0] - before[0] < 10
        assert after[1] - before[1] < 10


@pytest.mark.go
def test_the_goroutines_wait_at_the_marked_line(binaries: DemoBinaries) -> None:
    with DemoService("goroutine", rate=RATE, binaries=binaries) as demo:
        assert wait_until(lambda: goroutines(demo, "main.(*shop).quote.func1") >= 20)  # some still at work
        dump = fetch(demo, "goroutine?debug=2")
        here = marks(demo.source)
        assert dump.count(f"{here['goroutine'][0]}:{here['goroutine'][1]} ") >= 10
        assert dump.count(f"{here['created-by'][0]}:{here['created-by'][1]} ") >= 10


@pytest.mark.go
def test_starting_and_stopping_twice_is_harmless(binaries: DemoBinaries) -> None:
    demo = DemoService(binaries=binaries)
    demo.stop()
    demo.start()
    pid = demo.pid
    demo.start()
    assert demo.pid == pid
    demo.stop()
    demo.stop()
    assert not demo.alive
    assert not Path(f"/proc/{pid}").exists()
    with pytest.raises(LeaktuiError, match="not running"):
        _ = demo.pid


@pytest.mark.go
def test_it_dies_with_whoever_started_it(binaries: DemoBinaries) -> None:
    script = (
        "import sys, time; from pathlib import Path\n"
        "from leaktui.demo import DemoService; from leaktui.demo.builder import DemoBinaries\n"
        "demo = DemoService(binaries=DemoBinaries(*map(Path, sys.argv[1:]))); demo.start()\n"
        "print(*[process.popen.pid for process in demo._processes], flush=True); time.sleep(600)\n"
    )
    arguments = [str(binaries.storefront), str(binaries.warehouse), str(binaries.source)]
    with subprocess.Popen([sys.executable, "-c", script, *arguments], stdout=subprocess.PIPE) as parent:
        assert parent.stdout is not None
        try:
            pids = [int(word) for word in parent.stdout.readline().split()]
        finally:
            parent.send_signal(signal.SIGKILL)
    assert len(pids) == 2
    assert wait_until(lambda: not any(running(pid, binaries) for pid in pids))


def running(pid: int, binaries: DemoBinaries) -> bool:
    """Whether *pid* is still one of the demo's processes (a zombie nobody reaped is not)."""
    try:
        return Path(f"/proc/{pid}/exe").resolve() in (binaries.storefront, binaries.warehouse)
    except OSError:
        return False


# -- what can go wrong ---------------------------------------------------------------------------------


@pytest.mark.parametrize("rate", [0.0, -1.0, 5000.0, float("nan")])
def test_an_impossible_rate_is_refused(rate: float) -> None:
    with pytest.raises(UsageError, match="rate"):
        DemoService(rate=rate)


def test_an_unknown_leak_is_refused() -> None:
    with pytest.raises(UsageError, match="choose one of body, goroutine, fd, heap, none"):
        DemoService("money")


@pytest.mark.parametrize(
    ("script", "complaint"),
    [
        ("echo 'listen: address in use' >&2; exit 1", r"did not start \(listen: address in use\)"),
        ("exit 7", r"did not start \(exit status 7\)"),
        (r"printf '\033[2Jhello\n'", r"said b'\\\\x1b\[2Jhello\\\\n'|said b'\\x1b\[2Jhello\\n'"),
        ("head -c 100000 /dev/zero", r"did not start"),
    ],
)
def test_a_process_that_does_not_come_up_is_explained(tmp_path: Path, script: str, complaint: str) -> None:
    fake = tmp_path / "fake"
    fake.write_text(f"#!/bin/sh\n{script}\n")
    fake.chmod(0o755)
    demo = DemoService(binaries=DemoBinaries(fake, fake, tmp_path))
    with pytest.raises(LeaktuiError, match=complaint):
        demo.start()
    assert not demo.alive


def test_an_executable_that_cannot_run_is_explained(tmp_path: Path) -> None:
    demo = DemoService(binaries=DemoBinaries(tmp_path / "a", tmp_path / "b", tmp_path))
    with pytest.raises(LeaktuiError, match="noexec"):
        demo.start()
