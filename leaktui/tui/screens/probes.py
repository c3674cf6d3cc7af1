"""Which probes shall be armed, and what that costs; or why none can be."""

from __future__ import annotations

from typing import ClassVar

from textual import on
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical
from textual.screen import ModalScreen

from leaktui.model.ledger import LedgerKind
from leaktui.tui.probe_words import COSTS, KIND_NOUNS, Refusal
from leaktui.tui.widgets.key_bar import KeyBar, KeyHint
from leaktui.tui.widgets.line_view import Lines
from leaktui.tui.widgets.toned import Line, wrap_line

_WIDTH = 62
_KINDS: tuple[LedgerKind, ...] = tuple(LedgerKind)


class ProbesScreen(ModalScreen[frozenset[LedgerKind] | None]):
    """Switches each kind of *offered* probes on and off; *chosen* are on at first, *armed* already, and *left_out* says
    why some are not offered. Answers what shall be armed, None for no change. With a *refusal* it says why
    and what to do, and no more.
    """

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("y,enter", "answer(True)", "Yes", show=False),
        Binding("n,escape,q", "answer(False)", "No", show=False),
        *(Binding(str(index + 1), f"switch({index})", KIND_NOUNS[kind]) for index, kind in enumerate(_KINDS)),
    ]

    def __init__(
        self,
        chosen: frozenset[LedgerKind],
        offered: frozenset[LedgerKind],
        *,
        armed: frozenset[LedgerKind] = frozenset(),
        refusal: Refusal | None = None,
        left_out: str = "",
    ) -> None:
        super().__init__()
        self.chosen = chosen
        self._offered = offered
        self._armed = armed
        self._refusal = refusal
        self._left_out = left_out
        self._switches = {kind: KeyBar(gap=1) for kind in _KINDS}
        self._answers = KeyBar(gap=4, id="answers")

    def compose(self) -> ComposeResult:
        with Vertical(classes="dialog"):
            if self._refusal is not None:
                yield Lines(_refusal_lines(self._refusal))
                yield self._answers
                return
            title = "Which probes shall be armed?" if self._armed else "Arm probes in the running process?"
            yield Lines((((title, "strong"),), ()))
            yield from self._switches.values()
            yield Lines(_cost_lines(self._left_out))
            yield self._answers

    def on_mount(self) -> None:
        self._draw()

    def _draw(self) -> None:
        if self._refusal is not None:
            self._answers.set_hints([KeyHint("Esc", "back", "no")])
            return
        for index, kind in enumerate(_KINDS):
            offered = kind in self._offered
            box = "[x]" if kind in self.chosen else "[ ]" if offered else " – "
            cost = COSTS[kind] if offered else "not on this process"
            hint = KeyHint(str(index + 1), f"{box} {KIND_NOUNS[kind]:<18} {cost}", f"switch({index})")
            self._switches[kind].set_hints([hint])
        yes = "disarm" if self._armed and not self.chosen else "arm"
        if self._armed and self.chosen:
            yes = "change"
        self._answers.set_hints([KeyHint("y", yes, "yes"), KeyHint("n", "no", "no")])

    def action_switch(self, index: int) -> None:
        kind = _KINDS[index]
        if self._refusal is None and kind in self._offered:
            self.chosen ^= {kind}
            self._draw()

    @on(KeyBar.Pressed)
    def pressed(self, message: KeyBar.Pressed) -> None:
        if message.name in ("yes", "no"):
            self.action_answer(message.name == "yes")
        else:
            self.action_switch(int(message.name[len("switch(") : -1]))

    def action_answer(self, answer: bool) -> None:
        self.dismiss(self.chosen if answer and self._refusal is None else None)


def _cost_lines(left_out: str) -> tuple[Line, ...]:
    from leaktui.engines.probes.engine import MOST_HITS_A_SECOND

    cost = (
        "The kernel notes each opening and closing with its callers while the process runs on: it is never "
        f"stopped. Probes disarm themselves above {MOST_HITS_A_SECOND:,} hits a second, and are gone "
        "when leaktui ends, however it ends."
    )
    reasons = ((), *wrap_line(((left_out, "muted"),), _WIDTH)) if left_out else ()
    return (*reasons, (), *wrap_line(((cost, "warning"),), _WIDTH), ())


def _refusal_lines(refusal: Refusal) -> tuple[Line, ...]:
    lines: list[Line] = [(("No probes can be armed here", "strong"),), ()]
    lines += wrap_line(((refusal.reason or "no reason is known", "warning"),), _WIDTH)
    if refusal.remedy:
        lines += [(), *wrap_line(((f"→ {refusal.remedy}", "accent"),), _WIDTH, 2)]
    return (*lines, ())
