"""What keeps something alive: the way from an object outwards to a root."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

from leaktui.model.frame import Frame


class HolderKind(Enum):
    """Where a pointer lies."""

    GLOBAL = "global"
    FRAME = "goroutine frame"
    OBJECT = "heap object"
    RUNTIME = "runtime"
    """The runtime's own: finalizers, timers, specials, its lists."""


@dataclass(frozen=True, slots=True)
class Holder:
    """A word at `address` that points at the object `holds`.

    `object` is the start and `size` the bytes of the heap object the word is in, 0 elsewhere. `type_name`
    is that object's (or global's) type, empty where it is not known; `field` is the way within it
    (`.resp`, `[3]`, `+0x18` where the type is not known). `name` is a global's name, its package and address
    in a stripped program. `frame` and `goid` name a goroutine's frame.
    """

    kind: HolderKind
    address: int
    holds: int
    object: int = 0
    size: int = 0
    type_name: str = ""
    field: str = ""
    name: str = ""
    goid: int | None = None
    frame: Frame | None = None

    @property
    def is_root(self) -> bool:
        """Whether nothing needs to hold the holder."""
        return self.kind is not HolderKind.OBJECT


@dataclass(frozen=True, slots=True)
class HolderLevel:
    """Everything found that points at an object of the level before. `omitted` more were not followed."""

    depth: int
    holders: tuple[Holder, ...]
    omitted: int = 0


@dataclass(frozen=True, slots=True)
class HolderSearch:
    """The search from one object (`subject`, its start; `size`; `type_name`) outwards, as far as it got.

    `path` leads from the object to the first root found, nearest first; empty while there is none.
    `done` says that it ended by itself; `unreachable` that it ended without meeting a root, so nothing live
    holds the object; `forsaken` that nothing does but the HTTP client's own goroutine that waits for it to be closed
    (its frame is the `path` then). `scanned_bytes` counts what was read, `seconds` what it took.
    """

    subject: int
    size: int
    type_name: str = ""
    levels: tuple[HolderLevel, ...] = ()
    path: tuple[Holder, ...] = ()
    done: bool = False
    unreachable: bool = False
    forsaken: bool = False
    scanned_bytes: int = 0
    seconds: float = 0.0
