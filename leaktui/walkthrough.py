"""A guide on an investigation: shows it the facts, does what it wishes for, tells it what came of it.

Law: each wish is done once. What may take long (reading source, starting a program, comparing) goes through
`run_aside`, which a screen gives a thread. Nothing is done that the guide did not wish for, and what costs the
process something it only wishes for after a yes.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from leaktui.analysis.verification import compare
from leaktui.engines.protocol import Want
from leaktui.errors import LeaktuiError
from leaktui.guide import Sight, State, Wish, WishKind, begin, step
from leaktui.guide.events import Event, Explained, FactsCame, Swapped, Verified, Written
from leaktui.guide.looks import AFTER_SECONDS
from leaktui.model.finding import Finding
from leaktui.model.ledger import LedgerKind
from leaktui.model.verification import Measurement
from leaktui.session.history import Metric
from leaktui.session.watched import Watched
from leaktui.sources import HERE, Sources

_TRACE_SECONDS = 5.0


@dataclass(frozen=True, slots=True)
class Means:
    """What a walkthrough can do besides looking; each may raise LeaktuiError or OSError.

    `sources` are the files the process was built from, as far as they are here. `write` writes the files and returns
    their paths. `swap` puts the repaired build in the place of the leaking one and returns its pid; None
    where there is no such build.
    """

    sources: Sources = HERE
    write: Callable[[State], tuple[str, ...]] | None = None
    swap: Callable[[], int] | None = None


def read_sight(watched: Watched, now: float) -> Sight:
    """What is known at *now*, seconds on the monotonic clock."""
    session = watched.session
    snapshot = session.snapshot
    return Sight(
        snapshot=snapshot,
        assessment=watched.assessment,
        series={
            metric: tuple((point.time, point.value) for point in session.history.series(metric))
            for metric in Metric
        },
        capabilities=session.capabilities,
        watched_seconds=max(0.0, (now if session.exited is None else snapshot.time) - watched.started),
        under_way=frozenset(want for want in Want if session.is_under_way(want)),
        exited=session.exited,
    )


class Walkthrough:
    """One walkthrough. All calls come from one thread, and so must what `run_aside` hands to `happen`."""

    def __init__(
        self,
        state: State | None,
        means: Means,
        *,
        clock: Callable[[], float],
        run_aside: Callable[[Callable[[], Event]], None] | None = None,
    ) -> None:
        """*run_aside* takes what may be slow and sees to it that `happen` gets its event; by default at once."""
        self.state = state or begin(demo=means.swap is not None)
        self._means = means
        self._clock = clock
        self._run_aside = run_aside or (lambda work: self.happen(work()))
        self._done: set[Wish] = set()
        self._ordered: set[Want] = set()
        self._books: set[LedgerKind] = set()
        self._watched: Watched | None = None
        self._before: Measurement | None = None

    def look(self, watched: Watched, now: float | None = None) -> None:
        """Show the guide the newest facts of *watched*, which is another one once the fix took over.

        *now* is the time of the session's clock, where that is not the walkthrough's own (a capture's stands still).
        """
        self._watched = watched
        if self.state.after_pid:
            self._watch_the_fix(watched)
        time = self._clock()
        self.happen(FactsCame(time, read_sight(watched, time if now is None else now)))

    def happen(self, event: Event) -> None:
        """Take *event*, and do what is wished for since."""
        self.state = step(self.state, event)
        for wish in self.state.wishes:
            if wish not in self._done:
                self._done.add(wish)
                self._grant(wish)

    # -- wishes --------------------------------------------------------------------------------

    def _grant(self, wish: Wish) -> None:
        watched = self._watched
        if watched is None:
            return
        kind, session = wish.kind, watched.session
        if kind is WishKind.BASELINE:
            watched.set_baseline()
        elif kind is WishKind.ARM and wish.ledger is not None:
            watched.arm({wish.ledger})
        elif kind is WishKind.DISARM:
            watched.disarm()
        elif kind is WishKind.TRACE:
            watched.take_trace(_TRACE_SECONDS)
        elif kind is WishKind.HOLDERS:
            session.order({Want.HOLDERS}, subject=wish.subject)
        elif kind is WishKind.DETAIL:
            session.order({Want.DETAIL}, subject=wish.subject)
        elif kind is WishKind.INSPECT:
            session.order({Want.INSPECTION}, subject=wish.subject, allow_pauses=True)
        else:
            self._run_aside(lambda: self._work_of(wish, watched))

    def _work_of(self, wish: Wish, watched: Watched) -> Event:
        """Do what may be slow; its result as an event. May be called in another thread."""
        if wish.kind is WishKind.EXPLAIN and wish.finding is not None:
            return self._explain(
                wish.finding, self._means.sources.of_module(watched.session.snapshot.target.module)
            )
        if wish.kind is WishKind.WRITE:
            return self._write()
        if wish.kind is WishKind.SWAP:
            return self._swap(watched, wish.finding)
        return self._verify(watched, wish.finding)

    def _explain(self, finding: Finding, sources: Sources) -> Event:
        try:
            explanation = sources.explain(finding)
        except (LeaktuiError, OSError) as error:
            return Explained(self._clock(), None, str(error))
        if explanation is not None:
            return Explained(self._clock(), explanation)
        location = finding.location
        if location is not None and sources.read(location.file) is not None:
            return Explained(self._clock(), None, "the source does not say by itself why: read it below")
        why = "the source is not on this machine: say where it is with --source-root FROM=TO"
        return Explained(self._clock(), None, why)

    def _write(self) -> Event:
        if self._means.write is None:
            return Written(self._clock(), reason="there is nowhere to write to")
        try:
            return Written(self._clock(), self._means.write(self.state))
        except (LeaktuiError, OSError) as error:
            return Written(self._clock(), reason=str(error))

    def _swap(self, watched: Watched, finding: Finding | None) -> Event:
        """Measure what leaks once more, then let the repaired build take over."""
        if self._means.swap is None:
            return Swapped(self._clock(), reason="there is no repaired build of this program here")
        try:
            self._before = watched.measure(of=finding, seconds=AFTER_SECONDS)
            self._books = {ledger.kind for ledger in watched.session.snapshot.ledgers}
            return Swapped(self._clock(), self._means.swap())
        except (LeaktuiError, OSError) as error:
            return Swapped(self._clock(), reason=f"the repaired build did not start: {error}")

    def _watch_the_fix(self, watched: Watched) -> None:
        """Order, once, the light looks that tell whether the repaired build does at all what leaked.

        The books that were kept of the leaking build are kept of this one, too.
        """
        for kind in tuple(self._books):
            if watched.arm({kind}):
                self._books.discard(kind)
        for want in (Want.TRACE, Want.HANDOFFS):
            if want not in self._ordered and watched.session.offers(want):
                self._ordered.add(want)
                watched.session.order({want}, trace_seconds=_TRACE_SECONDS)

    def _verify(self, watched: Watched, finding: Finding | None) -> Event:
        if self._before is None:
            return Verified(self._clock(), None, "nothing was measured before")
        after = watched.measure(of=finding, seconds=AFTER_SECONDS)
        return Verified(self._clock(), compare(self._before, after))
