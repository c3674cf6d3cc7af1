"""Sites and their recipes as a BPF program.

Law: a program only reads the target, works in registers and on its own stack, and writes its record where it was
reserved in the ring: nothing is shared between programs, for one may be interrupted by another on the same CPU.
Straight code without loops, which every verifier since Linux 5.8 follows.
"""

from __future__ import annotations

from collections.abc import Sequence

from leaktui.engines.probes.kernel.bpf_assembler import Assembler, Condition, Reg
from leaktui.engines.probes.kernel.record import (
    FRAME_COUNT,
    SITE,
    THREAD,
    TIME,
    WHOLE,
    RecordLayout,
)
from leaktui.engines.probes.recipe import Recipe, Register, Site, Text, Word

GATE = 0
"""Offset in the counters: while it is 0 nothing is counted or recorded."""

DROPS = 8
"""Offset in the counters of how many records found no room in the ring."""

_FIRST_HITS = 16

# Helper functions, include/uapi/linux/bpf.h.
_KTIME_GET_NS = 5
_GET_CURRENT_PID_TGID = 14
_PROBE_READ_USER = 112
_RINGBUF_RESERVE = 131
_RINGBUF_SUBMIT = 132

_NO_WAKEUP = 1

# Kept over calls.
_CONTEXT, _COUNTERS, _RECORD = Reg.R6, Reg.R7, Reg.R8
_SITE = _LENGTH = _FRAME_POINTER = Reg.R9  # one after the other

_PAIR = -16
"""Offset from FP of two words read at once: a string's header, a frame's link and return address."""

_STACK_BYTES = 512
MOST_FRAMES = 256
MOST_TEXT = 4096


def hits_at(site: int) -> int:
    """Offset in the counters of how often the target came by the site with that index."""
    return _FIRST_HITS + 8 * site


def counter_bytes(sites: int) -> int:
    """Size of the counters of so many sites."""
    return hits_at(sites)


def compile_sites(sites: Sequence[Site], *, ring: int, counters: int) -> bytes:
    """One program for all of *sites*; *ring* and *counters* are the descriptors of its maps.

    At a hit the instruction pointer is the site's address: by it the program finds the site's index, and the code
    of its recipe. Raises ValueError for two sites at one address, and for a recipe that makes no sense.
    """
    if len({site.address for site in sites}) != len(sites):
        raise ValueError("two sites at one address")
    code = Assembler()
    code.move(_CONTEXT, Reg.R1)
    code.set_map_value(_COUNTERS, counters)
    code.load(Reg.R1, _COUNTERS, GATE)
    code.jump_if(Reg.R1, Condition.EQUAL, 0, "out")
    code.load(Reg.R1, _CONTEXT, Register.RIP.value)
    recipes = list(dict.fromkeys(site.recipe for site in sites))
    order = sorted(range(len(sites)), key=lambda index: sites[index].address)
    _find_site(code, sites, order, recipes)
    for number, recipe in enumerate(recipes):
        code.label(f"recipe {number}")
        _RecipeCode(code, recipe, f"{number}", ring).write()
    code.label("out")
    code.set(Reg.R0, 0)  # it is no event for perf
    code.exit()
    return code.assemble()


def _find_site(
    code: Assembler, sites: Sequence[Site], order: Sequence[int], recipes: Sequence[Recipe]
) -> None:
    """Look R1 up among the addresses of *order*, half by half; count the hit and go to the recipe."""
    if len(order) > 1:
        half = len(order) // 2
        above = f"from {order[half]}"
        code.set(Reg.R2, sites[order[half]].address)
        code.jump_if(Reg.R1, Condition.ABOVE_OR_EQUAL, Reg.R2, above)
        _find_site(code, sites, order[:half], recipes)
        code.label(above)
        _find_site(code, sites, order[half:], recipes)
        return
    (index,) = order
    code.set(Reg.R2, sites[index].address)
    code.jump_if(Reg.R1, Condition.NOT_EQUAL, Reg.R2, "out")
    _count(code, hits_at(index))
    code.set(_SITE, index)
    code.jump(f"recipe {recipes.index(sites[index].recipe)}")


def _count(code: Assembler, offset: int) -> None:
    code.set(Reg.R1, 1)
    code.atomic_add(_COUNTERS, offset, Reg.R1)


