"""Everything one can do, once: keys, footer, command palette and help are read from this table."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from enum import Enum

from textual.binding import Binding


class Place(Enum):
    """Where an action makes sense."""

    WATCH = "watch"
    PICKER = "picker"
    GUIDE = "guide"
    BOTH = "both"


class Topic(Enum):
    """Sections of the help."""

    STEPS = "Steps"
    LOOK = "Look around"
    TABLE = "Tables"
    ASK = "Ask the target"
    APP = "leaktui"


@dataclass(frozen=True, slots=True)
class Action:
    """`name` is the method `action_NAME` of the screen. `rank` orders the footer; None keeps it out.

    `beside` the action before it, this one shares its line in the help.
    """

    name: str
    keys: tuple[str, ...]
    shown_key: str
    label: str
    help: str
    topic: Topic
    place: Place = Place.WATCH
    rank: int | None = None
    palette: bool = True
    beside: bool = False


ACTIONS: tuple[Action, ...] = (
    Action("show_pane(0)", ("1",), "1", "Suspects", "what leaks, and the evidence for it", Topic.LOOK),
    Action("show_pane(1)", ("2",), "2", "Heap", "allocation sites: what is live, what was allocated", Topic.LOOK),
    Action("show_pane(2)", ("3",), "3", "Goroutines", "goroutines grouped by equal stacks", Topic.LOOK),
    Action("show_pane(3)", ("4",), "4", "Bodies", "response bodies nobody has closed yet", Topic.LOOK),
    Action("show_pane(4)", ("5",), "5", "Trace", "an execution trace on its axis of time", Topic.LOOK),
    Action("show_pane(5)", ("6",), "6", "Delve", "tracepoints, and values of goroutines", Topic.LOOK),
    Action(
        "open", ("enter",), "Enter", "open", "go down: row → stack → source line",
        Topic.LOOK, Place.BOTH, 1, palette=False,
    ),
    Action("back", ("escape",), "Esc", "back", "up; end filter or look", Topic.LOOK, rank=2, palette=False),
    Action(
        "next_part", ("tab",), "Tab", "part", "list or details", Topic.LOOK, palette=False, beside=True
    ),
    Action("walkthrough", ("w",), "w", "guide", "to the line, step by step", Topic.LOOK, rank=2),
    Action("fix", ("f",), "f", "fix", "why, and how", Topic.LOOK, rank=3, beside=True),
    Action("filter", ("slash",), "/", "filter", "keep the rows that hold these words", Topic.TABLE, Place.BOTH, 3),
    Action("sort", ("s",), "s", "sort", "by the next column", Topic.TABLE, Place.BOTH, 4),
    Action("reverse", ("S",), "S", "reverse", "the other way round", Topic.TABLE, Place.BOTH, beside=True),
    Action("group", ("g",), "g", "group", "group rows another way", Topic.TABLE, rank=5),
    Action("mode", ("m",), "m", "measure", "heap: bytes or objects; ledger: of what", Topic.TABLE, rank=6),
    Action("calls", ("c",), "c", "tree", "heap: all as one tree", Topic.TABLE, rank=12),
    Action("flame", ("F",), "F", "flame", "a flame graph", Topic.TABLE, rank=12, beside=True),
    Action("baseline", ("b",), "b", "baseline", "count differences from now on", Topic.ASK, rank=7),
    Action("pause", ("p",), "p", "pause", "stop looking; what is known stays", Topic.ASK, rank=8),
    Action("refresh", ("r",), "r", "refresh", "goroutines, bodies, heap, fds, now", Topic.ASK, Place.BOTH, 9),
    Action("trace", ("t",), "t", "trace", "an execution trace of 5 s", Topic.ASK, rank=10),
    Action("burst", ("T",), "T", "burst", "tracepoints", Topic.ASK, rank=3, beside=True),
    Action("probes", ("a",), "a", "probes", "arm, or disarm all", Topic.ASK, rank=3),
    Action("choose_probes", ("A",), "A", "which", "pick which probes", Topic.ASK, beside=True),
    Action("holders", ("h",), "h", "holders", "who keeps a body or object alive", Topic.ASK, rank=3),
    Action("values", ("v",), "v", "values", "frames with values", Topic.ASK, rank=4),
    Action("evaluate", ("x",), "x", "eval", "expressions", Topic.ASK, rank=4, beside=True),
    Action("collect", ("G",), "G", "heap after GC", "collect garbage, then read the heap", Topic.ASK),
    Action("export", ("e",), "e", "export", "pane or report to file", Topic.APP, rank=11),
    Action("edit", ("o",), "o", "edit", "line in $EDITOR", Topic.APP, beside=True),
    Action("processes", ("P",), "P", "process", "choose another", Topic.APP),
    Action(
        "help", ("question_mark",), "?", "help", "this page", Topic.APP, Place.BOTH, 0, palette=False, beside=True
    ),
    Action("quit", ("q",), "q", "quit", "leave, the target goes on", Topic.APP, Place.BOTH, 0),
    Action("suspend", ("ctrl+z",), "^Z", "suspend", "to the shell", Topic.APP, Place.BOTH, beside=True),
    Action(
        "next", ("n", "space"), "n", "next", "when this step is done (or Space)",
        Topic.STEPS, Place.GUIDE, 1,
    ),
    Action("before", ("b", "backspace"), "b", "back", "read the step before again", Topic.STEPS, Place.GUIDE, 2),
    Action("skip", ("s",), "s", "skip", "leave this step out", Topic.STEPS, Place.GUIDE, 4),
    Action("auto", ("a",), "a", "auto", "by itself, or key by key", Topic.STEPS, Place.GUIDE, 3),
    Action("say_yes", ("y",), "y", "yes", "to what is asked; n is no", Topic.ASK, Place.GUIDE, palette=False),
    Action(
        "open", ("enter",), "Enter", "open", "what a line tells of, in its pane",
        Topic.LOOK, Place.GUIDE, 5, palette=False,
    ),
    Action(
        "leave", ("escape", "w"), "Esc", "panes", "look around; w comes back here", Topic.LOOK, Place.GUIDE, 2,
        palette=False,
    ),
    Action("edit", ("o",), "o", "edit", "the line in $EDITOR", Topic.LOOK, Place.GUIDE, 6),
    Action("help", ("question_mark",), "?", "help", "this page", Topic.APP, Place.GUIDE, 0, palette=False),
    Action("quit", ("q",), "q", "quit", "leave, the target goes on", Topic.APP, Place.GUIDE, 0),
    Action("suspend", ("ctrl+z",), "^Z", "suspend", "to the shell", Topic.APP, Place.GUIDE, beside=True),
)  # fmt: skip


NEEDS_PROCESS = frozenset(("pause", "refresh", "trace", "probes", "choose_probes", "collect"))
"""Actions that have nobody to ask where a capture is shown."""


def iter_actions(place: Place) -> Iterator[Action]:
    """The actions of *place*, in the table's order."""
    for action in ACTIONS:
        if action.place is place or (action.place is Place.BOTH and place is not Place.GUIDE):
            yield action


def bindings_of(place: Place) -> list[Binding]:
    """Key bindings of a screen. Keys that widgets handle themselves (Enter, Tab) are left to them."""
    return [
        Binding(",".join(action.keys), action.name, action.label, show=False, id=action.name)
        for action in iter_actions(place)
        if action.name not in ("open", "next_part")
    ]
