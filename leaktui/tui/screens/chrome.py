"""What surrounds a pane: the tabs, the caption with the breadcrumb, the keys that make sense now."""

from __future__ import annotations

from collections.abc import Sequence

from leaktui.engines.protocol import Want
from leaktui.text import format_duration
from leaktui.tui.actions import NEEDS_PROCESS, Action, Place, iter_actions
from leaktui.tui.delve_words import recording
from leaktui.tui.facts import Facts
from leaktui.tui.panes.bodies import BodiesRoot
from leaktui.tui.panes.call_tree import CallTreeLevel
from leaktui.tui.panes.delve import DelveRoot
from leaktui.tui.panes.flame import FlameLevel
from leaktui.tui.panes.goroutines import GoroutinesRoot
from leaktui.tui.panes.heap import HeapRoot
from leaktui.tui.panes.ledger import next_kind
from leaktui.tui.panes.level import Level, TableLevel
from leaktui.tui.panes.pane import Pane
from leaktui.tui.panes.suspects import SuspectsRoot
from leaktui.tui.panes.trace import TraceRoot
from leaktui.tui.panes.values import ValuesLevel
from leaktui.tui.probe_words import SHORT_NOUNS, armed_kinds
from leaktui.tui.widgets.key_bar import KeyHint
from leaktui.tui.widgets.toned import Line, join, spread

_IN_FLAMES = {"open": "zoom in", "back": "zoom out", "group": "turn round"}


def tab_hints(names: Sequence[str], shown: int, facts: Facts | None) -> list[KeyHint]:
    """The tabs; the first wears the number of suspects."""
    suspects = len(facts.assessment.suspects) if facts is not None else 0
    return [
        KeyHint(
            str(index + 1),
            name,
            f"show_pane({index})",
            active=index == shown,
            badge=f"({suspects})" if index == 0 and suspects else "",
        )
        for index, name in enumerate(names)
    ]


def draw_caption(pane: Pane, facts: Facts | None, width: int) -> Line:
    """Where one is on the left; on the right how the table is filtered and sorted, and the baseline's age."""
    parts: list[Line] = []
    table = pane.top.table
    if table is not None and table.display:
        if table.needle:
            parts.append(((f"/{table.needle}", "warning"),))
        if table.sort_title:
            parts.append(((f"sorted by {table.sort_title}", "muted"),))
    if facts is not None and facts.baseline_seconds is not None:
        parts.append(((f"Δ for {format_duration(facts.baseline_seconds)}", "muted"),))
    right = (*join(parts, (" · ", "muted")), (" ", "plain"))
    return spread(((" ", "plain"), *pane.breadcrumb()), right, width)


def key_hints(pane: Pane, facts: Facts | None, *, paused: bool) -> list[KeyHint]:
    """The keys worth showing on this level, the most useful first; help and quit close the row."""
    hints: list[KeyHint] = []
    for action in iter_actions(Place.WATCH):
        if action.rank is not None and makes_sense(action.name, pane, facts):
            label = _label(action, pane, facts, paused=paused)
            hints.append(
                KeyHint(action.shown_key, label, action.name, rank=_rank(action, pane, paused=paused))
            )
    ranked = sorted((hint for hint in hints if hint.rank), key=lambda hint: hint.rank)
    return [*ranked, *(hint for hint in hints if not hint.rank)]


def _rank(action: Action, pane: Pane, *, paused: bool) -> int:
    """An action's place in the row as things are: what is waited for stands in front, 80 columns hold few."""
    waited_for = (action.name == "pause" and paused) or (
        action.name == "mode" and isinstance(pane.top, BodiesRoot) and pane.top.in_ledger
    )
    return 2 if waited_for else action.rank or 0


def _label(action: Action, pane: Pane, facts: Facts | None, *, paused: bool) -> str:
    """An action's label as things are."""
    if action.name == "pause" and paused:
        return "resume"
    if action.name == "burst" and facts is not None and recording(facts):
        return "end burst"
    if action.name == "values" and isinstance(pane.top, ValuesLevel):
        return "look again"
    if action.name == "probes":
        return "disarm" if facts is not None and armed_kinds(facts) else "arm"
    if action.name == "mode" and isinstance(pane.top, BodiesRoot):
        return SHORT_NOUNS[next_kind(pane.top.kind)]
    if isinstance(pane.top, FlameLevel):
        return _IN_FLAMES.get(action.name, action.label)
    if action.name in ("mode", "group") and isinstance(pane.top, TraceRoot):
        return pane.top.variant_label if action.name == "mode" else pane.top.next_view
    return action.label


def makes_sense(name: str, pane: Pane, facts: Facts | None) -> bool:
    """Whether an action can do something on the level shown."""
    if facts is not None and facts.capture and name in NEEDS_PROCESS:
        return False
    top: Level = pane.top
    if name == "back":
        return pane.depth > 1
    if name in ("sort", "filter"):
        return top.table is not None and top.table.display
    if name == "group":
        return (isinstance(top, TableLevel) and top.modes > 1) or isinstance(top, CallTreeLevel | FlameLevel)
    if name == "flame":
        return (isinstance(top, HeapRoot) and top.by_site) or isinstance(top, GoroutinesRoot)
    if name in ("mode", "calls"):
        if name == "mode" and isinstance(top, FlameLevel | TraceRoot):
            return top.variants > 1 if isinstance(top, TraceRoot) else top.measures > 1
        ledger = name == "mode" and isinstance(top, BodiesRoot) and top.in_ledger
        return ledger or (isinstance(top, HeapRoot) and top.by_site)
    if name == "fix":
        return isinstance(top, SuspectsRoot) and top.table.cursor_row is not None
    if name == "probes":
        # Elsewhere the key works, too, but is worth its place only to end what is under way.
        armed = facts is not None and bool(armed_kinds(facts))
        return armed or (pane.id == "pane-3" and (facts is None or facts.exited is None))
    if name == "burst":
        return isinstance(pane.root, DelveRoot) or (facts is not None and recording(facts))
    if name == "values":
        return bool(top.inspected) and facts is not None and facts.offers(Want.INSPECTION)
    if name == "evaluate":
        able = facts is not None and facts.offers(Want.EVALUATION)
        return able and isinstance(top, ValuesLevel | DelveRoot)
    if name == "holders":
        return bool(top.held) and facts is not None and facts.offers(Want.HOLDERS)
    return True
