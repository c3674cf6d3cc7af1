"""The strip on top, as text."""

from __future__ import annotations

from dataclasses import replace

import pytest

from leaktui.model.capability import Source, SourceState
from leaktui.session.history import Metric, Point
from leaktui.tui.facts import Facts
from leaktui.tui.strip import Progress, draw_engines, draw_metric, draw_status, draw_title
from leaktui.tui.widgets.toned import line_text, line_width
from tests.tui.scene import CAPABILITIES, LEAKING, LEVEL_SERIES, RISING_SERIES, SNAPSHOT

FACTS = Facts(SNAPSHOT, LEAKING, RISING_SERIES, CAPABILITIES, watched_seconds=84.0, uptime_seconds=8_040.0)


WIDTHS = [4, 15, 23, 39]


def metrics_of(facts: Facts, width: int = 15) -> list[str]:
    """The three rows of the graphs, as they stand side by side."""
    cells = [draw_metric(metric, facts, width) for metric in Metric]
    return [" ".join(line_text(cell[row]) for cell in cells) for row in range(3)]


@pytest.mark.parametrize("width", WIDTHS)
@pytest.mark.parametrize("series", [RISING_SERIES, LEVEL_SERIES, {}])
def test_every_figure_fills_its_cell_exactly(width: int, series: dict[Metric, tuple[Point, ...]]) -> None:
    for metric in Metric:
        assert [line_width(line) for line in draw_metric(metric, replace(FACTS, series=series), width)] == [
            width
        ] * 3


def test_figures_growth_and_time_to_the_limit() -> None:
    title, engines = line_text(draw_title(FACTS)), line_text(draw_engines(FACTS, 80))
    values, _graphs, growth = metrics_of(FACTS)
    assert "shop" in title and "pid 4242 · go1.26.6 · up 2h14m" in title
    assert line_text(draw_status(FACTS)) == "● watching 84 s"
    assert "212 MB" in values and "1240/4096" in values and "612" in values
    assert "full in 3m15s" in growth and "/min" in growth
    assert "● proc no impact" in engines and "✕ memory unavailable" in engines and "14 ms" in engines


def test_what_nothing_has_seen_is_a_dash_and_no_zero() -> None:
    series = {Metric.RSS: LEVEL_SERIES[Metric.RSS]}
    values, _, growth = metrics_of(
        replace(FACTS, series=series, assessment=replace(LEAKING, open_bodies=None))
    )
    assert values.count("–") == 4
    assert growth.count("not seen yet") == 4


def test_a_level_series_has_no_time_to_the_limit() -> None:
    growth = metrics_of(replace(FACTS, series=LEVEL_SERIES))[2]
    assert "full in" not in growth and growth.count("±0/min") == 5


def test_progress_pause_and_exit_take_the_corner() -> None:
    trace = Progress("execution trace: 64 kB", 0.4)
    assert "execution trace" in line_text(draw_status(FACTS, trace))
    assert "Esc stops it" in line_text(draw_status(FACTS, trace, roomy=True))
    assert line_text(draw_status(replace(FACTS, paused=True))) == "‖ paused"
    assert line_text(draw_status(replace(FACTS, exited="gone"), trace)) == "■ exited"


def test_many_engines_lose_their_words_before_their_names() -> None:
    sources = tuple(Source(f"engine{index}", SourceState.UNAVAILABLE) for index in range(5))
    engines = line_text(draw_engines(replace(FACTS, snapshot=replace(SNAPSHOT, sources=sources)), 80))
    assert "unavailable" not in engines
    assert all(f"engine{index}" in engines for index in range(5))
