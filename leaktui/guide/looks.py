"""Which look belongs to which step: what it shows, what it wants done, which number it draws. Pure."""

from __future__ import annotations

from leaktui.engines.protocol import Want
from leaktui.guide.closing import seen_after, seen_report
from leaktui.guide.culprit import seen_case, seen_fix, seen_line
from leaktui.guide.first_looks import rising_metric, seen_growth, seen_sources, seen_start
from leaktui.guide.leak_kind import seen_kind, seen_missing, seen_who
from leaktui.guide.script import Name
from leaktui.guide.sight import Sight
from leaktui.guide.state import Seen, State, Wish, WishKind
from leaktui.model.finding import LeakKind
from leaktui.session.history import Metric

_DRAWN = frozenset({Name.GROW, Name.KIND, Name.VERIFY})

AFTER_SECONDS = 15.0
"""Both builds are watched at least so long before they are compared."""


def look(name: Name, state: State, sight: Sight) -> tuple[Seen, ...]:
    """What the step *name* sees now."""
    finding = state.finding
    if name is Name.ATTACH:
        return seen_sources(sight)
    if name is Name.BASELINE:
        return seen_start(sight)
    if name is Name.GROW:
        return seen_growth(sight)
    if name is Name.KIND:
        return seen_kind(sight, finding, state.outcome)
    if name is Name.LINE:
        return seen_line(sight, finding)
    if name is Name.REPORT:
        return seen_report(state, sight)
    if finding is None:
        return seen_missing(sight)
    if name is Name.WHO:
        return seen_who(sight, finding)
    if name is Name.CONFIRM:
        return seen_case(state, sight, finding)
    if name is Name.FIX:
        return seen_fix(state.explanation, state.why_unexplained, finding, explained=state.explained)
    return seen_after(state, sight)


def graph_of(name: Name, state: State, sight: Sight) -> Metric | None:
    """The number that shows this step best."""
    if name not in _DRAWN:
        return None
    if name is Name.VERIFY and state.before is not None:
        return state.before.metric
    if state.finding is not None:
        return sight.metric_of(state.finding.kind)
    return rising_metric(sight) or (Metric.RSS if sight.series.get(Metric.RSS) else None)


def wishes_of(state: State, sight: Sight) -> tuple[Wish, ...]:
    """What the current step wants done that costs the process nothing worth asking for."""
    name, finding = state.current.step.name, state.finding
    if name is Name.BASELINE:
        return (Wish(WishKind.BASELINE),)
    if name is Name.LINE and finding is not None and finding.location is None:
        settled = sight.assessment.settled and sight.offers(Want.TRACE)
        return (Wish(WishKind.TRACE),) if settled and Want.TRACE not in sight.under_way else ()
    if name is Name.CONFIRM and finding is not None:
        disarm = (Wish(WishKind.DISARM),) if state.wished(WishKind.ARM) else ()
        if state.address and sight.offers(Want.HOLDERS):
            return (*disarm, Wish(WishKind.HOLDERS, state.address))
        if state.goid and finding.kind is LeakKind.GOROUTINE and sight.offers(Want.DETAIL):
            return (*disarm, Wish(WishKind.DETAIL, state.goid))
        return disarm
    if name is Name.FIX and finding is not None and not state.wished(WishKind.EXPLAIN):
        return (Wish(WishKind.EXPLAIN, finding=finding),)
    if name is Name.VERIFY:
        if not state.wished(WishKind.SWAP):
            ready = state.before is not None and _long_enough(sight)
            return (Wish(WishKind.SWAP, finding=finding),) if ready else ()
        if state.after_pid and sight.snapshot.target.pid == state.after_pid and _long_enough(sight):
            return (Wish(WishKind.VERIFY, finding=finding),)
    return ()


def _long_enough(sight: Sight) -> bool:
    return sight.watched_seconds >= AFTER_SECONDS
