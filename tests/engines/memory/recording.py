"""A real process's memory as far as the engine read it, kept to be replayed, torn and damaged."""

from __future__ import annotations

import threading
from dataclasses import dataclass, replace
from pathlib import Path

from leaktui.binary.executable import Executable
from leaktui.engines.memory.allgs import find_allgs, read_allgs
from leaktui.engines.memory.goroutines import GoroutineReader, Seen, Tally
from leaktui.engines.memory.reader import FakeMemory, MemoryReader, ProcessMemory
from leaktui.engines.memory.runtime_layout import RuntimeLayout, find_runtime_layout
from leaktui.engines.memory.unwind import Unwinder


class _Recorder:
    """Passes reads on and keeps what they gave."""

    def __init__(self, memory: MemoryReader) -> None:
        self._memory = memory
        self.regions: dict[int, bytes] = {}

    def read(self, address: int, size: int) -> bytes:
        data = self._memory.read(address, size)
        if size > len(self.regions.get(address, b"")):
            self.regions[address] = data
        return data


@dataclass(frozen=True)
class Recording:
    """What reading every goroutine once took, beside what it gave."""

    executable: Executable
    layout: RuntimeLayout
    allgs: int
    addresses: tuple[int, ...]
    regions: dict[int, bytes]
    seen: dict[int, Seen]

    def memory(self) -> FakeMemory:
        """The memory as it was."""
        return FakeMemory(self.regions)

    def read(self, memory: MemoryReader) -> tuple[dict[int, Seen], Tally]:
        """Every goroutine of *memory* by its number."""
        reader = self.reader(memory)
        tally = Tally()
        return {seen.state.goid: seen for seen in reader.iter_seen(tally, threading.Event())}, tally

    def reader(self, memory: MemoryReader) -> GoroutineReader:
        return GoroutineReader(memory, self.layout, Unwinder(self.executable, self.layout.bias), self.allgs)

    def address_of(self, seen: Seen) -> int:
        """Where the g of *seen* is."""
        memory = self.memory()
        for address in self.addresses:
            state = self.layout.g.decode(memory.read(address, self.layout.g.size))
            if state.goid == seen.state.goid:
                return address
        raise KeyError(seen.state.goid)


def record(pid: int, path: Path) -> Recording:
    """Read every goroutine of *pid*, which runs *path* and sits still."""
    executable = Executable.open(path)
    process = ProcessMemory(pid)
    memory = _Recorder(process)
    bias = executable.bias(Path(f"/proc/{pid}/maps").read_text())
    assert bias is not None
    layout = find_runtime_layout(executable, memory, bias)
    allgs = find_allgs(executable, memory, layout)
    addresses = read_allgs(memory, allgs)
    empty = Recording(executable, layout, allgs, addresses, memory.regions, {})
    seen, tally = empty.read(memory)
    process.close()
    assert tally.torn == 0
    return replace(empty, seen=seen)
