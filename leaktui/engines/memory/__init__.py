"""The memory engine: facts straight from a Go process's memory, stripped or not, without stopping it."""

from leaktui.engines.memory.engine import MemoryEngine
from leaktui.engines.memory.reader import CachedMemory, FakeMemory, MemoryReader, ProcessMemory, Unreadable

__all__ = ["CachedMemory", "FakeMemory", "MemoryEngine", "MemoryReader", "ProcessMemory", "Unreadable"]