class _RecipeCode:
    """Writes what one recipe says; _SITE is the site's index. Labels end with *suffix*, for there are others."""

    def __init__(self, code: Assembler, recipe: Recipe, suffix: str, ring: int) -> None:
        _check(recipe)
        self._recipe = recipe
        self._suffix = suffix
        self._ring = ring
        self._layout = RecordLayout(recipe)
        self._code = code
        self._early = _words_before_test(recipe)
        """Offsets from FP of the words that are read before it is known whether there will be a record."""

    def write(self) -> None:
        code = self._code
        for word in self._recipe.words:
            if word.name in self._early:
                self._read_word(word, Reg.FP, self._early[word.name])
        if self._recipe.only_if:
            code.load(Reg.R1, Reg.FP, self._early[self._recipe.only_if])
            code.set(Reg.R2, self._recipe.at_least)
            code.jump_if(Reg.R1, Condition.BELOW, Reg.R2, "out")
        self._reserve()
        self._write_head()
        for word in self._recipe.words:
            offset = self._layout.words[word.name]
            if word.name in self._early:
                code.load(Reg.R1, Reg.FP, self._early[word.name])
                code.store(_RECORD, offset, Reg.R1)
            else:
                self._read_word(word, _RECORD, offset)
        for index, text in enumerate(self._recipe.texts):
            self._read_text(index, text)
        if self._recipe.frames:
            self._walk_frames(self._recipe.frames)
        code.move(Reg.R1, _RECORD)
        code.set(Reg.R2, _NO_WAKEUP)  # the reader comes by itself: to wake it would be the target's time
        code.call(_RINGBUF_SUBMIT)
        code.jump("out")

    def _name(self, label: str) -> str:
        return f"{label}, recipe {self._suffix}"

    def _reserve(self) -> None:
        code = self._code
        code.set_map(Reg.R1, self._ring)
        code.set(Reg.R2, self._layout.size)
        code.set(Reg.R3, 0)
        code.call(_RINGBUF_RESERVE)
        code.jump_if(Reg.R0, Condition.NOT_EQUAL, 0, self._name("reserved"))
        _count(code, DROPS)
        code.jump("out")
        code.label(self._name("reserved"))
        code.move(_RECORD, Reg.R0)

    def _write_head(self) -> None:
        code = self._code
        code.store(_RECORD, SITE, _SITE, width=4)
        code.call(_GET_CURRENT_PID_TGID)
        code.store(_RECORD, THREAD, Reg.R0, width=4)
        code.call(_KTIME_GET_NS)
        code.store(_RECORD, TIME, Reg.R0)
        code.store_value(_RECORD, FRAME_COUNT, 0)

    def _read_word(self, word: Word, base: Reg, offset: int) -> None:
        """Put *word* at base + offset; what cannot be read is cleared by the helper."""
        code = self._code
        if word.offset is None:
            self._load(Reg.R1, word.base)
            code.store(base, offset, Reg.R1)
            return
        self._load(Reg.R3, word.base)
        if isinstance(word.base, str):
            # A nil pointer is common and to fault on it is slow.
            code.store_value(base, offset, 0)
            code.jump_if(Reg.R3, Condition.EQUAL, 0, self._name(f"after {word.name}"))
        code.add(Reg.R3, word.offset)
        self._read_user(base, offset, 8)
        code.label(self._name(f"after {word.name}"))

    def _read_text(self, index: int, text: Text) -> None:
        code = self._code
        length_at = self._layout.lengths[index]
        after = self._name(f"after text {index}")
        code.store_value(_RECORD, length_at, 0)
        if text.offset is None:
            self._load(Reg.R3, text.base)
            self._load(Reg.R2, text.length)
        else:
            self._load(Reg.R3, text.base)
            code.jump_if(Reg.R3, Condition.EQUAL, 0, after)
            code.add(Reg.R3, text.offset)
            self._read_user(Reg.FP, _PAIR, 16)
            code.jump_if(Reg.R0, Condition.NOT_EQUAL, 0, after)
            code.load(Reg.R3, Reg.FP, _PAIR)
            code.load(Reg.R2, Reg.FP, _PAIR + 8)
        code.jump_if(Reg.R3, Condition.EQUAL, 0, after)
        code.jump_if(Reg.R2, Condition.BELOW_OR_EQUAL, text.limit, self._name(f"bounded {index}"))
        code.set(Reg.R2, text.limit)
        code.label(self._name(f"bounded {index}"))
        code.move(_LENGTH, Reg.R2)
        code.move(Reg.R1, _RECORD)
        code.add(Reg.R1, self._layout.texts[index])
        code.call(_PROBE_READ_USER)
        code.jump_if(Reg.R0, Condition.NOT_EQUAL, 0, after)
        code.store(_RECORD, length_at, _LENGTH)
        code.label(after)

    def _walk_frames(self, limit: int) -> None:
        """The caller at [RSP], then outward: a frame's link is at [RBP], its return address at [RBP+8]."""
        code = self._code
        frames = self._layout.frames
        code.load(Reg.R3, _CONTEXT, Register.RSP.value)
        self._read_user(_RECORD, frames, 8)
        code.jump_if(Reg.R0, Condition.NOT_EQUAL, 0, self._name("walked"))
        code.store_value(_RECORD, FRAME_COUNT, 1, width=4)
        code.load(_FRAME_POINTER, _CONTEXT, Register.RBP.value)
        for index in range(1, limit):
            code.jump_if(_FRAME_POINTER, Condition.EQUAL, 0, self._name("whole"))
            code.move(Reg.R3, _FRAME_POINTER)
            self._read_user(Reg.FP, _PAIR, 16)
            code.jump_if(Reg.R0, Condition.NOT_EQUAL, 0, self._name("walked"))
            code.load(Reg.R1, Reg.FP, _PAIR + 8)
            code.store(_RECORD, frames + 8 * index, Reg.R1)
            code.store_value(_RECORD, FRAME_COUNT, index + 1, width=4)
            code.load(Reg.R1, Reg.FP, _PAIR)
            code.jump_if(Reg.R1, Condition.EQUAL, 0, self._name("whole"))
            # Outward is up, or it is no chain.
            code.jump_if(Reg.R1, Condition.BELOW_OR_EQUAL, _FRAME_POINTER, self._name("walked"))
            code.move(_FRAME_POINTER, Reg.R1)
        if limit == 1:
            code.jump_if(_FRAME_POINTER, Condition.EQUAL, 0, self._name("whole"))
        code.jump(self._name("walked"))
        code.label(self._name("whole"))
        code.store_value(_RECORD, WHOLE, 1, width=4)
        code.label(self._name("walked"))

    def _read_user(self, base: Reg, offset: int, size: int) -> None:
        """Read *size* bytes at the address in R3 to base + offset; R0 is 0, or they were cleared."""
        self._code.move(Reg.R1, base)
        self._code.add(Reg.R1, offset)
        self._code.set(Reg.R2, size)
        self._code.call(_PROBE_READ_USER)

    def _load(self, target: Reg, base: Register | str) -> None:
        """target = the register, or the word read before."""
        if isinstance(base, Register):
            self._code.load(target, _CONTEXT, base.value)
        elif base in self._early:
            self._code.load(target, Reg.FP, self._early[base])
        else:
            self._code.load(target, _RECORD, self._layout.words[base])


