"""What the user asks of the target, and the question asked first when that stops it for a moment.

Law: nothing that pauses is ordered without a yes in this session; --read-only has no question at all.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from leaktui.engines.protocol import DUMP_GATE, LEDGERS, STOP_SECONDS_PER_GOROUTINE, Want
from leaktui.model.capability import Impact, SourceState
from leaktui.model.holder import HolderSearch
from leaktui.text import format_count, format_duration
from leaktui.tui.holder_lines import find_search
from leaktui.tui.source import InvestigationLike

if TYPE_CHECKING:
    from leaktui.tui.screens.watch import WatchScreen

_LIGHT = frozenset(
    {
        Want.PROCESS,
        Want.FDS,
        Want.GROUPS,
        Want.HEAP,
        Want.GOROUTINES,
        Want.BODIES,
        Want.HEAP_CENSUS,
    }
)
_LEDGERS = frozenset(LEDGERS.values())


class Orders:
    """Carries out the keys r, t, h and G of a watch screen."""

    def __init__(self, screen: WatchScreen) -> None:
        self._screen = screen
        self._pauses_allowed = False
        self._searching = 0
        self._known_before: HolderSearch | None = None
        self.searched: frozenset[int] = frozenset()
        """The addresses whose holders were asked for."""

    def refresh(self) -> None:
        """Look at everything now. A full dump of many goroutines is asked for first."""
        if self._screen.refuse_on_capture():
            return
        investigation = self._ready()
        if investigation is None:
            return
        count = investigation.session.snapshot.goroutine_count or 0
        if (
            count <= DUMP_GATE
            or self._may_pause(investigation)
            or not investigation.session.offers(Want.GOROUTINES)
            or _dumps_are_free(investigation)
        ):
            self._order(investigation, _LIGHT)
            self._screen.notify("looking at everything now", markup=False, timeout=2)
            return
        self._order(investigation, _LIGHT - {Want.GOROUTINES})
        pause = format_duration(count * STOP_SECONDS_PER_GOROUTINE)
        self._ask(
            f"Take a full dump of {format_count(count)} goroutines?",
            f"It stops the target for about {pause}. The goroutine profile, which costs nothing, goes on either way.",
            lambda: self._order(investigation, frozenset({Want.GOROUTINES})),
        )

    def collect(self) -> None:
        """Read the heap right after a forced collection."""
        if self._screen.refuse_on_capture():
            return
        investigation = self._ready()
        if investigation is None:
            return
        if not investigation.session.offers(Want.HEAP_AFTER_GC):
            self._screen.notify("no source here can make the target collect garbage", markup=False)
            return
        order: Callable[[], None] = lambda: self._order(investigation, frozenset({Want.HEAP_AFTER_GC}))  # noqa: E731
        if self._may_pause(investigation):
            order()
            return
        self._ask(
            "Make the target collect its garbage now, and read the heap after it?",
            "It stops the target for less than a millisecond twice, and uses its processors while it collects: "
            "a few milliseconds for each 100 MB of live heap.",
            order,
        )

    def trace(self) -> None:
        """An execution trace of five seconds."""
        if self._screen.refuse_on_capture():
            return
        investigation = self._ready()
        if investigation is None:
            return
        if investigation.take_trace(5.0):
            self._screen.notify("taking an execution trace of 5 s; Esc gives it up", markup=False, timeout=3)
        elif investigation.session.offers(Want.TRACE):
            self._screen.notify("a trace is being taken already", markup=False)
        else:
            self._screen.notify("no source here gives execution traces: they need pprof", markup=False)

    def find_holders(self, address: int) -> None:
        """Look for what holds the object at *address*; one search at a time."""
        investigation = self._ready()
        if investigation is None:
            return
        if address and not _may_answer(investigation, Want.HOLDERS, address):
            self._screen.refuse_on_capture("who holds this was not recorded")
        elif not investigation.session.offers(Want.HOLDERS):
            self._screen.notify("no source here can search the target's memory", markup=False)
        elif not address:
            self._screen.notify("no source has seen where this lies in memory", markup=False)
        elif self.searching:
            self._screen.notify("a search is under way: Esc gives it up", markup=False)
        elif investigation.session.order({Want.HOLDERS}, subject=address):
            self._searching = address
            self._known_before = find_search(investigation.session.snapshot.holders, address)
            self.searched |= {address}

    def look_closely(self, goid: int) -> None:
        """Ask what goroutine *goid* waits on and will still run, where a source can tell."""
        investigation = self._screen.investigation
        if investigation is None or investigation.session.exited is not None:
            return
        session = investigation.session
        if not _may_answer(investigation, Want.DETAIL, goid):
            return
        if session.offers(Want.DETAIL) and not session.is_under_way(Want.DETAIL):
            session.order({Want.DETAIL}, subject=goid)

    @property
    def searching(self) -> int:
        """The address whose holders somebody is waiting for, 0 for none; the investigation has searches of its own."""
        investigation = self._screen.investigation
        if investigation is None or not self._searching:
            return 0
        session = investigation.session
        found = find_search(session.snapshot.holders, self._searching)
        answered = found is not None and found is not self._known_before and found.done
        if answered or not session.is_under_way(Want.HOLDERS):
            self._searching = 0
        return self._searching

    def give_up(self) -> None:
        """Give up what somebody is waiting for: the search for holders, or else all long looks under way."""
        session = self._screen.investigation.session if self._screen.investigation is not None else None
        if session is not None:
            # Probes are no look somebody waits for: they have a key of their own.
            all_looks = {want for want in Want if want not in _LEDGERS and session.is_under_way(want)}
            session.cancel({Want.HOLDERS} if self._searching else all_looks)
            self._screen.notify("the capture under way is given up", markup=False)
        self._searching = 0

    def with_consent(self, what: str, cost: str, then: Callable[[], None]) -> None:
        """Do *then*, which stops the target for a moment; *what* and its *cost* are asked first, once a session."""
        investigation = self._ready()
        if investigation is None:
            return
        if self._may_pause(investigation):
            then()
        else:
            self._ask(what, cost, then)

    def _ready(self) -> InvestigationLike | None:
        investigation = self._screen.investigation
        if investigation is None:
            return None
        if investigation.session.exited is not None:
            self._screen.notify(
                "the process has exited; what was seen stays", markup=False, severity="warning"
            )
            return None
        return investigation

    def _may_pause(self, investigation: InvestigationLike) -> bool:
        return self._pauses_allowed or investigation.session.allow_pauses

    def _order(self, investigation: InvestigationLike, wants: frozenset[Want]) -> None:
        # Only this order may pause: a lasting yes would let the investigation pause the target by itself.
        ordered = investigation.session.order(wants, allow_pauses=self._may_pause(investigation))
        if not ordered:
            self._screen.notify("no source can look at that on this process", markup=False)

    def _ask(self, what: str, cost: str, then: Callable[[], None]) -> None:
        if self._screen.leaktui.read_only:
            self._screen.notify("--read-only forbids what stops the target", markup=False, severity="warning")
            return
        from leaktui.tui.screens.consent import ConsentScreen

        def answered(yes: bool | None) -> None:
            if yes:
                self._pauses_allowed = True
                then()

        self._screen.app.push_screen(ConsentScreen(what, cost), answered)


def _may_answer(investigation: InvestigationLike, want: Want, subject: int) -> bool:
    """Whether there may be an answer: always of a process, of a capture where it was asked then."""
    knows: Callable[[Want, int], bool] | None = getattr(investigation, "knows", None)
    return knows is None or knows(want, subject)


def _dumps_are_free(investigation: InvestigationLike) -> bool:
    """Whether a source that works gives all goroutines without stopping the target."""
    session = investigation.session
    failed = {item.name for item in session.snapshot.sources if item.state is SourceState.FAILED}
    return any(
        item.usable
        and item.impact is Impact.NONE
        and Want.GOROUTINES.value in item.gives
        and item.engine not in failed
        for item in session.capabilities
    )
