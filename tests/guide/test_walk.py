"""The walkthrough as a pure function: each step, each way it adapts, each key."""

from __future__ import annotations

from dataclasses import replace

import pytest

from leaktui.engines.protocol import Want
from leaktui.guide import (
    BRIEF,
    CLOCK_SECONDS,
    STEPS,
    Name,
    Outcome,
    Progress,
    Sight,
    State,
    StepState,
    WishKind,
    begin,
)
from leaktui.guide.events import (
    Answered,
    AutoTurned,
    BackAsked,
    FactsCame,
    Held,
    NextAsked,
    Resumed,
    SkipAsked,
    Swapped,
    Verified,
    Written,
)
from leaktui.model.finding import Confidence, Finding, LeakKind, Verdict
from leaktui.model.ledger import LedgerKind
from leaktui.model.verification import Measurement, Verification, VerificationVerdict
from leaktui.session.history import Metric
from tests.guide.scenes import (
    EXPLANATION,
    GOROUTINE,
    HEAP,
    PROVEN,
    RISING,
    Walker,
    blind,
    from_memory,
    healthy,
    leaking,
    looking,
    offering,
    probing,
    sight,
    with_descriptors,
    with_detail,
    with_holders,
)
from tests.tui.scene import BODY_LEDGER, HELD_BODY, SUSPECT, TARGET


def at(state: State, name: Name) -> StepState:
    found = state.named(name)
    assert found is not None
    return found


def said(state: State, name: Name) -> str:
    return "\n".join(f"{seen.text} [{seen.source}]" for seen in at(state, name).seen)


def states_of(state: State) -> dict[str, str]:
    return {item.step.name.value: item.progress.value for item in state.steps}


# -- to the end without a key --------------------------------------------------------------------


def test_a_leak_is_walked_through_to_the_fix() -> None:
    walker = Walker(from_memory())
    state = walker.finish()
    assert set(states_of(state).values()) == {"done"}
    assert state.outcome is Outcome.LEAK
    assert state.seconds < 3, "with all facts there nothing is waited for"
    assert "main.loadUser  user.go:41" in said(state, Name.LINE)
    assert "proven" in said(state, Name.LINE)
    assert EXPLANATION.text in said(state, Name.FIX)
    assert EXPLANATION.text in said(state, Name.REPORT)
    for item in state.steps:
        assert item.what and item.why and item.by_hand, item.step.name


def test_read_along_it_takes_less_than_three_minutes() -> None:
    walker = Walker(from_memory(), begin(paced=True))
    state = walker.finish()
    assert 45 < state.seconds < CLOCK_SECONDS - 60
    for item in state.steps[:-1]:
        assert item.began is not None and item.ended is not None
    shown = [step.steps[step.shown].step.name for step in walker.states]
    assert all(shown.count(item.step.name) * 0.5 >= 5 for item in state.steps[:-1]), "too short to read"


def test_the_steps_fit_on_the_clock() -> None:
    reading = sum(step.reading for step in STEPS)
    assert reading <= CLOCK_SECONDS - 60, "waiting has to fit, too"
    assert [step.name for step in STEPS] == list(Name)


def test_late_nobody_is_given_time_to_read() -> None:
    slow = Walker(looking(), begin(paced=True))
    slow.until(lambda state: state.seconds > 70)
    slow.shown = from_memory()
    assert slow.finish().seconds < CLOCK_SECONDS


def test_the_same_events_give_the_same_walk() -> None:
    one, other = Walker(from_memory()), Walker(from_memory())
    assert one.finish() == other.finish()


def test_before_any_fact_nothing_happens() -> None:
    state = begin()
    for event in (NextAsked(5.0), SkipAsked(6.0), BackAsked(7.0), Answered(8.0, True)):
        from leaktui.guide import step

        state = step(state, event)
    assert state.wishes == () and not state.finished


# -- the kinds -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("shown", "word", "who"),
    [
        (from_memory(), "response bodies that are never closed", "users.internal"),
        (leaking(GOROUTINE), "goroutines that never end", "wait in"),
        (with_descriptors(), "file descriptors that are never closed", "/srv/invoices/*.tmp"),
        (leaking(HEAP), "memory that stays live", "main.decodeItems"),
    ],
    ids=["body", "goroutine", "fd", "heap"],
)
def test_every_kind_is_named_and_grouped(shown: Sight, word: str, who: str) -> None:
    state = Walker(shown).finish()
    assert word in said(state, Name.KIND)
    assert who in said(state, Name.WHO)
    assert state.outcome is Outcome.LEAK
    assert at(state, Name.FIX).progress is Progress.DONE
    kind = shown.assessment.suspects[0].kind
    assert at(state, Name.LINE).what == at(state, Name.LINE).step.by_kind[kind][0]


