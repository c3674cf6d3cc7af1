"""Rows of things to press: the tabs on top and the keys at the bottom. Clickable, one line each."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from rich.cells import cell_len
from textual import events
from textual.message import Message

from leaktui.tui.widgets.line_view import LineView, Underlay
from leaktui.tui.widgets.toned import Line, Span, line_width


@dataclass(frozen=True, slots=True)
class KeyHint:
    """A key and what it does. `name` is sent when it is clicked; a high `rank` is left out first."""

    key: str
    label: str
    name: str
    rank: int = 0
    active: bool = False
    badge: str = ""


class KeyBar(LineView):
    """One line of key hints; those that do not fit are left out by rank."""

    can_focus = False
    DEFAULT_CSS = """
    KeyBar { height: 1; overflow: hidden hidden; }
    """

    @dataclass
    class Pressed(Message):
        """A hint was clicked."""

        bar: KeyBar
        name: str

        @property
        def control(self) -> KeyBar:
            return self.bar

    def __init__(
        self,
        hints: Sequence[KeyHint] = (),
        *,
        gap: int = 2,
        id: str | None = None,
        classes: str | None = None,
    ) -> None:
        super().__init__(id=id, classes=classes)
        self._hints = tuple(hints)
        self._gap = gap

    def set_hints(self, hints: Sequence[KeyHint]) -> None:
        """Show *hints*."""
        if tuple(hints) != self._hints:
            self._hints = tuple(hints)
            self.repaint()

    def _fitting(self) -> list[KeyHint]:
        kept = list(self._hints)
        while len(kept) > 1 and self._width_of(kept) > self.size.width:
            kept.remove(max(reversed(kept), key=lambda hint: hint.rank))
        return kept

    def _width_of(self, hints: Sequence[KeyHint]) -> int:
        return 1 + sum(line_width(_draw(hint)) + self._gap for hint in hints) - self._gap

    def paint(self, y: int) -> tuple[Line, Underlay]:
        spans: list[Span] = [(" ", "plain")]
        for index, hint in enumerate(self._fitting()):
            if index:
                spans.append((" " * self._gap, "plain"))
            spans += _draw(hint)
        return tuple(spans), ""

    def on_click(self, event: events.Click) -> None:
        at = 1
        for hint in self._fitting():
            width = line_width(_draw(hint))
            if at <= event.x < at + width:
                self.post_message(self.Pressed(self, hint.name))
                return
            at += width + self._gap


def _draw(hint: KeyHint) -> Line:
    label = f" {hint.label}" if hint.label else ""
    if hint.active:
        spans: Line = ((f" {hint.key}{label} ", "chip"),)
    else:
        spans = ((hint.key, "accent"), (label, "muted"))
    if hint.badge:
        spans = (*spans, (f" {hint.badge}", "warning"))
    return spans if cell_len(hint.key) else ()
