"""runtime.allgs: the slice of every goroutine the process ever had.

Law: where it is, the machine code of runtime.allgadd says; the fallback looks for a slice like it. Either
way it is believed only if what it holds are goroutines.
"""

from __future__ import annotations

import struct
from collections.abc import Iterable, Iterator

from leaktui.binary.executable import Executable
from leaktui.binary.mentions import iter_mentions
from leaktui.engines.memory.pointer_slices import iter_pointer_slices, read_pointer_slice
from leaktui.engines.memory.reader import MemoryReader
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


def find_allgs(executable: Executable, memory: MemoryReader, layout: RuntimeLayout) -> int:
    """The address of runtime.allgs in the process; raises EngineUnavailable when nothing proves to be it."""
    for candidates in (
        dict.fromkeys(_iter_mentioned(executable, layout)),
        iter_pointer_slices(memory, layout.data, layout.data[1], GOROUTINE_LIMIT),
    ):
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
    return read_pointer_slice(memory, address, GOROUTINE_LIMIT, "the list of goroutines")


def _iter_mentioned(executable: Executable, layout: RuntimeLayout) -> Iterator[int]:
    """Addresses of variables that runtime.allgadd mentions, and those a slice's length would follow."""
    for mention in iter_mentions(executable, ("runtime.allgadd",)):
        address = mention.address + layout.bias
        for start in (address, address - 8, address - 16):
            if layout.data[0] <= start <= layout.data[1] - 24:
                yield start


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