def test_what_follows_from_the_cause_is_not_blamed() -> None:
    text = said(Walker(from_memory()).finish(), Name.KIND)
    assert "with it: goroutines +" in text


def test_who_started_the_goroutines_is_said() -> None:
    state = Walker(leaking(GOROUTINE)).finish()
    assert "started by main.newThumbnailer  thumbs.go:31" in said(state, Name.LINE)


# -- one real case -------------------------------------------------------------------------------


def test_an_orphaned_body_is_the_proof() -> None:
    state = Walker(from_memory()).finish()
    text = said(state, Name.CONFIRM)
    assert "POST http://mail.internal/send → 202" in text
    assert "nobody can close it" in text
    assert not state.wished(WishKind.HOLDERS), "what is freed has no address to search for"


def test_a_body_that_is_held_is_followed_to_its_holder() -> None:
    walker = Walker(from_memory(HELD_BODY))
    state = walker.until(lambda state: state.current.step.name is Name.CONFIRM)
    assert walker.wants(WishKind.HOLDERS) == [HELD_BODY.address]
    walker.shown = with_holders(walker.shown)
    state = walker.finish()
    assert "held by the variable example.com/shop/users.pending" in said(state, Name.CONFIRM)
    assert "token=…" in said(state, Name.CONFIRM) and "secret" not in said(state, Name.CONFIRM)


def test_a_search_without_an_answer_is_waited_for_only_so_long() -> None:
    walker = Walker(from_memory(HELD_BODY))
    state = walker.finish()
    confirm = at(state, Name.CONFIRM)
    assert confirm.progress is Progress.DONE and "went on after" in confirm.reason
    assert state.seconds < 30


def test_a_goroutine_is_looked_at_closely_where_memory_can() -> None:
    base = from_memory(finding=GOROUTINE)
    walker = Walker(base)
    walker.until(lambda state: state.current.step.name is Name.CONFIRM)
    (goid,) = walker.wants(WishKind.DETAIL)
    assert goid in (18, 19, 20, 21)
    walker.shown = with_detail(base, goid)
    assert at(walker.finish(), Name.CONFIRM).reason == ""


def test_a_descriptor_can_be_checked_with_ls() -> None:
    state = Walker(with_descriptors()).finish()
    assert "/proc/4242/fd/19 → /srv/invoices/19.tmp" in said(state, Name.CONFIRM)


def test_without_a_case_to_show_confirming_is_left_out() -> None:
    shown = leaking(replace(PROVEN, kind=LeakKind.HEAP))
    state = Walker(shown).finish()
    assert at(state, Name.CONFIRM).progress is Progress.SKIPPED
    assert at(state, Name.CONFIRM).reason == "no source here shows them one by one"


# -- nothing leaks, undecided, nothing to see ----------------------------------------------------


def test_a_healthy_process_is_told_what_was_looked_at() -> None:
    state = Walker(healthy()).finish()
    assert state.outcome is Outcome.NOTHING
    for name in (Name.WHO, Name.LINE, Name.CONFIRM, Name.FIX):
        assert (at(state, name).progress, at(state, name).reason) == (Progress.SKIPPED, "nothing leaks")
    report = said(state, Name.REPORT)
    assert "nothing leaks: here is what we looked at, for 84 s" in report
    for words in ("goroutines:", "live heap:", "file descriptors:", "looks [pprof]", "looks [proc]"):
        assert words in report
    assert not state.wished(WishKind.EXPLAIN)


def test_growth_is_waited_for_and_given_up_in_time() -> None:
    walker = Walker(looking())
    state = walker.finish()
    assert state.outcome is Outcome.UNDECIDED
    assert 60 < state.seconds < CLOCK_SECONDS
    assert "undecided after" in said(state, Name.REPORT)


