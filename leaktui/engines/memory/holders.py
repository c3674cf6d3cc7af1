"""Who keeps an object alive: from it outwards, level by level, to a root.

Law: a path is made of edges that were all there when it was looked at last. That nothing holds an object is said
only if a look at all memory that can hold one found nothing while no thread of the process ran: a program that moves
things about while it is read makes them vanish from sight.
"""

from __future__ import annotations

import functools
import struct
import threading
import time
from collections.abc import Iterable, Iterator

from leaktui.binary.variables import VariableNames
from leaktui.engines.memory.attachment import Attachment
from leaktui.engines.memory.heap_map import HeapMap, HeapObject
from leaktui.engines.memory.holder_edges import Edge, EdgeFinder, Level
from leaktui.engines.memory.live_frames import LiveFrames
from leaktui.engines.memory.object_forms import Link
from leaktui.engines.memory.object_types import ObjectTypes
from leaktui.engines.memory.roots import GlobalPointers
from leaktui.engines.memory.stillness import Moment, read_moment
from leaktui.engines.memory.type_catalogue import TypeCatalogue
from leaktui.engines.protocol import SearchProgress
from leaktui.errors import DecodeError
from leaktui.model.holder import Holder, HolderKind, HolderLevel, HolderSearch
from leaktui.text import printable

DEPTH = 8
"""Levels searched; the path from a body to its root is rarely longer than six."""

FOLLOWED = 24
"""Objects of one level whose holders are searched."""

SHOWN = 64
"""Holders of one level that are told."""

_TRIES = 3
_STILL_TRIES = 12
_STILL_SECONDS = 4.0
_STILL_PAUSE = 0.007
"""Seconds between looks for a moment in which no thread runs; no multiple of the usual periods."""

_WORD = struct.Struct("<Q")
_RANKS = {HolderKind.GLOBAL: 0, HolderKind.FRAME: 1, HolderKind.RUNTIME: 2, HolderKind.OBJECT: 4}


class HolderFinder:
    """Searches the memory of *attachment*, whose readers it has to itself. Not thread-safe."""

    def __init__(self, attachment: Attachment) -> None:
        self._attachment = attachment
        self._frames = LiveFrames(attachment)
        self._variables = GlobalPointers(attachment)
        self._names = VariableNames(attachment.executable)
        self._catalogue = TypeCatalogue(attachment)

    def search(
        self, subject: int, cancel: threading.Event, *, depth: int = DEPTH
    ) -> Iterator[HolderSearch | SearchProgress]:
        """What holds the object that *subject* points to or into: after each level, and at the end with `done`.

        It ends at the first level with a root, or *depth* levels out. What a goroutine has on its own stack does
        not hold it; the runtime's list of all goroutines, and the HTTP client's goroutine that waits for a body,
        do only where nothing else does. Where *cancel* is set it ends without `done`. Raises DecodeError where there
        is no object, EngineUnavailable, TargetGone.
        """
        began = time.monotonic()
        scanned = 0
        for attempt in range(_TRIES):
            yield SearchProgress("reading the heap's spans")
            search = self._begin(subject, cancel)
            if search is None:
                return
            for fact in search.run(depth):
                if isinstance(fact, SearchProgress):
                    yield fact
                elif not fact.done or search.holds or attempt + 1 == _TRIES:
                    yield search.timed(fact, began, scanned)
            if cancel.is_set() or search.holds:
                return
            scanned += search.scanned  # what held it let go meanwhile: that proves nothing, so look again

    def _begin(self, subject: int, cancel: threading.Event) -> _Search | None:
        heap = HeapMap.read(self._attachment, cancel)
        found = heap.find(subject)
        if cancel.is_set():
            return None
        if found is None:
            raise DecodeError(
                f"there is no heap object at {subject:#x}", remedy="choose an object of the heap"
            )
        if heap.is_allocated(found) is False:
            raise DecodeError(f"the object at {subject:#x} was freed", remedy="look at it anew")
        self._catalogue.read(cancel)
        return _Search(self, heap, found, cancel)

    # --- for the search ---

    def find_edges(
        self, heap: HeapMap, types: ObjectTypes, subject: HeapObject, cancel: threading.Event
    ) -> EdgeFinder:
        """A finder of edges in *heap*."""
        return EdgeFinder(self._attachment, heap, self._frames, self._variables, types, subject, cancel)

    def read_heap(self, cancel: threading.Event) -> HeapMap:
        """The heap as it is now."""
        return HeapMap.read(self._attachment, cancel)

    def find_types(self, heap: HeapMap, cancel: threading.Event) -> ObjectTypes:
        """A finder of types in *heap*."""
        return ObjectTypes(self._attachment, heap, self._catalogue, cancel)

    def read_moment(self) -> Moment | None:
        """How often each thread ran until now; None while one runs."""
        return read_moment(self._attachment.pid)

    def read_word(self, address: int) -> int | None:
        """The word at *address*, None where it cannot be read."""
        try:
            word: int = _WORD.unpack(self._attachment.memory.read(address, 8))[0]
        except DecodeError:
            return None
        return word

    def name_variable(self, address: int, cancel: threading.Event) -> tuple[str, str]:
        """A variable's name, and where in it *address* is."""
        if address == self._attachment.allgs:
            return "runtime.allgs", ""
        link_time = address - self._attachment.bias
        found = self._names.find_symbol(link_time)
        if found is not None:
            name, offset = found
            return printable(name), f"+{offset:#x}" if offset else ""
        user = self._names.find_package(link_time, cancel)
        if user is None:
            return f"variable at {address:#x}", ""
        package, distance = printable(user[0]), user[1]
        if not distance:
            return f"{package} (variable at {address:#x})", ""
        return f"variable at {address:#x}, {distance:#x} after the start of one of {package}", ""


