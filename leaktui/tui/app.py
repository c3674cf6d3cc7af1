"""The application: which screen, which look, and the way out. `run` is what the command line calls.

Law: importing this imports no engine, no HTTP client and no decoder; those come with the investigation,
which is built in a thread after the first picture.
"""

from __future__ import annotations

import os
import re
import subprocess
import time
from collections.abc import Callable, Iterable
from datetime import datetime
from functools import partial
from pathlib import Path
from typing import ClassVar

from textual.app import App, SystemCommand
from textual.binding import BindingType
from textual.screen import Screen

from leaktui.errors import LeaktuiError
from leaktui.model.frame import Frame
from leaktui.model.process import GoProcess
from leaktui.sources import HERE, Sources
from leaktui.tui.actions import Place, iter_actions
from leaktui.tui.export import format_tsv, write_new_files
from leaktui.tui.facts import Facts
from leaktui.tui.screens.watch import PANES, WatchScreen
from leaktui.tui.source import OpenTarget, PageWriter, ProcessScan, ReportWriter
from leaktui.tui.stopping import StopGuard
from leaktui.tui.theme import ANSI, DARK
from leaktui.tui.walk_orders import Walking

OpenPid = Callable[[int], OpenTarget]
_LEAN_TICK_SECONDS = 2.0
PLACES = {"WatchScreen": Place.WATCH, "WalkthroughScreen": Place.GUIDE}
"""Which actions belong to which screen; any other is the picker's."""
_FONT_FACE = re.compile(r"@font-face\s*\{[^}]*\}\s*")


class LeaktuiApp(App[None]):
    """Watches *target*, or lets one choose among the processes of *picker*."""

    TITLE = "leaktui"
    CSS_PATH = "leaktui.tcss"
    ENABLE_COMMAND_PALETTE = True
    BINDINGS: ClassVar[list[BindingType]] = []

    def __init__(
        self,
        target: OpenTarget | None = None,
        *,
        title: str = "",
        picker: Callable[[], ProcessScan] | None = None,
        open_pid: OpenPid | None = None,
        write_report: ReportWriter | None = None,
        write_page: PageWriter | None = None,
        lean: bool = False,
        read_only: bool = False,
        sources: Sources = HERE,
        tick: float = 1.0,
        clock: Callable[[], float] = time.monotonic,
        wall_clock: Callable[[], float] = time.time,
        directory: Path | None = None,
        walking: Walking | None = None,
        capture: str = "",
        first_pane: int = 0,
        notice: str = "",
    ) -> None:
        colourless = "NO_COLOR" in os.environ
        ansi = lean or colourless
        super().__init__(ansi_color=ansi or None)
        self.register_theme(DARK)
        self.register_theme(ANSI)
        self.theme = ANSI.name if ansi else DARK.name
        self.set_class(ansi, "-ansi")
        self.set_class(colourless, "-plain")
        if lean:
            self.animation_level = "none"
        self._target = target
        self._first_title = title
        self._picker = picker
        self._open_pid = open_pid
        self.write_report = write_report
        self._write_page = write_page
        self._walking = walking
        self.tick = max(tick, _LEAN_TICK_SECONDS) if lean else tick
        self.clock = clock
        self._wall_clock = wall_clock
        self.directory = directory
        self._first_pane = first_pane
        self.read_only = read_only
        self.capture = capture
        self._notice = notice
        self.sources = sources
        self.failure: LeaktuiError | None = None
        self._watching: WatchScreen | None = None
        self._stop_guard = StopGuard(self._before_stop)

    def on_mount(self) -> None:
        self._stop_guard.install()
        self.app_resume_signal.subscribe(self, self._resumed)
        if self._target is not None:
            self._watch(self._target, self._first_title)
            if self._notice:
                self.notify(self._notice, markup=False, timeout=12)
        else:
            self.show_picker()

    # -- screens -------------------------------------------------------------------------------

    def _watch(self, target: OpenTarget, title: str) -> None:
        self._watching = WatchScreen(
            target,
            title,
            tick=self.tick,
            clock=self.clock,
            wall_clock=self._wall_clock,
            first_pane=self._first_pane,
            on_failure=self._opening_failed,
            walking=self._walking,
        )
        self.push_screen(self._watching)

    def _opening_failed(self, error: LeaktuiError) -> None:
        if self._picker is None:
            self.failure = error
            self.exit(return_code=2)
            return
        self.notify(str(error), severity="error", timeout=12, markup=False)
        self.show_picker()

    def show_picker(self) -> None:
        """Leave the target, if any, and choose another."""
        if self._picker is None or self._open_pid is None:
            self.notify("leaktui was started on one process: start it without --pid to choose", markup=False)
            return
        from leaktui.tui.screens.picker import PickerScreen

        watching, self._watching = self._watching, None
        if watching is not None:
            watching.walk.leave()
            self.run_worker(watching.close_target, thread=True, group="closing")
            if self.screen is watching:
                self.pop_screen()
        if not isinstance(self.screen, PickerScreen):
            self.push_screen(PickerScreen(self._picker, self._choose, tick=self.tick))

    def _choose(self, process: GoProcess) -> None:
        if self._open_pid is not None:
            self._watch(self._open_pid(process.pid), f"pid {process.pid}")

    def show_help(self, place: Place) -> None:
        from leaktui.tui.screens.help import HelpScreen

        self.push_screen(HelpScreen(place))

    def get_system_commands(self, screen: Screen[object]) -> Iterable[SystemCommand]:
        """The command palette, from the table of actions."""
        place = PLACES.get(type(screen).__name__, Place.PICKER)
        for action in iter_actions(place):
            if action.palette:
                name = f"{action.label[:1].upper()}{action.label[1:]}"
                yield SystemCommand(
                    name, f"{action.help}  (key {action.shown_key})", partial(screen.run_action, action.name)
                )

    def export_screenshot(self, *, title: str | None = None, simplify: bool = False) -> str:
        """The screen as SVG that stands alone: rich's template would fetch its font from a server."""
        svg = super().export_screenshot(title=title, simplify=simplify)
        return _FONT_FACE.sub("", svg).replace("<svg ", '<svg xml:space="preserve" ', 1)

    def close_target(self) -> None:
        """Let go of the target; called after the screen is given back."""
        self._stop_guard.remove()
        if self._watching is not None:
            self._watching.close_target()

    def _before_stop(self) -> None:
        """Take out probes and tracepoints: stopped, we could not read what they see. Called in a thread of its own."""
        if self._watching is not None:
            self._watching.delve.take_out()
            self._watching.probes.take_out()

    def _resumed(self, _: object) -> None:
        if self._watching is not None:
            self._watching.probes.say_taken_out()

    # -- files ---------------------------------------------------------------------------------

    def export_pane(self, screen: WatchScreen) -> None:
        """Write the report (Suspects: ticket and page) or the table (and its profile) into the working directory."""
        if screen.investigation is None or screen.facts is None:
            return
        pid = screen.facts.snapshot.target.pid
        stem = f"leaktui-{pid}" if pid is not None else "leaktui"
        level, table = screen.pane.top, screen.table
        try:
            if table is None or (level.crumb == PANES[0][0] and self.write_report is not None):
                if self.write_report is None:
                    self.notify("there is no table here to export", markup=False)
                    return
                diagnosis = screen.investigation.diagnosis()
                contents: dict[str, str | bytes] = {"md": self.write_report(diagnosis)}
                if self._write_page is not None:
                    contents["html"] = self._write_page(diagnosis, screen.investigation.session)
                stem += "-report"
            else:
                contents = {"tsv": format_tsv(table.columns, table.rows)}
                profile = level.export_profile(screen.facts)
                if profile is not None:
                    contents["pb.gz"] = profile
                stem += f"-{PANES[screen.pane_index][0].lower()}{level.export_suffix}"
            directory = self.directory or Path.cwd()
            first, *beside = write_new_files(directory, stem, contents, now=datetime.now().astimezone())
        except (OSError, LeaktuiError) as error:
            self.notify(f"not written: {error}", severity="error", markup=False)
            return
        others = "".join(f" and {path.name[len(first.stem) :]}" for path in beside)
        self.notify(f"written to {first}{others}", markup=False)

    def edit_frame(self, frame: Frame | None, facts: Facts | None) -> None:
        """Open a frame's source in `$EDITOR`, with the screen given back meanwhile."""
        if frame is None:
            self.notify("there is no source line here to open", markup=False)
            return
        module = facts.snapshot.target.module if facts is not None else ""
        path = self.sources.of_module(module).find(frame.file)
        if path is None:
            self.notify(
                "the source is not on this machine: say where with --source-root FROM=TO", markup=False
            )
            return
        from textual.app import SuspendNotSupported

        from leaktui.tui.editor import editor_command

        command = editor_command(path, frame.line)
        try:
            with self.suspend():
                subprocess.run(command, check=False)
        except SuspendNotSupported:
            self.notify("this terminal cannot be handed over to an editor", markup=False)
        except OSError as error:
            self.notify(
                f"{command[0]} did not start: {error.strerror}; set $EDITOR", severity="error", markup=False
            )
        self.refresh()


