"""Does a series rise? Theil–Sen slopes with Sen's confidence bounds, and a test for levelling off.

Sources: H. Theil (1950) and P. K. Sen, "Estimates of the regression coefficient based on Kendall's tau",
JASA 63 (1968), section 6 for the bounds. Chosen because one odd point (a burst, a late GC) moves neither.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

from leaktui.model.assessment import Slope

Series = Sequence[tuple[float, float]]
"""(seconds, value), times ascending."""

_MOST_POINTS = 90
_Z = 1.96
# A series whose last half adds less than this share of what its first half added has levelled off.
_LEVEL_SHARE = 0.15


def theil_sen(series: Series) -> Slope | None:
    """The trend of *series*, or None with fewer than 3 points or no time between them.

    Cost is quadratic, so a longer series is thinned evenly to 90 points first.
    """
    points = _thinned(series)
    count = len(points)
    if count < 3 or points[-1][0] <= points[0][0]:
        return None
    slopes = sorted(
        (later[1] - earlier[1]) / (later[0] - earlier[0])
        for index, earlier in enumerate(points)
        for later in points[index + 1 :]
        if later[0] > earlier[0]
    )
    if not slopes:
        return None
    total = len(slopes)
    middle = total // 2
    median = slopes[middle] if total % 2 else (slopes[middle - 1] + slopes[middle]) / 2
    spread = _Z * math.sqrt(count * (count - 1) * (2 * count + 5) / 18)
    low = slopes[max(0, math.floor((total - spread) / 2))]
    high = slopes[min(total - 1, math.ceil((total + spread) / 2))]
    rising = count >= 4 and low > 0 and not levels_off(points)
    return Slope(
        per_minute=median * 60,
        low=low * 60,
        high=high * 60,
        points=count,
        seconds=points[-1][0] - points[0][0],
        rising=rising,
    )


def levels_off(series: Series) -> bool:
    """Whether the second half of *series* (in time) adds next to nothing to what the first half added."""
    if len(series) < 6:
        return False
    first, last = series[0], series[-1]
    middle_time = (first[0] + last[0]) / 2
    middle = min(series, key=lambda point: abs(point[0] - middle_time))
    early, late = middle[1] - first[1], last[1] - middle[1]
    return early > 0 and late <= early * _LEVEL_SHARE


def _thinned(series: Series) -> list[tuple[float, float]]:
    if len(series) <= _MOST_POINTS:
        return list(series)
    step = (len(series) - 1) / (_MOST_POINTS - 1)
    return [series[round(index * step)] for index in range(_MOST_POINTS)]


def rises(series: Series, *, least_gain: float) -> Slope | None:
    """The slope of *series* if it rises by at least *least_gain* in all, else None."""
    if len(series) < 4 or series[-1][1] - series[0][1] < least_gain:
        return None
    slope = theil_sen(series)
    return slope if slope is not None and slope.rising else None
