"""Where descriptors are opened and closed in a Go program, and what to read there.

Law: opened is where the standard library takes a number that the kernel gave it into its books; closed is the one
function through which all of it closes, just before the kernel is asked. So a number's close is always seen before it
can be opened again. Everything is found by name, by type descriptor and by machine code (internal/poll/fd_unix.go,
os/file_unix.go, os/root_unix.go, os/exec.go, syscall; the same in Go 1.22 to 1.27).
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

from leaktui.binary.executable import Executable
from leaktui.binary.runtime_types import RuntimeTypes, StructLayout
from leaktui.engines.memory.attachment import Attachment
from leaktui.engines.memory.struct_view import find_layout
from leaktui.engines.probes.entry_point import find_probed_function
from leaktui.engines.probes.recipe import Recipe, Register, Site, Text, Word
from leaktui.errors import EngineUnavailable

FIRST, NUMBER, GOID = 0, 1, 3
"""The words of a hit where one is opened: the first argument (of INIT the poll.FD's address), the descriptor's
number, the goroutine. Of CLOSE it is the first argument alone, the number."""

_INIT = "internal/poll.(*FD).Init"
_CLOSE = "syscall.Close"
_OTHER_CLOSE = "golang.org/x/sys/unix.Close"
_ROOT = "os.newRoot"
_PROCESS = "os.newHandleProcess"

# The goroutines that run finalizers and cleanups (runtime/mfinal.go, mcleanup.go; runfinq up to Go 1.24).
_COLLECTOR = ("runtime.runfinq", "runtime.runFinalizers", "runtime.runCleanups")

_OPEN_FRAMES = 48
_CLOSE_FRAMES = 24
_NETWORK_LIMIT = 16
_NAME_LIMIT = 160
_REMEDY = "report the Go release this program was built with"


class FdEvent(Enum):
    """What a hit means; the value is `Site.event`.

    INIT has two texts, `file` or a network, and a file's name; ROOT has one, the directory's.
    """

    INIT = "init"
    ROOT = "root"
    PROCESS = "process"
    CLOSE = "close"


@dataclass(frozen=True, slots=True)
class FdSites:
    """The sites, and the code (start, end) of the garbage collector's own goroutines, in the process.

    `unseen` says, a sentence each, what could not be probed though the program has it.
    """

    sites: tuple[Site, ...]
    collector: tuple[tuple[int, int], ...]
    unseen: tuple[str, ...] = ()


def find_fd_sites(attachment: Attachment) -> FdSites:
    """Raises EngineUnavailable naming what is not as it should be."""
    executable, bias = attachment.executable, attachment.bias
    types = attachment.layout.types
    goroutine = types.find_struct("runtime.g", "runtime")
    goid = goroutine.fields.get("goid") if goroutine is not None else None
    if goid is None:
        raise EngineUnavailable("the runtime's type descriptors do not include runtime.g", remedy=_REMEDY)
    who = (Word("g", Register.R14), Word("goid", "g", goid.offset))
    sites = [
        _entry(executable, _INIT, FdEvent.INIT, _init_recipe(types, who), bias),
        _entry(executable, _CLOSE, FdEvent.CLOSE, _close_recipe(), bias),
    ]
    unseen = []
    # Each is linked in only where the program, or a library of it, uses it.
    for name, event, recipe in (
        (_OTHER_CLOSE, FdEvent.CLOSE, _close_recipe()),
        (_ROOT, FdEvent.ROOT, _root_recipe(who)),
        (_PROCESS, FdEvent.PROCESS, _process_recipe(who)),
    ):
        try:
            function = find_probed_function(executable, name)
            if function is not None:
                sites.append(function.entry_site(event.value, recipe, bias))
        except EngineUnavailable as error:
            unseen.append(str(error.args[0]))
    found = (executable.find_function(name) for name in _COLLECTOR)
    collector = tuple((function.entry + bias, function.end + bias) for function in found if function)
    return FdSites(tuple(sites), collector, tuple(unseen))


def _entry(executable: Executable, name: str, event: FdEvent, recipe: Recipe, bias: int) -> Site:
    function = find_probed_function(executable, name)
    if function is None:
        raise EngineUnavailable(
            f"{name} is not in this program, so that its descriptors cannot be watched", remedy=_REMEDY
        )
    return function.entry_site(event.value, recipe, bias)


def _init_recipe(types: RuntimeTypes, who: tuple[Word, ...]) -> Recipe:
    """For `func (fd *FD) Init(net string, pollable bool) error`."""
    layout = find_layout(types, "poll.FD", "internal/poll", ("Sysfd",))
    if layout is None:
        raise EngineUnavailable("the program's type descriptors do not include poll.FD", remedy=_REMEDY)
    texts = [Text("network", "network", None, _NETWORK_LIMIT, "length")]
    name = _name_offset(types)
    if name is not None:
        # Of another struct around it this is no string, and then it is not read either.
        texts.append(Text("name", "fd", name, _NAME_LIMIT))
    return Recipe(
        words=(
            Word("fd", Register.RAX),
            Word("number", "fd", layout.fields["Sysfd"].offset),
            *who,
            Word("network", Register.RBX),
            Word("length", Register.RCX),
        ),
        texts=tuple(texts),
        frames=_OPEN_FRAMES,
    )


def _name_offset(types: RuntimeTypes) -> int | None:
    """From an os.file's poll.FD to its name; None where it is not known."""
    file: StructLayout | None = find_layout(types, "os.file", "os", ("pfd",), ("name",))
    return None if file is None else file.fields["name"].offset - file.fields["pfd"].offset


def _close_recipe() -> Recipe:
    """For `func Close(fd int) error`."""
    return Recipe(words=(Word("number", Register.RAX),), frames=_CLOSE_FRAMES)


def _root_recipe(who: tuple[Word, ...]) -> Recipe:
    """For `func newRoot(fd int, name string) (*Root, error)`, Go 1.24 and newer."""
    return Recipe(
        words=(
            Word("fd", Register.RAX),
            Word("number", Register.RAX),
            *who,
            Word("name", Register.RBX),
            Word("length", Register.RCX),
        ),
        texts=(Text("name", "name", None, _NAME_LIMIT, "length"),),
        frames=_OPEN_FRAMES,
    )


def _process_recipe(who: tuple[Word, ...]) -> Recipe:
    """For `func newHandleProcess(pid int, handle uintptr) *Process`, Go 1.23 and newer."""
    return Recipe(
        words=(Word("pid", Register.RAX), Word("number", Register.RBX), *who),
        frames=_OPEN_FRAMES,
    )
