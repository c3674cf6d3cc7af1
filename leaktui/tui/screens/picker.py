"""Choosing a Go process of this machine."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, ClassVar

from textual import on
from textual.app import ComposeResult
from textual.binding import BindingType
from textual.screen import Screen
from textual.widgets import Input

from leaktui.errors import LeaktuiError
from leaktui.model.process import GoProcess
from leaktui.text import format_bytes, format_count, format_duration, masked_url
from leaktui.tui.actions import Place, bindings_of, iter_actions
from leaktui.tui.messages import ProcessesListed
from leaktui.tui.source import ProcessScan
from leaktui.tui.widgets.columns import Column, name_column, number_column
from leaktui.tui.widgets.key_bar import KeyBar, KeyHint
from leaktui.tui.widgets.line_table import LineTable
from leaktui.tui.widgets.line_view import Lines
from leaktui.tui.widgets.toned import Line, fit_line, spread

if TYPE_CHECKING:
    from leaktui.tui.app import LeaktuiApp

_REFRESH_SECONDS = 3.0


def _name(process: GoProcess) -> str:
    return process.exe.rpartition("/")[2] or process.command


def _address(url: str) -> str:
    """`127.0.0.1:6060`; another path than the usual one stays."""
    return masked_url(url).removeprefix("http://").removesuffix("/").removesuffix("/debug/pprof")


COLUMNS: tuple[Column[GoProcess], ...] = (
    Column("pid", lambda row: (str(row.pid), "strong"), lambda row: row.pid, 8, align="right"),
    name_column("user", lambda row: row.user, 8, rank=2),
    name_column("program", _name, 12, 2),
    name_column("module", lambda row: row.module, 14, 3, rank=2, tone="muted", cut="start"),
    name_column("Go", lambda row: row.go_version.removeprefix("go"), 7, rank=1),
    number_column("age", lambda row: row.age_seconds, format_duration, 7),
    number_column("RSS", lambda row: row.rss_bytes, format_bytes, 8),
    number_column("fds", lambda row: row.fd_count, format_count, 6),
    number_column("goroutines", lambda row: row.goroutines, format_count, 10, rank=3),
    name_column("pprof", lambda row: row.pprof_url, 15, 1, show=_address, tone="success", cut="start"),
    name_column("command", lambda row: row.command, 20, 3, rank=4, tone="muted"),
)


def _search(process: GoProcess) -> str:
    return "\n".join(
        (str(process.pid), process.user, process.exe, process.command, process.module, process.go_version)
    )


class PickerScreen(Screen[None]):
    """The Go processes here, read anew every few seconds."""

    BINDINGS: ClassVar[list[BindingType]] = [*bindings_of(Place.PICKER)]
    AUTO_FOCUS = None

    def __init__(
        self, scan: Callable[[], ProcessScan], choose: Callable[[GoProcess], None], *, tick: float
    ) -> None:
        super().__init__()
        self._scan = scan
        self._choose = choose
        self._tick = tick
        self._reading = False
        self._listed: ProcessScan | None = None
        self._error = ""
        self._table = LineTable(
            COLUMNS, key=lambda row: row.pid, search=_search, empty="Looking for Go processes…"
        )

    def compose(self) -> ComposeResult:
        yield Lines(id="strip")
        field = Input(placeholder="filter: words that must occur", id="filter", compact=True)
        field.cursor_blink = False
        yield field
        yield self._table
        yield Lines(((),), id="caption")
        yield KeyBar(id="keys")

    def on_mount(self) -> None:
        self._draw()
        self._table.focus()
        self.call_after_refresh(self._read)
        self.set_interval(max(_REFRESH_SECONDS, self._tick), self._read)

    def _read(self) -> None:
        if self._reading or not self.is_attached:
            return
        self._reading = True
        threading.Thread(target=self._work, name="leaktui-processes", daemon=True).start()

    def _work(self) -> None:
        try:
            self.post_message(ProcessesListed(self._scan()))
        except LeaktuiError as error:
            self.post_message(ProcessesListed(None, str(error)))

    def on_processes_listed(self, message: ProcessesListed) -> None:
        self._reading = False
        self._error = message.error
        if message.scan is not None:
            self._listed = message.scan
            self._table.set_empty("No Go process is visible here.")
            self._table.set_rows(tuple(message.scan.processes))
        self._draw()

    def _draw(self) -> None:
        width = self.app.size.width
        title: Line = ((" leaktui", "strong"), ("  which Go process?", "muted"))
        found = f"{len(self._listed.processes)} here " if self._listed is not None else "looking… "
        self.query_one("#strip", Lines).set_lines(((), spread(title, ((found, "muted"),), width), ()))
        self.query_one("#caption", Lines).set_lines((fit_line(self._remark(), width),))
        hints = [
            KeyHint(action.shown_key, action.label, action.name, rank=action.rank)
            for action in iter_actions(Place.PICKER)
            if action.rank is not None
        ]
        self.query_one("#keys", KeyBar).set_hints(sorted(hints, key=lambda hint: hint.rank or 99))

    def _remark(self) -> Line:
        if self._error:
            return ((f" {self._error}", "danger"),)
        if self._table.needle:
            return ((f" /{self._table.needle}", "warning"), (f"  {len(self._table.rows)} match", "muted"))
        if self._listed is not None and self._listed.unreadable:
            count = self._listed.unreadable
            what = "1 process" if count == 1 else f"{count} processes"
            return (
                (f" {what} could not be read", "warning"),
                (": another user's (run it as root), or another container's", "muted"),
            )
        return ((" pprof: where the process serves /debug/pprof, if it does", "muted"),)

    def on_resize(self) -> None:
        self.call_after_refresh(self._draw)

    @on(LineTable.Chosen)
    def process_chosen(self, message: LineTable.Chosen) -> None:
        self._choose(message.row)

    @on(LineTable.Rearranged)
    def rearranged(self) -> None:
        self._draw()

    @on(KeyBar.Pressed)
    async def key_pressed(self, message: KeyBar.Pressed) -> None:
        await self.run_action(message.name)

    def action_open(self) -> None:
        self._table.action_choose()

    def action_filter(self) -> None:
        field = self.query_one("#filter", Input)
        field.add_class("-shown")
        field.focus()

    @on(Input.Changed, "#filter")
    def filter_changed(self, message: Input.Changed) -> None:
        self._table.set_filter(message.value)

    @on(Input.Submitted, "#filter")
    def filter_submitted(self) -> None:
        self.query_one("#filter", Input).remove_class("-shown")
        self._table.focus()

    def key_escape(self) -> None:
        field = self.query_one("#filter", Input)
        field.value = ""
        self.filter_submitted()

    def action_sort(self) -> None:
        self._table.cycle_sort()

    def action_reverse(self) -> None:
        self._table.reverse_sort()

    def action_refresh(self) -> None:
        self._read()

    def action_help(self) -> None:
        self.leaktui.show_help(Place.PICKER)

    def action_suspend(self) -> None:
        self.app.action_suspend_process()

    def action_quit(self) -> None:
        self.app.exit()

    @property
    def leaktui(self) -> LeaktuiApp:
        from leaktui.tui.app import LeaktuiApp

        app: Any = self.app
        assert isinstance(app, LeaktuiApp)
        return app
