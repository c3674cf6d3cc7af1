"""Decoded functions of one executable, kept between analyses: most of them are looked at again."""

from __future__ import annotations

from collections import OrderedDict
from functools import cached_property
from itertools import islice

from leaktui.binary.flow.code import FUNCTION_LIMIT, CodeReader, FunctionCode
from leaktui.binary.flow.metadata import Metadata
from leaktui.binary.pclntab import Function
from leaktui.binary.x86_instruction import Operation
from leaktui.errors import DecodeError

_KEPT = 512
_CALL_SIZE = 5
_KEEPS_REGISTERS = ("runtime.gcWriteBarrier", "runtime.duff")


class Program:
    """Functions by address, decoded on first use; the last 512 are kept."""

    def __init__(self, reader: CodeReader) -> None:
        self.reader = reader
        self.metadata = Metadata(reader)
        self._codes: OrderedDict[int, FunctionCode | None] = OrderedDict()

    def code_at(self, pc: int) -> FunctionCode | None:
        """The function at *pc*, decoded; None if there is none, or it is too long or unreadable."""
        function = self.reader.function_at(pc)
        return None if function is None else self.code_of(function)

    def code_of(self, function: Function) -> FunctionCode | None:
        """*function*, decoded."""
        if function.entry in self._codes:
            self._codes.move_to_end(function.entry)
            return self._codes[function.entry]
        code = None
        size = function.end - function.entry
        if 0 < size <= FUNCTION_LIMIT:
            try:
                code = FunctionCode(function, self.reader.read(function.entry, size))
            except DecodeError:
                code = None
        self._codes[function.entry] = code
        if len(self._codes) > _KEPT:
            self._codes.popitem(last=False)
        return code

    def arguments_of(self, target: int) -> frozenset[int] | None:
        """The registers the function at *target* takes arguments in; None if that is not known."""
        code = self.code_at(target)
        if code is None or code.function.entry != target or not code.complete:
            return None
        if code.function.name.startswith(_KEEPS_REGISTERS):
            return frozenset()
        return code.argument_registers()

    def callers_of(self, entry: int, limit: int | None = None) -> tuple[int, ...]:
        """Return addresses of the direct calls of the function at *entry*, at most *limit*."""
        return tuple(islice((pc for pc in self._callers.get(entry, ()) if self._is_call(pc)), limit))

    def _is_call(self, return_pc: int) -> bool:
        """Whether a call really ends at *return_pc*, not only bytes inside others that look like one."""
        code = self.code_at(return_pc - 1)
        instruction = code.at(return_pc - _CALL_SIZE) if code is not None else None
        return instruction is not None and instruction.operation is Operation.CALL

    @cached_property
    def _callers(self) -> dict[int, list[int]]:
        """What looks like CALL rel32 to the start of a function (Go aligns them to 16 bytes or more), by target."""
        callers: dict[int, list[int]] = {}
        for base, code in self.reader.iter_code():
            at = code.find(0xE8)
            end = len(code) - _CALL_SIZE
            while 0 <= at <= end:
                after = base + at + _CALL_SIZE
                target = after + int.from_bytes(code[at + 1 : at + 5], "little", signed=True)
                if base <= target < base + len(code) and not target & 15:
                    callers.setdefault(target, []).append(after)
                at = code.find(0xE8, at + 1)
        return callers
