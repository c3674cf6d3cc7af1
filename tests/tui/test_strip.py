"""The strip on top, as text."""

from __future__ import annotations

from dataclasses import replace

import pytest

from leaktui.model.capability import Source, SourceState
from leaktui.session.history import Metric
from leaktui.tui.facts import Facts
from leaktui.tui.strip import Progress, draw_strip
from leaktui.tui.widgets.toned import line_text, line_width
from tests.tui.scene import CAPABILITIES, LEAKING, LEVEL_SERIES, RISING_SERIES, SNAPSHOT

FACTS = Facts(SNAPSHOT, LEAKING, RISING_SERIES, CAPABILITIES, watched_seconds=84.0, uptime_seconds=8_040.0)


def strip_of(facts: Facts | None, width: int = 80, progress: Progress | None = None) -> list[str]:
    return [line_text(line) for line in draw_strip(facts, width, opening="pid 4242", progress=progress)]


@pytest.mark.parametrize("width", [40, 80, 120, 200])
def test_five_lines_that_fit(width: int) -> None:
    lines = draw_strip(FACTS, width, opening="pid 4242")
    assert len(lines) == 5
    assert all(line_width(line) <= max(width, 45) for line in lines)


def test_it_names_the_target_before_anything_is_known() -> None:
    assert "pid 4242" in strip_of(None)[0]


def test_figures_growth_and_time_to_the_limit() -> None:
    title, values, _graphs, growth, engines = strip_of(FACTS)
    assert "shop" in title and "pid 4242 · go1.26.6 · up 2h14m" in title and "watching 84 s" in title
    assert "212 MB" in values and "1240/4096" in values and "612" in values
    assert "full in 3m15s" in growth and "/min" in growth
    assert "● proc no impact" in engines and "✕ memory unavailable" in engines and "14 ms" in engines


def test_what_nothing_has_seen_is_a_dash_and_no_zero() -> None:
    series = {Metric.RSS: LEVEL_SERIES[Metric.RSS]}
    _, values, _, growth, _ = strip_of(
        replace(FACTS, series=series, assessment=replace(LEAKING, open_bodies=None))
    )
    assert values.count("–") == 4
    assert growth.count("not seen yet") == 4


def test_a_level_series_has_no_time_to_the_limit() -> None:
    growth = strip_of(replace(FACTS, series=LEVEL_SERIES))[3]
    assert "full in" not in growth and growth.count("±0/min") == 5


def test_progress_pause_and_exit_take_the_corner() -> None:
    assert "execution trace" in strip_of(FACTS, progress=Progress("execution trace: 64 kB", 0.4))[0]
    assert "‖ paused" in strip_of(replace(FACTS, paused=True))[0]
    assert "■ exited" in strip_of(replace(FACTS, exited="gone"), progress=Progress("x", None))[0]


def test_many_engines_lose_their_words_before_their_names() -> None:
    sources = tuple(Source(f"engine{index}", SourceState.UNAVAILABLE) for index in range(5))
    engines = strip_of(replace(FACTS, snapshot=replace(SNAPSHOT, sources=sources)))[4]
    assert "unavailable" not in engines
    assert all(f"engine{index}" in engines for index in range(5))
