"""Which line? From a stack to the call that owns what was opened there.

Law (DESIGN §4): the standard library and known wrappers never own; a function that hands the response to
its caller does not own it, unless it drops it on another path while its caller closes; a RoundTripper that
replaces the body owns the one it dropped. Where it cannot be known whether a function hands over, the
share of unclosed bodies at each frame decides, and the answer says so.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace

from leaktui.analysis import http_frames
from leaktui.analysis.program import HandOver, Program, ResponseStep
from leaktui.model.frame import Frame, Stack

_MANY_CALLERS = 3
"""So many callers do not all forget the same thing: then it is the function they call."""

_ChainKey = tuple[tuple[str, int], ...]


@dataclass(frozen=True, slots=True)
class Attribution:
    """The owner of something opened at a stack.

    `index` is the owner's place in the stack; `sure` is False where another frame may own it just as
    well; `reason` says, in a sentence, how the owner was told from the frames around it, and `reason_from` which
    source tells so. `exits` are the
    places where the owner leaves with the body open, as far as its machine code shows them;
    `panics` are where a panic would skip its Close; `alternatives` the frames that may own it as well.
    """

    frame: Frame
    index: int
    sure: bool
    reason: str = ""
    reason_from: str = "binary"
    exits: tuple[Frame, ...] = ()
    panics: tuple[Frame, ...] = ()
    replaces: bool = False
    alternatives: tuple[Frame, ...] = ()


class Shares:
    """How many of the bodies opened through a chain of calls were left open."""

    def __init__(self) -> None:
        self._opened: Counter[_ChainKey] = Counter()
        self._left: Counter[_ChainKey] = Counter()
        self._leaking_callers: dict[_ChainKey, set[tuple[str, int]]] = {}

    def add(self, chain: Sequence[Frame], left_open: bool, count: int = 1) -> None:
        """Count *count* openings through *chain* (innermost user frame first)."""
        if not count:
            return
        key: _ChainKey = ()
        for frame in chain:
            if left_open and key:
                self._leaking_callers.setdefault(key, set()).add(http_frames.frame_key(frame))
            key = (*key, http_frames.frame_key(frame))
            self._opened[key] += count
            self._left[key] += count if left_open else 0

    def share(self, chain: Sequence[Frame]) -> float:
        """Share of the bodies opened through exactly this chain that were left open."""
        key = tuple(http_frames.frame_key(frame) for frame in chain)
        return self._left[key] / self._opened[key] if self._opened[key] else 0.0

    def leaking_callers(self, chain: Sequence[Frame]) -> int:
        """Through how many different callers of this chain bodies were left open."""
        key = tuple(http_frames.frame_key(frame) for frame in chain)
        return len(self._leaking_callers.get(key, ()))


def user_chain(stack: Stack, program: Program) -> list[tuple[int, Frame]]:
    """The frames that may own a response opened at the top of *stack*: innermost first, with their index.

    RoundTrippers under the client and known wrappers are left out, so is the standard library.
    """
    start = http_frames.outermost_client_frame(stack) + 1
    return [
        (index, frame)
        for index, frame in enumerate(stack[start:], start)
        if not program.is_stdlib(frame.function) and not http_frames.is_known_wrapper(frame.function)
    ]


def round_trippers(stack: Stack, program: Program) -> list[tuple[int, Frame]]:
    """The user's own RoundTrip methods a response passed through, innermost first."""
    end = http_frames.outermost_client_frame(stack)
    return [
        (index, frame)
        for index, frame in enumerate(stack[: max(0, end)])
        if http_frames.is_round_trip(frame.function)
        and not program.is_stdlib(frame.function)
        and not http_frames.is_known_wrapper(frame.function)
    ]


