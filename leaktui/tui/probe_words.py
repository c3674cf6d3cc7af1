"""The probes in words: what is probed, what it costs, and how they stand. Pure.

Law: what is not armed is `off`, not `waiting`: probes are armed by an order only, and no answer is owed before.
"""

from __future__ import annotations

from dataclasses import dataclass

from leaktui.engines.protocol import LEDGERS
from leaktui.model.capability import SourceState
from leaktui.model.ledger import LedgerKind
from leaktui.text import printable
from leaktui.tui.facts import PROBES, Facts
from leaktui.tui.widgets.toned import Span
from leaktui.tui.wording import STATE_MARKS

KIND_NOUNS: dict[LedgerKind, str] = {
    LedgerKind.BODIES: "response bodies",
    LedgerKind.FDS: "file descriptors",
    LedgerKind.ALLOCATIONS: "large allocations",
}
SHORT_NOUNS: dict[LedgerKind, str] = {
    LedgerKind.BODIES: "bodies",
    LedgerKind.FDS: "fds",
    LedgerKind.ALLOCATIONS: "allocations",
}
COSTS: dict[LedgerKind, str] = {
    LedgerKind.BODIES: "about 25 µs a request",
    LedgerKind.FDS: "about 5 µs each, opened and closed",
    LedgerKind.ALLOCATIONS: "2 to 9 µs each",
}
"""Processor time of the target for one thing (measured, amd64, Linux 6.18; for requests by `tests.bench probes`)."""

_BRIEF_COSTS: dict[LedgerKind, str] = {
    LedgerKind.BODIES: "25 µs a request",
    LedgerKind.FDS: "5 µs an fd",
    LedgerKind.ALLOCATIONS: "2-9 µs each",
}


@dataclass(frozen=True, slots=True)
class Refusal:
    """Why there can be no probes, and what to do about it (empty when nothing helps)."""

    reason: str
    remedy: str = ""


def armed_kinds(facts: Facts) -> list[LedgerKind]:
    """What is being probed, or about to be."""
    return [kind for kind, want in LEDGERS.items() if want in facts.under_way]


def offered_kinds(facts: Facts) -> list[LedgerKind]:
    """What could be probed here."""
    return [kind for kind, want in LEDGERS.items() if facts.offers(want)]


def refusal(facts: Facts, *, read_only: bool = False) -> Refusal | None:
    """Why nothing can be probed here; None where something can be."""
    if facts.exited is not None:
        return Refusal("the process has exited")
    if offered_kinds(facts):
        return None
    capability = next((item for item in facts.capabilities if item.engine == PROBES), None)
    if capability is not None and not capability.usable:
        return Refusal(printable(capability.reason, 600), printable(capability.remedy, 600))
    source = next((item for item in facts.snapshot.sources if item.name == PROBES), None)
    if source is not None and source.state is SourceState.WAITING:
        return Refusal("whether this process can be probed is still being found out", "try again in a moment")
    if source is not None:
        return Refusal(printable(source.detail, 600), printable(source.remedy, 600))
    if read_only:
        return Refusal("--read-only forbids probes", "start leaktui without it")
    if facts.snapshot.target.pid is None:
        return Refusal("only a URL was given", "run leaktui on the machine of the process, with --pid")
    return Refusal("probes were left out with --without", "start leaktui without that")


def left_out(facts: Facts) -> str:
    """Why some kinds cannot be probed here though others can; empty where nothing was said."""
    capability = next((item for item in facts.capabilities if item.engine == PROBES and item.usable), None)
    return printable(capability.reason, 400) if capability is not None else ""


def took_themselves_out(facts: Facts) -> str:
    """Why the probes are gone though nobody took them out, in a sentence; empty when they are not."""
    if armed_kinds(facts):
        return ""
    return next((printable(item.ended, 400) for item in facts.snapshot.ledgers if item.ended), "")


def probes_state(facts: Facts, *, wordy: bool) -> tuple[Span, Span]:
    """Mark and words for the row of engines: off, armed with what that costs, or why they are gone."""
    armed = armed_kinds(facts)
    if armed:
        cost = ", ".join(_BRIEF_COSTS[kind] for kind in (armed if wordy else armed[:1]))
        return STATE_MARKS[SourceState.USED], (f"armed, {cost}", "warning" if _dropped(facts) else "muted")
    ended = took_themselves_out(facts)
    if ended:
        return ("✕", "warning"), (f"off: {ended}" if wordy else "disarmed themselves", "warning")
    return STATE_MARKS[SourceState.WAITING], ("off", "muted")


def _dropped(facts: Facts) -> bool:
    return any(item.dropped for item in facts.snapshot.ledgers if item.armed)
