"""Which process, through which engines: the options made into a Target and its engines.

Law: everything that forbids looking is found out here, before anything looks: a Selection stands for a
process that is there, is Go, is ours to see, and that nobody else holds.
"""

from __future__ import annotations

import argparse
import os
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from leaktui.cli.credentials import Credentials
from leaktui.engines.delve.engine import DelveEngine
from leaktui.engines.lock import TargetLock
from leaktui.engines.memory import MemoryEngine
from leaktui.engines.pprof import PprofEngine
from leaktui.engines.probes.engine import ProbesEngine
from leaktui.engines.proc import ProcEngine, read_target
from leaktui.engines.proc_stat import read_live_stat
from leaktui.engines.protocol import Engine, Want
from leaktui.errors import EngineUnavailable, UsageError
from leaktui.investigation import Investigation, Listener
from leaktui.model.capability import Capability
from leaktui.model.target import Target

if TYPE_CHECKING:
    from leaktui.analysis.program import Program

# What a verdict on a line can rest on; counters and descriptors alone only say that something grows.
_ANSWERS = frozenset(
    want.value for want in (Want.GROUPS, Want.GOROUTINES, Want.HEAP, Want.TRACE, Want.BODY_LEDGER)
)


@dataclass(slots=True)
class Selection:
    """A target with the engines to look at it; a context manager that lets go of both."""

    target: Target
    engines: Sequence[Engine]
    resources: ExitStack = field(default_factory=ExitStack)

    def __enter__(self) -> Selection:
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()

    def open_program(self) -> Program:
        """What can be known of the program that runs there; to be closed."""
        # Needed after the first facts, and slow to import.
        from leaktui.engines.proc_program import open_program

        return open_program(self.target.pid)

    def close(self) -> None:
        """Let go of the engines and of the target's lock; safe to call again."""
        self.resources.close()


def select_target(options: argparse.Namespace, credentials: Credentials) -> Selection:
    """The process and engines that *options* name, the process locked.

    Raises UsageError, and TargetError where the process is not there, not Go, not ours, or in other hands.
    """
    pid: int | None = options.pid
    url: str | None = options.url
    dlv: str | None = getattr(options, "dlv", None)
    if pid is None and url is None and dlv is None:
        raise UsageError(
            "no process was named", remedy="give --pid N or --url URL (`leaktui ps` lists what runs here)"
        )
    if pid == os.getpid():
        raise UsageError(
            f"process {pid} is leaktui itself", remedy="see `leaktui ps` for the Go processes here"
        )
    target = Target(pid=None, url=url) if pid is None else read_target(pid)
    # Before the lock: a URL that is none is refused here.
    engines: list[Engine] = [ProcEngine(pid)]
    # In the order of what they cost the target: what memory tells, nobody else is asked for.
    if pid is not None and "memory" not in options.without:
        engines.append(MemoryEngine(pid))
    if pid is not None and "probes" not in options.without and not getattr(options, "read_only", False):
        engines.append(ProbesEngine(pid))
    if "pprof" not in options.without and (pid is not None or url is not None):
        engines.append(PprofEngine(pid, url, credentials=credentials, insecure=bool(options.insecure)))
    # A diagnosis never attaches a debugger; elsewhere each order of one asks first.
    if (
        options.command != "diagnose"
        and (pid is not None or dlv is not None)
        and "delve" not in options.without
    ):
        read_only = bool(getattr(options, "read_only", False))
        engines.append(DelveEngine(pid=pid, address=dlv, read_only=read_only))
    selection = Selection(target, engines)
    if pid is not None:
        selection.resources.enter_context(TargetLock(pid, beside_tracer=dlv is not None))
    for engine in engines:
        selection.resources.callback(engine.close)
    return selection


def refuse_stopped(pid: int | None) -> None:
    """Raises EngineUnavailable for a process that is stopped: nothing in it can grow. TargetGone when it ended."""
    state = read_live_stat(pid).state if pid is not None else ""
    if state in ("T", "t"):
        raise EngineUnavailable(
            f"process {pid} is stopped (state {state}), so nothing in it moves",
            remedy=f"let it run on with `kill -CONT {pid}`, or end the debugger that holds it",
        )


def can_answer(capabilities: Sequence[Capability]) -> bool:
    """Whether some usable source sees what names a line."""
    return any(item.usable and _ANSWERS.intersection(item.gives) for item in capabilities)


def probe_engines(selection: Selection, *, url: str | None = None) -> list[Capability]:
    """What the engines can do, in their order, up to the first that can answer: the others are not waited for.

    All of them where an endpoint at *url* was named: whether that one is usable decides.
    """
    capabilities: list[Capability] = []
    for engine in selection.engines:
        capabilities.append(engine.probe(selection.target))
        if not url and can_answer(capabilities):
            break
    return capabilities


def require_answers(capabilities: Sequence[Capability], *, url: str | None = None) -> None:
    """Raises EngineUnavailable, with the reason and the remedy, when no source can answer.

    So it does when the endpoint at *url* that was named is not usable, whatever else is: who names one means it.
    """
    for item in capabilities:
        if item.engine == PprofEngine.name and not item.usable and url:
            raise EngineUnavailable(item.reason, remedy=item.remedy)
    if can_answer(capabilities):
        return
    unusable = [item for item in reversed(capabilities) if not item.usable]
    if unusable:
        remedies = [item.remedy for item in unusable if item.remedy]
        raise EngineUnavailable(unusable[0].reason, remedy="; or ".join(dict.fromkeys(remedies)))
    raise EngineUnavailable("nothing here can name a line", remedy="see `leaktui doctor` for what would")


class SelectedInvestigation(Investigation):
    """An investigation that owns its Selection: closing it gives the process free."""

    def __init__(self, selection: Selection, listener: Listener, *, allow_pauses: bool) -> None:
        super().__init__(
            selection.target,
            selection.engines,
            listener,
            load_program=selection.open_program,
            allow_pauses=allow_pauses,
        )
        self._selection = selection

    def close(self) -> None:
        """Stop watching and let go of the target. Safe to call again."""
        super().close()
        self._selection.close()
