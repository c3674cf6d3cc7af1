"""How the live heap moved during an execution trace.

Law: one observation a collection, the bytes it left alive; a trend is told with the number it rests on.
"""

from __future__ import annotations

from leaktui.analysis.growth import theil_sen
from leaktui.model.assessment import Slope
from leaktui.model.trace import TraceSummary


def live_heap_slope(trace: TraceSummary) -> Slope | None:
    """The slope of the live heap after each collection, in bytes a minute; None from fewer than three."""
    return theil_sen([(point.time_ns / 1e9, float(point.live_bytes)) for point in trace.heap])
