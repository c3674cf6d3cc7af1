"""What a call does to a State: the runtime's by name, the library's by contract, all others by walking them.

Law: a function that takes the response and cannot be walked makes the path UNSURE; it never makes a claim.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

from leaktui.binary.flow.callees import Callee, classify_callee
from leaktui.binary.flow.code import ABI_REGISTERS, FunctionCode
from leaktui.binary.flow.facts import Facts, Passed
from leaktui.binary.flow.machine import Machine
from leaktui.binary.flow.program import Program
from leaktui.binary.flow.runtime_effects import RuntimeEffects
from leaktui.binary.flow.state import State, Status
from leaktui.binary.flow.values import (
    BODY_DATA,
    NIL,
    NO_ARGUMENTS,
    READER,
    RESPONSE_POINTER,
    Constant,
    Method,
    Pair,
    Pointer,
    Value,
)
from leaktui.binary.x86_instruction import RAX, RBX, RCX, RDX, Instruction, Memory, Operation


class Unfollowed(Exception):
    """A function that will not be followed: too deep, recursive, or with too many ways out."""


class Walker(Protocol):
    """The part of the interpreter that calls need."""

    facts: Facts
    machine: Machine
    program: Program

    def run_callee(self, code: FunctionCode, state: State, depth: int) -> list[State]:
        """The states *code* returns in; raises Unfollowed."""


class CallEffects:
    """Applies calls for one interpreter."""

    def __init__(self, walker: Walker) -> None:
        self._walker = walker
        self._facts = walker.facts
        self._machine = walker.machine
        self._runtime = RuntimeEffects(walker.program, walker.machine, walker.facts)

    def apply(self, instruction: Instruction, state: State, depth: int) -> list[State]:
        """The states in which the call returns: none if it does not, several if it may end in several ways."""
        target, closure = self._target(instruction, state)
        if isinstance(target, Method):
            return self._method(instruction, state, target)
        if not isinstance(target, Constant):
            return self._unknown(instruction, state, target)
        function = self._walker.program.reader.function_at(target.number)
        name = function.name if function is not None else ""
        kind = classify_callee(name) if name else Callee.FOLLOW
        done = self._runtime.apply(kind, instruction, state, depth)
        if done is not None:
            return done
        special = self._SPECIAL.get(kind)
        if special is not None:
            return special(self, instruction, state, depth)
        if kind is Callee.NO_RETURN or kind is Callee.MORE_STACK:
            if kind is Callee.NO_RETURN and name.startswith("runtime."):
                self._note_panic(instruction.address, state)
            return []
        if kind in (Callee.FOLLOW, Callee.DEFER_OTHER):
            return self._follow(instruction, state, depth, target.number, name, closure)
        return self._library(instruction, state, name, kind)

    def _note_panic(self, pc: int, state: State) -> None:
        """A panic while the body is open, and no closure at hand that could be a deferred close of it."""
        if state.status is not Status.OPEN or state.defers:
            return
        closures = [address for address, value in state.memory.items() if isinstance(value, Constant)]
        if not any(self._is_closure(state, Pointer(*at)) and state.reaches(Pointer(*at)) for at in closures):
            self._facts.panics.add(pc)

    def deferred_close(self, state: State, depth: int) -> bool:
        """Whether the closures deferred so far close the body on every path."""
        if not state.defers:
            return False
        ends = self._run_defers(state.copy(), depth)
        return bool(ends) and all(end.status is Status.CLOSED for end in ends)

    # --- targets ---

    def _target(self, instruction: Instruction, state: State) -> tuple[Value | None, bool]:
        """The callee's address or method, and whether it is called as a closure, its context in RDX."""
        if instruction.target is not None:
            return Constant(instruction.target), isinstance(state.get(RDX), Pointer)
        source = instruction.source
        if isinstance(source, Memory):
            closure = source.base == RDX and source.scaled is None and source.displacement == 0
            return self._machine.read(state, source, 8), closure
        value = self._machine.read(state, source, 8)
        return value, isinstance(state.get(RDX), Pointer)

    def _method(self, instruction: Instruction, state: State, method: Method) -> list[State]:
        """A method taken from an itab of the body's type."""
        if state.get(RAX) == BODY_DATA:
            self._facts.touches.add(instruction.address)
            if method.name == "Close":
                self._close(instruction.address, state)
            elif method.name:
                self._facts.reads.add(instruction.address)
            elif state.status is Status.OPEN:
                state.status = Status.UNSURE
        state.lose_registers()
        return [state]

    def _close(self, pc: int, state: State) -> None:
        if state.status is Status.ABSENT:
            return
        self._facts.closes.add(pc)
        if self._deferring:
            self._facts.deferred_closes.add(pc)
        state.status = Status.CLOSED

    _deferring = 0

    def _unknown(self, instruction: Instruction, state: State, target: Value | None) -> list[State]:
        """A function value, or a method of some interface, that is not known."""
        context = state.get(RDX)
        if context != NO_ARGUMENTS and target != NO_ARGUMENTS:
            self._pass_opaque(instruction.address, state, "", ABI_REGISTERS)
        state.lose_registers()
        return [state]

    def _pass_opaque(self, pc: int, state: State, name: str, registers: tuple[int, ...]) -> None:
        for number, register in enumerate(registers):
            what = state.reaches(state.get(register))
            if what is None or what == "reader":
                continue
            self._facts.passed.add(Passed(name, number, what))
            self._facts.touches.add(pc)
            if state.status is Status.OPEN:
                state.status = Status.UNSURE

    # --- functions ---

    def _follow(
        self, instruction: Instruction, state: State, depth: int, target: int, name: str, closure: bool
    ) -> list[State]:
        code = self._walker.program.code_at(target)
        taken = code.argument_registers() if code is not None else frozenset(ABI_REGISTERS)
        arguments = {register: state.registers[register] for register in taken if register in state.registers}
        if closure and RDX in state.registers:
            arguments[RDX] = state.registers[RDX]
        interesting = False
        for register, value in arguments.items():
            what = state.reaches(value)
            if what is not None and what != "reader":
                interesting = True
                number = ABI_REGISTERS.index(register) if register in ABI_REGISTERS else -1
                self._facts.passed.add(Passed(name, number, what))
                self._facts.touches.add(instruction.address)
        if not interesting or state.status in (Status.CLOSED, Status.ABSENT):
            state.lose_registers()
            return [state]
        try:
            if code is None or code.function.entry != target:
                raise Unfollowed
            return self._enter(code, state, arguments, depth)
        except Unfollowed:
            if state.status is Status.OPEN:
                state.status = Status.UNSURE
            state.lose_registers()
            return [state]

    def _enter(
        self, code: FunctionCode, state: State, arguments: dict[int, Value | Pair], depth: int
    ) -> list[State]:
        """Walk a callee with *arguments* and bring what it did back into *state*."""
        inner = State()
        inner.status = state.status
        inner.registers = dict(arguments)
        roots = [value for value in arguments.values() if not isinstance(value, Pair)]
        inner.memory = state.reachable_memory(roots)
        regions = {address[0] for address in inner.memory}
        context = arguments.get(RDX)
        on_stack = isinstance(context, Pointer) and context.region.kind == "stack"
        self._deferring += on_stack
        try:
            ends = self._walker.run_callee(code, inner, depth + 1)
        finally:
            self._deferring -= on_stack
        after = []
        for end in ends:
            outer = state.copy()
            outer.lose_registers()
            outer.memory = {at: value for at, value in outer.memory.items() if at[0] not in regions}
            outer.memory.update(end.memory)
            outer.status = end.status
            for register in ABI_REGISTERS:
                value = end.get(register)
                if value is not None:
                    outer.registers[register] = value
            after.append(outer)
        return after

    def _library(self, instruction: Instruction, state: State, name: str, kind: Callee) -> list[State]:
        """The standard library by its contract: it reads what it is given, and closes nothing unless documented."""
        given = None
        target = instruction.target
        taken = self._walker.program.arguments_of(target) if target is not None else None
        for number, register in enumerate(ABI_REGISTERS):
            if taken is not None and register not in taken:
                continue  # left there from before
            value = state.get(register)
            what = state.reaches(value)
            if what is None:
                continue
            given = what
            if kind is Callee.RUNTIME:
                continue
            if what != "reader":
                self._facts.passed.add(Passed(name, number, what))
                self._facts.touches.add(instruction.address)
                if kind is not Callee.CONTEXT:
                    self._facts.reads.add(instruction.address)
            if state.status is Status.OPEN and what == "wrapped" and self._is_closure(state, value):
                state.status = Status.UNSURE  # sync.Once.Do and its like call it, now or never
                self._facts.closure_given = True
        if given in ("body", "response", "wrapped"):
            if kind is Callee.CLOSES:
                self._close(instruction.address, state)
            elif kind is Callee.TAKES:
                self._machine.store_away(instruction.address, state, "request", given)
        state.lose_registers()
        if kind is Callee.WRAPS and given is not None:
            state.registers[RAX] = READER
            state.registers[RBX] = READER
        if kind is Callee.CONTEXT:
            state.registers[RCX] = NO_ARGUMENTS
        return [state]

    def _is_closure(self, state: State, value: Value | None) -> bool:
        if not isinstance(value, Pointer) or value == RESPONSE_POINTER:
            return False
        return self._code_of(state, value) is not None

    # --- the runtime ---

    def _defer(self, instruction: Instruction, state: State, depth: int) -> list[State]:
        """deferproc(fn) and deferprocStack(record): the closure runs at deferreturn."""
        argument = state.get(RAX)
        closure: Value | None = None
        if argument is not None and self._code_of(state, argument) is not None:
            closure = argument
        elif isinstance(argument, Pointer):
            # A runtime._defer on the stack; its fn is the first word of it that is a func value.
            words = dict(state.fields(argument))
            candidates = [words[offset] for offset in sorted(words) if offset >= 0]
            closure = next((word for word in candidates if self._code_of(state, word) is not None), None)
        if closure is not None and closure not in state.defers:
            state.defers = (*state.defers, closure)
        elif closure is None and state.status is Status.OPEN:
            state.status = Status.UNSURE
        state.lose_registers()
        state.registers[RAX] = NIL  # not 1: that is how it returns after a recovered panic
        return [state]

    def _defer_return(self, instruction: Instruction, state: State, depth: int) -> list[State]:
        ends = self._run_defers(state, depth)
        for end in ends:
            end.defers = ()
            end.lose_registers()
        return ends

    def _run_defers(self, state: State, depth: int) -> list[State]:
        states = [state]
        for closure in reversed(state.defers):
            following: list[State] = []
            for one in states:
                self._deferring += 1
                try:
                    following.extend(self._run_closure(one, closure, depth))
                finally:
                    self._deferring -= 1
            states = following
        return states

    def _go(self, instruction: Instruction, state: State, depth: int) -> list[State]:
        """A goroutine: where it ends with the body open, nobody else will close it."""
        closure = state.get(RAX)
        what = state.reaches(closure)
        if what is None or state.status is not Status.OPEN or closure is None:
            state.lose_registers()
            return [state]
        self._facts.touches.add(instruction.address)
        ends = self._run_closure(state.copy(), closure, depth)
        if ends and all(end.status is Status.CLOSED for end in ends):
            state.status = Status.CLOSED
        else:
            self._machine.store_away(instruction.address, state, "goroutine", what)
        state.lose_registers()
        return [state]

    def _run_closure(self, state: State, closure: Value, depth: int) -> list[State]:
        address = self._code_of(state, closure)
        if address is None:
            if state.status is Status.OPEN and state.reaches(closure) is not None:
                state.status = Status.UNSURE
            return [state]
        saved = dict(state.registers)
        state.registers = {
            **{at: value for at, value in saved.items() if at not in ABI_REGISTERS},
            RDX: closure,
        }
        function = self._walker.program.reader.function_at(address)
        name = function.name if function is not None else ""
        call = Instruction(address, 0, Operation.CALL, target=address)
        if name and classify_callee(name) is not Callee.FOLLOW:
            return self._library(call, state, name, classify_callee(name))
        return self._follow(call, state, depth, address, name, True)

    def _code_of(self, state: State, closure: Value) -> int | None:
        """The address of the code of a func value, which is a pointer to it; None for anything else."""
        address = None
        if isinstance(closure, Pointer):
            first = state.memory.get((closure.region, closure.offset))
            address = first.number if isinstance(first, Constant) else None
        elif isinstance(closure, Constant):
            address = self._walker.program.metadata.read_word(closure.number)
        function = self._walker.program.reader.function_at(address) if address else None
        return address if function is not None and function.entry == address else None

    _SPECIAL: dict[Callee, Callable[[CallEffects, Instruction, State, int], list[State]]] = {  # noqa: RUF012
        Callee.DEFER: _defer,
        Callee.DEFER_RETURN: _defer_return,
        Callee.GO: _go,
    }
