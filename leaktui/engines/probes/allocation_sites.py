"""Where a Go program allocates what is too large for a size class, and what to read there.

Law: seen is the return of the one function through which every such object comes (runtime/mcache.go `allocLarge`,
Go 1.22 to 1.27): each gets a span of its own, whose start is the object's address and whose limit is where it ends.
"""

from __future__ import annotations

from leaktui.engines.memory.attachment import Attachment
from leaktui.engines.memory.mheap import PAGE_SIZE
from leaktui.engines.memory.struct_view import find_layout
from leaktui.engines.probes.entry_point import find_probed_function
from leaktui.engines.probes.recipe import Recipe, Register, Site, Word
from leaktui.errors import EngineUnavailable

SPAN, START, LIMIT, GENERATION, GOID = 0, 1, 2, 4, 6
"""The words of a hit: the address of the runtime.mspan, the object's, its end, the span's sweepgen (its lower 32
bits), the goroutine."""

LARGE = 32 << 10
"""Bytes beyond which an object is large (internal/runtime/gc or runtime: _MaxSmallSize); some a little below it,
with an allocation header, are as well."""

_FUNCTION = "runtime.(*mcache).allocLarge"
_FRAMES = 48
_REMEDY = "report the Go release this program was built with"


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
        frames=_FRAMES,
        only_if="pages",
        at_least=max(1, -(-least // PAGE_SIZE)),
    )
    return function.return_sites("allocated", recipe, attachment.bias)