def test_an_unsure_suspect_stays_one_and_says_what_is_missing() -> None:
    unsure = replace(SUSPECT, confidence=Confidence.POSSIBLE)
    base = leaking(unsure)
    assessment = replace(
        base.assessment, verdict=Verdict.UNDECIDED, settled=False, missing=("the heap could not be seen",)
    )
    state = Walker(replace(base, assessment=assessment)).finish()
    assert state.outcome is Outcome.UNDECIDED
    assert "possible, no more than that" in said(state, Name.LINE)
    assert "missing: the heap could not be seen" in said(state, Name.REPORT)
    assert state.seconds < CLOCK_SECONDS


def test_without_a_line_there_is_no_fix() -> None:
    nowhere = replace(SUSPECT, location=None, function="")
    state = Walker(leaking(nowhere)).finish()
    assert at(state, Name.FIX).reason == "the line is not known"
    assert "the place is not known" in said(state, Name.LINE)
    assert state.wished(WishKind.TRACE), "one more light look may tell"


def test_nothing_to_see_ends_with_the_remedies() -> None:
    state = Walker(blind()).finish()
    assert state.outcome is Outcome.UNDECIDED
    assert "import net/http/pprof" in said(state, Name.ATTACH)
    assert "would help: import net/http/pprof [pprof]" in said(state, Name.REPORT)
    assert at(state, Name.GROW).progress is Progress.SKIPPED
    assert state.seconds < 15


def test_an_unreadable_source_leaves_the_advice() -> None:
    state = Walker(from_memory(), explanation=False).finish()
    text = said(state, Name.FIX)
    assert "the source is not on this machine" in text and "defer resp.Body.Close()" in text


# -- the process ends ----------------------------------------------------------------------------


def test_a_process_that_ends_early_leaves_nothing_to_say() -> None:
    walker = Walker(looking())
    walker.until(lambda state: state.current.step.name is Name.GROW)
    walker.shown = replace(looking(), exited="process 4242 exited")
    state = walker.finish()
    assert state.outcome is Outcome.UNDECIDED
    assert at(state, Name.GROW).reason == "the process is gone"
    assert state.seconds < 10


def test_a_process_that_ends_after_the_line_leaves_the_fix() -> None:
    walker = Walker(from_memory(), begin(paced=True))
    walker.until(lambda state: state.current.step.name is Name.LINE)
    walker.shown = replace(from_memory(), exited="process 4242 exited")
    state = walker.finish()
    assert at(state, Name.CONFIRM).reason == "the process is gone"
    assert at(state, Name.FIX).progress is Progress.DONE
    assert "main.loadUser" in said(state, Name.REPORT)


# -- what costs is asked for ---------------------------------------------------------------------


def paced_at_line(shown: Sight) -> Walker:
    walker = Walker(shown, begin(paced=True))
    walker.until(lambda state: state.question is not None)
    return walker


def test_probes_are_offered_once_with_their_cost() -> None:
    walker = paced_at_line(probing())
    question = walker.state.question
    assert question is not None and walker.state.current.step.name is Name.LINE
    assert "25 µs a request" in question.cost and "taken out again" in question.cost
    assert not walker.state.wished(WishKind.ARM), "nothing before a yes"
    walker.happen(Answered, False)
    assert walker.state.question is None
    state = walker.finish()
    assert not state.wished(WishKind.ARM)
    assert "you said no" in at(state, Name.LINE).reason


def test_a_question_nobody_answers_means_no() -> None:
    walker = paced_at_line(probing())
    asked = walker.state.seconds
    state = walker.until(lambda state: state.question is None)
    assert 9 <= state.seconds - asked <= 12
    assert not state.wished(WishKind.ARM)
    assert "nobody answered" in at(state, Name.LINE).reason


def test_on_our_own_demo_no_answer_means_yes() -> None:
    walker = Walker(probing(), begin(demo=True, paced=True))
    walker.until(lambda state: state.question is not None)
    state = walker.until(lambda state: state.question is None)
    assert state.wished(WishKind.ARM)


def test_nothing_leaks_is_taken_back_when_something_does() -> None:
    walker = Walker(healthy(), begin(paced=True))
    walker.until(lambda state: state.current.step.name is Name.REPORT)
    walker.shown = from_memory()
    state = walker.finish()
    assert state.outcome is Outcome.LEAK
    assert at(state, Name.FIX).progress is Progress.DONE