def _words_before_test(recipe: Recipe) -> dict[str, int]:
    """The words that `only_if` needs, itself last, with a place on the stack each."""
    needed: set[str] = set()
    name: Register | str = recipe.only_if
    bases = {word.name: word.base for word in recipe.words}
    while isinstance(name, str) and name:
        needed.add(name)
        name = bases[name]
    order = [word.name for word in recipe.words if word.name in needed]
    places = {name: _PAIR - 8 * (index + 1) for index, name in enumerate(order)}
    if len(order) * 8 - _PAIR > _STACK_BYTES:
        raise ValueError("too many words before the test of a recipe")
    return places


def _check(recipe: Recipe) -> None:
    known: set[str] = set()
    for word in recipe.words:
        if isinstance(word.base, str) and word.base not in known:
            raise ValueError(f"the word {word.name} is read at {word.base!r}, which is not read before it")
        if word.name in known:
            raise ValueError(f"two words are called {word.name}")
        known.add(word.name)
    for text in recipe.texts:
        names = [text.base] if text.offset is not None else [text.base, text.length]
        for name in names:
            if isinstance(name, str) and name not in known:
                raise ValueError(f"the text {text.name} is read at {name!r}, which is not read before it")
        if not 0 < text.limit <= MOST_TEXT:
            raise ValueError(f"the text {text.name} has a limit of {text.limit} bytes, not 1 to {MOST_TEXT}")
    if recipe.only_if and recipe.only_if not in known:
        raise ValueError(f"the recipe tests {recipe.only_if!r}, which it does not read")
    if not 0 <= recipe.frames <= MOST_FRAMES:
        raise ValueError(f"a recipe takes {recipe.frames} frames, not 0 to {MOST_FRAMES}")
    if RecordLayout(recipe).size > 1 << 15 or len(recipe.words) > 64 or len(recipe.texts) > 8:
        raise ValueError("a recipe reads too much")
