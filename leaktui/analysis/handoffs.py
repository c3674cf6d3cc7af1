"""From the hand-offs of execution traces to owners: who was given bodies, and who left them open.

Law: a body counts as left open only when nobody can be seen to use it: its caller ended, or went on to
other things, and no goroutine is reading it. Where that cannot be told, nobody is blamed.
Sources: FACTS §4, "by hand-off, not by dial stack".
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from enum import Enum

from leaktui.analysis import http_frames
from leaktui.analysis.attribution import Attribution, Shares, owner_of_body, round_trippers, user_chain
from leaktui.analysis.program import Program
from leaktui.model.frame import Frame, Stack
from leaktui.model.trace import BodyHandoff

# Bodies younger than this at the end of a trace are nobody's fault yet, in nanoseconds.
_GRACE_NS = 250_000_000
# A reader that comes back within this time is still at it, in nanoseconds.
_PAUSE_NS = 1_500_000_000


class Fate(Enum):
    """What became of a body by the end of the trace."""

    RELEASED = "released"
    BEING_READ = "being read"
    IN_USE = "in use"
    YOUNG = "young"
    UNTOLD = "not told"
    """Its caller may be at it still, or not: what it did at the end was not seen."""
    LEFT_OPEN = "left open"


@dataclass(frozen=True, slots=True)
class JudgedHandoff:
    """A hand-off with its fate and its owner (None where no user frame is on the stack)."""

    handoff: BodyHandoff
    fate: Fate
    owner: Attribution | None
    seconds_before_end: float


@dataclass(slots=True)
class OwnerTally:
    """All bodies of one owner line over the traces seen.

    Of those left open, the callers of `callers_ended` had ended, and those of `callers_untold` had, or were at other
    things; those of the rest were at other things.
    """

    attribution: Attribution
    stack: Stack
    protocol: str
    opened: int = 0
    released: int = 0
    left_open: int = 0
    busy: int = 0
    young: int = 0
    untold: int = 0
    seconds: float = 0.0
    callers_ended: int = 0
    callers_untold: int = 0
    release_seconds: list[float] = field(default_factory=list)
    round_trippers: tuple[Frame, ...] = ()

    @property
    def share_left(self) -> float:
        """Share of the bodies whose fate is known that were left open."""
        known = self.released + self.left_open
        return self.left_open / known if known else 0.0


def judge_handoffs(
    handoffs: Sequence[BodyHandoff], end_ns: int, program: Program
) -> tuple[JudgedHandoff, ...]:
    """The fate and owner of each of *handoffs*, seen by one source until *end_ns* of its clock."""
    fates = _fates(handoffs, end_ns)
    shares = Shares()
    for handoff, fate in zip(handoffs, fates, strict=True):
        if fate in (Fate.RELEASED, Fate.LEFT_OPEN):
            chain = [frame for _, frame in user_chain(handoff.stack, program)]
            shares.add(chain, fate is Fate.LEFT_OPEN)
    owners: dict[Stack, Attribution | None] = {}
    judged = []
    for handoff, fate in zip(handoffs, fates, strict=True):
        if handoff.stack not in owners:
            owners[handoff.stack] = owner_of_body(handoff.stack, program, shares)
        owner = owners[handoff.stack]
        if fate is Fate.LEFT_OPEN and handoff.caller_alive is not False and owner is not None:
            fate = _fate_with_owner(handoff, owner, handoffs)
        judged.append(JudgedHandoff(handoff, fate, owner, (end_ns - handoff.opened_ns) / 1e9))
    return tuple(judged)


def _fates(handoffs: Sequence[BodyHandoff], end_ns: int) -> list[Fate]:
    fates = []
    for handoff in handoffs:
        if handoff.released_ns is not None:
            fates.append(Fate.RELEASED)
        elif handoff.caller_reading or handoff.reader_goid is not None:
            fates.append(Fate.BEING_READ)
        elif _was_just_read(handoff, end_ns):
            fates.append(Fate.IN_USE)
        elif end_ns - handoff.opened_ns < _GRACE_NS:
            fates.append(Fate.YOUNG)
        else:
            fates.append(Fate.LEFT_OPEN)
    return fates


def _was_just_read(handoff: BodyHandoff, end_ns: int) -> bool:
    """Whether somebody still reads it now and then: a slow download, a stream with pauses."""
    read = handoff.last_read_ns
    return read is not None and end_ns - read < _PAUSE_NS and read - handoff.opened_ns > _PAUSE_NS / 2


def _fate_with_owner(handoff: BodyHandoff, owner: Attribution, handoffs: Sequence[BodyHandoff]) -> Fate:
    """Whether the caller is still inside the owning call with just this one body in its hands."""
    if handoff.caller_alive is None:
        return Fate.UNTOLD if owner.frame.function in handoff.maybe_inside else Fate.LEFT_OPEN
    if handoff.caller_stack and not _is_still_inside(handoff, owner):
        return Fate.LEFT_OPEN
    for other in handoffs:
        if (
            other.caller_goid == handoff.caller_goid
            and other.opened_ns > handoff.opened_ns
            and other.stack[owner.index :] == handoff.stack[owner.index :]
        ):
            # It has asked again at the same call since: what it held before, it no longer looks at.
            return Fate.LEFT_OPEN
    return Fate.IN_USE if handoff.caller_stack else Fate.UNTOLD


def _is_still_inside(handoff: BodyHandoff, owner: Attribution) -> bool:
    """Whether the caller's stack has the owner where it was; anywhere, where the outermost calls are not known."""
    if not handoff.whole:
        return any(frame.function == owner.frame.function for frame in handoff.caller_stack)
    position_from_root = len(handoff.stack) - owner.index
    return (
        len(handoff.caller_stack) >= position_from_root
        and handoff.caller_stack[-position_from_root].function == owner.frame.function
    )


