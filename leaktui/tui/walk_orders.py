"""The walkthrough of a watch screen: it goes on while its own screen is open, and stands when it is not.

Law: the guide decides; here facts are shown to it, its slow wishes get a thread, and its lines lead to rows.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from textual.message import Message

from leaktui.errors import LeaktuiError
from leaktui.guide import BRIEF, State, Subject, begin
from leaktui.guide.events import (
    Answered,
    AutoTurned,
    BackAsked,
    Event,
    FactsCame,
    Held,
    NextAsked,
    Resumed,
    SkipAsked,
)
from leaktui.model.assessment import GroupRow, SiteRow
from leaktui.model.body import BodyHolder
from leaktui.model.finding import Finding
from leaktui.model.frame import Frame
from leaktui.tui.export import write_new_file
from leaktui.tui.panes.level import TableLevel
from leaktui.tui.source import OpenTarget
from leaktui.tui.wording import finding_key
from leaktui.walkthrough import Means, Walkthrough

if TYPE_CHECKING:
    from leaktui.tui.screens.walkthrough import WalkthroughScreen
    from leaktui.tui.screens.watch import WatchScreen

_SUSPECTS, _HEAP, _GOROUTINES, _BODIES = range(4)


@dataclass
class WalkMoved(Message):
    """What was done aside for the walkthrough has come to this."""

    event: Event


@dataclass(frozen=True, slots=True)
class Walking:
    """How a walkthrough is to go. `at_once` opens it with the screen.

    `swap` puts the repaired build in the place of what is looked at: its pid
    and how to open it. `brief` goes to the proof of the fix by the shortest way; `pace` 2 leaves half the time to read.
    """

    at_once: bool = False
    swap: Callable[[], tuple[int, OpenTarget]] | None = None
    brief: bool = False
    pace: float = 1.0
    clock: Callable[[], float] = time.monotonic


class WalkOrders:
    """Carries out the key w of a watch screen, and those of the walkthrough's own screen."""

    def __init__(self, screen: WatchScreen, walking: Walking) -> None:
        self._screen = screen
        self._walking = walking
        # Its own clock: that of a capture stands still, whoever reads goes on.
        self._clock = walking.clock
        self._next: tuple[int, OpenTarget] | None = None
        self._following = False
        self._files: dict[str, tuple[str, ...]] = {}
        self._walkthrough: Walkthrough | None = None
        self._shown: WalkthroughScreen | None = None

    @property
    def opened(self) -> bool:
        """Whether the walkthrough's screen is on top."""
        return self._shown is not None

    @property
    def state(self) -> State:
        return self._walk.state

    @property
    def _walk(self) -> Walkthrough:
        if self._walkthrough is None:
            swap = self._swap if self._walking.swap is not None else None
            means = Means(self._screen.leaktui.sources, self._write, swap)
            state = begin(
                demo=self._walking.swap is not None,
                names=BRIEF if self._walking.brief else None,
                pace=self._walking.pace,
                read_only=self._screen.leaktui.read_only,
            )
            self._walkthrough = Walkthrough(state, means, clock=self._clock, run_aside=self._run_aside)
        return self._walkthrough

    # -- its screen ----------------------------------------------------------------------------

    def open(self) -> None:
        """Show it; from where it stands, when it was shown before."""
        if self.opened:
            return
        from leaktui.tui.screens.walkthrough import WalkthroughScreen

        self._shown = WalkthroughScreen(self)
        self._walk.happen(Resumed(self._clock()))
        self._screen.app.push_screen(self._shown)

    def leave(self) -> None:
        """Back to the panes; the clock stands meanwhile."""
        if not self.opened:
            return
        self._shown = None
        self._walk.happen(Held(self._clock()))
        self._screen.app.pop_screen()
        self._screen.redraw()

    def look(self) -> None:
        """Let it see the newest facts."""
        investigation = self._screen.investigation
        walk = self._walk
        if investigation is not None and not self._following:
            walk.look(investigation, self._screen.leaktui.clock())
        elif walk.state.sight is not None:
            # Between two builds there is nothing new to see, but time goes on.
            walk.happen(FactsCame(self._clock(), walk.state.sight))

    def press(self, event: type[NextAsked] | type[BackAsked] | type[SkipAsked] | type[AutoTurned]) -> None:
        """Take a key."""
        self._walk.happen(event(self._clock()))

    def answer(self, *, yes: bool) -> None:
        """Answer the question that is open."""
        self._walk.happen(Answered(self._clock(), yes))

    def moved(self, event: Event) -> None:
        """Take what came of something done aside."""
        self._walk.happen(event)
        if self._next is not None:
            (pid, open_target), self._next = self._next, None
            self._screen.follow(open_target, f"pid {pid}")
            self._following = False
        if self._shown is not None:
            self._shown.draw()

    # -- what it leads to ----------------------------------------------------------------------

    async def go_to(self, subject: Subject) -> None:
        """Open the row *subject* is, in its pane."""
        pane, matches = _row_of(subject)
        self.leave()
        await self._screen.action_show_pane(pane)
        self._screen.pane.go_to_root()
        top = self._screen.pane.top
        if isinstance(top, TableLevel) and pane in (_GOROUTINES, _BODIES):
            top.change_mode(0)
        if top.table is not None:
            top.table.point_at(matches)

    async def go_to_pane(self, index: int) -> None:
        """Leave for a pane."""
        self.leave()
        await self._screen.action_show_pane(index)

    def source_of_culprit(self) -> tuple[str, ...]:
        """The lines of the file the culprit is in; empty where it cannot be read here."""
        state = self.state
        if state.explanation is not None:
            return self._read(state.explanation.file)
        location = state.finding.location if state.finding is not None else None
        return self._read(location.file) if location is not None else ()

    def _read(self, file: str) -> tuple[str, ...]:
        """The lines of what the target calls *file*, read once."""
        if file not in self._files:
            sight = self.state.sight
            module = sight.snapshot.target.module if sight is not None else ""
            found = self._screen.leaktui.sources.of_module(module).read(file)
            self._files[file] = found.lines if found is not None else ()
        return self._files[file]

    @property
    def frame(self) -> Frame | None:
        """The culprit's line, for `$EDITOR`."""
        return self.state.finding.location if self.state.finding is not None else None

    # -- what it wishes for --------------------------------------------------------------------

    def _run_aside(self, work: Callable[[], Event]) -> None:
        def run() -> None:
            self._screen.post_message(WalkMoved(work()))

        self._screen.run_worker(run, thread=True, group="walkthrough")

    def _swap(self) -> int:
        """Start the repaired build; called in a thread, followed when its event arrives."""
        assert self._walking.swap is not None
        self._following = True
        try:
            self._next = self._walking.swap()
        except BaseException:
            self._following = False
            raise
        return self._next[0]

    def _write(self, state: State) -> tuple[str, ...]:
        """The report, into the working directory."""
        screen = self._screen
        write_report, investigation = screen.leaktui.write_report, screen.investigation
        if write_report is None or investigation is None:
            raise LeaktuiError("there is nothing to write yet")
        pid = state.sight.snapshot.target.pid if state.sight is not None else None
        stem = f"leaktui-{pid}-report" if pid is not None else "leaktui-report"
        directory = screen.leaktui.directory or Path.cwd()
        text = write_report(investigation.diagnosis())
        return (str(write_new_file(directory, stem, "md", text, now=datetime.now().astimezone())),)


def _row_of(subject: Subject) -> tuple[int, Callable[[Any], bool]]:
    """The pane *subject* is in, and what tells its row from the others."""
    if isinstance(subject, Finding):
        key = finding_key(subject)
        return _SUSPECTS, lambda row: finding_key(row) == key
    if isinstance(subject, BodyHolder):
        wanted = (subject.goid, subject.url, subject.connection, subject.stream)
        return _BODIES, lambda row: (row.goid, row.url, row.connection, row.stream) == wanted
    if isinstance(subject, GroupRow):
        stack = subject.group.stack
        return _GOROUTINES, lambda row: row.group.stack == stack
    site: SiteRow = subject
    return _HEAP, lambda row: any(item.site.stack == site.site.stack for item in getattr(row, "sites", ()))
