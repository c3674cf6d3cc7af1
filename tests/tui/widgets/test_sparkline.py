"""Graphs of one line."""

from __future__ import annotations

from leaktui.tui.widgets.sparkline import draw_bar, draw_sparkline


def test_a_rising_series_rises_over_the_whole_height() -> None:
    drawn = draw_sparkline([(float(second), float(second)) for second in range(8)], 8)
    assert drawn == "▁▂▃▄▅▆▇█"


def test_a_flat_series_is_a_flat_low_line() -> None:
    assert draw_sparkline([(float(second), 100.0) for second in range(4)], 6) == "▁▁▁▁  "
    assert draw_sparkline([(0.0, 0.0), (1.0, 0.0)], 4) == "▁▁  "


def test_a_ripple_is_no_mountain() -> None:
    assert "█" not in draw_sparkline([(float(second), 100.0 + second % 2) for second in range(8)], 8)


def test_columns_drawn_stay_while_new_ones_come() -> None:
    series = [(float(second), float(second % 3)) for second in range(12)]
    assert draw_sparkline(series, 16)[:9] == draw_sparkline(series[:9], 16)[:9]


def test_gaps_keep_the_last_value() -> None:
    assert draw_sparkline([(0.0, 0.0), (5.0, 7.0)], 8) == "▁▁▁▁▁█  "


def test_a_long_series_is_squeezed_to_the_width() -> None:
    series = [(float(second), float(second)) for second in range(3_600)]
    drawn = draw_sparkline(series, 15)
    assert len(drawn) == 15 and drawn[0] == "▁" and drawn.rstrip()[-1] == "█"


def test_nothing_is_blank() -> None:
    assert draw_sparkline([], 5) == "     "
    assert draw_sparkline([(1.0, 1.0)], 0) == ""


def test_bar() -> None:
    assert [draw_bar(fraction, 4) for fraction in (-1, 0.5, 2)] == ["────", "━━──", "━━━━"]
