"""Which line? From a stack to the call that owns what was opened there.

Law (DESIGN §4): the standard library and known wrappers never own; a function that hands the response to
its caller does not own it; a RoundTripper that replaces the body owns the one it dropped. Where it cannot
be known whether a function hands over, the share of unclosed bodies at each frame decides, and the answer
says so.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from leaktui.analysis import http_frames
from leaktui.analysis.program import HandOver, Program
from leaktui.model.frame import Frame, Stack


@dataclass(frozen=True, slots=True)
class Attribution:
    """The owner of something opened at a stack.

    `index` is the owner's place in the stack; `sure` is False where a frame further out may own it just
    as well; `reason` says, in a sentence, how the owner was told from the frames around it.
    """

    frame: Frame
    index: int
    sure: bool
    reason: str = ""


class Shares:
    """How many of the things opened through a chain of calls were left open."""

    def __init__(self) -> None:
        self._opened: Counter[tuple[tuple[str, int], ...]] = Counter()
        self._left: Counter[tuple[tuple[str, int], ...]] = Counter()
        self._leaking_callers: dict[tuple[tuple[str, int], ...], set[tuple[str, int]]] = {}

    def add(self, chain: Sequence[Frame], left_open: bool) -> None:
        """Count one opening through *chain* (innermost user frame first)."""
        key: tuple[tuple[str, int], ...] = ()
        for frame in chain:
            if left_open and key:
                self._leaking_callers.setdefault(key, set()).add(http_frames.frame_key(frame))
            key = (*key, http_frames.frame_key(frame))
            self._opened[key] += 1
            self._left[key] += left_open

    def share(self, chain: Sequence[Frame]) -> tuple[int, int]:
        """(left open, opened) through exactly this chain and further out."""
        key = tuple(http_frames.frame_key(frame) for frame in chain)
        return self._left[key], self._opened[key]

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
    for index, frame in round_trippers(stack, program):
        if program.replaces_body(frame):
            return Attribution(frame, index, True, "it replaces the body and drops the one it got")
    chain = user_chain(stack, program)
    if not chain:
        return None
    handed = 0
    position = 0
    while position < len(chain):
        index, frame = chain[position]
        answer = program.hands_over(frame)
        if answer is HandOver.NO:
            reason = "the functions below it hand the response to their caller" if handed else ""
            return Attribution(frame, index, True, reason)
        if answer is HandOver.UNKNOWN:
            break
        handed += 1
        position += 1
    if position == len(chain):
        # Everything up to the goroutine's start claims to hand over: the outermost one has the last word.
        index, frame = chain[-1]
        return Attribution(frame, index, False, "no caller further out was seen")
    return _by_share(chain[position:], chain, shares)


def _by_share(
    open_chain: list[tuple[int, Frame]], chain: list[tuple[int, Frame]], shares: Shares | None
) -> Attribution:
    """The first frame at which the share of unclosed bodies stops growing on the way out."""
    frames = [frame for _, frame in chain]
    skipped = len(chain) - len(open_chain)
    index, frame = open_chain[0]
    if len(open_chain) == 1:
        return Attribution(frame, index, True)
    if shares is None:
        return Attribution(frame, index, False, "it may hand the response to its caller")
    ratios = []
    for depth in range(skipped + 1, len(frames) + 1):
        left, opened = shares.share(frames[:depth])
        ratios.append(left / opened if opened else 0.0)
    best = max(ratios)
    for offset, ratio in enumerate(ratios):
        if ratio >= 0.9 * best:
            index, frame = open_chain[offset]
            if offset:
                return Attribution(
                    frame, index, True, "through other callers of the same function bodies do get closed"
                )
            if shares.leaking_callers(frames[: skipped + 1]) > 1:
                return Attribution(frame, index, True, "bodies are left open whoever calls it")
            return Attribution(frame, index, False, "it may hand the response to its caller")
    raise AssertionError("unreachable: the largest ratio is among them")


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
