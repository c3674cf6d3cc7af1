"""Where the kernel put an executable, from the text of `/proc/PID/maps`.

Law: pure. The mappings of one file are recognised by their offsets, which must fit the file's PT_LOAD
segments, and told from other files by inode or path where several fit.
"""

from __future__ import annotations

from leaktui.binary.elf import ElfImage, Segment


def find_bias(image: ElfImage, maps_text: str) -> int | None:
    """Runtime address − link-time address of *image*; None where *maps_text* does not have it.

    0 for an executable that is not position-independent.
    """
    if not image.relocatable:
        return 0
    if not image.loads:
        return None
    mapped: dict[tuple[str, int, str], list[tuple[int, int, int]]] = {}
    for line in maps_text.splitlines():
        fields = line.split(None, 5)
        if len(fields) < 6 or fields[4] == "0":
            continue
        try:
            start, end = (int(address, 16) for address in fields[0].split("-"))
            offset, inode = int(fields[2], 16), int(fields[4])
        except ValueError:
            continue
        file = (fields[3], inode, fields[5].removesuffix(" (deleted)"))
        mapped.setdefault(file, []).append((offset, start, end))
    best: tuple[int, int] | None = None
    for (_device, inode, path), mappings in mapped.items():
        biases = set.intersection(*(_segment_biases(load, mappings) for load in image.loads))
        if not biases:
            continue
        bias = min(biases)
        score = 2 * (inode == image.inode) + (path == image.path)
        if best is None or score > best[0]:
            best = score, bias
    return None if best is None else best[1]


def _segment_biases(load: Segment, mappings: list[tuple[int, int, int]]) -> set[int]:
    """By how much *load* may have been moved, for each of *mappings* (offset, start, end) that holds its beginning.

    A mapping may begin before the segment: the kernel joins neighbours once RELRO has split them. And two
    mappings may hold it: segments that share a page of the file are both mapped with that page.
    """
    return {
        start + load.offset - offset - load.address
        for offset, start, end in mappings
        if offset <= load.offset < offset + end - start
    }
