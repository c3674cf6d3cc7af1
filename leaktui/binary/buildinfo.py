"""Build info: what `go version -m` prints, from the blob the linker leaves in the data segment.

Law: it is there in stripped executables and without section headers too. The blob begins with a magic
on a 16-byte boundary; since Go 1.18 two length-prefixed strings follow its 32-byte header: the Go
version, and the modules framed by 16-byte sentinels (debug/buildinfo, runtime/debug.ParseBuildInfo).
"""

from __future__ import annotations

import ast

from leaktui.binary.elf import ElfImage
from leaktui.errors import DecodeError, Truncated
from leaktui.model.target import BuildInfo, Module

MAGIC = b"\xff Go buildinf:"

TEXT_LIMIT = 16 << 20
"""Bytes the module text may have; the largest seen in the wild are below 100 kB."""

_ALIGN = 16
_HEADER_SIZE = 32
_FLAG_INLINE = 2
_SENTINEL_SIZE = 16


def find_build_info(image: ElfImage) -> BuildInfo | None:
    """The build info of *image*, None where it has none (not Go, or not linked by cmd/link)."""
    section = image.sections.get(".go.buildinfo")
    if section is not None and section.in_file:
        data = image.read_at(section.offset, min(section.size, TEXT_LIMIT))
        start = data.find(MAGIC)
        if start >= 0:
            try:
                return decode_build_info(data[start:])
            except DecodeError:
                info = _decode_pointers(image, data[start:])
                if info is not None:
                    return info
    # Without section headers: the first data segment, like debug/buildinfo; then wherever else data may be.
    for segment in sorted(image.loads, key=lambda load: (not load.writable, load.executable)):
        for address in image.iter_matches(MAGIC, segment, align=_ALIGN):
            available = segment.address + segment.file_size - address
            try:
                return decode_build_info(image.read(address, min(available, TEXT_LIMIT)))
            except DecodeError:
                continue
    return None


def decode_build_info(data: bytes) -> BuildInfo:
    """Decode a blob that begins with the magic; raises DecodeError when it is not one of Go 1.18 or newer."""
    if not data.startswith(MAGIC) or len(data) < _HEADER_SIZE:
        raise DecodeError("no Go build info here")
    if not data[15] & _FLAG_INLINE:
        raise DecodeError("build info of a Go older than 1.18")
    version, end = _read_string(data, _HEADER_SIZE)
    modules, _ = _read_string(data, end)
    if not version.startswith((b"go", b"devel")):
        raise DecodeError("build info without a Go version")
    text = b""
    if len(modules) > 2 * _SENTINEL_SIZE and modules[-_SENTINEL_SIZE - 1] == ord("\n"):
        text = modules[_SENTINEL_SIZE:-_SENTINEL_SIZE]
    return parse_modules(version.decode("utf-8", "replace"), text.decode("utf-8", "replace"))


def parse_modules(go_version: str, text: str) -> BuildInfo:
    """The lines `path`, `mod`, `dep`, `=>` and `build`; unknown lines are passed over.

    A replaced module keeps the path its packages are imported by.
    """
    main_package = ""
    module: Module | None = None
    dependencies: list[Module] = []
    settings: list[tuple[str, str]] = []
    for line in text.split("\n"):
        kind, _, rest = line.partition("\t")
        if kind == "path":
            main_package = rest
        elif kind in ("mod", "dep"):
            path, version, *_ = [*rest.split("\t"), ""]
            if kind == "mod":
                module = Module(path, version)
            else:
                dependencies.append(Module(path, version))
        elif kind == "build":
            settings.append(_split_setting(rest))
    return BuildInfo(go_version, main_package, module, tuple(dependencies), tuple(settings))


def _split_setting(text: str) -> tuple[str, str]:
    """`key=value`, either of them quoted as Go quotes strings."""
    if text.startswith(("'", '"', "`")):
        end = text.find(text[0] + "=", 1)
        key, value = (text[: end + 1], text[end + 2 :]) if end > 0 else (text, "")
    else:
        key, _, value = text.partition("=")
    return _unquote(key), _unquote(value)


def _unquote(text: str) -> str:
    if len(text) >= 2 and text[0] == text[-1] == "`":
        return text[1:-1]
    if len(text) >= 2 and text[0] == text[-1] == '"':
        try:
            return str(ast.literal_eval(text))
        except (ValueError, SyntaxError, MemoryError):
            return text[1:-1]
    return text


def _read_string(data: bytes, position: int) -> tuple[bytes, int]:
    """A varint length and that many bytes; with the position after them."""
    length = shift = 0
    while True:
        if position >= len(data) or shift > 35:
            raise Truncated("the Go build info is cut short")
        byte = data[position]
        position += 1
        length |= (byte & 0x7F) << shift
        shift += 7
        if byte < 0x80:
            break
    end = position + length
    if end > len(data):
        raise Truncated("the Go build info is cut short")
    return data[position:end], end


def _decode_pointers(image: ElfImage, data: bytes) -> BuildInfo | None:
    """Before Go 1.18 the header held pointers to the two Go strings."""
    word = image.word_size
    if len(data) < 16 + 2 * word or data[15] & _FLAG_INLINE:
        return None
    try:
        byte_order = "little" if image.little_endian else "big"
        header = int.from_bytes(data[16 : 16 + word], byte_order)  # type: ignore[arg-type]
        address, length = image.read_words(header, 2)
        version = image.read(address, min(length, 256)).decode("ascii")
    except (DecodeError, UnicodeDecodeError):
        return None
    return BuildInfo(go_version=version) if version.startswith(("go", "devel")) else None
