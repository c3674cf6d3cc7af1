"""The one table of actions: complete, without clashes, and all of it is bound."""

from __future__ import annotations

from collections import Counter

import pytest

from leaktui.tui.actions import ACTIONS, Place, bindings_of, iter_actions
from leaktui.tui.screens.help import help_lines
from leaktui.tui.screens.picker import PickerScreen
from leaktui.tui.screens.watch import WatchScreen
from leaktui.tui.widgets.toned import line_text, line_width


@pytest.mark.parametrize("place", [Place.WATCH, Place.PICKER])
def test_no_key_means_two_things(place: Place) -> None:
    keys = Counter(key for action in iter_actions(place) for key in action.keys)
    assert max(keys.values()) == 1


@pytest.mark.parametrize(("place", "screen"), [(Place.WATCH, WatchScreen), (Place.PICKER, PickerScreen)])
def test_every_action_is_a_method_of_its_screen(place: Place, screen: type) -> None:
    for binding in bindings_of(place):
        assert hasattr(screen, f"action_{binding.action.partition('(')[0]}"), binding.action


@pytest.mark.parametrize("place", [Place.WATCH, Place.PICKER])
def test_help_names_every_key_and_fits_80_by_24(place: Place) -> None:
    lines = help_lines(place)
    text = "\n".join(line_text(line.spans) for line in lines)
    assert len(lines) <= 22
    assert all(line_width(line.spans) <= 76 for line in lines)
    for action in iter_actions(place):
        assert action.shown_key in text and action.label in text


def test_every_action_has_words_for_it() -> None:
    assert all(action.label and action.help for action in ACTIONS)
