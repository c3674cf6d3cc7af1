"""Decoded functions of one executable, kept between analyses: most of them are looked at again."""

from __future__ import annotations

from collections import OrderedDict
from functools import cached_property

from leaktui.binary.flow.code import FUNCTION_LIMIT, CodeReader, FunctionCode
from leaktui.binary.flow.metadata import Metadata
from leaktui.binary.pclntab import Function
from leaktui.errors import DecodeError

_KEPT = 512
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

    def callers_of(self, entry: int) -> tuple[int, ...]:
        """Return addresses of the direct calls of the function at *entry*."""
        return tuple(self._callers.get(entry, ()))

    @cached_property
    def _callers(self) -> dict[int, list[int]]:
        """Every CALL rel32 to the first byte of a function that is also called from elsewhere, by target.

        Found by scanning for the opcode: a byte inside another instruction that looks like a call is dropped
        when the function it is in is decoded (`is_call`), and is rare enough not to be looked for before.
        """
        callers: dict[int, list[int]] = {}
        for base, code in self.reader.iter_code():
            at = code.find(0xE8)
            end = len(code) - 5
            while 0 <= at <= end:
                after = base + at + 5
                target = after + int.from_bytes(code[at + 1 : at + 5], "little", signed=True)
                if base <= target < base + len(code) and not target & 15:
                    callers.setdefault(target, []).append(after)
                at = code.find(0xE8, at + 1)
        return callers
