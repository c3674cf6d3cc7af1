"""Which tracepoints shall be recorded, within which budget, and what that costs; or why none can be."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from textual import on
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Horizontal, Vertical
from textual.screen import ModalScreen
from textual.widgets import Input

from leaktui.analysis.tracepoint_grammar import MOST_TRACEPOINTS, parse_tracepoint
from leaktui.analysis.tracepoint_presets import PRESETS, parse_preset
from leaktui.errors import LeaktuiError, UsageError
from leaktui.model.tracepoint import Tracepoint, TracepointPlan
from leaktui.report.tracepoint_cost import expected_cost
from leaktui.text import printable
from leaktui.tui.probe_words import Refusal
from leaktui.tui.widgets.key_bar import KeyBar, KeyHint
from leaktui.tui.widgets.line_view import Lines
from leaktui.tui.widgets.toned import Line, wrap_line

_WIDTH = 70
_MOST_HITS = 10_000
_LONGEST_SECONDS = 600.0
_FIELDS = (
    ("f", "function", "#burst-function"),
    ("h", "hits", "#burst-hits"),
    ("s", "seconds", "#burst-seconds"),
)


@dataclass(frozen=True, slots=True)
class BurstChoice:
    """What was chosen: proposed again the next time. `functions` are separated by semicolons."""

    presets: frozenset[str] = frozenset({"gc"})
    functions: str = ""
    hits: str = "500"
    seconds: str = "5"

    def plan(self, go_version: str = "") -> TracepointPlan:
        """The plan it stands for. Raises UsageError."""
        points: list[Tracepoint] = []
        for preset in PRESETS:
            if preset.name in self.presets:
                points += parse_preset(preset.name, go_version)
        points += [parse_tracepoint(text) for text in self.functions.split(";") if text.strip()]
        if not points:
            raise UsageError("nothing is chosen", remedy="press a number, or f and name a function")
        if len(points) > MOST_TRACEPOINTS:
            raise UsageError(f"that is more than {MOST_TRACEPOINTS} tracepoints", remedy="choose fewer")
        hits = _number(self.hits, "hits", _MOST_HITS)
        seconds = _number(self.seconds, "seconds", _LONGEST_SECONDS)
        return TracepointPlan(tuple(dict.fromkeys(points)), seconds=seconds, most_hits=max(1, int(hits)))


def _number(text: str, what: str, most: float) -> float:
    try:
        number = float(text)
    except ValueError:
        number = 0.0
    if not 0 < number <= most:
        raise UsageError(f"{printable(text, 20)!r} {what} are none", remedy=f"from 1 to {most:.0f}")
    return number


class BurstScreen(ModalScreen[BurstChoice | None]):
    """Answers what shall be recorded, None for nothing. With a *refusal* it says why and what to do, and no more."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("y", "answer(True)", "Yes", show=False),
        Binding("n,escape,q", "answer(False)", "No", show=False),
        *(Binding(str(index + 1), f"switch({index})", item.summary) for index, item in enumerate(PRESETS)),
        *(Binding(key, f"fill('{selector}')", label) for key, label, selector in _FIELDS),
    ]
    AUTO_FOCUS = ""  # numbers switch, and would be typed into a field

    def __init__(
        self,
        choice: BurstChoice,
        *,
        go_version: str = "",
        attached: bool = False,
        refusal: Refusal | None = None,
    ) -> None:
        super().__init__()
        self.choice = choice
        self._go_version = go_version
        self._attached = attached
        self._refusal = refusal
        self._switches = [KeyBar(gap=1) for _ in PRESETS]
        self._cost = Lines(classes="cost")
        self._answers = KeyBar(gap=4, id="answers")

    def compose(self) -> ComposeResult:
        with Vertical(classes="dialog burst"):
            if self._refusal is not None:
                yield Lines(_refusal_lines(self._refusal))
                yield self._answers
                return
            yield Lines(((("Record a burst of tracepoints?", "strong"),), ()))
            yield from self._switches
            with Horizontal(classes="field"):
                yield Lines((((" f", "accent"), (" function  ", "muted")),), classes="function")
                yield _field(self.choice.functions, "burst-function", "main.(*Server).load:n>10; main.save")
            with Horizontal(classes="field"):
                yield Lines((((" h", "accent"), (" at most   ", "muted")),), classes="function")
                yield _field(self.choice.hits, "burst-hits")
                yield Lines(
                    (((" hits   ", "muted"), ("s", "accent"), (" within ", "muted")),), classes="within"
                )
                yield _field(self.choice.seconds, "burst-seconds")
                yield Lines((((" seconds", "muted"),),), classes="unit")
            yield self._cost
            yield self._answers

    def on_mount(self) -> None:
        self._draw()

    def _draw(self) -> None:
        if self._refusal is not None:
            self._answers.set_hints([KeyHint("Esc", "back", "no")])
            return
        for index, (bar, preset) in enumerate(zip(self._switches, PRESETS, strict=True)):
            box = "[x]" if preset.name in self.choice.presets else "[ ]"
            name = preset.make("", self._go_version)[0].function.rpartition("/")[2]
            bar.set_hints([KeyHint(str(index + 1), f"{box} {preset.summary:<35} {name}", f"switch({index})")])
        hints = [KeyHint("n", "no", "no")]
        try:
            plan = self.choice.plan(self._go_version)
        except LeaktuiError as error:
            lines = wrap_line(((str(error), "danger"),), _WIDTH)
        else:
            cost = " ".join(expected_cost(plan, attached=self._attached))
            lines = wrap_line(((cost, "warning"),), _WIDTH)
            hints.insert(0, KeyHint("y", "record", "yes"))
        self._cost.set_lines(((), *lines, ()))
        self._answers.set_hints(hints)

    def action_switch(self, index: int) -> None:
        if self._refusal is None:
            self.choice = self._changed(presets=self.choice.presets ^ {PRESETS[index].name})
            self._draw()

    def _changed(
        self,
        presets: frozenset[str] | None = None,
        functions: str | None = None,
        hits: str | None = None,
        seconds: str | None = None,
    ) -> BurstChoice:
        now = self.choice
        return BurstChoice(
            now.presets if presets is None else presets,
            now.functions if functions is None else functions,
            now.hits if hits is None else hits,
            now.seconds if seconds is None else seconds,
        )

    def action_fill(self, selector: str) -> None:
        """Put the cursor into a field; Enter or Esc leaves it."""
        if self._refusal is None:
            self.query_one(selector, Input).focus()

    @on(Input.Changed)
    def field_changed(self, message: Input.Changed) -> None:
        message.stop()
        value = message.value
        if message.input.id == "burst-function":
            self.choice = self._changed(functions=value)
        elif message.input.id == "burst-hits":
            self.choice = self._changed(hits=value)
        else:
            self.choice = self._changed(seconds=value)
        self._draw()

    @on(Input.Submitted)
    def field_left(self, message: Input.Submitted) -> None:
        message.stop()
        self.set_focus(None)

    @on(KeyBar.Pressed)
    def pressed(self, message: KeyBar.Pressed) -> None:
        if message.name in ("yes", "no"):
            self.action_answer(message.name == "yes")
        else:
            self.action_switch(int(message.name[len("switch(") : -1]))

    def action_answer(self, answer: bool) -> None:
        if isinstance(self.focused, Input):
            self.set_focus(None)
            return
        if not answer or self._refusal is not None:
            self.dismiss(None)
            return
        try:
            self.choice.plan(self._go_version)
        except LeaktuiError:
            return  # what is wrong is said already
        self.dismiss(self.choice)


def _field(value: str, name: str, placeholder: str = "") -> Input:
    field = Input(value, placeholder=placeholder, id=name, compact=True)
    field.cursor_blink = False
    return field


def _refusal_lines(refusal: Refusal) -> tuple[Line, ...]:
    lines: list[Line] = [(("No tracepoints can be recorded here", "strong"),), ()]
    lines += wrap_line(((refusal.reason or "no reason is known", "warning"),), _WIDTH)
    if refusal.remedy:
        lines += [(), *wrap_line(((f"→ {refusal.remedy}", "accent"),), _WIDTH, 2)]
    return (*lines, ())