def tally_owners(judged: Iterable[JudgedHandoff], seconds: float, program: Program) -> list[OwnerTally]:
    """Owners with their counts, most bodies left open first. *seconds* is the traced time."""
    tallies: dict[tuple[str, str, int], OwnerTally] = {}
    for item in judged:
        if item.owner is None:
            attribution = _stdlib_owner(item.handoff.stack)
            if attribution is None:
                continue
        else:
            attribution = item.owner
        frame = attribution.frame
        key = (frame.function, frame.file, frame.line)
        tally = tallies.get(key)
        if tally is None:
            tally = tallies[key] = OwnerTally(
                attribution,
                item.handoff.stack[attribution.index :],
                item.handoff.protocol,
                seconds=seconds,
                round_trippers=tuple(frame for _, frame in round_trippers(item.handoff.stack, program)),
            )
        tally.opened += 1
        if item.fate is Fate.RELEASED:
            tally.released += 1
            if item.handoff.released_ns is not None:
                tally.release_seconds.append((item.handoff.released_ns - item.handoff.opened_ns) / 1e9)
        elif item.fate is Fate.LEFT_OPEN:
            tally.left_open += 1
            tally.callers_ended += item.handoff.caller_alive is False
            tally.callers_untold += item.handoff.caller_alive is None
        elif item.fate is Fate.UNTOLD:
            tally.untold += 1
        elif item.fate is Fate.YOUNG:
            tally.young += 1
        else:
            tally.busy += 1
    return sorted(tallies.values(), key=lambda tally: (-tally.left_open, -tally.opened))


def _stdlib_owner(stack: Stack) -> Attribution | None:
    """Where only the library is on the stack (a ReverseProxy mounted as it is): its outermost client frame."""
    index = http_frames.outermost_client_frame(stack)
    if index < 0:
        return None
    return Attribution(
        stack[index], index, False, "no function of the program itself is on the stack", "trace"
    )
