"""When a step has what it needs, and when there is no use in doing it at all. Pure."""

from __future__ import annotations

from enum import Enum

from leaktui.engines.protocol import LEDGERS, Want
from leaktui.guide.culprit import find_detail, find_search
from leaktui.guide.first_looks import rising_metric, slope_of
from leaktui.guide.script import Name
from leaktui.guide.sight import LEDGER_OF, Sight
from leaktui.guide.state import Outcome, State, WishKind
from leaktui.model.assessment import Assessment
from leaktui.model.finding import Confidence, LeakKind
from leaktui.session.history import Metric

_PROBED_SECONDS = 25.0
"""A body is not called left before it is 20 s old: probes are given so long to prove something."""

_CLEAN_SECONDS = 34.0
"""Nothing leaks is a conclusion that has to hold for some seconds: what was seen last comes late on a busy machine."""

_RISING_SECONDS = 55.0

_ARMING_SECONDS = 4.0
"""Probes that were agreed to and are not in by then will not come."""

_CURVE_SECONDS = 8.0
"""A suspect may be proven sooner; a curve wants to be seen first."""

_OF_THE_SUSPECT = frozenset({Name.WHO, Name.LINE, Name.CONFIRM, Name.FIX, Name.VERIFY})
_OF_THE_PROCESS = frozenset({Name.ATTACH, Name.BASELINE, Name.GROW, Name.CONFIRM, Name.VERIFY})


class Enough(Enum):
    """Whether a step can end."""

    YES = "yes"
    NOT_YET = "not yet"
    GAVE_UP = "gave up"


def needless(state: State, sight: Sight) -> str:
    """Why the current step is not worth doing, in a few words; empty where it is."""
    name = state.current.step.name
    if state.blocked and name is not Name.REPORT:
        return state.blocked
    if sight.exited is not None and name in _OF_THE_PROCESS and not state.swapped:
        return "the process is gone"
    if name not in _OF_THE_SUSPECT:
        return ""
    if state.outcome is Outcome.NOTHING:
        return "nothing leaks"
    if state.finding is None and (name is not Name.LINE or state.outcome is Outcome.UNDECIDED):
        return "there is no suspect"
    if name in (Name.FIX, Name.VERIFY) and state.finding is not None and state.finding.location is None:
        return "the line is not known" if name is Name.FIX else ""
    if name is Name.CONFIRM and not _has_case(state):
        return "no source here shows them one by one"
    return ""


def _has_case(state: State) -> bool:
    finding = state.finding
    if finding is None:
        return False
    if finding.kind is LeakKind.FD:
        return True
    return bool(state.holder is not None or state.address or state.goid)


def enough(state: State, sight: Sight) -> Enough:
    """Whether the current step can end now."""
    if _suffices(state, sight):
        return Enough.YES
    began = state.current.began if state.current.began is not None else state.seconds
    # A question that is open is waited for: somebody may be reading it.
    if state.question is None and state.seconds - began >= _patience(state):
        return Enough.GAVE_UP
    if sight.exited is not None and state.current.step.name is not Name.FIX and not state.swapped:
        return Enough.GAVE_UP
    return Enough.NOT_YET


def _patience(state: State) -> float:
    patience = state.current.step.patience
    armed_late = state.current.step.name is Name.LINE and state.wished(WishKind.ARM)
    return patience + _PROBED_SECONDS if armed_late else patience


def _suffices(state: State, sight: Sight) -> bool:
    name, assessment = state.current.step.name, sight.assessment
    if name is Name.ATTACH:
        return not sight.waiting and sight.sees
    if name is Name.BASELINE:
        return sight.sees
    if name is Name.GROW:
        named = _named(assessment) and sight.watched_seconds >= _CURVE_SECONDS
        return rising_metric(sight) is not None or named or assessment.settled
    if name is Name.KIND:
        return _named(assessment) or (assessment.settled and (bool(assessment.suspects) or _holds(sight)))
    if name is Name.WHO:
        return bool(state.current.seen)
    if name is Name.LINE:
        return _pinned(state, sight)
    if name is Name.CONFIRM:
        return _confirmed(state, sight)
    if name is Name.FIX:
        return state.explained
    if name is Name.REPORT:
        return True
    return state.verified or bool(state.why_unswapped)


def _holds(sight: Sight) -> bool:
    """Whether "nothing leaks" has held for long enough; where memory still rises it has to for longer."""
    slopes = [slope_of(metric, sight) for metric in (Metric.RSS, Metric.LIVE_HEAP)]
    rising = any(slope is not None and slope.rising for slope in slopes)
    return sight.watched_seconds >= (_RISING_SECONDS if rising else _CLEAN_SECONDS)


def _named(assessment: Assessment) -> bool:
    """Whether there is a suspect that is more than possible."""
    first = next(iter(assessment.suspects), None)
    return first is not None and (first.confidence is not Confidence.POSSIBLE or first.surely_grows)


def _pinned(state: State, sight: Sight) -> bool:
    finding, assessment = state.finding, sight.assessment
    if finding is None:
        return assessment.settled
    if finding.confidence is Confidence.PROVEN and finding.location is not None:
        return True
    if not assessment.settled or state.question is not None:
        return False
    if finding.location is None and sight.exited is None:
        return False  # the looks that cost nothing go on: one of them may tell
    kind = LEDGER_OF.get(finding.kind)
    if kind is None or not state.wished(WishKind.ARM):
        return True
    ledger = sight.snapshot.ledger(kind)
    if LEDGERS[kind] in sight.under_way:
        return ledger is not None and ledger.seconds >= _PROBED_SECONDS
    return state.seconds - state.agreed >= _ARMING_SECONDS  # they are gone again, or never went in


def _confirmed(state: State, sight: Sight) -> bool:
    finding = state.finding
    if finding is None or state.question is not None:
        return finding is None
    if finding.kind is LeakKind.FD:
        return True
    if state.address and sight.offers(Want.HOLDERS):
        search = find_search(sight, state.address)
        return search is not None and (search.done or bool(search.path))
    if state.goid and finding.kind is LeakKind.GOROUTINE and sight.offers(Want.DETAIL):
        return find_detail(sight, state.goid) is not None
    if state.wished(WishKind.INSPECT):
        return any(item.goid == state.goid for item in sight.snapshot.inspections)
    return True
