"""The questions: what would tell more, and what it costs the process. Pure.

Law: one question a thing and a walkthrough; what was refused is not asked again.
"""

from __future__ import annotations

from leaktui.engines.protocol import LEDGERS, Want
from leaktui.guide.script import Name
from leaktui.guide.sight import LEDGER_OF, Sight
from leaktui.guide.state import Progress, Question, State, Wish, WishKind
from leaktui.model.finding import Confidence, LeakKind

ANSWER_SECONDS = 10.0
"""A question nobody answers is taken as no after so long, when the walkthrough goes by itself."""

DEMO_SECONDS = 6.0
"""In the demo, where the process is ours, it is taken as yes after so long."""

_DOUBT_SECONDS = 5.0
"""The free sources have so long to prove the line before anything that costs is offered."""

_COSTS = {
    LeakKind.HTTP_BODY: "about 25 µs a request while they are in",
    LeakKind.FD: "about 5 µs for each descriptor opened or closed",
    LeakKind.HEAP: "2 to 9 µs for each large allocation",
}
_PAUSE = "It stops the process for 0.5 to 1.3 s, and for some milliseconds more with each look."


def question_for(state: State, sight: Sight) -> Question | None:
    """What the current step has to ask, None for nothing."""
    name = state.current.step.name
    if name is Name.REPORT and state.current.progress is Progress.DONE:
        return _files(state)
    if state.read_only or sight.exited is not None:
        return None
    if name is Name.LINE:
        return _probes(state, sight)
    if name is Name.CONFIRM:
        return _debugger(state, sight)
    return None


def _fresh(state: State, kind: WishKind) -> bool:
    """Whether *kind* was neither done nor refused."""
    return kind not in state.refused and not state.wished(kind)


def _probes(state: State, sight: Sight) -> Question | None:
    finding = state.finding
    if finding is None or finding.kind not in LEDGER_OF or not _fresh(state, WishKind.ARM):
        return None
    if finding.confidence is Confidence.PROVEN and finding.location is not None:
        return None
    kind = LEDGER_OF[finding.kind]
    if not sight.offers(LEDGERS[kind]) or LEDGERS[kind] in sight.under_way:
        return None
    if not sight.assessment.settled and state.seconds - (state.current.began or 0.0) < _DOUBT_SECONDS:
        return None
    return Question(
        f"Arm kernel probes to prove which line it is ({kind.value})?",
        f"{_COSTS[finding.kind][0].upper()}{_COSTS[finding.kind][1:]}. Nothing is stopped; they are taken out again.",
        Wish(WishKind.ARM, ledger=kind),
        state.seconds + (DEMO_SECONDS if state.demo else ANSWER_SECONDS),
        unasked=state.demo,
    )


def _debugger(state: State, sight: Sight) -> Question | None:
    """A look with Delve, where memory has no closer look at the goroutine."""
    if not state.goid or not sight.offers(Want.INSPECTION) or not _fresh(state, WishKind.INSPECT):
        return None
    if sight.offers(Want.DETAIL) or state.finding is None or state.finding.kind is not LeakKind.GOROUTINE:
        return None
    return Question(
        f"Have Delve look at goroutine {state.goid}?",
        _PAUSE,
        Wish(WishKind.INSPECT, state.goid),
        state.seconds + ANSWER_SECONDS,
    )


def _files(state: State) -> Question | None:
    if state.demo or not _fresh(state, WishKind.WRITE):
        return None
    return Question(
        "Write the report into this directory, as Markdown for a ticket?",
        "A new file, readable by you only; secrets are masked.",
        Wish(WishKind.WRITE),
    )
