"""Orders of a debugger through the session: consent goes with the order, and what it gives is folded in."""

from __future__ import annotations

import time
from collections.abc import Callable

from leaktui.engines.fake import FakeEngine
from leaktui.engines.fake_delve import PLAN, burst, evaluation, inspection
from leaktui.engines.protocol import EvaluationSeen, InspectionSeen, Refused, TracepointsSeen, Want
from leaktui.model.capability import Capability, Impact
from leaktui.model.target import Target
from leaktui.session.conductor import Session

DEBUGS = (Want.INSPECTION, Want.EVALUATION, Want.TRACEPOINTS)


def wait_until(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 20
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.01)


def delve() -> FakeEngine:
    armed, over = burst(100.0, seconds=1.0, armed=True), burst(100.0)
    return FakeEngine(
        {
            Want.TRACEPOINTS: [
                [Refused(Want.TRACEPOINTS, "gdb traces it", "end gdb first")],
                [TracepointsSeen(armed), TracepointsSeen(over)],
            ],
            Want.INSPECTION: [[InspectionSeen(inspection(7))]],
            Want.EVALUATION: [[EvaluationSeen(evaluation("resp.StatusCode", 7, 1))]],
        },
        name="delve",
        capability=Capability("delve", True, Impact.PAUSES, tuple(want.value for want in DEBUGS)),
    )


def test_a_burst_is_ordered_with_its_plan_and_its_cost_is_counted_once() -> None:
    engine = delve()
    session = Session(Target(1), [engine])
    session.start()
    wait_until(lambda: session.offers(Want.TRACEPOINTS))
    assert engine.asked == [], "nothing is asked of a debugger by itself"

    def order() -> None:
        wants = {Want.TRACEPOINTS}
        wait_until(lambda: session.order(wants, plan=PLAN, allow_pauses=True, allow_breakpoints=True))
        wait_until(lambda: not session.is_under_way(Want.TRACEPOINTS))

    order()
    (source,) = session.snapshot.sources
    assert (source.detail, source.remedy) == ("gdb traces it", "end gdb first")
    order()
    run = session.snapshot.tracepoints
    assert run is not None and not run.armed and len(run.hits) == 39
    (source,) = session.snapshot.sources
    assert source.detail == "" and source.remedy == "", "what was refused before is no longer news"
    assert abs(source.pause_ms - (run.stops_ms + run.attach_stop_ms)) < 1e-6
    assert all(item.plan is PLAN and item.allow_breakpoints and item.allow_pauses for item in engine.asked)
    session.close()


def test_looks_and_expressions_carry_where_they_are_meant() -> None:
    engine = delve()
    session = Session(Target(1), [engine])
    session.start()
    wait_until(lambda: session.offers(Want.EVALUATION))
    wait_until(lambda: session.order({Want.INSPECTION}, subject=7, allow_pauses=True))
    session.order(
        {Want.EVALUATION}, subject=7, frame_index=1, expression="resp.StatusCode", allow_pauses=True
    )
    wait_until(lambda: bool(session.snapshot.evaluations))
    assert [item.goid for item in session.snapshot.inspections] == [7]
    asked = engine.asked[-1]
    assert (asked.subject, asked.frame_index, asked.expression) == (7, 1, "resp.StatusCode")
    assert not asked.allow_breakpoints
    session.close()
