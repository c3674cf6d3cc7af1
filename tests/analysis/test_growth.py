"""Slopes: what rises, what only wobbles, what has levelled off."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from leaktui.analysis.growth import levels_off, rises, theil_sen


def every_second(values: list[float]) -> list[tuple[float, float]]:
    return [(float(second), value) for second, value in enumerate(values)]


def test_a_straight_line_has_its_slope_and_tight_bounds() -> None:
    slope = theil_sen(every_second([10 + 2 * second for second in range(12)]))
    assert slope is not None
    assert slope.per_minute == pytest.approx(120)
    assert slope.low == pytest.approx(120)
    assert slope.high == pytest.approx(120)
    assert slope.rising


def test_one_wild_point_does_not_move_the_slope() -> None:
    values = [10.0 + second for second in range(15)]
    values[7] = 5000
    slope = theil_sen(every_second(values))
    assert slope is not None
    assert slope.per_minute == pytest.approx(60, rel=0.05)


def test_wobble_around_a_mean_does_not_rise() -> None:
    slope = theil_sen(every_second([20, 25, 19, 24, 20, 26, 18, 25, 21, 24, 20, 25]))
    assert slope is not None
    assert not slope.rising


def test_a_cache_that_filled_has_levelled_off() -> None:
    values = [0, 20, 40, 60, 80, 100, 100, 100, 100, 100, 100, 100.0]
    assert levels_off(every_second(values))
    assert rises(every_second(values), least_gain=4) is None


def test_a_steady_leak_in_steps_rises() -> None:
    values = [float(second // 4) for second in range(24)]
    slope = rises(every_second(values), least_gain=4)
    assert slope is not None
    assert slope.per_minute == pytest.approx(15, rel=0.3)


@pytest.mark.parametrize("series", [[], [(0.0, 1.0)], [(0.0, 1.0), (1.0, 2.0)], [(1.0, 1.0)] * 5])
def test_too_little_to_say(series: list[tuple[float, float]]) -> None:
    assert theil_sen(series) is None


@given(st.lists(st.floats(-1e9, 1e9), min_size=3, max_size=200))
def test_the_slope_lies_within_its_bounds(values: list[float]) -> None:
    slope = theil_sen(every_second(values))
    assert slope is not None
    assert slope.low <= slope.per_minute <= slope.high
    assert slope.points <= 90


@given(st.lists(st.integers(0, 1000), min_size=6, max_size=60), st.integers(-100, 100))
def test_a_shift_of_all_values_changes_nothing(values: list[int], shift: int) -> None:
    plain = theil_sen(every_second([float(value) for value in values]))
    shifted = theil_sen(every_second([float(value + shift) for value in values]))
    assert plain is not None
    assert shifted is not None
    assert plain.per_minute == pytest.approx(shifted.per_minute)
