"""Where the Go runtime keeps its goroutines in one process, and what they look like there.

Law: everything is found by feature (type descriptors, machine code, the content of tables) and checked
before it is believed; no release number is looked at. A check that fails raises EngineUnavailable naming it.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from typing import NamedTuple

from leaktui.binary.executable import Executable
from leaktui.binary.runtime_types import KIND_MAP, RuntimeTypes, StructLayout
from leaktui.engines.memory.labels import LabelForm
from leaktui.engines.memory.packed_fields import pack_fields
from leaktui.engines.memory.reader import READ_LIMIT, MemoryReader
from leaktui.errors import DecodeError, EngineUnavailable
from leaktui.text import printable

# moduledata counted in words (runtime/symtab.go, Go 1.20 to 1.27); etypes is 38, or 39 in 1.27, where
# the length of the descriptors is in between.
_TEXT, _NOPTRDATA, _DATA, _EDATA, _BSS, _ENOPTRBSS, _TYPES = 22, 24, 26, 27, 28, 31, 37
_MODULE_WORDS = 42

_FIRST_REASON = b"GC assist marking"
_KNOWN_REASONS = frozenset(("GC assist marking", "IO wait", "select", "chan receive", "chan send", "sleep"))
_REASONS_LIMIT = 128
_REASON_LENGTH = 64


class GState(NamedTuple):
    """What we read of a runtime.g. Addresses are the process's; `since` is nanotime, 0 where unknown."""

    low: int
    high: int
    pc: int
    sp: int
    syscall_pc: int
    syscall_sp: int
    status: int
    goid: int
    since: int
    reason: int
    locked: int
    parent: int
    creator_pc: int
    start_pc: int
    labels: int
    waiting: int
    """runtime.sudog it waits with, the first of its list; 0 for none."""
    deferred: int
    """The newest runtime._defer on its chain; deferred calls the compiler open-coded are not on it."""
    panicking: int
    """The newest runtime._panic."""
    stops: int
    """How often it has stopped running, modulo 256: the same number means that it has not run in between."""


_SOURCES: tuple[tuple[str, str, int], ...] = (
    ("stack", "low", 8),
    ("stack", "high", 8),
    ("sched", "pc", 8),
    ("sched", "sp", 8),
    ("syscallpc", "", 8),
    ("syscallsp", "", 8),
    ("atomicstatus", "", 4),
    ("goid", "", 8),
    ("waitsince", "", 8),
    ("waitreason", "", 1),
    ("lockedm", "", 8),
    ("parentGoid", "", 8),
    ("gopc", "", 8),
    ("startpc", "", 8),
    ("labels", "", 8),
    ("waiting", "", 8),
    ("_defer", "", 8),
    ("_panic", "", 8),
    ("trackingSeq", "", 1),
)
"""The field of runtime.g behind each of GState's, the part of it, and its size in bytes."""


class GLayout:
    """Decodes runtime.g structs as this program has them."""

    def __init__(self, g: StructLayout, gobuf: StructLayout) -> None:
        """Raises EngineUnavailable when a field is missing or of another size."""
        inner = {"low": 0, "high": 8, "": 0}
        for name in ("pc", "sp"):
            field = gobuf.fields.get(name)
            if field is None or field.size != 8:
                raise _unusable("runtime.gobuf has no such registers", "the layout of runtime.gobuf")
            inner[name] = field.offset
        places = []
        for name, part, size in _SOURCES:
            field = g.fields.get(name)
            if field is None or (not part and field.size != size):
                raise _unusable(f"runtime.g has no field {name} of {size} bytes", "the layout of runtime.g")
            places.append((field.offset + inner[part], size))
        self.size = g.size
        """Bytes of a runtime.g."""
        self._struct, self._pick = pack_fields(places)

    def decode(self, data: bytes, offset: int = 0) -> GState:
        """The runtime.g at *offset* of *data*; raises struct.error when *data* ends inside it."""
        return GState._make(self._pick(self._struct.unpack_from(data, offset)))


@dataclass(frozen=True, slots=True)
class Variables:
    """Where the program's variables are in the process: (start, end) of each section.

    Those of `data` and `bss` may hold pointers: a bit per word says which, in the masks at `data_mask` and
    `bss_mask` (moduledata.gcdatamask, gcbssmask; runtime/symtab.go), 0 where they were not found. The others hold
    no pointers to the heap.
    """

    noptrdata: tuple[int, int]
    data: tuple[int, int]
    bss: tuple[int, int]
    noptrbss: tuple[int, int]
    data_mask: int
    bss_mask: int


@dataclass(frozen=True, slots=True)
class RuntimeLayout:
    """The runtime of one process. `data` is the range of its variables, addresses of the process."""

    bias: int
    data: tuple[int, int]
    variables: Variables
    types: RuntimeTypes
    g: GLayout
    wait_reasons: tuple[str, ...]
    labels: LabelForm


