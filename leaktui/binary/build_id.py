"""The id a linker wrote into an executable, by which pprof tells one build from another.

Law: GNU's id where there is one (the linker of Go 1.24 and later writes it, as the runtime's own profiles name it:
runtime/pprof/elf.go), else Go's; empty where neither can be read.
"""

from __future__ import annotations

import struct

from leaktui.binary.elf import ElfImage
from leaktui.text import printable

_LONGEST = 512
_GNU, _GO = (".note.gnu.build-id", b"GNU\0", 3), (".note.go.buildid", b"Go\0\0", 4)


def read_build_id(image: ElfImage) -> str:
    """GNU's build id in hexadecimal, or Go's build id as text."""
    gnu = _note(image, *_GNU)
    if gnu:
        return gnu.hex()
    return printable(_note(image, *_GO).decode("ascii", "replace"))


def _note(image: ElfImage, section: str, owner: bytes, kind: int) -> bytes:
    """The descriptor of the note in *section*; empty where there is none of that owner and kind."""
    data = image.section_data(section) or b""
    if len(data) < 16:
        return b""
    name_size, size, found_kind = struct.unpack_from(f"{image.order}III", data)
    if found_kind != kind or data[12 : 12 + name_size] != owner or size > _LONGEST:
        return b""
    start = 12 + (name_size + 3) // 4 * 4
    return data[start : start + size]