def test_a_suspect_that_comes_late_is_still_looked_at() -> None:
    walker = Walker(looking(), begin(paced=True))
    walker.until(lambda state: state.current.step.name is Name.REPORT)
    assert at(walker.state, Name.LINE).reason == "there is no suspect"
    walker.shown = from_memory()
    assert walker.finish().outcome is Outcome.LEAK


def test_clean_is_said_only_when_it_holds() -> None:
    walker = Walker(replace(healthy(), watched_seconds=30.5))
    for state in walker.ticks(3):
        assert state.outcome is Outcome.OPEN
    walker.shown = healthy()
    assert walker.finish().outcome is Outcome.NOTHING


def test_clean_that_does_not_hold_to_the_end_is_taken_back() -> None:
    walker = Walker(healthy(), begin())
    assert walker.finish().outcome is Outcome.NOTHING
    walker.shown = replace(
        healthy(), assessment=replace(healthy().assessment, verdict=Verdict.UNDECIDED, settled=False)
    )
    assert next(iter(walker.ticks(1))).outcome is Outcome.OPEN
    assert not walker.state.finished and walker.state.current.step.name is Name.KIND
    walker.shown = healthy()
    assert walker.finish().outcome is Outcome.NOTHING


def test_late_clean_that_does_not_hold_is_undecided_at_once() -> None:
    walker = Walker(healthy(), begin())
    walker.finish()
    walker.state = replace(walker.state, seconds=170.0)
    walker.shown = replace(
        healthy(), assessment=replace(healthy().assessment, verdict=Verdict.UNDECIDED, settled=False)
    )
    assert next(iter(walker.ticks(1))).outcome is Outcome.UNDECIDED
    assert walker.state.finished


def test_where_memory_rises_clean_has_to_hold_for_longer() -> None:
    base = healthy()
    walker = Walker(
        replace(base, series={**base.series, Metric.RSS: RISING[Metric.RSS]}, watched_seconds=40.0)
    )
    for state in walker.ticks(3):
        assert state.outcome is Outcome.OPEN
    walker.shown = replace(walker.shown, watched_seconds=56.0)
    assert walker.finish().outcome is Outcome.NOTHING


def test_key_by_key_a_question_stands() -> None:
    walker = paced_at_line(probing())
    walker.happen(AutoTurned)
    for state in walker.ticks(40):
        assert state.question is not None


def test_a_yes_arms_and_they_are_taken_out_again() -> None:
    walker = paced_at_line(probing())
    walker.happen(Answered, True)
    assert [wish.ledger for wish in walker.state.wishes if wish.kind is WishKind.ARM] == [LedgerKind.BODIES]
    armed = probing(armed=True)
    walker.shown = replace(armed, snapshot=replace(armed.snapshot, ledgers=(BODY_LEDGER,)))
    for state in walker.ticks(5):
        assert not at(state, Name.LINE).over, "the books want some seconds"
        walker.shown = replace(
            walker.shown,
            snapshot=replace(
                walker.shown.snapshot, ledgers=(replace(BODY_LEDGER, began=BODY_LEDGER.time - 3),)
            ),
        )
    walker.shown = probing(PROVEN, armed=True)
    assert at(walker.until(lambda state: at(state, Name.LINE).over, 2), Name.LINE).reason == ""
    state = walker.finish()
    assert state.wished(WishKind.DISARM)


@pytest.mark.parametrize(
    ("shown", "options"),
    [
        (probing(PROVEN), {}),
        (probing(), {"read_only": True}),
        (probing(armed=True), {}),
        (leaking(SUSPECT), {}),
        (leaking(GOROUTINE), {}),
    ],
    ids=["proven", "read-only", "armed", "no probes here", "goroutines"],
)
def test_nobody_is_asked_for_what_is_not_needed(shown: Sight, options: dict[str, bool]) -> None:
    walker = Walker(shown, begin(paced=True, **options))
    walker.finish()
    assert all(
        state.question is None or state.question.wish.kind is WishKind.WRITE for state in walker.states
    )


def test_without_a_reader_nothing_is_asked() -> None:
    walker = Walker(probing())
    walker.finish()
    assert all(state.question is None for state in walker.states)


def test_a_debugger_is_offered_where_memory_cannot_look() -> None:
    walker = paced_at_line(offering(leaking(GOROUTINE), Want.INSPECTION))
    question = walker.state.question
    assert question is not None and "Delve" in question.what and "stops the process" in question.cost
    assert walker.state.current.step.name is Name.CONFIRM
    walker.happen(Answered, True)
    assert walker.wants(WishKind.INSPECT)


