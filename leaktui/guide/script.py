"""The walkthrough as data: its steps in order, what each does and why, in plain words, and its share of the clock.

Law: no step knows a process. What was seen is added by `seen`, the commands by `by_hand`, both from facts.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum

from leaktui.model.finding import LeakKind

CLOCK_SECONDS = 180.0
"""What all steps together may take: three minutes."""


class Name(Enum):
    """The steps, in their order. The value is the word on the rail."""

    ATTACH = "attach"
    BASELINE = "baseline"
    GROW = "grow"
    KIND = "kind"
    WHO = "who"
    LINE = "line"
    CONFIRM = "confirm"
    FIX = "fix"
    REPORT = "report"
    VERIFY = "verify"


@dataclass(frozen=True, slots=True)
class Step:
    """One step. `by_kind` says *what* and *why* otherwise where the kind of the leak is known.

    `patience` is how many seconds it may take before it goes on with what it has; `reading` is how many seconds
    it stays on the screen at least when the walkthrough goes by itself.
    """

    name: Name
    title: str
    what: str
    why: str
    patience: float
    reading: float
    by_kind: Mapping[LeakKind, tuple[str, str]] = field(default_factory=dict)

    def words(self, kind: LeakKind | None) -> tuple[str, str]:
        """What is done and why, for a leak of *kind*."""
        return self.by_kind.get(kind, (self.what, self.why)) if kind is not None else (self.what, self.why)


_WHO = {
    LeakKind.HTTP_BODY: (
        "List every open response body: which host it came from, and how far it was read.",
        "Idle connections and bodies somebody is reading are no leak. What was left unread, with nobody at it, is.",
    ),
    LeakKind.GOROUTINE: (
        "Group the goroutines by what they wait for and by who started them.",
        "Goroutines of one cause have one stack. The group that only grows is the one; a pool keeps its size.",
    ),
    LeakKind.FD: (
        "Group the descriptors by what they are: sockets, files, pipes.",
        "The name of a file or the peer of a socket often says already which part of the program it is.",
    ),
    LeakKind.HEAP: (
        "List the places in the program whose memory stays live after garbage collections.",
        "What is allocated and freed is no leak, however much it is. What counts is what survives, and grows.",
    ),
}
_LINE = {
    LeakKind.HTTP_BODY: (
        "Find the function that got the body and should have closed it.",
        "Many functions hand a response on. Its owner is the last one that had it in hand.",
    ),
    LeakKind.GOROUTINE: (
        "Find the line the goroutines are stuck at, and the go statement that started them.",
        "A goroutine ends when its function returns. It cannot while it waits for something that never comes.",
    ),
    LeakKind.FD: (
        "Find the function that opens the descriptor and should have closed it.",
        "The kernel knows which descriptors are open, not who opened them. That takes the calls behind the opening.",
    ),
    LeakKind.HEAP: (
        "Find the line that allocates what stays.",
        "The collector frees whatever nobody can reach. What stays is still held by something: a map, a slice, a list.",
    ),
}
_CONFIRM = {
    LeakKind.HTTP_BODY: (
        "Take one of these bodies and look who still holds it.",
        "A body that nothing holds any more can be closed by nobody. Its connection waits for ever.",
    ),
    LeakKind.GOROUTINE: (
        "Take one of these goroutines and look what it waits on.",
        "If nothing that still runs can reach what it waits on, nobody will ever wake it.",
    ),
    LeakKind.FD: (
        "Take one of these descriptors and look what it is.",
        "One real example is worth more than a count: you can check it yourself with ls.",
    ),
    LeakKind.HEAP: (
        "Take one such object and look what holds it.",
        "What holds it is what keeps the collector from freeing it, and mostly it is what has to be emptied.",
    ),
}
_FIX = {
    LeakKind.HTTP_BODY: (
        "Read the function: on which path is Close left out, and where does it belong?",
        "resp.Body has to be closed on every way out of the function, also when the status is not 200.",
    ),
    LeakKind.GOROUTINE: (
        "Read the function: who was to wake the goroutine, and when does that not happen?",
        "Every wait needs a second way out: a context, a closed channel, or room in the channel.",
    ),
    LeakKind.FD: (
        "Read the function: on which path is Close left out, and where does it belong?",
        "Whatever is opened is closed on every way out, best by a defer right after the check for an error.",
    ),
    LeakKind.HEAP: (
        "Read the function: what is only ever added to, and when should it shrink?",
        "A cache needs a bound or an expiry; a slice kept of a large one keeps all of it.",
    ),
}

STEPS: tuple[Step, ...] = (
    Step(
        Name.ATTACH,
        "Attach",
        "Ask every source what it can see of this process, and what that costs it.",
        "Looking must not hurt the service. What would stop or change it is asked for first, each time.",
        patience=10.0,
        reading=6.0,
    ),
    Step(
        Name.BASELINE,
        "Baseline",
        "Note how much of everything there is now.",
        "One number says little: a busy service holds a lot. What counts is what is added from here on.",
        patience=8.0,
        reading=5.0,
    ),
    Step(
        Name.GROW,
        "Watch it grow",
        "Watch the same numbers for a while.",
        "Load comes and goes, a cache fills up and levels off. A leak goes up and never comes down.",
        patience=60.0,
        reading=6.0,
    ),
    Step(
        Name.KIND,
        "What kind",
        "Tell the cause from what follows from it.",
        "One cause moves many numbers: an unclosed body also keeps a connection, two goroutines and a descriptor.",
        patience=60.0,
        reading=6.0,
    ),
    Step(
        Name.WHO,
        "Who",
        "Look at what piles up, one by one and in groups.",
        "What has one cause looks alike. The group that grows leads to the code.",
        patience=8.0,
        reading=7.0,
        by_kind=_WHO,
    ),
    Step(
        Name.LINE,
        "Pinpoint the line",
        "Find the function and the line.",
        "A number tells that it leaks, a line tells what to do.",
        patience=45.0,
        reading=9.0,
        by_kind=_LINE,
    ),
    Step(
        Name.CONFIRM,
        "Confirm on one real holder",
        "Take one of them and look at it closely.",
        "Statistics can mislead. One real case that fits to the last detail is a proof you can check.",
        patience=15.0,
        reading=8.0,
        by_kind=_CONFIRM,
    ),
    Step(
        Name.FIX,
        "Why it is not released, and the fix",
        "Read the function in the source.",
        "The line says where; the code says why.",
        patience=8.0,
        reading=14.0,
        by_kind=_FIX,
    ),
    Step(
        Name.REPORT,
        "Report and baseline",
        "Sum up what was found, and keep the numbers to compare with after the fix.",
        "A fix is proved by the same measurement afterwards, not by hope.",
        patience=6.0,
        reading=7.0,
    ),
    Step(
        Name.VERIFY,
        "Prove the fix",
        "Run the repaired build in its place and measure the same things for the same time.",
        "If it is fixed, the curve that rose stays level.",
        patience=75.0,
        reading=10.0,
    ),
)
