"""The abstract machine at one point of one path: registers, memory, and what became of the response.

Law: a state that knows less is always true too. `join` keeps what two paths agree on; paths that differ in
where the response is, or in what became of it, have different keys and are never joined.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterator
from enum import Enum
from typing import NamedTuple

from leaktui.binary.flow.values import (
    BODY_DATA,
    BODY_DATA_OFFSET,
    BODY_ITAB,
    BODY_ITAB_OFFSET,
    NIL,
    READER,
    RESPONSE,
    RESPONSE_POINTER,
    Flag,
    Pair,
    Pointer,
    Region,
    Value,
    is_followed,
    known_zero,
)
from leaktui.binary.x86_instruction import RBP, RSP, X15

STACK_WINDOW = 0x40
"""Bytes behind a pointer into a stack frame that are taken for the object it points at."""

_EQUAL, _LESS, _LESS_OR_EQUAL = 4, 12, 14
"""Condition codes of JE, JL and JLE; the next number is each one's opposite."""

Address = tuple[Region, int]
Trail = tuple[tuple[int, int], ...]
"""Jumps, as (where to, where from)."""
_TRAIL = 4
_TRAILS = 8


class Status(Enum):
    """What became of the response on this path."""

    ABSENT = "the call was not reached"
    OPEN = "open"
    CLOSED = "closed"
    CONTAINED = "somewhere in an array made here"
    STORED = "stored where others find it"
    UNSURE = "given to code that was not followed"


class Condition(NamedTuple):
    """What the processor's flags stand for, as far as that is known.

    Zero means that `value` is nil, unless `zero` says outright whether it is set. `difference` is left minus
    right of a comparison of two known signed numbers, which decides the other conditions.
    """

    value: Value | None
    register: int | None = None
    slot: Address | None = None
    zero: bool | None = None
    difference: int | None = None
    byte: bool = False

    def decides(self, condition: int) -> bool | None:
        """Whether a condition code (the low nibble of a Jcc) is met; None if that is not known."""
        if condition in (_EQUAL, _EQUAL + 1):
            zero = known_zero(self.value) if self.zero is None else self.zero
            return None if zero is None else zero == (condition == _EQUAL)
        if self.difference is None:
            return None
        if condition in (_LESS, _LESS + 1):
            return (self.difference < 0) == (condition == _LESS)
        if condition in (_LESS_OR_EQUAL, _LESS_OR_EQUAL + 1):
            return (self.difference <= 0) == (condition == _LESS_OR_EQUAL)
        return None


