"""Where a walkthrough stands. Everything a screen or a log draws is in here; nothing in here acts.

Law: what the walkthrough wants done is a `Wish` in `State.wishes`; whoever runs it does each once, and tells
what came of it by an event.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

from leaktui.guide.script import Name, Step
from leaktui.guide.sight import Points, Sight
from leaktui.model.assessment import GroupRow, SiteRow
from leaktui.model.body import BodyHolder
from leaktui.model.explanation import Explanation
from leaktui.model.finding import Finding
from leaktui.model.ledger import LedgerKind
from leaktui.model.verification import Verification
from leaktui.session.history import Metric


class Progress(Enum):
    """How far a step is."""

    TO_DO = "to do"
    DOING = "doing"
    DONE = "done"
    SKIPPED = "skipped"


class Weight(Enum):
    """What a line means; a screen gives it a colour."""

    PLAIN = "plain"
    MAIN = "main"
    GOOD = "good"
    BAD = "bad"
    UNSURE = "unsure"
    SIDE = "side"


Subject = Finding | GroupRow | BodyHolder | SiteRow
"""A row that a line tells of: where a screen can go from it."""


@dataclass(frozen=True, slots=True)
class Seen:
    """One thing that was seen, in a sentence, by `source` (empty for a conclusion)."""

    text: str
    source: str = ""
    weight: Weight = Weight.PLAIN
    subject: Subject | None = None


@dataclass(frozen=True, slots=True)
class StepState:
    """A step and what became of it. `reason` says why it was skipped, or what it had to do without.

    `began` and `ended` are on the walkthrough's clock, in seconds; `graph` is the number that shows the step best.
    """

    step: Step
    progress: Progress = Progress.TO_DO
    reason: str = ""
    began: float | None = None
    ended: float | None = None
    what: str = ""
    why: str = ""
    seen: tuple[Seen, ...] = ()
    by_hand: tuple[str, ...] = ()
    graph: Metric | None = None

    @property
    def over(self) -> bool:
        """Whether nothing more will be done in it."""
        return self.progress in (Progress.DONE, Progress.SKIPPED)


class WishKind(Enum):
    """What a walkthrough can want done."""

    BASELINE = "count differences from now on"
    ARM = "arm probes"
    DISARM = "take the probes out"
    HOLDERS = "look who holds an object"
    DETAIL = "look closely at a goroutine"
    INSPECT = "have a debugger look at a goroutine"
    TRACE = "take an execution trace"
    EXPLAIN = "read the function"
    WRITE = "write the report"
    SWAP = "run the repaired build"
    VERIFY = "compare before and after"


@dataclass(frozen=True, slots=True)
class Wish:
    """One thing to be done. `subject` is an address or a goid, `ledger` what is to be probed."""

    kind: WishKind
    subject: int = 0
    ledger: LedgerKind | None = None
    finding: Finding | None = None


@dataclass(frozen=True, slots=True)
class Question:
    """Something that costs, asked where it occurs. Left alone it means no, at `expires` on the walkthrough's clock.

    `expires` is None where it may stand for ever. `unasked` is what no answer means: yes only on a process that is our
    own, the demo's.
    """

    what: str
    cost: str
    wish: Wish
    expires: float | None = None
    unasked: bool = False


class Outcome(Enum):
    """What the walkthrough came to."""

    OPEN = "open"
    LEAK = "leak"
    NOTHING = "nothing leaks"
    UNDECIDED = "undecided"


@dataclass(frozen=True, slots=True)
class Before:
    """The curve of what leaked, as it was until the repaired build took over."""

    metric: Metric
    points: Points
    pid: int


@dataclass(frozen=True, slots=True)
class State:
    """The whole walkthrough.

    `at` is the step that is being done, `shown` the one that is looked at; `seconds` the clock. `auto` says that it
    goes by itself. `paced` is False where nobody reads along: then nothing waits for a reader; `pace` 2 is for one
    who reads twice as fast.
    `agreed` is when a question was last answered with yes. `holder`, `address` and `goid` are the one real case that
    is looked at.
    `blocked` says in a sentence why nothing more can be found out (the process is gone, nothing can be seen).
    """

    steps: tuple[StepState, ...]
    at: int = 0
    shown: int = 0
    seconds: float = 0.0
    time: float | None = None
    held: bool = False
    auto: bool = True
    paced: bool = True
    pace: float = 1.0
    read_only: bool = False
    demo: bool = False
    eager: bool = False
    arrived: float = 0.0
    sight: Sight | None = None
    outcome: Outcome = Outcome.OPEN
    blocked: str = ""
    finding: Finding | None = None
    holder: BodyHolder | None = None
    address: int = 0
    goid: int = 0
    question: Question | None = None
    refused: frozenset[WishKind] = frozenset()
    agreed: float = 0.0
    wishes: tuple[Wish, ...] = ()
    explanation: Explanation | None = None
    explained: bool = False
    why_unexplained: str = ""
    written: tuple[str, ...] = ()
    why_unwritten: str = ""
    before: Before | None = None
    after_pid: int = 0
    swapped: bool = False
    why_unswapped: str = ""
    verification: Verification | None = None
    verified: bool = False
    why_unverified: str = ""
    finished: bool = False

    @property
    def current(self) -> StepState:
        """The step that is being done."""
        return self.steps[self.at]

    @property
    def looked_at(self) -> StepState:
        """The step that is shown."""
        return self.steps[self.shown]

    def named(self, name: Name) -> StepState | None:
        """The step called *name*, where this walkthrough has it."""
        return next((item for item in self.steps if item.step.name is name), None)

    def wished(self, kind: WishKind) -> bool:
        """Whether *kind* was ever wished for."""
        return any(wish.kind is kind for wish in self.wishes)
