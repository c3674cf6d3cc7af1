"""Who closes a response, and who hands it on: questions about call sites, answered from machine code alone.

Law: needs no symbols, no DWARF and no source; amd64 only. An answer is given for what was seen on every path;
where the walk was not complete, `complete` is False and the verdict is UNKNOWN rather than wrong.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass

from leaktui.binary.executable import Executable
from leaktui.binary.flow.callees import is_standard
from leaktui.binary.flow.code import ABI_REGISTERS, FunctionCode
from leaktui.binary.flow.facts import Exit
from leaktui.binary.flow.image import ExecutableCode
from leaktui.binary.flow.program import Program
from leaktui.binary.flow.state import Status
from leaktui.binary.flow.statement import find_statement
from leaktui.binary.flow.use import Place, ResponseUse, Verdict, summarize_use
from leaktui.binary.flow.values import ERROR, RESPONSE_POINTER, Pair, Value
from leaktui.binary.pclntab import Function
from leaktui.binary.value_flow import Site, ValueFlow
from leaktui.binary.x86_instruction import RAX, RBX, RCX
from leaktui.errors import EngineUnavailable
from leaktui.model.frame import Frame
from leaktui.text import package_of

_CALLERS = 16
"""Callers of a function that are asked which results they use."""
_RETURNS = 3
"""How far outwards a result that is only passed on is followed."""


@dataclass(frozen=True, slots=True)
class StackUse:
    """One physical frame of a stack: `use` of the response there, and which of its logical frames keeps it.

    `frames` are the logical frames, inlined ones first; `owner` indexes the one that closes, keeps or drops
    the response, None if it goes to the caller or the code does not tell. `handed_over` is what the function
    does for its caller, None if not known.
    """

    use: ResponseUse
    frames: tuple[Frame, ...]
    handed_over: bool | None
    owner: int | None


@dataclass(frozen=True, slots=True)
class CallSiteUse:
    """A call of the HTTP client, and what becomes of its responses."""

    caller: Function
    return_pc: int
    use: ResponseUse

    @property
    def verdict(self) -> Verdict:
        return self.use.verdict


class ResponseFlow:
    """Answers for one executable; keeps what it decoded. Not safe for several threads at once.

    Raises EngineUnavailable for anything but amd64: the calling convention and the decoder are its.
    """

    def __init__(self, executable: Executable) -> None:
        if executable.machine != "amd64":
            raise EngineUnavailable(
                f"following a response through machine code works on amd64 only, not {executable.machine}",
                remedy="use the traces of a running process instead",
            )
        self._executable = executable
        self._program = Program(ExecutableCode(executable))

    def use_at(self, return_pc: int, *, caller_pcs: Sequence[int] = ()) -> ResponseUse | None:
        """What the function that *return_pc* returns into does with the response its call just got.

        *caller_pcs* are the return addresses further out on the stack, if known: they tell which registers
        the callers take results from. None where there is no such function.
        """
        found = self._walk(_client_site(return_pc), caller_pcs)
        return None if found is None else found[0]

    def use_of_argument(self, function: Function, number: int) -> ResponseUse | None:
        """What *function* does with the `*http.Response` that is its argument *number* (0 for the first word)."""
        code = self._program.code_of(function)
        if code is None:
            return None
        flow = ValueFlow(self._program)
        flow.walk_from_entry(code, {ABI_REGISTERS[number]: RESPONSE_POINTER})
        return summarize_use(
            function, flow.facts, frozenset(), self._statement_in(code), self._place, borrowed=True
        )

    def hands_over(self, return_pcs: Sequence[int]) -> tuple[StackUse, ...]:
        """Follow a response outwards along a stack, frame by frame, as far as it is handed on.

        *return_pcs* are the physical frames' return addresses (link-time), from the frame that called
        net/http outwards. The last element of the answer is the frame that keeps the response, or the last
        one that could be looked into.
        """
        answers: list[StackUse] = []
        site: Site | None = _client_site(return_pcs[0]) if return_pcs else None
        for position, pc in enumerate(return_pcs):
            if site is None:
                break
            found = self._walk(site._replace(return_pc=pc), return_pcs[position + 1 :])
            if found is None:
                break
            use, site = found
            frames = self._executable.frames_at(pc)
            answers.append(StackUse(use, frames, use.hands_over, self._find_owner(frames, use)))
        return tuple(answers)

    def classify(self, call_sites: Iterable[tuple[Function, int]]) -> Iterator[CallSiteUse]:
        """What becomes of the response of each call site, given as (caller, return address)."""
        for caller, return_pc in call_sites:
            use = self.use_at(return_pc)
            if use is not None:
                yield CallSiteUse(caller, return_pc, use)

    def callers_of(self, function: Function) -> tuple[int, ...]:
        """Return addresses of the direct calls of *function*: call sites for `use_at` and `classify`."""
        return self._program.callers_of(function.entry)

    # --- walking ---

    def _walk(self, site: Site, caller_pcs: Sequence[int]) -> tuple[ResponseUse, Site | None] | None:
        """Walk the function around *site*; its use, and the site its caller has if it is handed on."""
        code = self._program.code_at(site.return_pc)
        if code is None:
            return None
        flow = ValueFlow(self._program)
        flow.walk_from_call(code, site)
        use = summarize_use(
            code.function,
            flow.facts,
            self._taken_results(code, caller_pcs),
            self._statement_in(code),
            self._place,
        )
        return use, self._next_site(flow, use)

    def _taken_results(
        self, code: FunctionCode, caller_pcs: Sequence[int], depth: int = 0
    ) -> frozenset[int] | None:
        """Result numbers the function surely has; None if nothing tells.

        What some exit sets on purpose is a result, and so is what the caller reads after the call. What the
        caller leaves in place to return it itself is one if it is the caller's.
        """
        count = code.results_set_at_exits()
        last = count - 1
        known = count > 0
        callers = caller_pcs[:1] or self._program.callers_of(code.function.entry, _CALLERS)
        for pc in callers:
            outer = self._program.code_at(pc)
            if outer is None or not outer.complete or outer.at(pc) is None:
                continue
            wanted = outer.live_registers(pc, self._program.arguments_of)
            numbers = [number for number, register in enumerate(ABI_REGISTERS) if register in wanted.read]
            last = max(last, *numbers) if numbers else last
            if count or numbers:
                known = True
                continue
            if RAX in wanted.passed:
                continue
            if RAX in wanted.returned and depth < _RETURNS:
                inner = self._taken_results(outer, caller_pcs[1:], depth + 1)
                known = known or inner is not None
                last = max(last, *inner) if inner else last
                continue
            known = known or RAX not in wanted.returned
        return frozenset(range(last + 1)) if known else None

    def _next_site(self, flow: ValueFlow, use: ResponseUse) -> Site | None:
        """The response as the caller gets it: which registers hold it, and which say that there is none."""
        wanted = dict(use.results) or dict(use.possible_results)
        if not wanted:
            return None
        registers: dict[int, Value] = {}
        memory = {}
        nil: frozenset[int] | None = None
        for exit_, state in zip(flow.facts.exits_in_order, flow.exits, strict=True):
            if exit_.status not in _RETURNED or not any(number in wanted for number, _ in exit_.results):
                continue
            nil = exit_.nil_results if nil is None else nil & exit_.nil_results
            if registers:
                continue
            for number in range(max(wanted) + 1):
                value = state.registers.get(ABI_REGISTERS[number])
                if value is not None and not isinstance(value, Pair) and number not in exit_.nil_results:
                    registers[ABI_REGISTERS[number]] = value
            memory = {
                at: value
                for at, value in state.reachable_memory(list(registers.values())).items()
                if at[0].kind != "stack"
            }
        for number in nil or ():
            registers[ABI_REGISTERS[number]] = ERROR
        return Site(0, tuple(registers.items()), tuple(memory.items()))

    # --- logical frames ---

    def _place(self, pc: int) -> Place:
        """Where the instruction at *pc* is in the source."""
        frames = self._executable.frames_at(pc, return_address=False)
        for frame in frames:
            if not is_standard(package_of(frame.function)):
                return Place(pc, frame)
        return Place(pc, frames[-1] if frames else Frame("", pc=pc))

    def _statement_in(self, code: FunctionCode) -> Callable[[Exit], int]:
        return lambda end: find_statement(code, end, self._line, self._is_defer_return)

    def _line(self, pc: int) -> int:
        """The line of the instruction at *pc* in the source of the function that was compiled, 0 if unknown."""
        frames = self._executable.frames_at(pc, return_address=False)
        return frames[-1].line if frames else 0

    def _is_defer_return(self, target: int) -> bool:
        function = self._executable.function_at(target)
        return function is not None and function.name == "runtime.deferreturn"

    def _find_owner(self, frames: tuple[Frame, ...], use: ResponseUse) -> int | None:
        """Which logical frame deals with the response: the outermost one whose own code looks into it.

        A function that was inlined can only have got the response to code outside it by returning it.
        """
        if use.hands_over:
            return None
        if len(frames) == 1:
            return 0
        levels = [level for pc in use.touches if (level := self._level(frames, pc)) is not None]
        return max(levels) if levels else None

    def _level(self, frames: tuple[Frame, ...], pc: int) -> int | None:
        """The index in *frames* of the innermost frame that the instruction at *pc* is a part of."""
        there = self._executable.frames_at(pc, return_address=False)
        if not there or there[-1].function != frames[-1].function:
            return None
        depth = 1
        while (
            depth < min(len(there), len(frames))
            and there[-depth].line == frames[-depth].line
            and there[-depth - 1].function == frames[-depth - 1].function
        ):
            depth += 1
        return len(frames) - depth


_RETURNED = (Status.OPEN, Status.UNSURE)
"""How a response may stand that is returned: the caller's to close."""


def _client_site(return_pc: int) -> Site:
    """Behind a call that returns (*http.Response, error)."""
    return Site(return_pc, ((RAX, RESPONSE_POINTER), (RBX, ERROR), (RCX, ERROR)))


__all__ = ["CallSiteUse", "ResponseFlow", "ResponseUse", "StackUse", "Verdict"]
