"""A Go executable: what it is, which functions it has, which line an instruction belongs to.

Law: opening reads headers and build info only; everything else is read on first use and kept. All
addresses are the linker's; `bias` is what a position-independent executable was moved by.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from functools import cached_property
from pathlib import Path
from types import TracebackType

from leaktui.binary.buildinfo import find_build_info
from leaktui.binary.elf import ElfImage, Section
from leaktui.binary.loadmap import find_bias
from leaktui.binary.moduledata import ModuleData, find_module_data
from leaktui.binary.pcheader import decode_header, iter_headers
from leaktui.binary.pclntab import Function, PcLineTable
from leaktui.binary.signature import Signatures
from leaktui.binary.symtab import Symbol, SymbolTable
from leaktui.errors import DecodeError, NotGo
from leaktui.model.frame import Frame, Stack
from leaktui.model.target import BuildInfo
from leaktui.text import printable

_CACHED_STACKS = 1 << 16
_TABLE_SECTIONS = (".gopclntab", ".data.rel.ro.gopclntab")


class Executable:
    """An open Go executable. Safe to use from several threads; `close` it, or use it in a `with`."""

    def __init__(self, image: ElfImage, build: BuildInfo) -> None:
        self.image = image
        self.build = build
        """What `go version -m` prints."""
        self._stacks: dict[tuple[int, int], Stack] = {}
        self._lock = threading.RLock()

    @classmethod
    def open(cls, path: str | Path) -> Executable:
        """Open *path*, which may be `/proc/PID/exe`.

        Raises NotGo, TargetGone or TargetForbidden, and DecodeError for a damaged ELF file.
        """
        image = ElfImage.open(path)
        try:
            build = find_build_info(image)
            if build is None:
                if not any(name in image.sections for name in _TABLE_SECTIONS):
                    raise NotGo(
                        f"{printable(str(path))} was not built by the Go toolchain",
                        remedy="choose a Go process (`leaktui ps` lists them)",
                    )
                build = BuildInfo(go_version="")
        except BaseException:
            image.close()
            raise
        return cls(image, build)

    def close(self) -> None:
        """Close the file; safe to call again."""
        self.image.close()

    def __enter__(self) -> Executable:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    # --- what it is ---

    @property
    def path(self) -> str:
        """The path it was opened by."""
        return self.image.path

    @property
    def machine(self) -> str:
        """The architecture in Go's words: `amd64`, `arm64`, …"""
        return self.image.machine

    @property
    def sections(self) -> dict[str, Section]:
        """The sections by name; empty where the section headers were removed."""
        return self.image.sections

    @property
    def stripped(self) -> bool:
        """Whether it has no symbol table (functions and lines are known all the same)."""
        return ".symtab" not in self.image.sections

    @property
    def has_dwarf(self) -> bool:
        """Whether it has DWARF debug information."""
        return ".debug_info" in self.image.sections

    @property
    def pie(self) -> bool:
        """Whether it is position-independent: addresses in the process are then off by `bias`."""
        return self.image.relocatable

    @cached_property
    def cgo(self) -> bool:
        """Whether C code is linked in (the package runtime/cgo is there)."""
        return next(self.pc_lines.iter_names("runtime/cgo."), None) is not None

    # --- functions ---

    @property
    def pc_lines(self) -> PcLineTable:
        """The pc-line table; raises DecodeError where there is none that leaktui can read."""
        return self._tables[0]

    @property
    def module_data(self) -> ModuleData | None:
        """The runtime's moduledata, None where it was not found (text was then located by symbols)."""
        return self._tables[1]

    @cached_property
    def _tables(self) -> tuple[PcLineTable, ModuleData | None]:
        with self._lock:
            return _load_pc_lines(self.image, self.symbols)

    @cached_property
    def symbols(self) -> SymbolTable:
        """The ELF symbols; empty in a stripped executable."""
        return SymbolTable(self.image)

    def find_symbol(self, name: str) -> Symbol | None:
        """The ELF symbol called *name* (Go or C, function or data)."""
        return self.symbols.find(name)

    def find_function(self, name: str) -> Function | None:
        """The Go function called *name*, None where it is not there or was inlined everywhere.

        Type arguments may be written as the runtime prints them, `main.Map[...]`: then the first
        instantiation is meant. Of an ABI0 wrapper and the function proper, it is the longer one.
        """
        table = self.pc_lines
        names = [name]
        if "[...]" in name:
            head, _, tail = name.partition("[...]")
            names = [full for full in table.iter_names(head + "[") if full.endswith("]" + tail)]
        for full in names:
            found = [table.function(index) for index in table.find_indexes(full)]
            if found:
                return max(found, key=lambda function: function.end - function.entry)
        return None

    def iter_functions(self, prefix: str = "") -> Iterator[Function]:
        """The Go functions whose names begin with *prefix*, in the order of their addresses."""
        table = self.pc_lines
        for index in range(len(table)):
            if not prefix or table.name(index).startswith(prefix):
                yield table.function(index)

    def function_at(self, pc: int) -> Function | None:
        """The function that has link-time address *pc*: a Go one, or a C one by its ELF symbol."""
        index = self.pc_lines.index_at(pc)
        if index is not None:
            return self.pc_lines.function(index)
        symbol = self.symbols.function_at(pc)
        return None if symbol is None else Function(symbol.name, symbol.address, symbol.address + symbol.size)

    def frames_at(self, pc: int, *, return_address: bool = True, bias: int = 0) -> Stack:
        """The calls at *pc*, innermost first, inlined ones as frames of their own; empty for a foreign pc.

        *pc* is an address in a process that was loaded *bias* away from the link-time addresses. A
        return address belongs to the call before it; pass `return_address=False` for the pc of the
        innermost frame of a thread, or of a signal. Names are as the runtime prints them.
        """
        address = pc - bias
        index = self.pc_lines.index_at(address)
        if index is None:
            symbol = self.symbols.function_at(address)
            return () if symbol is None else (Frame(symbol.name, pc=pc),)
        if return_address and address > self.pc_lines.entry(index):
            address -= 1
        key = (address, pc)
        stack = self._stacks.get(key)
        if stack is None:
            stack = self.pc_lines.frames(address, shown_pc=pc)
            if len(self._stacks) >= _CACHED_STACKS:
                self._stacks.clear()
            self._stacks[key] = stack
        return stack

    @cached_property
    def goroot(self) -> str:
        """The directory the standard library was compiled from, empty after `-trimpath`."""
        runtime_main = self.find_function("runtime.main")
        file = runtime_main.file if runtime_main else ""
        return file.removesuffix("/runtime/proc.go") if file.startswith("/") else ""

    # --- types ---

    def outputs_of(self, function: str) -> tuple[str, ...] | None:
        """The types *function* returns, in Go's spelling (`*net/http.Response`); None without DWARF."""
        with self._lock:
            return self._signatures.outputs_of(function)

    @cached_property
    def _signatures(self) -> Signatures:
        return Signatures(self.image)

    # --- where it is loaded ---

    def bias(self, maps_text: str) -> int | None:
        """Runtime address − link-time address, from the text of `/proc/PID/maps`; None when not mapped there."""
        return find_bias(self.image, maps_text)

    def file_offset(self, address: int) -> int | None:
        """Where the byte at a link-time address is in the file (what a uprobe wants)."""
        return self.image.file_offset(address)


