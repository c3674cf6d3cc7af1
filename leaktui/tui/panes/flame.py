"""The flame graph of the heap or of the goroutines: all stacks at once, each call as wide as what goes through it.

Law: a node's parts are computed when the screen has room for them; Enter goes into a call, Esc out of it again.
"""

from __future__ import annotations

import zlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from textual.app import ComposeResult

from leaktui.model.frame import Frame
from leaktui.text import package_of
from leaktui.tui.facts import Facts
from leaktui.tui.panes.call_tree import Path, Weighted, split_below
from leaktui.tui.panes.drill import SourceLevel
from leaktui.tui.panes.level import Level
from leaktui.tui.widgets.flame import HUES, FlameView
from leaktui.tui.widgets.line_view import Lines
from leaktui.tui.widgets.toned import Line, Tone
from leaktui.tui.wording import frame_place, function_name, is_stdlib


@dataclass(frozen=True)
class FlameMeasure:
    """What a flame graph is drawn of: `stacks` gives them innermost first, `show` makes a weight text.

    `source` is what the stacks are made of: while it is the same, so are they.
    """

    label: str
    source: Callable[[Facts], object]
    stacks: Callable[[Facts], Sequence[Weighted]]
    show: Callable[[float], str]


@dataclass(slots=True)
class Call:
    """A function at the end of its path, with the stacks that go through it. The root has no frame."""

    path: Path
    members: Sequence[Weighted]
    weight: float
    title: str = ""
    _parts: list[Call] | None = field(default=None, repr=False)

    @property
    def key(self) -> Path:
        return self.path

    @property
    def frame(self) -> Frame | None:
        """The first of the frames that were folded into it."""
        return self.members[0][0][len(self.path) - 1] if self.path and self.members else None

    @property
    def label(self) -> str:
        return function_name(self.path[-1]) if self.path else self.title

    @property
    def tone(self) -> Tone:
        """A colour for each package; Go's own share the quietest."""
        if not self.path or is_stdlib(self.path[-1]):
            return HUES[0]
        return HUES[1 + zlib.crc32(package_of(self.path[-1]).encode()) % (len(HUES) - 1)]

    @property
    def own(self) -> float:
        """What ends here and goes no deeper."""
        depth = len(self.path)
        return sum(value for stack, value in self.members if len(stack) == depth)

    def parts(self) -> list[Call]:
        if self._parts is None:
            calls = []
            for name, members in split_below(self.members, len(self.path)).items():
                weight = sum(value for _, value in members)
                if weight > 0:
                    calls.append(Call((*self.path, name), members, weight))
            self._parts = sorted(calls, key=lambda call: (-call.weight, call.path[-1]))
        return self._parts

    def find(self, path: Path) -> Call | None:
        """The call at *path* below this one, itself included."""
        if path[: len(self.path)] != self.path:
            return None
        call: Call | None = self
        for depth in range(len(self.path), len(path)):
            call = (
                next((part for part in call.parts() if part.path[-1] == path[depth]), None) if call else None
            )
        return call


class FlameLevel(Level):
    """All stacks as a flame graph, roots on top. `g` turns it round, `m` measures otherwise."""

    def __init__(self, measures: Sequence[FlameMeasure], measure: int = 0) -> None:
        super().__init__("flame graph")
        self._measures = tuple(measures)
        self._measure = measure
        self._inwards = True
        self._zoom: Path = ()
        self._whole = Call((), (), 0)
        self._drawn_of: object = None
        self._view = FlameView(classes="main")
        self._said = Lines(((), ()), classes="said")

    def compose(self) -> ComposeResult:
        yield self._view
        yield self._said

    def focus_first(self) -> None:
        self._view.focus()

    @property
    def measures(self) -> int:
        return len(self._measures)

    @property
    def zoomed(self) -> bool:
        """Whether a part of the whole fills the width."""
        return bool(self._zoom)

    @property
    def view(self) -> FlameView:
        return self._view

    @property
    def frame(self) -> Frame | None:
        call: Call | None = self._view.selected
        return call.frame if call is not None else None

    def caption(self) -> Line:
        way = "roots on top" if self._inwards else "innermost on top"
        return ((f"{self._measures[self._measure].label} · {way} · g turns it round", "muted"),)

    def turn_round(self) -> None:
        """Innermost calls on top, or the roots."""
        self._inwards = not self._inwards
        self._zoom = ()
        self._redraw()

    def _redraw(self) -> None:
        self._drawn_of = None
        if self.facts is not None:
            self.show(self.facts)

    def next_measure(self) -> None:
        """Measure in the next of what there is."""
        self._measure = (self._measure + 1) % len(self._measures)
        self._redraw()

    def step_back(self) -> bool:
        """Zoom out to what was shown before; False at the whole."""
        if not self._zoom:
            return False
        self._zoom = self._zoom[:-1]
        # A call that is all of its caller looks the same: zoom out until there is more to see.
        while self._zoom:
            call = self._whole.find(self._zoom)
            if call is not None and len(call.parts()) + (call.own > 0) > 1:
                break
            self._zoom = self._zoom[:-1]
        self._show_zoomed()
        return True

    def show(self, facts: Facts) -> None:
        super().show(facts)
        measure = self._measures[self._measure]
        source = measure.source(facts)
        if source is self._drawn_of:
            return
        self._drawn_of = source
        stacks: list[Weighted] = [
            (stack[::-1] if self._inwards else stack, value)
            for stack, value in measure.stacks(facts)
            if value > 0
        ]
        self._whole = Call((), stacks, sum(value for _, value in stacks), title="everything")
        self._view.set_empty("Nothing to draw yet.")
        self._show_zoomed()

    def _show_zoomed(self) -> None:
        root = self._whole.find(self._zoom)
        if root is None:
            self._zoom, root = (), self._whole
        self._view.set_root(root)
        self._describe()

    def _describe(self) -> None:
        """The two lines below: what is selected, and how much it is."""
        call: Call | None = self._view.selected
        if call is None:
            self._said.set_lines(((), ()))
            return
        measure, whole = self._measures[self._measure], self._whole.weight or 1
        share = f"{100 * call.weight / whole:.1f} % of everything"
        own = f", {measure.show(call.own)} of it right here" if call.own and call.path else ""
        frame = call.frame
        place = f"  {frame_place(frame)}" if frame is not None else ""
        self._said.set_lines(
            (
                ((f" {call.label}", "strong"), (place, "accent")),
                ((f" {measure.show(call.weight)}, {share}{own}", "muted"),),
            )
        )

    def on_resize(self) -> None:
        self._describe()

    def on_flame_view_highlighted(self, message: FlameView.Highlighted) -> None:
        message.stop()
        self._describe()

    def on_flame_view_chosen(self, message: FlameView.Chosen) -> None:
        message.stop()
        call: Call = message.node
        if call.path and (call.path == self._zoom or not call.parts()) and call.frame is not None:
            self.post_message(self.Descended(SourceLevel(call.frame)))
        elif call.path != self._zoom:
            self._zoom = call.path
            self._show_zoomed()