class _Search:
    """One search, with all it found so far."""

    def __init__(
        self, finder: HolderFinder, heap: HeapMap, subject: HeapObject, cancel: threading.Event
    ) -> None:
        self._finder = finder
        self._heap = heap
        self._subject = subject
        self._cancel = cancel
        self._types = finder.find_types(heap, cancel)
        self._edges = finder.find_edges(heap, self._types, subject, cancel)
        self._levels: list[Level] = []
        self._first: dict[int, Edge] = {}
        """For each object met, the edge by which it leads towards the subject."""
        self._known = {subject.start: subject}
        self._frontier = [subject]
        self._root: Edge | None = None
        self.holds = True
        """Whether the way to the root, if one was found, was still there at the end."""
        if self._edges.is_goroutine(subject):
            self._types.add_goroutine(subject)

    @property
    def scanned(self) -> int:
        """Bytes gone through."""
        return self._edges.scanned

    def run(self, depth: int) -> Iterator[HolderSearch | SearchProgress]:
        """What was found after each level, and at the end."""
        for number in range(1, depth + 1):
            level = Level()
            yield from self._edges.search(self._frontier, level, number)
            if self._cancel.is_set():
                return
            self._levels.append(level)
            self._settle(level)
            if (self._root is not None and self._root.final) or not self._frontier:
                break
            yield self._result()
        nothing = False
        if self._is_without_holder() and not any(level.omitted for level in self._levels):
            for fact in self._confirm():
                if isinstance(fact, bool):
                    nothing = fact
                else:
                    yield fact
            if self._cancel.is_set():
                return
        if self._root is not None and not self._is_path_whole():
            self.holds, self._root, nothing = False, None, False
        yield self._result(
            done=True, unreachable=nothing and self._root is None, forsaken=nothing and self._root is not None
        )

    def _is_without_holder(self) -> bool:
        """Whether the search came to an end, and met nothing that holds the subject for the program."""
        waits = self._root is not None and not self._root.final and self._root.kind is HolderKind.FRAME
        return not self._frontier and (self._root is None or waits)

    def timed(self, found: HolderSearch, began: float, scanned: int) -> HolderSearch:
        """*found* with what it took since *began*, and the bytes gone through in vain before."""
        return HolderSearch(
            subject=found.subject,
            size=found.size,
            type_name=found.type_name,
            levels=found.levels,
            path=found.path,
            done=found.done,
            unreachable=found.unreachable,
            forsaken=found.forsaken,
            scanned_bytes=found.scanned_bytes + scanned,
            seconds=time.monotonic() - began,
        )

    # --- what a level leads to ---

    def _settle(self, level: Level) -> None:
        """Choose what is followed, and the root if one was met."""
        roots = [edge for edge in level.edges if edge.kind is not HolderKind.OBJECT]
        best = min(roots, key=_rank, default=None)
        if best is not None and (self._root is None or (best.final and not self._root.final)):
            self._root = best
        following: list[HeapObject] = []
        for edge in _iter_turns(level.edges):
            holder = edge.object
            if edge.kind is not HolderKind.OBJECT or holder is None or holder.start in self._known:
                continue
            if len(following) >= FOLLOWED:
                level.omitted += 1
                continue
            self._known[holder.start] = holder
            self._first[holder.start] = edge
            following.append(holder)
        self._frontier = following

    def _is_path_whole(self) -> bool:
        """Whether every pointer on the way to the root is still there."""
        return all(
            self._finder.read_word(edge.address) == edge.value
            and (edge.object is None or self._heap.is_allocated(edge.object) is not False)
            for edge in self._path()
        )

    # --- nothing holds it ---

    def _confirm(self) -> Iterator[SearchProgress | bool]:
        """Whether nothing points from elsewhere into what was found; False where the process never held still."""
        for attempt in range(_STILL_TRIES):
            before = self._finder.read_moment()
            if before is not None:
                began = time.monotonic()
                yield SearchProgress("nothing holds it: looking once more while the process sleeps")
                level = Level()
                yield from self._look_again(level)
                if self._cancel.is_set():
                    return
                if self._finder.read_moment() == before:
                    yield self._is_closed(level)
                    return
                if time.monotonic() - began > _STILL_SECONDS / (attempt + 1):
                    break
            if self._cancel.wait(_STILL_PAUSE):
                return
        yield False

    def _look_again(self, level: Level) -> Iterator[SearchProgress]:
        """Search everything, with the heap as it is now, for pointers into what was found."""
        heap = self._finder.read_heap(self._cancel)
        if self._cancel.is_set():
            return
        scanned = self._edges.scanned
        self._edges = self._finder.find_edges(heap, self._types, self._subject, self._cancel)
        self._edges.scanned = scanned
        yield from self._edges.search(list(self._known.values()), level, len(self._levels) + 1)

    def _is_closed(self, level: Level) -> bool:
        """Whether all that points into what was found is of it, or just waits for it."""
        if level.omitted or self._edges.doubtful or not self._edges.finalizers_idle():
            return False
        return all(
            (edge.kind is HolderKind.OBJECT and edge.object is not None and edge.object.start in self._known)
            or (edge.kind is HolderKind.FRAME and not edge.final)
            for edge in level.edges
        )

    # --- the result ---

    def _result(
        self, *, done: bool = False, unreachable: bool = False, forsaken: bool = False
    ) -> HolderSearch:
        edges = [edge for level in self._levels for edge in level.edges]
        self._types.infer(map(self._link, edges), self._subject)
        # Each is described once: what is read for it may move, and the path is to be told as its levels are.
        described = functools.lru_cache(maxsize=None)(self._holder)
        shown = []
        for depth, level in enumerate(self._levels, 1):
            told = sorted(level.edges, key=_rank)
            if len(told) > SHOWN:
                told = [edge for edge, _ in zip(_iter_turns(told), range(SHOWN), strict=False)]
            holders = tuple(map(described, told))
            shown.append(HolderLevel(depth, holders, level.omitted + len(level.edges) - len(holders)))
        return HolderSearch(
            subject=self._subject.start,
            size=self._subject.size,
            type_name=self._types.name_of(self._subject),
            levels=tuple(shown),
            path=tuple(map(described, self._path())),
            done=done,
            unreachable=unreachable,
            forsaken=forsaken,
            scanned_bytes=self._edges.scanned,
        )

    def _link(self, edge: Edge) -> Link:
        holder = edge.object if edge.is_inside else None
        adjacent = edge.kind is not HolderKind.FRAME and (edge.is_inside or edge.kind is HolderKind.GLOBAL)
        return Link(edge.address, edge.value, holder, self._known.get(edge.target), adjacent)

    def _path(self) -> list[Edge]:
        """The edges from the subject to the root, nearest first."""
        if self._root is None:
            return []
        path = [self._root]
        while path[-1].target != self._subject.start:
            path.append(self._first[path[-1].target])
        path.reverse()
        return path

    def _holder(self, edge: Edge) -> Holder:
        name, way, type_name = edge.name, edge.field, ""
        if edge.object is not None:
            type_name = self._types.name_of(edge.object)
            way = self._types.field_of(edge.object, edge.address) if edge.is_inside else way
        elif edge.kind is HolderKind.GLOBAL:
            name, way = self._finder.name_variable(edge.address, self._cancel)
        return Holder(
            kind=edge.kind,
            address=edge.address,
            holds=edge.target,
            object=edge.object.start if edge.object else 0,
            size=edge.object.size if edge.object else 0,
            type_name=type_name,
            field=way,
            name=name,
            goid=edge.goid,
            frame=edge.frame,
        )


def _rank(edge: Edge) -> tuple[int, int]:
    """Roots first, and of those the ones that say most."""
    return (_RANKS[edge.kind] if edge.final else 3, edge.address)


def _iter_turns(edges: Iterable[Edge]) -> Iterator[Edge]:
    """*edges*, roots first, then one of each shape in turn."""
    shapes: dict[tuple[int, int, int], list[Edge]] = {}
    for edge in edges:
        if edge.object is None or edge.kind is not HolderKind.OBJECT:
            yield edge
        else:
            shape = (edge.target, edge.object.size, edge.address - edge.object.start)
            shapes.setdefault(shape, []).append(edge)
    groups = list(shapes.values())
    for turn in range(max(map(len, groups), default=0)):
        for group in groups:
            if turn < len(group):
                yield group[turn]
