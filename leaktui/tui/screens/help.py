"""Every key, from the table of actions."""

from __future__ import annotations

from typing import ClassVar

from textual import events
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical
from textual.screen import ModalScreen

from leaktui.tui.actions import Place, Topic, iter_actions
from leaktui.tui.widgets.document import DocLine, Document

_MOVES = "↑ ↓ j k PgUp PgDn Home End move · click opens · Ctrl-P finds any command"
_MARKS = "● used ○ waiting ✕ unavailable · – not seen · Δ since the baseline"


def help_lines(place: Place) -> list[DocLine]:
    """The page of *place*: a line an action, with the panes' number keys on one."""
    lines: list[DocLine] = []
    actions = list(iter_actions(place))
    panes = [action for action in actions if action.name.startswith("show_pane")]
    for topic in Topic:
        first = True
        for index, action in enumerate(actions):
            alone = not action.beside or index == 0 or actions[index - 1].topic is not topic
            if action.topic is not topic or not alone or (action in panes and action is not panes[0]):
                continue
            key, label, text = action.shown_key, action.label, action.help
            if index + 1 < len(actions) and actions[index + 1].beside and actions[index + 1].topic is topic:
                beside = actions[index + 1]
                key, label = f"{key} {beside.shown_key}", f"{label}, {beside.label}"
                text = f"{text}; {beside.help}"
            if panes and action is panes[0]:
                key, label = " ".join(item.shown_key for item in panes) + " ", ""
                text = ", ".join(item.label for item in panes)
            title = topic.value if first else ""
            first = False
            lines.append(
                DocLine(
                    (
                        (f"{title:<15}", "accent"),
                        (f"{key:<8}", "strong"),
                        (f"{label:<14}" if label else "", "plain"),
                        (text, "muted"),
                    ),
                    wrap=False,
                )
            )
    return [*lines, DocLine(((_MOVES, "muted"),)), DocLine(((_MARKS, "muted"),))]


class HelpScreen(ModalScreen[None]):
    """The help, over whatever is below; any of its keys closes it."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape,q,question_mark,enter", "dismiss", "Close", show=False),
    ]

    def __init__(self, place: Place) -> None:
        super().__init__()
        self._lines = help_lines(place)

    def compose(self) -> ComposeResult:
        with Vertical(id="help") as box:
            box.border_title = "leaktui · keys"
            box.border_subtitle = "Esc closes"
            yield Document(self._lines)

    def on_mount(self) -> None:
        self._fit()
        document = self.query_one(Document)
        document.set_lines(self._lines)
        document.focus()

    def on_resize(self, event: events.Resize) -> None:
        self._fit()

    def _fit(self) -> None:
        self.query_one("#help").styles.height = min(len(self._lines) + 2, self.app.size.height)