def owner_of_body(stack: Stack, program: Program, shares: Shares | None = None) -> Attribution | None:
    """The call that owns the response opened at the top of *stack*; None without a user frame."""
    dropped: Attribution | None = None
    doubtful: list[Frame] = []
    for index, frame in round_trippers(stack, program):
        step = next(iter(program.follow_response(stack, index)), None)
        if step is None or step.hands_over is HandOver.UNKNOWN:
            # Nothing tells whether it gives on the body it got.
            doubtful.append(frame)
        elif step.replaces:
            reason = "it replaces the body and drops the one it got"
            return Attribution(frame, index, True, reason, exits=step.exits, replaces=True)
        elif step.exits and dropped is None:
            dropped = Attribution(
                frame, index, True, "it drops the response on one of its paths", exits=step.exits
            )
    chain = user_chain(stack, program)
    if not chain:
        return dropped
    steps = program.follow_response(stack, chain[0][0])
    found = _by_steps(stack, steps, chain, dropped, shares) if steps else _by_share(chain, 0, shares)
    if doubtful:
        return replace(found, sure=False, alternatives=(*found.alternatives, *doubtful))
    return found


def _by_steps(
    stack: Stack,
    steps: Sequence[ResponseStep],
    chain: list[tuple[int, Frame]],
    dropped: Attribution | None,
    shares: Shares | None,
) -> Attribution:
    """The owner by what each function does with the response, innermost first."""
    for step in steps[:-1]:
        if step.exits and dropped is None:
            reason = "it hands the response on, but drops it on another path"
            dropped = Attribution(stack[step.index], step.index, True, reason, exits=step.exits)
    last = steps[-1]
    keeper = stack[last.index]
    if last.hands_over is HandOver.NO:
        if dropped is not None and last.closes:
            return dropped
        reason = "the functions below it hand the response to their caller" if len(steps) > 1 else ""
        return Attribution(
            keeper,
            last.index,
            dropped is None,
            reason,
            exits=last.exits,
            panics=last.panics,
            replaces=last.replaces,
        )
    if last.hands_over is HandOver.YES:
        outer = [index for index, _ in chain if index > last.index]
        if not outer:
            # It hands over to nobody on the stack: a goroutine's own function, or a callback of the library.
            return dropped or Attribution(
                keeper, last.index, False, "who gets it was not seen", exits=last.exits
            )
    position = next((place for place, (index, _) in enumerate(chain) if index >= last.index), len(chain) - 1)
    if last.hands_over is HandOver.YES:
        position = min(position + 1, len(chain) - 1)
    return _by_share(chain, position, shares)


def _by_share(chain: list[tuple[int, Frame]], skipped: int, shares: Shares | None) -> Attribution:
    """The first frame at which the share of unclosed bodies stops growing on the way out.

    *skipped* frames of *chain* are known to hand over and are passed by.
    """
    frames = [frame for _, frame in chain]
    index, frame = chain[skipped]
    if len(chain) == skipped + 1:
        return Attribution(frame, index, True)
    uncertain = Attribution(frame, index, False, "it asks for them; it may hand them to its caller", "trace")
    if shares is None:
        return uncertain
    ratios = [shares.share(frames[:depth]) for depth in range(skipped + 1, len(frames) + 1)]
    best = max(ratios)
    offset = next(place for place, ratio in enumerate(ratios) if ratio >= 0.9 * best)
    outer_index, outer = chain[skipped + offset]
    if offset and outer.function != chain[skipped + offset - 1][1].function:
        # Either the function hands over and this caller forgets, or it forgets itself on what this caller
        # asks for. Only the code could tell.
        reason = "through other callers of the same function bodies do get closed"
        return Attribution(outer, outer_index, False, reason, "trace", alternatives=(frame,))
    if shares.leaking_callers(frames[: skipped + 1]) >= _MANY_CALLERS:
        return Attribution(frame, index, True, "bodies are left open whoever calls it", "trace")
    return uncertain


def innermost_user_frame(stack: Stack, program: Program) -> tuple[int, Frame] | None:
    """The innermost frame outside the standard library; the main module's where it is on the stack."""
    first: tuple[int, Frame] | None = None
    for index, frame in enumerate(stack):
        if program.is_stdlib(frame.function):
            continue
        if program.is_main_module(frame.function):
            return index, frame
        if first is None:
            first = (index, frame)
    return first
