"""Descriptors that rise, steadily or until the collector comes by."""

from __future__ import annotations

from leaktui.analysis.fds import rising_fds
from tests.analysis.histories import files, history


def test_what_only_the_collector_closes_goes_in_heaps() -> None:
    sawtooth = history(40, lambda second: (), fds=lambda second: files(10 + 3 * (second % 10)))
    [found] = rising_fds(sawtooth)
    assert (found.steady, found.collapses) == (False, 3)
    busy = history(40, lambda second: (), fds=lambda second: files(10 + (second * 7) % 11))
    assert not any(item.collapses for item in rising_fds(busy))