def _load_pc_lines(image: ElfImage, symbols: SymbolTable) -> tuple[PcLineTable, ModuleData | None]:
    """Find the table by section or by proof, then text and function data by moduledata or by symbols."""
    failure = DecodeError(
        f"{printable(image.path)} has no table of Go functions",
        remedy="it may be packed or obfuscated; look at the original build",
    )
    for address, data in _iter_tables(image):
        try:
            header = decode_header(data)
        except DecodeError as error:
            remedy = "use a build made with Go 1.20 or newer"
            failure = DecodeError(f"{printable(image.path)}: {error}", remedy=remedy)
            continue
        module = find_module_data(image, address, header)
        candidates: tuple[int, ...]
        if module is not None:
            text, candidates = module.text, module.funcdata
        else:
            named = [symbols.find(name) for name in ("runtime.text", "go:func.*")]
            text = named[0].address if named[0] else header.text_start
            candidates = (named[1].address,) if named[1] else ()
            if not text:
                continue
        plain = PcLineTable(data, text_start=text)
        for candidate in candidates:
            funcdata = _tail(image, candidate)
            if funcdata and plain.validates(funcdata):
                return PcLineTable(data, text_start=text, funcdata=funcdata), module
        return plain, module
    raise failure


def _iter_tables(image: ElfImage) -> Iterator[tuple[int, bytes]]:
    """(address, bytes from there on) of what may be the pc-line table."""
    for name in _TABLE_SECTIONS:
        section = image.sections.get(name)
        if section is not None and section.in_file:
            yield section.address, image.read_at(section.offset, section.size)
            return
    for segment in sorted(image.loads, key=lambda load: (load.executable, load.writable)):
        data = image.read_at(segment.offset, min(segment.file_size, image.size - segment.offset))
        for start in iter_headers(data):
            yield segment.address + start, data[start:]


def _tail(image: ElfImage, address: int) -> bytes:
    """The content from *address* to the end of its section, or of its segment without sections."""
    segment = image.find_segment(address)
    if segment is None:
        return b""
    end = segment.address + segment.file_size
    for section in image.sections.values():
        if section.in_file and section.address <= address < section.address + section.size:
            end = min(end, section.address + section.size)
    return image.read(address, end - address)