class State:
    """Mutable; `copy` before a path forks.

    `defers` are closures registered with runtime.deferproc. `trails` are the last jumps into code that several
    paths share, newest first, one tuple for each way here: they tell return statements with a common RET apart.
    """

    __slots__ = ("defers", "memory", "registers", "status", "test", "trails")

    def __init__(self) -> None:
        self.registers: dict[int, Value | Pair] = {}
        self.memory: dict[Address, Value] = {}
        self.status = Status.ABSENT
        self.defers: tuple[Value, ...] = ()
        self.test: Condition | None = None
        self.trails: frozenset[Trail] = frozenset(((),))

    def go_back(self) -> None:
        """Around a loop: what the caller's objects said may have changed."""
        stale = [at for at, value in self.memory.items() if at[0].kind == "argument" and type(value) is Flag]
        for address in stale:
            del self.memory[address]

    def enter_shared(self, leader: int, source: int) -> None:
        """Note that the jump at *source* led to *leader*, which other paths come to as well."""
        self.trails = frozenset(((leader, source), *trail[: _TRAIL - 1]) for trail in self.trails)

    def enter_own(self) -> None:
        """Only one jump leads here: no need to tell paths apart by what was before."""
        self.trails = frozenset(((),))

    def copy(self) -> State:
        other = State.__new__(State)
        other.registers = dict(self.registers)
        other.memory = dict(self.memory)
        other.status = self.status
        other.defers = self.defers
        other.test = self.test
        other.trails = self.trails
        return other

    def key(self, flags: frozenset[int] = frozenset()) -> Hashable:
        """Equal for states that may be joined; *flags* are registers whose bits decide what happens next."""
        return (
            self.status,
            self.defers,
            tuple(self.registers.get(register) for register in flags),
            frozenset(item for item in self.registers.items() if _tells_apart(item[1])),
            frozenset(item for item in self.memory.items() if is_followed(item[1])),
        )

    def join(self, other: State) -> bool:
        """Forget what *other* does not agree with; whether anything was forgotten."""
        before = len(self.registers) + len(self.memory)
        theirs = other.registers
        self.registers = {at: value for at, value in self.registers.items() if theirs.get(at) == value}
        held = other.memory
        self.memory = {at: value for at, value in self.memory.items() if held.get(at) == value}
        changed = before != len(self.registers) + len(self.memory)
        if self.test is not None and self.test != other.test:
            self.test = None
            changed = True
        if not other.trails <= self.trails and len(self.trails) < _TRAILS:
            self.trails |= other.trails
            changed = True
        return changed

    def get(self, register: int) -> Value | None:
        """The value of a general register."""
        value = self.registers.get(register)
        return None if isinstance(value, Pair) else value

    def get_pair(self, register: int) -> Pair | None:
        """The two words of a vector register; X15 is zero by Go's ABI."""
        if register == X15:
            return Pair(NIL, NIL)
        value = self.registers.get(register)
        return value if isinstance(value, Pair) else None

    def set(self, register: int, value: Value | Pair | None) -> None:
        if value is None:
            self.registers.pop(register, None)
        else:
            self.registers[register] = value
        if self.test is not None and self.test.register == register:
            self.test = self.test._replace(register=None)

    def write(self, address: Address, value: Value | None) -> None:
        if value is None:
            self.memory.pop(address, None)
        else:
            self.memory[address] = value
        if self.test is not None and self.test.slot == address:
            self.test = self.test._replace(slot=None)

    def lose_registers(self) -> None:
        """What a call does to registers."""
        kept = {at: value for at, value in self.registers.items() if at in (RSP, RBP)}
        self.registers = kept
        self.test = None

    def open_response(self) -> None:
        """A fresh response, its body in place and unclosed."""
        self.status = Status.OPEN
        self.memory[RESPONSE, BODY_ITAB_OFFSET] = BODY_ITAB
        self.memory[RESPONSE, BODY_DATA_OFFSET] = BODY_DATA

    def replace_everywhere(self, old: Value, new: Value) -> None:
        for register, value in list(self.registers.items()):
            if value == old:
                self.registers[register] = new
        for address, value in list(self.memory.items()):
            if value == old:
                self.memory[address] = new

    def clear_region(self, region: Region) -> None:
        self.memory = {at: value for at, value in self.memory.items() if at[0] != region}

    def fields(self, pointer: Pointer) -> Iterator[tuple[int, Value]]:
        """The words of the object at *pointer*, by their offset from it."""
        region, start = pointer
        stack = region.kind == "stack"
        for (owner, offset), value in list(self.memory.items()):
            if owner != region:
                continue
            if stack and not start <= offset < start + STACK_WINDOW:
                continue
            yield offset - start, value

    def reaches(self, value: Value | Pair | None) -> str | None:
        """How *value* leads to the body: `response`, `body`, `wrapped`, `reader`; None if it does not."""
        if value is None or isinstance(value, Pair):
            return None
        if value == BODY_DATA:
            return "body"
        if value == READER:
            return "reader"
        if not isinstance(value, Pointer):
            return None
        found = None
        seen = {value}
        work = [value]
        while work and found != "wrapped":
            for _, field in self.fields(work.pop()):
                if field == BODY_DATA:
                    found = "wrapped"
                    break
                if field == READER:
                    found = "reader"
                elif isinstance(field, Pointer) and field not in seen:
                    seen.add(field)
                    work.append(field)
        if value == RESPONSE_POINTER and found == "wrapped":
            return "response"
        return found

    def reachable_memory(self, roots: list[Value]) -> dict[Address, Value]:
        """All words of all regions that can be got at from *roots*."""
        regions: set[Region] = set()
        work = [root.region for root in roots if isinstance(root, Pointer)]
        by_region: dict[Region, list[tuple[Address, Value]]] = {}
        for address, value in self.memory.items():
            by_region.setdefault(address[0], []).append((address, value))
        while work:
            region = work.pop()
            if region in regions:
                continue
            regions.add(region)
            for _, value in by_region.get(region, ()):
                if isinstance(value, Pointer):
                    work.append(value.region)
        regions.add(RESPONSE)
        return {address: value for region in regions for address, value in by_region.get(region, ())}


def _tells_apart(value: Value | Pair) -> bool:
    if isinstance(value, Pair):
        return any(half is not None and is_followed(half) for half in value)
    return is_followed(value)
