"""What is in the target's heap, counted span by span."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class SizeClass:
    """Objects of one size. `size` is bytes of one, 0 for large objects (each in a span of its own).

    `objects` and `live_bytes` were marked by the last GC or allocated since; `scannable` says that they may
    hold pointers. `samples` are addresses of a few of them, taken here and there.
    """

    size: int
    scannable: bool
    spans: int
    objects: int
    live_bytes: int
    samples: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True)
class TypeCount:
    """Live objects whose type the runtime keeps (allocation headers, large objects), by that type's name."""

    type_name: str
    objects: int
    live_bytes: int


@dataclass(frozen=True, slots=True)
class HeapCensus:
    """The heap at one moment. `typed_bytes` of `live_bytes` are those that `types` counts."""

    live_bytes: int
    objects: int
    classes: tuple[SizeClass, ...]
    types: tuple[TypeCount, ...] = ()
    typed_bytes: int = 0
    stack_bytes: int = 0
    gc_cycles: int | None = None