def find_runtime_layout(executable: Executable, memory: MemoryReader, bias: int) -> RuntimeLayout:
    """How the runtime of the process that runs *executable*, loaded *bias* away, is laid out.

    Raises EngineUnavailable naming the check that failed, TargetGone, DecodeError for a damaged executable.
    """
    if executable.machine != "amd64":
        raise EngineUnavailable(
            f"leaktui reads the memory of amd64 programs only, and this is one for {executable.machine}",
            remedy="use its pprof endpoint",
        )
    module = executable.module_data
    if module is None:
        raise _unusable("the runtime's moduledata was not found", "moduledata")
    data = memory.read(module.address + bias, 8 * _MODULE_WORDS)
    words = struct.unpack(f"<{_MODULE_WORDS}Q", data)
    if words[_TEXT] != module.text + bias:
        raise _unusable("the process has another program loaded than its executable", "moduledata")
    # With a C linker .data comes before .noptrdata, and the others may change places, too.
    variables = words[_NOPTRDATA : _ENOPTRBSS + 1]
    if max(variables) - min(variables) > 64 * READ_LIMIT or not words[_DATA] < words[_EDATA]:
        raise _unusable("the runtime's variables fill an absurd range", "moduledata")
    types = _read_types(executable, memory, bias, words)
    layouts = {name: types.find_struct(f"runtime.{name}", "runtime") for name in ("g", "gobuf")}
    g, gobuf = layouts["g"], layouts["gobuf"]
    if g is None or gobuf is None:
        raise _unusable("the runtime's type descriptors do not include runtime.g", "type descriptors")
    return RuntimeLayout(
        bias=bias,
        data=(min(variables), max(variables)),
        variables=Variables(
            noptrdata=(words[_NOPTRDATA], words[_NOPTRDATA + 1]),
            data=(words[_DATA], words[_EDATA]),
            bss=(words[_BSS], words[_BSS + 1]),
            noptrbss=(words[_ENOPTRBSS - 1], words[_ENOPTRBSS]),
            data_mask=_find_mask(types, memory, module.address + bias, "gcdatamask"),
            bss_mask=_find_mask(types, memory, module.address + bias, "gcbssmask"),
        ),
        types=types,
        g=GLayout(g, gobuf),
        wait_reasons=_find_wait_reasons(executable, memory, bias, words),
        labels=_find_label_form(types),
    )


def _read_types(
    executable: Executable, memory: MemoryReader, bias: int, words: tuple[int, ...]
) -> RuntimeTypes:
    start = words[_TYPES]
    end = next((word for word in words[_TYPES + 1 : _TYPES + 3] if start < word < start + (1 << 32)), 0)
    if not end:
        raise _unusable("the section of type descriptors has no end", "type descriptors")
    size = min(end - start, READ_LIMIT)
    if not bias and not executable.pie:
        try:
            # The file costs the process nothing; reading memory would page descriptors in.
            return RuntimeTypes(executable.image.read(start, size), start)
        except DecodeError:
            pass
    return RuntimeTypes(memory.read(start, size), start)


def _find_mask(types: RuntimeTypes, memory: MemoryReader, module: int, name: str) -> int:
    """The address of one of moduledata's bitvectors, expanded when the program starts; 0 for none."""
    layout = types.find_struct("runtime.moduledata", "runtime")
    field = layout.fields.get(name) if layout is not None else None
    if field is None or field.size != 16:
        return 0
    pointer: int = struct.unpack("<Q", memory.read(module + field.offset + 8, 8))[0]
    return pointer


def _find_label_form(types: RuntimeTypes) -> LabelForm:
    """What pprof.labelMap is (runtime/pprof/label.go); there are no labels where it is not linked in."""
    layout = types.find_struct("pprof.labelMap")
    if layout is not None and layout.size == 24 and len(layout.fields) == 1:
        return LabelForm.SLICE
    # The maps of Go 1.24 and later (internal/runtime/maps) are not those read_labels knows.
    newer = types.find_struct("maps.Map", "internal/runtime/maps") is not None
    if types.has_kind("pprof.labelMap", KIND_MAP) and not newer:
        return LabelForm.MAP
    return LabelForm.NONE


def _find_wait_reasons(
    executable: Executable, memory: MemoryReader, bias: int, words: tuple[int, ...]
) -> tuple[str, ...]:
    """runtime.waitReasonStrings, recognised by its first phrases (runtime/runtime2.go, Go 1.21 to 1.27)."""
    image = executable.image
    start, end = words[_DATA], words[_EDATA]
    variables = memory.read(start, min(end - start, READ_LIMIT))
    for segment in sorted(image.loads, key=lambda load: load.executable):
        for address in image.iter_matches(_FIRST_REASON, segment):
            entry = struct.pack("<QQ", address + bias, len(_FIRST_REASON))
            found = variables.find(entry)
            while found >= 16:
                reasons = _decode_reasons(executable, variables, found, bias)
                if _KNOWN_REASONS.issubset(reasons):
                    return reasons
                found = variables.find(entry, found + 1)
    raise _unusable("the runtime's table of wait reasons was not found", "wait reasons")


def _decode_reasons(executable: Executable, variables: bytes, second: int, bias: int) -> tuple[str, ...]:
    reasons = [""]
    for place in range(second, min(len(variables) - 15, second + 16 * _REASONS_LIMIT), 16):
        pointer, length = struct.unpack_from("<QQ", variables, place)
        if not 0 < length <= _REASON_LENGTH:
            break
        try:
            text = executable.image.read(pointer - bias, length)
        except DecodeError:
            break
        reasons.append(printable(text.decode("utf-8", "replace")))
    return tuple(reasons)


def _unusable(reason: str, check: str) -> EngineUnavailable:
    return EngineUnavailable(
        f"{reason} (self-check: {check})",
        remedy="use its pprof endpoint, and report the Go release this program was built with",
    )
