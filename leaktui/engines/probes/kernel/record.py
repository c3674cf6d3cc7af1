"""What a program leaves in the ring for one hit, byte by byte, and how it becomes a Hit again.

Law: program and reader know the layout from here only. A record has the same size every time, for it is reserved
before it is known what there is to read; what was not filled holds old bytes and is not looked at.

    0   u32 site, u32 thread
    8   u64 nanoseconds
    16  u32 frames, u32 whole
    24  u64 for each word, u64 length of each text
        the texts, each padded to 8 bytes
        the frames, 8 bytes each
"""

from __future__ import annotations

import struct
from collections.abc import Callable
from mmap import mmap

from leaktui.engines.probes.recipe import Hit, Recipe, Site

SITE = 0
THREAD = 4
TIME = 8
FRAME_COUNT = 16
WHOLE = 20
WORDS = 24

_CACHED_CHAINS = 1 << 15

Frames = tuple[int, ...]
Decode = Callable[[mmap, int], Hit]


class RecordLayout:
    """Where the parts of a recipe's record are, as offsets from its beginning; `size` is of all of it."""

    def __init__(self, recipe: Recipe) -> None:
        self.words = {word.name: WORDS + 8 * index for index, word in enumerate(recipe.words)}
        offset = WORDS + 8 * len(recipe.words)
        self.lengths = [offset + 8 * index for index in range(len(recipe.texts))]
        offset += 8 * len(recipe.texts)
        self.texts: list[int] = []
        for text in recipe.texts:
            self.texts.append(offset)
            offset += -(-text.limit // 8) * 8
        self.frames = offset
        self.size = offset + 8 * recipe.frames


def decoder_of(site: Site, chains: dict[bytes, Frames]) -> Decode:
    """What makes a Hit at *site* of the record at an offset. *chains* are those met before, shared by all sites.

    The same chains come by again and again: they are made once, and are the same object each time.
    """
    layout = RecordLayout(site.recipe)
    words = 5 + len(site.recipe.words)
    unpack = struct.Struct(f"=IIQII{words - 5 + len(site.recipe.texts)}Q").unpack_from
    texts = tuple(enumerate(layout.texts, words))
    first_frame = layout.frames

    def decode_chain(data: mmap, start: int, count: int) -> Frames:
        raw = data[start : start + 8 * count]
        chain = chains.get(raw)
        if chain is None:
            if len(chains) >= _CACHED_CHAINS:
                chains.clear()
            chain = chains[raw] = struct.unpack(f"={count}Q", raw)
        return chain

    def decode(data: mmap, offset: int) -> Hit:
        fields = unpack(data, offset)
        _, thread, time, count, whole = fields[:5]
        read: tuple[bytes, ...] = ()
        if texts:
            read = tuple([data[offset + start : offset + start + fields[length]] for length, start in texts])
        chain = decode_chain(data, offset + first_frame, count) if count else ()
        return Hit(site, time, thread, fields[5:words], read, chain, whole != 0)

    return decode
