"""Abstract interpretation of one Go function's machine code, following an `*http.Response`.

Law: every path is walked, both ways at each branch whose outcome is not known; what cannot be followed is
written down as a gap or as Status.UNSURE, never as a fact. Work is bounded by `STEPS`, `DEPTH` and `STATES`.

The function is walked from its entry, so that closures, defer bits and variables that were set up before the
call are known after it. From the call on there is one response; paths that got an error instead end there.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable
from typing import NamedTuple

from leaktui.binary.flow.calls import CallEffects, Unfollowed
from leaktui.binary.flow.code import ABI_REGISTERS, FunctionCode
from leaktui.binary.flow.facts import Exit, Facts
from leaktui.binary.flow.machine import Machine
from leaktui.binary.flow.program import Program
from leaktui.binary.flow.state import Address, Condition, State, Status
from leaktui.binary.flow.values import (
    ERROR,
    NIL,
    NOT_NIL,
    RESPONSE_POINTER,
    Constant,
    Flag,
    Pointer,
    Region,
    Value,
)
from leaktui.binary.x86_instruction import RSP, Instruction, Memory, Operation

STEPS = 150_000
"""Instructions walked in one analysis, all paths and followed functions together."""
DEPTH = 4
"""Calls followed inwards."""
STATES = 48
"""Different states kept for one instruction."""
OUTCOMES = 16
"""Different ways a followed function may end."""


Push = Callable[[int, State, int], None]
"""Continue at a pc, in a state, coming from the instruction at another pc."""


class Site(NamedTuple):
    """Where the response appears: behind the call that returns to `return_pc`, with these values in place."""

    return_pc: int
    registers: tuple[tuple[int, Value], ...]
    memory: tuple[tuple[Address, Value], ...] = ()


class ValueFlow:
    """One analysis. `facts` is what it found; `facts.gaps` is empty if it saw everything."""

    def __init__(self, program: Program, *, steps: int = STEPS) -> None:
        self.facts = Facts()
        self.program = program
        self.machine = Machine(program.metadata, self.facts)
        self.exits: list[State] = []
        """The states at the ways out, once the response was there."""
        self._calls = CallEffects(self)
        self._steps = steps
        self._memo: dict[Hashable, list[State]] = {}
        self._active: set[int] = set()
        self._site: Site | None = None

    def walk_from_call(self, code: FunctionCode, site: Site) -> None:
        """Walk *code* from its entry; the response appears at *site*."""
        self._site = site
        self._record_exits(self._run(code, code.function.entry, _entry_state(code), 0))
        if not self.facts.reached:
            # A jump that could not be followed hides the call: begin right behind it, with nothing known.
            self.facts.gaps.add("the call was not reached from the function's entry")
            state = _entry_state(code)
            self._arrive(state, site)
            self._record_exits(self._run(code, site.return_pc, state, 0))

    def walk_from_entry(self, code: FunctionCode, registers: dict[int, Value]) -> None:
        """Walk *code* with the response among its arguments, in *registers*."""
        state = _entry_state(code)
        state.registers.update(registers)
        state.open_response()
        self.facts.reached = True
        self._record_exits(self._run(code, code.function.entry, state, 0))

    def _record_exits(self, exits: list[tuple[int, State]]) -> None:
        for pc, state in exits:
            if state.status is Status.ABSENT:
                continue
            results = []
            nil = set()
            for number, register in enumerate(ABI_REGISTERS):
                value = state.get(register)
                what = state.reaches(value)
                if value == RESPONSE_POINTER and what is None:
                    what = "emptied response"
                if what is not None:
                    results.append((number, what))
                elif value in (NIL, ERROR):
                    nil.add(number)
            status = state.status
            results = [(number, self.machine.narrowed(state, number, what)) for number, what in results]
            kept = state.reaches(RESPONSE_POINTER) is not None
            if status is Status.CONTAINED and any(what == "wrapped" for _, what in results):
                status = Status.OPEN
            elif status is Status.CONTAINED or (
                status is Status.OPEN and not results and self.machine.is_contained(state)
            ):
                status = Status.UNSURE
            results = [
                (number, "error" if self._is_in_error(state, number) else what) for number, what in results
            ]
            for trail in sorted(state.trails):
                end = Exit(pc, status, tuple(results), frozenset(nil), kept, trail)
                self.facts.exits[end] = None
                self.facts.exits_in_order.append(end)
                self.exits.append(state)

    def _is_in_error(self, state: State, number: int) -> bool:
        """Whether result *number* is the data of an `error`: its itab is the result before it."""
        itab = state.get(ABI_REGISTERS[number - 1]) if number else None
        return isinstance(itab, Constant) and self.program.metadata.is_error_itab(itab.number)

    def _arrive(self, state: State, site: Site) -> None:
        self.facts.reached = True
        state.lose_registers()
        state.open_response()
        state.registers.update(dict(site.registers))
        state.memory.update(dict(site.memory))

    # --- walking ---

    def run_callee(self, code: FunctionCode, state: State, depth: int) -> list[State]:
        """The states *code* returns in, called in *state* (whose registers are its arguments); at most OUTCOMES.

        Raises Unfollowed when it cannot be told.
        """
        entry = code.function.entry
        if depth > DEPTH or entry in self._active or not code.complete:
            raise Unfollowed
        state.registers[RSP] = Pointer(Region("stack", depth), 0)
        key = (
            entry,
            depth,
            state.status,
            frozenset(state.registers.items()),
            frozenset(state.memory.items()),
        )
        known = self._memo.get(key)
        if known is None:
            self._active.add(entry)
            try:
                exits = self._run(code, entry, state, depth)
            finally:
                self._active.discard(entry)
            merged: dict[Hashable, State] = {}
            for _, end in exits:
                end.clear_region(Region("stack", depth))
                end.defers = ()
                end.test = None
                outcome = (end.key(), end.get(ABI_REGISTERS[0]), end.get(ABI_REGISTERS[1]))
                if outcome in merged:
                    merged[outcome].join(end)
                else:
                    merged[outcome] = end
            if len(merged) > OUTCOMES:
                raise Unfollowed
            known = list(merged.values())
            self._memo[key] = known
        return [outcome.copy() for outcome in known]

    def _run(self, code: FunctionCode, start: int, state: State, depth: int) -> list[tuple[int, State]]:
        """Walk all paths of *code* from *start*; the RET each one ends at and the state there."""
        exits: dict[tuple[int, Hashable], State] = {}
        pending: dict[int, dict[Hashable, State]] = {}
        work: list[tuple[int, Hashable]] = []

        def push(pc: int, new: State, source: int) -> None:
            if not depth and new.status is Status.OPEN:
                if pc in code.shared:
                    new.enter_shared(pc, source)
                else:
                    new.enter_own()
            if (source, pc) in code.loop_edges():
                new.go_back()
            bucket = pending.setdefault(pc, {})
            key = new.key(code.flags.get(pc, frozenset()))
            old = bucket.get(key)
            if old is None:
                if len(bucket) >= STATES:
                    self.facts.gaps.add("too many paths")
                    return
                bucket[key] = new
                work.append((pc, key))
            elif old.join(new):
                work.append((pc, key))

        push(start, state, start)
        while work:
            pc, key = work.pop()
            current = pending[pc][key].copy()
            for end_pc, end in self._walk(code, pc, current, depth, push):
                exit_key = (end_pc, (end.key(), end.get(ABI_REGISTERS[0]), end.get(ABI_REGISTERS[1])))
                if exit_key in exits:
                    exits[exit_key].join(end)
                else:
                    exits[exit_key] = end
            if self._steps <= 0:
                self.facts.gaps.add("the budget was spent")
                break
        return [(pc, end) for (pc, _), end in exits.items()]

    def _walk(
        self, code: FunctionCode, pc: int, state: State, depth: int, push: Push
    ) -> list[tuple[int, State]]:
        """Walk straight on from *pc* until paths fork or end; the exits met."""
        first, before = True, pc
        while True:
            if not first and pc in code.leaders:
                push(pc, state, before)
                return []
            first, before = False, pc
            instruction = code.at(pc)
            self._steps -= 1
            if instruction is None:
                self.facts.gaps.add("an instruction was not understood")
                return []
            if self._steps <= 0:
                return []
            match instruction.operation:
                case Operation.BRANCH:
                    self._branch(instruction, state, push)
                    return []
                case Operation.JUMP:
                    return self._jump(code, instruction, state, depth, push)
                case Operation.RETURN:
                    return [(pc, state)]
                case Operation.TRAP:
                    return []
                case Operation.CALL:
                    after = self._call(code, instruction, state, depth)
                    if len(after) != 1:
                        for one in after:
                            push(instruction.end, one, pc)
                        return []
                    state = after[0]
                case Operation.SELECT:
                    for one in self.machine.select(instruction, state):
                        push(instruction.end, one, pc)
                    return []
                case _:
                    self.machine.step(instruction, state)
            pc = instruction.end

    def _call(self, code: FunctionCode, instruction: Instruction, state: State, depth: int) -> list[State]:
        site = self._site
        if site is None or depth or instruction.end != site.return_pc:
            return self._calls.apply(instruction, state, depth)
        if state.status in (Status.OPEN, Status.CONTAINED):
            # The next turn of a loop: what the last one left open is out of reach unless something keeps it.
            if self._calls.deferred_close(state, depth):
                self.facts.deferred_in_loop = True
            else:
                contained = state.status is Status.CONTAINED or self.machine.is_contained(
                    state, locals_too=True
                )
                status = Status.UNSURE if contained else Status.OPEN
                self.facts.exits[Exit(instruction.address, status, overwritten=True)] = None
            return []
        if state.status is not Status.ABSENT:
            self.facts.exits[Exit(instruction.address, state.status)] = None
            return []
        self._arrive(state, site)
        return [state]

    def _jump(
        self,
        code: FunctionCode,
        instruction: Instruction,
        state: State,
        depth: int,
        push: Push,
    ) -> list[tuple[int, State]]:
        target = instruction.target
        if target is not None and code.contains(target):
            push(target, state, instruction.address)
            return []
        if target is None:
            targets = self._jump_table(code, instruction, state)
            if targets:
                for one in targets:
                    code.leaders.add(one)
                    push(one, state.copy(), instruction.address)
                return []
        # A tail call: what it returns, this function returns.
        return [(instruction.address, one) for one in self._calls.apply(instruction, state, depth)]

    def _jump_table(self, code: FunctionCode, instruction: Instruction, state: State) -> list[int]:
        source = instruction.source
        if not isinstance(source, Memory) or source.base is None:
            return []
        table = state.get(source.base)
        if not isinstance(table, Constant):
            return []
        function = code.function
        return self.program.metadata.jump_targets(
            table.number + source.displacement, function.entry, function.end
        )

    def _branch(self, instruction: Instruction, state: State, push: Push) -> None:
        target = instruction.target
        assert target is not None
        here, condition, test = instruction.address, instruction.condition, state.test
        met = test.decides(condition) if test is not None else None
        if met is not None:
            push(target if met else instruction.end, state, here)
            return
        if condition not in (4, 5) or test is None:
            push(target, state.copy(), here)
            push(instruction.end, state, here)
            return
        if_zero, if_not = (target, instruction.end) if condition == 4 else (instruction.end, target)
        if test.value == ERROR:
            # Not nil: that path got no response, and is of no interest any more.
            state.replace_everywhere(ERROR, NIL)
            push(if_zero, state, here)
            return
        other = state.copy()
        _refine(other, test, NOT_NIL)
        push(if_not, other, here)
        _refine(state, test, NIL)
        push(if_zero, state, here)


def _refine(state: State, test: Condition, value: Value) -> None:
    """What the branch just taken says about the value that was tested, if that was unknown."""
    if test.value is not None or test.zero is not None:
        return
    if test.register is not None:
        state.registers.setdefault(test.register, value)
    if test.slot is not None:
        known = Flag(0 if value == NIL else 1) if test.byte else value
        state.memory.setdefault(test.slot, known)
    state.test = None


def _entry_state(code: FunctionCode) -> State:
    """The state a function that is not called from another walk begins in: its arguments are anything."""
    state = State()
    state.registers[RSP] = Pointer(Region("stack", 0), 0)
    for number, register in enumerate(ABI_REGISTERS):
        if register in code.argument_registers():
            state.registers[register] = Pointer(Region("argument", number), 0)
    return state