def test_the_report_is_written_only_when_asked_for() -> None:
    walker = Walker(from_memory(), begin(paced=True))
    state = walker.finish()
    assert not state.wished(WishKind.WRITE)
    state = walker.tick()
    assert state.question is not None and state.question.expires is None
    walker.happen(Answered, True)
    assert walker.state.wished(WishKind.WRITE)
    state = walker.happen(Written, ("/tmp/report.md",))
    assert "written: /tmp/report.md" in said(state, Name.REPORT)
    state = walker.happen(Written, (), "the disk is full")
    assert "not written: the disk is full" in said(state, Name.REPORT)


# -- keys ----------------------------------------------------------------------------------------


def test_key_by_key_each_step_waits() -> None:
    walker = Walker(from_memory(), begin(auto=False))
    for state in walker.ticks(30):
        assert state.at == 0
    names = []
    while not walker.state.finished:
        names.append(walker.state.current.step.name)
        walker.happen(NextAsked)
        walker.tick()
    assert names == [step.name for step in STEPS[:-2]]


def test_next_goes_on_as_soon_as_the_step_is_done() -> None:
    walker = Walker(looking(), begin(auto=False))
    walker.happen(NextAsked)
    walker.tick()
    walker.happen(NextAsked)
    walker.tick()
    assert walker.state.current.step.name is Name.GROW
    walker.happen(NextAsked)
    for state in walker.ticks(5):
        assert state.current.step.name is Name.GROW
    walker.shown = from_memory()
    walker.tick()
    assert walker.state.current.step.name is Name.KIND


def test_back_reads_again_and_forward_returns() -> None:
    walker = Walker(from_memory(), begin(paced=True))
    walker.until(lambda state: state.current.step.name is Name.WHO)
    walker.happen(BackAsked)
    walker.happen(BackAsked)
    assert (walker.state.looked_at.step.name, walker.state.auto) == (Name.GROW, False)
    for state in walker.ticks(60):
        assert state.current.step.name is Name.WHO, "it waits for whoever reads"
    walker.happen(NextAsked)
    walker.happen(NextAsked)
    assert walker.state.shown == walker.state.at
    walker.happen(AutoTurned)
    assert walker.finish().outcome is Outcome.LEAK


def test_back_at_the_start_stays_there() -> None:
    walker = Walker(from_memory())
    walker.happen(BackAsked)
    assert walker.state.shown == 0


@pytest.mark.parametrize("name", [step.name for step in STEPS[:-1]])
def test_any_step_can_be_skipped(name: Name) -> None:
    walker = Walker(looking(), begin(paced=True))
    while walker.state.current.step.name is not name:
        walker.tick()
        walker.happen(SkipAsked)
        walker.tick()
    walker.shown = from_memory()
    state = walker.finish()
    assert at(state, name).over
    if name is not Name.REPORT:
        assert state.finding is not None or name is Name.REPORT


def test_a_skipped_step_says_so() -> None:
    walker = Walker(looking())
    walker.until(lambda state: state.current.step.name is Name.GROW)
    walker.happen(SkipAsked)
    state = walker.tick()
    assert (at(state, Name.GROW).progress, at(state, Name.GROW).reason) == (
        Progress.SKIPPED,
        "you left it out",
    )
    assert state.current.step.name is Name.KIND


def test_the_clock_stands_while_nobody_looks() -> None:
    walker = Walker(from_memory(), begin(paced=True))
    walker.tick()
    walker.tick()
    before = walker.state.seconds
    walker.happen(Held)
    walker.time += 500
    walker.happen(Resumed)
    assert walker.state.seconds == before
    walker.tick()
    assert walker.state.seconds == before + 0.5


def test_time_does_not_go_back() -> None:
    walker = Walker(from_memory(), begin(paced=True))
    walker.tick()
    walker.tick()
    before = walker.state.seconds
    walker.time -= 100
    walker.happen(FactsCame, walker.shown)
    assert walker.state.seconds == before


# -- the fix -------------------------------------------------------------------------------------


def verification(verdict: VerificationVerdict) -> Verification:
    measured = Measurement(TARGET, 15.0, ())
    return Verification(measured, measured, verdict, (), ("0 of 300 were left open",))


