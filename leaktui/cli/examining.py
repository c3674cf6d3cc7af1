"""`leaktui doctor`: what can be seen of a process, at what cost, and what it takes to see more.

Law: probes only; nothing is captured. Status 0 means that `leaktui diagnose` has something to decide with.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator, Sequence

from leaktui.cli.credentials import read_credentials
from leaktui.cli.exit_status import ExitStatus
from leaktui.cli.output import report_width, wants_colour, write_answer
from leaktui.cli.selection import can_answer, select_target
from leaktui.engines.protocol import Want
from leaktui.model.capability import Capability, Impact
from leaktui.model.target import Target
from leaktui.report.redaction import MASKED
from leaktui.report.wrapping import wrap_text
from leaktui.text import cell_width

_GIVES = {
    Want.PROCESS.value: "memory, threads and cpu counters",
    Want.FDS.value: "file descriptors and sockets",
    Want.GROUPS.value: "goroutines by stack",
    Want.GOROUTINES.value: "every goroutine",
    Want.LEAKED.value: "goroutines that nothing can wake",
    Want.HEAP.value: "heap by allocation site",
    Want.HEAP_AFTER_GC.value: "heap after a forced GC",
    Want.TRACE.value: "execution traces",
    Want.BODIES.value: "response bodies one by one",
    Want.HEAP_CENSUS.value: "heap by size and type",
    Want.HANDOFFS.value: "who is handed response bodies",
    Want.HOLDERS.value: "what holds an object",
    Want.DETAIL.value: "deferred calls, panics, channels waited on",
    Want.BODY_LEDGER.value: "every response body opened and closed, with its caller",
    Want.FD_LEDGER.value: "every descriptor opened and closed, with its caller",
    Want.ALLOCATION_LEDGER.value: "large allocations that stay, with their caller",
    Want.INSPECTION.value: "the values in a goroutine's frames",
    Want.EVALUATION.value: "any expression",
    Want.TRACEPOINTS.value: "counted tracepoints",
}
_IMPACTS = {
    Impact.NONE: "costs the target nothing",
    Impact.LIGHT: "costs the target little and does not stop it",
    Impact.PAUSES: "stops the target for moments",
    Impact.WRITES: "writes to the target",
    Impact.BREAKPOINTS: "sets breakpoints in the target",
}


def run_doctor(options: argparse.Namespace) -> ExitStatus:
    """Examine one process. Raises LeaktuiError when nothing of it can be seen."""
    with select_target(options, read_credentials(options)) as selection:
        capabilities = [engine.probe(selection.target) for engine in selection.engines]
        answers = can_answer(capabilities)
        colour = wants_colour(options.no_color)
        lines = _lines(selection.target, capabilities, answers, colour=colour, width=report_width())
        write_answer("\n".join(lines) + "\n")
    return ExitStatus.CLEAN if answers else ExitStatus.CANNOT_INSPECT


def _lines(
    target: Target, capabilities: Sequence[Capability], answers: bool, *, colour: bool, width: int
) -> Iterator[str]:
    yield from wrap_text(_format_target(target), width)
    column = max((cell_width(item.engine) for item in capabilities), default=0)
    for item in capabilities:
        yield ""
        state = "works" if item.usable else "does not work"
        code = "32" if item.usable else "33"
        painted = f"\x1b[{code}m{state}\x1b[0m" if colour else state
        name = MASKED.name(item.engine)
        yield f"{name}{' ' * (column - cell_width(name))}  {painted}"
        indent = " " * (column + 2)
        for text in _details(item):
            for line in wrap_text(text, width - len(indent)):
                yield indent + line
    yield ""
    closing = (
        "`leaktui diagnose` can find the line with what works."
        if answers
        else "Nothing that works here can name a line: follow a remedy above, then ask again."
    )
    yield from wrap_text(closing, width)


def _details(capability: Capability) -> Iterator[str]:
    if capability.usable:
        seen = ", ".join(_GIVES.get(give, give) for give in capability.gives)
        if seen:
            yield f"sees {MASKED.text(seen)}"
        yield _IMPACTS[capability.impact]
        if capability.reason:
            yield MASKED.text(capability.reason)
    else:
        yield f"because {MASKED.text(capability.reason)}" if capability.reason else "it does not say why"
    if capability.remedy:
        yield f"to do: {MASKED.text(capability.remedy)}"


def _format_target(target: Target) -> str:
    parts = [] if target.pid is None else [f"pid {target.pid}"]
    if target.url and target.pid is None:
        parts.append(MASKED.url(target.url))
    parts += [MASKED.name(text) for text in (target.exe, target.go_version, target.module) if text]
    if target.stripped is not None:
        parts.append("stripped (no symbol table, no DWARF)" if target.stripped else "with symbols")
    return ", ".join(parts)
