"""A pane: a root level and those one has gone down to."""

from __future__ import annotations

from dataclasses import dataclass

from textual.app import ComposeResult
from textual.containers import Container
from textual.message import Message

from leaktui.tui.facts import Facts
from leaktui.tui.panes.level import Level
from leaktui.tui.widgets.toned import Line, Span


class Pane(Container):
    """Shows the top of a stack of levels; only that one is redrawn when facts arrive."""

    @dataclass
    class Moved(Message):
        """Another level is on top."""

        pane: Pane

    def __init__(self, root: Level, *, id: str) -> None:
        super().__init__(id=id)
        self._levels: list[Level] = [root]
        self._facts: Facts | None = None

    def compose(self) -> ComposeResult:
        yield self._levels[0]

    @property
    def top(self) -> Level:
        return self._levels[-1]

    @property
    def root(self) -> Level:
        return self._levels[0]

    @property
    def depth(self) -> int:
        return len(self._levels)

    def show(self, facts: Facts) -> None:
        self._facts = facts
        if self.top.is_mounted:
            self.top.show(facts)

    async def on_level_descended(self, message: Level.Descended) -> None:
        message.stop()
        above = self.top
        self._levels.append(message.level)
        await self.mount(message.level)
        above.display = False
        if self._facts is not None:
            message.level.show(self._facts)
        message.level.focus_first()
        self.post_message(self.Moved(self))

    def go_back(self) -> bool:
        """Up one level; False at the root."""
        if self.depth == 1:
            return False
        self._levels.pop().remove()
        self.top.display = True
        if self._facts is not None:
            self.top.show(self._facts)
        self.top.focus_first()
        self.post_message(self.Moved(self))
        return True

    def go_to_root(self) -> None:
        while self.go_back():
            pass

    def breadcrumb(self) -> Line:
        """`Goroutines › main.loadUser › user.go:41`, or what the root shows."""
        if self.depth == 1:
            return self.top.caption()
        spans: list[Span] = []
        for index, level in enumerate(self._levels):
            if index:
                spans.append((" › ", "muted"))
            spans.append((level.crumb, "strong" if level is self.top else "muted"))
        caption = self.top.caption()
        return (*spans, ("   ", "plain"), *caption) if caption else tuple(spans)
