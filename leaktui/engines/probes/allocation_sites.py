"""Where a Go program allocates what is too large for a size class, and what to read there.

Law: seen is the one function through which every such object comes (runtime/mcache.go `allocLarge`, Go 1.22 to 1.27):
each gets a span of its own, whose start is the object's address and whose limit is where it ends. The last thing it
does is to call the span's initHeapBits: that CALL, with the finished span in its hands, is emulated by the kernel and
costs a tenth of its RET, which has to be stepped (arch/x86/kernel/uprobes.c `branch_setup_xol_ops`).
"""

from __future__ import annotations

from enum import Enum

from leaktui.binary.executable import Executable
from leaktui.binary.x86 import decode
from leaktui.binary.x86_instruction import Operation
from leaktui.engines.memory.attachment import Attachment
from leaktui.engines.memory.mheap import PAGE_SIZE
from leaktui.engines.memory.struct_view import find_layout
from leaktui.engines.probes.entry_point import ProbedFunction, find_probed_function
from leaktui.engines.probes.recipe import Recipe, Register, Site, Word
from leaktui.errors import EngineUnavailable

SPAN, START, LIMIT, GENERATION, GOID = 0, 1, 2, 4, 6
"""The words of a hit: the address of the runtime.mspan, the object's, its end, the span's sweepgen (its lower 32
bits), the goroutine."""

LARGE = 32 << 10
"""Bytes beyond which an object is large (internal/runtime/gc or runtime: _MaxSmallSize); some a little below it,
with an allocation header, are as well."""

_FUNCTION = "runtime.(*mcache).allocLarge"
_LAST_CALL = "runtime.(*mspan).initHeapBits"
_CALL = 0xE8
_CALL_SIZE = 5
_FRAMES = 48
_REMEDY = "report the Go release this program was built with"


class AllocationEvent(Enum):
    """What a hit means; the value is `Site.event`.

    At CALL the function still has its frame: what the hit has for an immediate caller is none, and the return
    addresses begin after it.
    """

    RETURN = "return"
    CALL = "call"


def find_allocation_sites(attachment: Attachment, least: int) -> tuple[Site, ...]:
    """For objects of at least *least* bytes, to a page. Raises EngineUnavailable."""
    types = attachment.layout.types
    span = find_layout(types, "runtime.mspan", "runtime", ("startAddr", "npages", "limit"))
    goroutine = find_layout(types, "runtime.g", "runtime", ("goid",))
    generation = span.fields.get("sweepgen") if span is not None else None
    if span is None or goroutine is None or generation is None or generation.size != 4:
        raise EngineUnavailable(
            "the runtime's type descriptors do not say what runtime.mspan is like", remedy=_REMEDY
        )
    function = find_probed_function(attachment.executable, _FUNCTION)
    if function is None:
        raise EngineUnavailable(f"{_FUNCTION} is not in this program", remedy=_REMEDY)
    recipe = Recipe(
        words=(
            Word("span", Register.RAX),
            Word("start", "span", span.fields["startAddr"].offset),
            Word("limit", "span", span.fields["limit"].offset),
            Word("pages", "span", span.fields["npages"].offset),
            Word("sweepgen", "span", generation.offset),
            Word("g", Register.R14),
            Word("goid", "g", goroutine.fields["goid"].offset),
        ),
        frames=1 + _FRAMES,
        only_if="pages",
        at_least=max(1, -(-least // PAGE_SIZE)),
    )
    call = _find_last_call(attachment.executable, function)
    if call is None:
        return function.return_sites(AllocationEvent.RETURN.value, recipe, attachment.bias)
    address, offset = call
    return (Site(AllocationEvent.CALL.value, _FUNCTION, address + attachment.bias, offset, _CALL, recipe),)


def _find_last_call(executable: Executable, function: ProbedFunction) -> tuple[int, int] | None:
    """The one CALL of initHeapBits in *function* and its place in the file; None where it was inlined."""
    table = executable.pc_lines
    targets = {table.entry(index) for index in table.find_indexes(_LAST_CALL)}
    code = executable.image.read(function.entry, function.end - function.entry)
    found = []
    offset = 0
    while offset < len(code):
        instruction = decode(code, offset, function.entry + offset)
        if instruction is None:
            return None
        if instruction.operation is Operation.CALL and instruction.target in targets:
            found.append(instruction)
        offset += instruction.size
    if len(found) != 1 or found[0].size != _CALL_SIZE:
        return None
    place = executable.file_offset(found[0].address)
    if place is None or executable.image.read_at(place, 1) != bytes((_CALL,)):
        return None
    return found[0].address, place
