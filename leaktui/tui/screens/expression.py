"""Which expression shall be evaluated, and where."""

from __future__ import annotations

from typing import ClassVar

from textual import on
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical
from textual.screen import ModalScreen
from textual.widgets import Input

from leaktui.analysis.tracepoint_grammar import parse_expression
from leaktui.errors import UsageError
from leaktui.tui.widgets.key_bar import KeyBar, KeyHint
from leaktui.tui.widgets.line_view import Lines
from leaktui.tui.widgets.toned import wrap_line

_WIDTH = 66


class ExpressionScreen(ModalScreen[str | None]):
    """Answers a Go expression to be evaluated *where*, None for none."""

    BINDINGS: ClassVar[list[BindingType]] = [Binding("escape", "give_up", "Back", show=False)]

    def __init__(self, where: str) -> None:
        super().__init__()
        self._where = where
        self._note = Lines(((),))

    def compose(self) -> ComposeResult:
        with Vertical(classes="dialog expression"):
            yield Lines(
                (
                    *wrap_line((("Evaluate ", "strong"), (self._where, "muted")), _WIDTH),
                    (),
                )
            )
            field = Input(
                placeholder="resp.StatusCode, *ch.buf, len(s.pending)", id="expression", compact=True
            )
            field.cursor_blink = False
            yield field
            yield self._note
            yield KeyBar([KeyHint("Enter", "evaluate", "yes"), KeyHint("Esc", "back", "no")], gap=4)

    @on(Input.Submitted)
    def submitted(self, message: Input.Submitted) -> None:
        message.stop()
        try:
            self.dismiss(parse_expression(message.value))
        except UsageError as error:
            self._note.set_lines(tuple(wrap_line(((str(error), "danger"),), _WIDTH)))

    @on(KeyBar.Pressed)
    async def pressed(self, message: KeyBar.Pressed) -> None:
        if message.name == "yes":
            await self.query_one(Input).action_submit()
        else:
            self.action_give_up()

    def action_give_up(self) -> None:
        self.dismiss(None)
