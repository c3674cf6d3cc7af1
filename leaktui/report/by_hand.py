"""How to see by hand what a report says: the commands, with what each shows.

Law: commands only look. What the target named is quoted for the shell, printable and masked.
"""

from __future__ import annotations

import shlex
from collections.abc import Iterable
from dataclasses import dataclass

from leaktui.model.capability import Capability, SourceState
from leaktui.model.finding import Diagnosis, LeakKind
from leaktui.report.redaction import Redaction

PPROF_PLACEHOLDER = "http://HOST:PORT/debug/pprof/"


@dataclass(frozen=True, slots=True)
class Command:
    """What a command shows, and the command."""

    shows: str
    command: str


def find_endpoint(capabilities: Iterable[Capability]) -> str:
    """The address of the pprof endpoint in use, as the engine says it (`at http://…`); empty for none."""
    for item in capabilities:
        if item.engine == "pprof" and item.usable and item.reason.startswith("at http"):
            return item.reason.removeprefix("at ")
    return ""


def list_commands(diagnosis: Diagnosis, redaction: Redaction, endpoint: str = "") -> tuple[Command, ...]:
    """What to type to see the same, the verdict first. *endpoint* is the pprof endpoint that was found."""
    target = diagnosis.target
    again = "leaktui diagnose"
    if target.pid is not None:
        again += f" --pid {target.pid}"
    if target.url is not None:
        again += f" --url {shlex.quote(redaction.url(target.url))}"
    commands = [Command("the whole diagnosis again", again)]
    kinds = {finding.kind for finding in diagnosis.suspects}
    if target.pid is not None:
        commands.append(
            Command(
                "resident memory and descriptors; twice, a minute apart",
                f"grep VmRSS /proc/{target.pid}/status; ls /proc/{target.pid}/fd | wc -l",
            )
        )
        if kinds & {LeakKind.FD, LeakKind.HTTP_BODY}:
            commands.append(Command("what the descriptors are", f"ls -l /proc/{target.pid}/fd | tail -20"))
    served = any(item.name == "pprof" and item.state is SourceState.USED for item in diagnosis.sources)
    if target.url is not None or served:
        commands += _pprof_commands(_pprof_address(diagnosis.target.url or endpoint, redaction), kinds)
    return tuple(commands)


def _pprof_address(url: str, redaction: Redaction) -> str:
    """The endpoint's address with a slash at its end, or a placeholder where none is known that `go` can ask."""
    if not url.startswith(("http://", "https://")):
        return PPROF_PLACEHOLDER
    base = redaction.url(url).partition("?")[0].rstrip("/")
    return f"{base}/" if "/debug/pprof" in base else f"{base}/debug/pprof/"


def _pprof_commands(base: str, kinds: set[LeakKind]) -> list[Command]:
    commands = []
    if kinds & {LeakKind.HTTP_BODY, LeakKind.GOROUTINE} or not kinds:
        commands.append(
            Command(
                "goroutines by stack: a body that is open holds a readLoop and a writeLoop",
                f"go tool pprof -top {shlex.quote(base + 'goroutine')}",
            )
        )
    if LeakKind.HEAP in kinds or not kinds:
        commands.append(
            Command(
                "who allocated what is live",
                f"go tool pprof -sample_index=inuse_space -top {shlex.quote(base + 'heap')}",
            )
        )
    return commands