def mended() -> Sight:
    base = healthy()
    target = replace(TARGET, pid=4343)
    series = {
        metric: tuple((time + 200.0, 3.0) for time, _ in points[-20:]) for metric, points in RISING.items()
    }
    return replace(base, snapshot=replace(base.snapshot, target=target), series=series, watched_seconds=2.0)


def test_the_demo_ends_with_the_fix_verified() -> None:
    walker = Walker(from_memory(), begin(demo=True, paced=False))
    walker.until(lambda state: state.wished(WishKind.SWAP))
    assert walker.state.before is not None and walker.state.before.pid == 4242
    walker.happen(Swapped, 4343)
    walker.shown = mended()
    for state in walker.ticks(4):
        assert not state.wished(WishKind.VERIFY), "both are measured for as long"
    walker.shown = replace(mended(), watched_seconds=16.0)
    walker.tick()
    assert walker.state.wished(WishKind.VERIFY)
    walker.happen(Verified, verification(VerificationVerdict.FIXED))
    state = walker.finish()
    text = said(state, Name.VERIFY)
    assert "pid 4242 is gone; the repaired build runs as pid 4343" in text
    assert "verdict: fixed [verify]" in text and "0 of 300" in text
    assert state.outcome is Outcome.LEAK
    assert state.finding == PROVEN, "the suspect is the one that was mended"


def test_a_build_that_does_not_start_is_said() -> None:
    walker = Walker(from_memory(), begin(demo=True, paced=False))
    walker.until(lambda state: state.wished(WishKind.SWAP))
    walker.happen(Swapped, 0, "the repaired build did not start: no room")
    state = walker.finish()
    assert "no room" in said(state, Name.VERIFY)
    assert not state.wished(WishKind.VERIFY)


def test_a_healthy_demo_has_nothing_to_prove() -> None:
    state = Walker(healthy(), begin(demo=True, paced=False)).finish()
    assert at(state, Name.VERIFY).reason == "nothing leaks"
    assert not state.wished(WishKind.SWAP)


def test_the_short_way_to_the_fix() -> None:
    walker = Walker(from_memory(), begin(demo=True, names=BRIEF, paced=False))
    walker.until(lambda state: state.wished(WishKind.SWAP))
    assert [item.step.name for item in walker.state.steps] == list(BRIEF)


def test_the_old_builds_end_is_no_end_of_the_walk() -> None:
    walker = Walker(from_memory(), begin(demo=True, paced=False))
    walker.until(lambda state: state.wished(WishKind.SWAP))
    walker.happen(Swapped, 4343)
    walker.shown = replace(walker.shown, exited="process 4242 exited")
    walker.tick()
    assert not walker.state.finished


# -- a suspect that changes ----------------------------------------------------------------------


def test_a_better_answer_replaces_the_first() -> None:
    first: Finding = replace(SUSPECT, function="main.other", confidence=Confidence.LIKELY)
    shown = leaking(first)
    walker = Walker(replace(shown, assessment=replace(shown.assessment, settled=False)), begin(paced=True))
    walker.until(lambda state: state.current.step.name is Name.LINE)
    walker.shown = leaking(PROVEN)
    state = walker.finish()
    assert state.finding is not None and state.finding.function == "main.loadUser"
    assert "main.other" not in said(state, Name.REPORT)


def test_a_line_that_is_known_late_is_still_taken() -> None:
    nowhere = replace(SUSPECT, location=None, function="")
    walker = Walker(leaking(nowhere), begin(demo=True, paced=True))
    walker.until(lambda state: state.current.step.name is Name.REPORT)
    walker.shown = from_memory()
    state = walker.until(lambda state: state.wished(WishKind.SWAP))
    assert state.finding == PROVEN
    assert [wish.finding for wish in state.wishes if wish.kind is WishKind.SWAP] == [PROVEN]


def test_sources_that_do_not_answer_are_not_waited_for_for_ever() -> None:
    from leaktui.model.capability import Source, SourceState

    base = sight()
    sources = (*base.snapshot.sources, Source("probes", SourceState.WAITING))
    walker = Walker(replace(base, snapshot=replace(base.snapshot, sources=sources)))
    state = walker.until(lambda state: at(state, Name.ATTACH).over, 15)
    assert "went on after 10 s" in at(state, Name.ATTACH).reason
    assert state.blocked == ""