def run(
    target: OpenTarget | None = None,
    *,
    title: str = "",
    picker: Callable[[], ProcessScan] | None = None,
    open_pid: OpenPid | None = None,
    write_report: ReportWriter | None = None,
    write_page: PageWriter | None = None,
    lean: bool = False,
    read_only: bool = False,
    sources: Sources = HERE,
    walking: Walking | None = None,
    capture: str = "",
    notice: str = "",
    clock: Callable[[], float] = time.monotonic,
    wall_clock: Callable[[], float] = time.time,
    first_pane: int = 0,
) -> int:
    """Run the interface until the user leaves; 0, or raises the LeaktuiError that kept *target* shut.

    *target* builds the investigation (it is called in a thread and may be slow); *title* names it until
    then. Without it *picker* lists processes and *open_pid* builds what to call for one. *write_report*
    makes the Markdown of an export, *write_page* the HTML beside it. *walking* says how the walkthrough goes.
    *sources* are where the target's source is looked for. *capture* says in a few words that a capture is shown, and of
    when; the clocks are its own. *first_pane* is the index of the pane to begin with.
    *notice* is said at first.
    """
    if lean:
        os.environ["TEXTUAL_ANIMATIONS"] = "none"
    app = LeaktuiApp(
        target,
        title=title,
        picker=picker,
        open_pid=open_pid,
        write_report=write_report,
        write_page=write_page,
        lean=lean,
        read_only=read_only,
        sources=sources,
        walking=walking,
        capture=capture,
        notice=notice,
        clock=clock,
        wall_clock=wall_clock,
        first_pane=first_pane,
    )
    try:
        app.run()
    finally:
        app.close_target()
    if app.failure is not None:
        raise app.failure
    return 0 if app.return_code is None else app.return_code
