"""Functions of hand-written amd64 code, and a CodeReader over them: what the flow analysis sees of a program.

Law: bytes are given as hex, one instruction a string; `@name` is a call of the function of that name, `&name`
puts its address into RSI.
"""

from __future__ import annotations

from collections.abc import Sequence

from leaktui.binary.pclntab import Function
from leaktui.errors import DecodeError
from leaktui.model.frame import Frame

BASE = 0x400000
_ALIGNMENT = 0x1000


class HandWritten:
    """A program of hand-written functions; `return_pcs` are those of the calls, by caller and callee."""

    types_base = None

    def __init__(self, functions: dict[str, Sequence[str]]) -> None:
        self._names = {name: BASE + number * _ALIGNMENT for number, name in enumerate(functions)}
        self.code: dict[str, bytes] = {}
        self.return_pcs: dict[tuple[str, str], list[int]] = {}
        for name, lines in functions.items():
            code = b""
            for line in lines:
                if line.startswith("@"):
                    after = self._names[name] + len(code) + 5
                    offset = self._names[line[1:]] - after
                    code += b"\xe8" + offset.to_bytes(4, "little", signed=True)
                    self.return_pcs.setdefault((name, line[1:]), []).append(after)
                elif line.startswith("&"):
                    offset = self._names[line[1:]] - (self._names[name] + len(code) + 7)
                    code += b"\x48\x8d\x35" + offset.to_bytes(4, "little", signed=True)
                else:
                    code += bytes.fromhex(line)
            self.code[name] = code

    def function(self, name: str) -> Function:
        entry = self._names[name]
        return Function(name, entry, entry + len(self.code[name]))

    def read(self, address: int, size: int) -> bytes:
        for name, code in self.code.items():
            start = address - self._names[name]
            if start >= 0 and start + size <= len(code):
                return code[start : start + size]
        raise DecodeError(f"nothing at {address:#x}")

    def read_constant(self, address: int, size: int) -> bytes:
        return self.read(address, size)

    def iter_code(self) -> list[tuple[int, bytes]]:
        return [(self._names[name], code) for name, code in self.code.items()]

    def function_at(self, pc: int) -> Function | None:
        for name, code in self.code.items():
            if self._names[name] <= pc < self._names[name] + max(len(code), 1):
                return self.function(name)
        return None

    def frames_at(self, pc: int, *, return_address: bool = True) -> tuple[Frame, ...]:
        function = self.function_at(pc)
        return () if function is None else (Frame(function.name, line=1),)
