"""runtime.allgs: the slice of every goroutine the process ever had.

Law: where it is, the machine code of runtime.allgadd says; the fallback looks for a slice like it. Either
way it is believed only if what it holds are goroutines.
"""

from __future__ import annotations

import struct
from collections.abc import Iterable, Iterator

from leaktui.binary.executable import Executable
from leaktui.binary.x86 import decode
from leaktui.binary.x86_instruction import Memory
from leaktui.engines.memory.reader import READ_LIMIT, MemoryReader
from leaktui.engines.memory.runtime_layout import GState, RuntimeLayout
from leaktui.errors import DecodeError, EngineUnavailable

GOROUTINE_LIMIT = 8 << 20
"""More goroutines than leaktui reads."""

SCAN_BIT = 0x1000
"""_Gscan (runtime/runtime2.go): the collector has the stack."""

STATUS_LIMIT = 11
"""_Gdeadextra, the highest status there is in Go 1.27."""

_SAMPLE = 64
_SMALLEST_STACK = 2048
_LARGEST_STACK = 1 << 32
_CHUNK = 4 << 20


def find_allgs(executable: Executable, memory: MemoryReader, layout: RuntimeLayout) -> int:
    """The address of runtime.allgs in the process; raises EngineUnavailable when nothing proves to be it."""
    for candidates in (_iter_operands(executable, layout), _iter_slices(memory, layout)):
        best = max(
            ((_plausible_length(memory, layout, address), address) for address in candidates), default=(0, 0)
        )
        if best[0]:
            return best[1]
    raise EngineUnavailable(
        "the runtime's list of goroutines was not found (self-check: allgs)",
        remedy="use its pprof endpoint, and report the Go release this program was built with",
    )


def read_allgs(memory: MemoryReader, address: int) -> tuple[int, ...]:
    """The addresses of all runtime.g; raises DecodeError when the slice keeps moving or makes no sense."""
    for _ in range(8):
        pointer, length, capacity = struct.unpack("<QQQ", memory.read(address, 24))
        if not pointer or length > capacity or length > GOROUTINE_LIMIT:
            raise DecodeError("the list of goroutines makes no sense")
        data = b"".join(
            memory.read(pointer + start, min(_CHUNK, 8 * length - start))
            for start in range(0, 8 * length, _CHUNK)
        )
        # It only grows, but when it is full it moves, and the old place is used for other things.
        if memory.read(address, 8) == struct.pack("<Q", pointer):
            return struct.unpack(f"<{length}Q", data)
    raise DecodeError("the list of goroutines moved whenever it was read", remedy="try again")


def _iter_operands(executable: Executable, layout: RuntimeLayout) -> Iterator[int]:
    """Addresses of variables that runtime.allgadd mentions, and those a slice's length would follow."""
    function = executable.find_function("runtime.allgadd")
    if function is None:
        return
    code = executable.image.read(function.entry, min(function.end - function.entry, 1 << 16))
    seen = set()
    offset = 0
    while offset < len(code):
        instruction = decode(code, offset, function.entry + offset)
        if instruction is None:
            offset += 1  # what comes of it proves itself, so a wrong start does no harm
            continue
        offset += instruction.size
        for operand in (instruction.destination, instruction.source):
            if isinstance(operand, Memory) and operand.base is None and operand.scaled is None:
                address = operand.displacement + layout.bias
                for start in (address, address - 8, address - 16):
                    if start not in seen and layout.data[0] <= start <= layout.data[1] - 24:
                        seen.add(start)
                        yield start


def _iter_slices(memory: MemoryReader, layout: RuntimeLayout) -> Iterator[int]:
    """Addresses of variables that look like a slice of pointers, longest first, a few only."""
    start, end = layout.data
    found = []
    for place in range(start, end - 24, READ_LIMIT):
        size = min(READ_LIMIT, end - place)
        try:
            words = struct.unpack(f"<{size // 8}Q", memory.read(place, size // 8 * 8))
        except DecodeError:
            continue
        for at in range(len(words) - 2):
            length, capacity = words[at + 1], words[at + 2]
            if 0 < length <= capacity <= GOROUTINE_LIMIT and words[at] > end and words[at] % 8 == 0:
                found.append((length, place + 8 * at))
    found.sort(reverse=True)
    for _, address in found[:4096]:
        yield address


def _plausible_length(memory: MemoryReader, layout: RuntimeLayout, address: int) -> int:
    """The length of the slice at *address* if it holds goroutines, 0 otherwise."""
    try:
        pointer, length, capacity = struct.unpack("<QQQ", memory.read(address, 24))
        if not pointer or pointer % 8 or not 0 < length <= capacity <= GOROUTINE_LIMIT:
            return 0
        places = {length * number // _SAMPLE for number in range(_SAMPLE)}
        pointers = [struct.unpack("<Q", memory.read(pointer + 8 * place, 8))[0] for place in places]
        states = [layout.g.decode(memory.read(g, layout.g.size)) for g in pointers]
    except DecodeError:
        return 0
    good = sum(map(is_plausible, states))
    # The first is the main goroutine; one that is born or dies this moment may look odd.
    return length if good * 20 >= len(states) * 19 and _has_distinct(states) else 0


def _has_distinct(states: Iterable[GState]) -> bool:
    alive = [state.goid for state in states if state.status & ~SCAN_BIT != 6 and state.goid]
    return len(set(alive)) == len(alive) > 0


def is_plausible(state: GState) -> bool:
    """Whether *state* can be that of a goroutine, alive or dead."""
    status = state.status & ~SCAN_BIT
    if status > STATUS_LIMIT or state.goid >> 48:
        return False
    size = state.high - state.low
    if status in (0, 6) and not state.high:
        return True  # dead, and its stack given back
    return state.low > 0 and _SMALLEST_STACK <= size <= _LARGEST_STACK and state.high % 8 == 0
