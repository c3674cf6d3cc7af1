"""The walkthrough as a pure step function: `step(state, event) -> state`.

Law: no I/O and no clock; time comes in events. A step ends as soon as the facts suffice for it, and at the
latest when its patience does; what could not be had is said and left out. Whatever costs the process
something is a question first, and no answer means no.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from leaktui.guide import events
from leaktui.guide.by_hand import commands
from leaktui.guide.costs import question_for
from leaktui.guide.culprit import choose_case
from leaktui.guide.enough import Enough, enough, needless
from leaktui.guide.events import Event
from leaktui.guide.looks import graph_of, look, wishes_of
from leaktui.guide.script import CLOCK_SECONDS, STEPS, Name
from leaktui.guide.sight import Sight
from leaktui.guide.state import Before, Outcome, Progress, State, StepState, Wish, WishKind
from leaktui.model.finding import Verdict

_SEE_RESULT_SECONDS = 3.0
"""A result stays at least so long before the walkthrough goes on by itself."""
_SEE_SKIPPED_SECONDS = 1.2
_LATE_SECONDS = CLOCK_SECONDS - 25.0
"""From here on nobody is given time to read."""

BRIEF = (Name.ATTACH, Name.BASELINE, Name.GROW, Name.KIND, Name.LINE, Name.VERIFY)
"""The steps of a demonstration of the fix alone."""


def begin(
    *,
    demo: bool = False,
    names: Sequence[Name] | None = None,
    auto: bool = True,
    paced: bool = True,
    pace: float = 1.0,
    read_only: bool = False,
) -> State:
    """A walkthrough at its start. In a *demo* there is a repaired build to prove at the end.

    With *paced* it leaves time to read (*pace* 2: half of it); without, nothing waits for a reader and nothing is
    asked.
    """
    wanted = names or [step.name for step in STEPS if demo or step.name is not Name.VERIFY]
    steps = tuple(StepState(step) for step in STEPS if step.name in wanted)
    return State(steps=steps, demo=demo, auto=auto, paced=paced, pace=pace, read_only=read_only)


def step(state: State, event: Event) -> State:
    """What *event* makes of *state*."""
    state = _reconsider(_take(_tick(state, event.time), event))
    while True:
        before = state
        state = _advance(_work(state))
        if state.at == before.at:
            return state


# -- events ------------------------------------------------------------------------------------


def _tick(state: State, time: float) -> State:
    """The clock as far as *time*; it stands while nobody looks, and at the end."""
    passed = 0.0 if state.time is None or state.held or state.finished else max(0.0, time - state.time)
    return replace(state, time=time, seconds=state.seconds + passed)


def _take(state: State, event: Event) -> State:
    """What an event changes at once, before any step is worked on."""
    if isinstance(event, events.FactsCame):
        return replace(state, sight=event.sight)
    if isinstance(event, events.NextAsked):
        if state.shown < state.at:
            return replace(state, shown=state.shown + 1)
        return replace(state, eager=True)
    if isinstance(event, events.BackAsked):
        return replace(state, shown=max(0, state.shown - 1), auto=False)
    if isinstance(event, events.SkipAsked):
        return _skip(state)
    if isinstance(event, events.AutoTurned):
        return replace(state, auto=not state.auto, shown=state.at)
    if isinstance(event, events.Answered):
        return _answer(state, yes=event.yes)
    if isinstance(event, events.Held | events.Resumed):
        return replace(state, held=isinstance(event, events.Held))
    if isinstance(event, events.Explained):
        return replace(state, explained=True, explanation=event.explanation, why_unexplained=event.reason)
    if isinstance(event, events.Written):
        return _refresh(replace(state, written=event.paths, why_unwritten=event.reason))
    if isinstance(event, events.Swapped):
        return replace(state, swapped=True, after_pid=event.pid, why_unswapped=event.reason)
    return replace(state, verified=True, verification=event.verification, why_unverified=event.reason)


def _skip(state: State) -> State:
    if state.shown < state.at:
        return replace(state, shown=state.shown + 1)
    if state.current.over:
        return replace(state, eager=True)
    return replace(_end(state, Progress.SKIPPED, "you left it out"), eager=True)


def _answer(state: State, *, yes: bool, nobody: bool = False) -> State:
    question = state.question
    if question is None:
        return state
    if yes:
        return _wish(replace(state, question=None, agreed=state.seconds), question.wish)
    reason = (
        f"{question.wish.kind.value}: {'nobody answered' if nobody else 'you said no'}, so it was left out"
    )
    state = replace(state, question=None, refused=state.refused | {question.wish.kind})
    return _with_step(state, reason=reason) if question.wish.kind is not WishKind.WRITE else state


def _reconsider(state: State) -> State:
    """Back to the kind where what was taken for no leak, or for no suspect, turns out to be one.

    Also where "nothing leaks" does not stand any more, as long as there is time to watch on.
    """
    sight = state.sight
    if sight is None:
        return state
    verdict = sight.assessment.verdict
    shaken = verdict is Verdict.UNDECIDED and state.outcome is Outcome.NOTHING and sight.exited is None
    if shaken and state.seconds >= _LATE_SECONDS:
        return _refresh(replace(state, outcome=Outcome.UNDECIDED))
    if not shaken and (verdict is not Verdict.LEAK or sight.culprit is None):
        return state
    names = [item.step.name for item in state.steps]
    kind = names.index(Name.KIND)
    concluded = state.outcome in (Outcome.NOTHING, Outcome.UNDECIDED) and not state.blocked
    if state.finding is not None or not concluded or state.at <= kind:
        return state
    steps = (*state.steps[:kind], *(StepState(item.step) for item in state.steps[kind:]))
    shown = min(state.shown, kind)
    return replace(
        state, steps=steps, at=kind, shown=shown, outcome=Outcome.OPEN, finished=False, question=None
    )


# -- the step that is being done ---------------------------------------------------------------


def _work(state: State) -> State:
    """Do what can be done of the current step with what is known."""
    sight, current = state.sight, state.current
    if sight is None or current.over:
        return _ask_to_write(state)
    if current.progress is Progress.TO_DO:
        state = _with_step(state, progress=Progress.DOING, began=state.seconds)
    state = _choose(_judge(state, sight), sight)
    if reason := needless(state, sight):
        return _end(state, Progress.SKIPPED, reason)
    for wish in wishes_of(state, sight):
        state = _wish(state, wish)
    state = _refresh(state)
    state = _ask(state, sight)
    verdict = enough(state, sight)
    if verdict is Enough.NOT_YET:
        return state
    reason = "" if verdict is Enough.YES else state.current.reason or _gave_up(state)
    return _settle(_end(_refresh(state), Progress.DONE, reason or state.current.reason), sight)


def _gave_up(state: State) -> str:
    return f"went on after {state.current.step.patience:.0f} s with what there was"


def _judge(state: State, sight: Sight) -> State:
    """The suspect as it is known now, until one real case of it has been looked at."""
    name, culprit = state.current.step.name, sight.culprit
    if name is Name.ATTACH or state.wished(WishKind.SWAP):
        return state
    looked = state.named(Name.CONFIRM)
    # One that was looked at closely stays, unless it is now known where it was not.
    open_still = looked is None or not looked.over or state.finding is None or state.finding.location is None
    if culprit is not None and open_still:
        state = replace(state, finding=culprit)
    if name is Name.REPORT and state.outcome in (Outcome.OPEN, Outcome.UNDECIDED) and not state.blocked:
        state = replace(
            state, outcome=_outcome(state, sight)
        )  # whoever skips to the end wants the answer, too
    return state


def _settle(state: State, sight: Sight) -> State:
    """What the end of a step decides for those after it."""
    name = state.current.step.name
    if name is Name.ATTACH and not sight.sees and sight.exited is None:
        blocked = "nothing here can see its goroutines, bodies or heap"
        return replace(state, blocked=blocked, outcome=Outcome.UNDECIDED)
    if name in (Name.KIND, Name.LINE):
        return _refresh(replace(state, outcome=_outcome(state, sight)))
    return state


def _outcome(state: State, sight: Sight) -> Outcome:
    verdict = sight.assessment.verdict
    if verdict is Verdict.LEAK and state.finding is not None:
        return Outcome.LEAK
    if verdict is Verdict.CLEAN and sight.exited is None:
        return Outcome.NOTHING
    return Outcome.UNDECIDED


def _choose(state: State, sight: Sight) -> State:
    """What a step looks at all the time it takes: one real case; the curve as it was before the fix."""
    name, finding = state.current.step.name, state.finding
    if finding is None:
        return state
    if name is Name.CONFIRM and state.holder is None and not state.address and not state.goid:
        case = choose_case(sight, finding)
        return replace(state, holder=case.body, address=case.address, goid=case.goid)
    if name is Name.VERIFY and not state.wished(WishKind.SWAP):
        metric = sight.metric_of(finding.kind)
        points = tuple(sight.series.get(metric, ()))
        return replace(state, before=Before(metric, points, sight.snapshot.target.pid or 0))
    return state


def _refresh(state: State) -> State:
    """The current step with the newest of what is seen."""
    sight = state.sight
    if sight is None:
        return state
    name = state.current.step.name
    what, why = state.current.step.words(state.finding.kind if state.finding is not None else None)
    return _with_step(
        state,
        what=what,
        why=why,
        seen=look(name, state, sight),
        by_hand=commands(name, state, sight),
        graph=graph_of(name, state, sight),
    )


def _ask(state: State, sight: Sight) -> State:
    """Open the question this step has to ask, or close one that nobody answers."""
    if state.question is not None:
        expires = state.question.expires
        if state.auto and expires is not None and state.seconds >= expires:
            return _answer(state, yes=state.question.unasked, nobody=True)
        return state
    if not state.paced:
        return state
    return replace(state, question=question_for(state, sight))


def _ask_to_write(state: State) -> State:
    """At the end the files are offered, for as long as one likes."""
    if state.sight is None or not state.paced or state.question is not None:
        return state
    if state.current.step.name is not Name.REPORT or state.current.progress is not Progress.DONE:
        return state
    return replace(state, question=question_for(state, state.sight))


def _end(state: State, progress: Progress, reason: str = "") -> State:
    current = state.current
    began = current.began if current.began is not None else state.seconds
    what, why = current.step.words(state.finding.kind if state.finding is not None else None)
    state = replace(state, question=None)
    return _with_step(
        state, progress=progress, reason=reason, began=began, ended=state.seconds, what=what, why=why
    )


def _wish(state: State, wish: Wish) -> State:
    return state if wish in state.wishes else replace(state, wishes=(*state.wishes, wish))


def _with_step(state: State, **changes: object) -> State:
    changed = replace(state.current, **changes)  # type: ignore[arg-type]
    return replace(state, steps=(*state.steps[: state.at], changed, *state.steps[state.at + 1 :]))


# -- going on ----------------------------------------------------------------------------------


def _advance(state: State) -> State:
    """To the next step when this one is over and has been read, or when it is asked for."""
    if not state.current.over:
        return state
    if state.at + 1 == len(state.steps):
        return replace(state, finished=True, eager=False)
    if not state.eager and not (state.auto and _read(state)):
        return state
    following = state.at + 1
    shown = following if state.shown == state.at else state.shown
    return replace(state, at=following, shown=shown, eager=False, question=None)


def _read(state: State) -> bool:
    """Whether there was time to read what is shown."""
    current = state.current
    if not state.paced:
        return True
    if current.ended is None or current.began is None or state.shown != state.at:
        return False
    rest = (state.seconds - current.ended) * state.pace
    if current.progress is Progress.SKIPPED:
        return rest >= _SEE_SKIPPED_SECONDS
    if state.seconds > _LATE_SECONDS:
        return rest >= _SEE_RESULT_SECONDS / 2
    return (
        rest >= _SEE_RESULT_SECONDS and (state.seconds - current.began) * state.pace >= current.step.reading
    )
