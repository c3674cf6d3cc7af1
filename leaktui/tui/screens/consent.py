"""A question asked before something that stops the target for a moment."""

from __future__ import annotations

from typing import ClassVar

from textual import on
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical
from textual.screen import ModalScreen

from leaktui.tui.widgets.key_bar import KeyBar, KeyHint
from leaktui.tui.widgets.line_view import Lines
from leaktui.tui.widgets.toned import Line, wrap_line

_WIDTH = 62


class ConsentScreen(ModalScreen[bool]):
    """*what* is to be done and what it *costs*; anything but y means no."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("y", "answer(True)", "Yes", show=False),
        Binding("n,escape,q,enter", "answer(False)", "No", show=False),
    ]

    def __init__(self, what: str, cost: str) -> None:
        super().__init__()
        title: Line = ((what, "strong"),)
        lines = [*wrap_line(title, _WIDTH), (), *wrap_line(((cost, "warning"),), _WIDTH), ()]
        self._lines = tuple(lines)

    def compose(self) -> ComposeResult:
        with Vertical(classes="dialog"):
            yield Lines(self._lines)
            yield KeyBar(
                [KeyHint("y", "yes, and do not ask again", "yes"), KeyHint("n", "no", "no")],
                gap=4,
                id="answers",
            )

    @on(KeyBar.Pressed)
    def answer_pressed(self, message: KeyBar.Pressed) -> None:
        self.dismiss(message.name == "yes")

    def action_answer(self, answer: bool) -> None:
        self.dismiss(answer)
