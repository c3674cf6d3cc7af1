"""Arming and disarming probes: the keys a and A, and what is said of it.

Law: arming is asked for each time, with its cost; disarming never is.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from leaktui.engines.protocol import LEDGERS
from leaktui.model.ledger import Ledger, LedgerKind
from leaktui.text import printable
from leaktui.tui.facts import PROBES, Facts
from leaktui.tui.probe_words import KIND_NOUNS, armed_kinds, left_out, offered_kinds, refusal
from leaktui.tui.source import InvestigationLike

if TYPE_CHECKING:
    from leaktui.tui.screens.watch import WatchScreen

_DISARMING_SECONDS = 2.0


class ProbeOrders:
    """Carries out the keys a and A of a watch screen."""

    def __init__(self, screen: WatchScreen) -> None:
        self._screen = screen
        # What was ordered and has no books yet, with the books of the time before.
        self._ordered: dict[LedgerKind, Ledger | None] = {}
        self._taken_out: frozenset[LedgerKind] = frozenset()

    def toggle(self, wanted: LedgerKind) -> None:
        """Disarm whatever is armed, or else ask whether *wanted* shall be."""
        ready = self._ready()
        if ready is None:
            return
        investigation, _ = ready
        armed = _armed(investigation)
        if armed:
            self.disarm(armed)
        else:
            self.choose(wanted)

    def choose(self, wanted: LedgerKind) -> None:
        """Ask which probes shall be armed; *wanted* is proposed where none are."""
        ready = self._ready()
        if ready is None:
            return
        investigation, facts = ready
        from leaktui.tui.screens.probes import ProbesScreen

        armed = _armed(investigation)
        offered = frozenset(offered_kinds(facts))
        refused = refusal(facts, read_only=self._screen.leaktui.read_only)

        proposed = armed | (frozenset({wanted}) & offered) or frozenset(sorted(offered, key=_order)[:1])

        def answered(kinds: frozenset[LedgerKind] | None) -> None:
            if kinds is not None:
                self._apply(kinds)

        self._screen.app.push_screen(
            ProbesScreen(proposed, offered, armed=armed, refusal=refused, left_out=left_out(facts)),
            answered,
        )

    def disarm(self, kinds: frozenset[LedgerKind]) -> None:
        """Take the probes for *kinds* out."""
        investigation = self._screen.investigation
        if investigation is None or not kinds:
            return
        investigation.disarm(kinds)
        self._ordered = {kind: ledger for kind, ledger in self._ordered.items() if kind not in kinds}
        self._screen.notify(f"disarmed: {_listed(kinds)}; the books stay", markup=False, timeout=3)
        self._screen.redraw()

    def _apply(self, kinds: frozenset[LedgerKind]) -> None:
        """Have *kinds* armed and nothing else."""
        ready = self._ready()
        if ready is None:
            return
        investigation, facts = ready
        armed = _armed(investigation)
        self.disarm(armed - kinds)
        new = kinds - armed
        if not new:
            return
        if not investigation.arm(new):
            self._screen.notify("no source here can arm these probes", markup=False, severity="warning")
            return
        self._ordered.update({kind: facts.snapshot.ledger(kind) for kind in new})
        self._screen.redraw()
        first = next(kind for kind in LedgerKind if kind in new)
        self._screen.call_later(self._screen.show_ledger, first)

    def take_out(self) -> None:
        """Disarm everything and wait until it is done, a moment at most. Safe to call from any thread."""
        investigation = self._screen.investigation
        if investigation is None:
            return
        armed = _armed(investigation)
        if not armed:
            return
        investigation.disarm(armed)
        self._taken_out = armed
        deadline = time.monotonic() + _DISARMING_SECONDS
        while _armed(investigation) and time.monotonic() < deadline:
            time.sleep(0.01)

    def say_taken_out(self) -> None:
        """Tell who comes back that the probes he left are gone."""
        kinds, self._taken_out = self._taken_out, frozenset()
        if kinds:
            text = f"disarmed before leaktui was stopped: {_listed(kinds)}; a arms them again"
            self._screen.notify(text, markup=False, severity="warning", timeout=8)

    def settle(self, facts: Facts) -> None:
        """Say so when what was ordered came to nothing."""
        armed = armed_kinds(facts)
        for kind, before in list(self._ordered.items()):
            if facts.snapshot.ledger(kind) is not before:
                del self._ordered[kind]
            elif kind not in armed:
                del self._ordered[kind]
                self._screen.notify(_came_to_nothing(facts, kind), markup=False, severity="error", timeout=10)

    def _ready(self) -> tuple[InvestigationLike, Facts] | None:
        if self._screen.refuse_on_capture():
            return None
        investigation, facts = self._screen.investigation, self._screen.facts
        return (investigation, facts) if investigation is not None and facts is not None else None


def _armed(investigation: InvestigationLike) -> frozenset[LedgerKind]:
    return frozenset(kind for kind in LEDGERS if investigation.armed(kind))


def _order(kind: LedgerKind) -> int:
    return list(LedgerKind).index(kind)


def _listed(kinds: frozenset[LedgerKind]) -> str:
    return ", ".join(KIND_NOUNS[kind] for kind in LedgerKind if kind in kinds)


def _came_to_nothing(facts: Facts, kind: LedgerKind) -> str:
    """What is said of an order without an answer: the source's own words, where it has any."""
    source = next((item for item in facts.snapshot.sources if item.name == PROBES), None)
    words = [f"no probes for {KIND_NOUNS[kind]}"]
    if source is not None and source.detail:
        words.append(printable(source.detail, 300))
    if source is not None and source.remedy:
        words.append(f"→ {printable(source.remedy, 300)}")
    return ": ".join(words[:2]) + "".join(f" {word}" for word in words[2:])
