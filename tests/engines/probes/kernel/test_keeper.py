"""The process that takes the probes out when we cannot any more."""

from __future__ import annotations

import os
import signal
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from leaktui.engines.memory.reader import ProcessMemory
from leaktui.engines.probes.kernel import armed, keeper
from leaktui.engines.probes.kernel.armed import arm
from leaktui.engines.probes.recipe import Recipe, Register, Site, Word
from leaktui.errors import EngineUnavailable
from tests.engines.probes.kernel.conftest import Calls

pytestmark = [pytest.mark.go, pytest.mark.root, pytest.mark.usefixtures("probes_permitted")]

NUMBER = Recipe((Word("number", Register.RAX),))


def ours() -> list[int]:
    """The keepers that we have started and that are running."""
    found = []
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            name, _, rest = stat.read_text().partition(")")
        except OSError:
            continue
        state, parent = rest.split()[:2]
        if name.endswith("(leaktui-keeper") and int(parent) == os.getpid() and state != "Z":
            found.append(int(stat.parent.name))
    return found


def wait_for(condition: Callable[[], object], seconds: float = 30.0) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "it did not happen"
        time.sleep(0.01)


def is_probed(pid: int, site: Site) -> bool:
    memory = ProcessMemory(pid)
    try:
        return memory.read(site.address, 1) != bytes([site.byte])
    finally:
        memory.close()


@pytest.mark.parametrize("bpf", [True, False])
def test_there_is_one_while_something_is_armed(calls: Calls, bpf: bool) -> None:
    site = calls.entry(NUMBER)
    with arm(calls.pid, [site], bpf=bpf):
        (first,) = ours()
        with arm(calls.pid, [site], bpf=bpf):
            assert ours() == [first]
        assert ours() == [first]
        assert is_probed(calls.pid, site)
    assert ours() == []
    assert not is_probed(calls.pid, site)


def test_no_signal_but_one_ends_it(calls: Calls) -> None:
    site = calls.entry(NUMBER)
    with arm(calls.pid, [site]) as armed:
        (process,) = ours()
        for sign in (
            signal.SIGHUP,
            signal.SIGINT,
            signal.SIGTERM,
            signal.SIGQUIT,
            signal.SIGPIPE,
            signal.SIGTSTP,
        ):
            os.kill(process, sign)
        calls.call(1, 3)
        wait_for(lambda: armed.hits() == 3)
        assert ours() == [process]
        assert os.getsid(process) == process, "a terminal that goes away is none of its business"


def test_killed_itself_it_takes_nothing_with_it(calls: Calls) -> None:
    site = calls.entry(NUMBER)
    with arm(calls.pid, [site]) as armed:
        os.kill(ours()[0], signal.SIGKILL)
        wait_for(lambda: not ours())
        calls.call(1, 3)
        wait_for(lambda: armed.hits() == 3)
        with arm(calls.pid, [site]):
            assert len(ours()) == 1, "the next arming starts another"
        calls.call(1, 3)
        wait_for(lambda: armed.hits() == 6)
    wait_for(lambda: not ours())
    assert not is_probed(calls.pid, site)


def test_where_it_cannot_be_started_nothing_is_armed(calls: Calls, monkeypatch: pytest.MonkeyPatch) -> None:
    site = calls.entry(NUMBER)
    for executable in ("/nowhere/python", "/bin/true"):
        monkeypatch.setattr(sys, "executable", executable)
        with pytest.raises(EngineUnavailable, match="could not be started") as caught:
            arm(calls.pid, [site])
        assert caught.value.remedy
        assert not is_probed(calls.pid, site)
    monkeypatch.undo()
    with arm(calls.pid, [site]) as armed:
        calls.call(1, 1)
        wait_for(lambda: armed.hits() == 1)


def test_what_the_kernel_refuses_is_passed_on(tmp_path: Path) -> None:
    kept = keeper.new_kept()
    try:
        with pytest.raises(EngineUnavailable, match="the kernel refused a link of uprobes"):
            kept.link(os.open(tmp_path, os.O_RDONLY), str(tmp_path), [0], os.getpid())
    finally:
        kept.drop()
    assert ours() == []


@pytest.mark.parametrize("linked", [True, False])
def test_no_program_that_we_start_inherits_a_probe(
    calls: Calls, monkeypatch: pytest.MonkeyPatch, linked: bool
) -> None:
    monkeypatch.setattr(armed, "check", lambda: linked)
    before = inheritable()
    with arm(calls.pid, [calls.entry(NUMBER)]):
        assert inheritable() == before


def inheritable() -> set[int]:
    files = [int(path.name) for path in Path("/proc/self/fd").iterdir()]
    return {file for file in files if is_inheritable(file)}


def is_inheritable(file: int) -> bool:
    try:
        return os.get_inheritable(file)
    except OSError:
        return False  # that of the listing itself
