"""What the runtime and the standard library do with a response, told from a function's name.

Law: names stand in the pc-line table of every Go binary, stripped or not. Only the standard library is
judged by name, because its contracts are documented; everyone else's functions are read.
"""

from __future__ import annotations

import re
from enum import Enum, auto

from leaktui.text import package_of

# fmt: off
_STANDARD = frozenset((
    "archive", "arena", "bufio", "bytes", "cmp", "compress", "container", "context", "crypto", "database",
    "debug", "embed", "encoding", "errors", "expvar", "flag", "fmt", "go", "hash", "html", "image",
    "index", "internal", "io", "iter", "log", "maps", "math", "mime", "net", "os", "path", "plugin",
    "reflect", "regexp", "runtime", "simd", "slices", "sort", "strconv", "strings", "structs", "sync",
    "syscall", "testing", "text", "time", "type", "unicode", "unique", "unsafe", "vendor", "weak",
))
# fmt: on

# Functions whose result reads from the reader they were given.
_WRAPS = re.compile(
    r"^(New\w*(\[.*)?|LimitReader|TeeReader|MultiReader|NopCloser|MaxBytesReader|OpenReader)$"
)
_ENDS_PROCESS = re.compile(
    r"^(os\.Exit|log\.(\(\*Logger\)\.)?(Fatal|Panic)(f|ln)?|runtime\.Goexit|syscall\.Exit|"
    r"testing\.\(\*common\)\.(FailNow|Fatalf?|SkipNow|Skipf?))$"
)
_PANICS = re.compile(
    r"^runtime\.(gopanic|go[Pp]anic\w*|panic\w*|throw|fatal\w*|goexit\w*|block|unreachable\w*|abort|racePanic\w*)$"
)
# Documented to close the body they are given, or to hand it to a transport that does.
_CLOSES = frozenset(("net/http.(*Response).Write", "net/http/httputil.DumpResponse"))
_REQUEST_BODY = re.compile(
    r"^net/http\.(NewRequest(WithContext)?|Post|ReadRequest|\(\*Client\)\.Post|\(\*Request\)\.\w*[Ww]rite\w*)$"
    r"|^net/http/httptest\.NewRequest(WithContext)?$"
)


class Callee(Enum):
    """What calling a function means for the values that are followed."""

    WRITE_BARRIER = auto()
    NO_RETURN = auto()
    MORE_STACK = auto()
    ALLOCATE = auto()
    GROW_SLICE = auto()
    CONVERT = auto()
    TYPE_ASSERT = auto()
    ASSERT_INTERFACE = auto()
    DEFER = auto()
    DEFER_OTHER = auto()
    DEFER_RETURN = auto()
    GO = auto()
    SEND = auto()
    TRY_SEND = auto()
    SELECT = auto()
    MOVE_MEMORY = auto()
    TYPED_MOVE = auto()
    DUFF_ZERO = auto()
    DUFF_COPY = auto()
    RUNTIME = auto()
    CONTEXT = auto()
    READS = auto()
    WRAPS = auto()
    CLOSES = auto()
    TAKES = auto()
    FOLLOW = auto()


_RUNTIME = {
    "newobject": Callee.ALLOCATE,
    "convT": Callee.CONVERT,
    "convTnoptr": Callee.CONVERT,
    "growslice": Callee.GROW_SLICE,
    "growsliceNoAlias": Callee.GROW_SLICE,
    "typeAssert": Callee.TYPE_ASSERT,
    "assertE2I": Callee.ASSERT_INTERFACE,
    "assertE2I2": Callee.ASSERT_INTERFACE,
    "convI2I": Callee.ASSERT_INTERFACE,
    "deferproc": Callee.DEFER,
    "deferprocStack": Callee.DEFER,
    "deferprocat": Callee.DEFER_OTHER,
    "deferrangefunc": Callee.DEFER_OTHER,
    "deferreturn": Callee.DEFER_RETURN,
    "newproc": Callee.GO,
    "chansend1": Callee.SEND,
    "selectnbsend": Callee.TRY_SEND,
    "selectgo": Callee.SELECT,
    "memmove": Callee.MOVE_MEMORY,
    "typedmemmove": Callee.TYPED_MOVE,
    "duffzero": Callee.DUFF_ZERO,
    "duffcopy": Callee.DUFF_COPY,
}


def classify_callee(name: str) -> Callee:
    """What a call of the function called *name* means."""
    if name.startswith("runtime."):
        return _classify_runtime(name)
    if _ENDS_PROCESS.match(name):
        return Callee.NO_RETURN
    package = package_of(name)
    if not is_standard(package) or name.endswith("-fm"):
        return Callee.FOLLOW
    if package == "context":
        return Callee.CONTEXT
    if name in _CLOSES:
        return Callee.CLOSES
    if _REQUEST_BODY.match(name):
        return Callee.TAKES
    base = name[len(package) + 1 :]
    return Callee.WRAPS if _WRAPS.match(base) else Callee.READS


def _classify_runtime(name: str) -> Callee:
    if _PANICS.match(name):
        return Callee.NO_RETURN
    base = name.removeprefix("runtime.").removesuffix(".abi0")
    if base.startswith("gcWriteBarrier"):
        return Callee.WRITE_BARRIER
    if base.startswith("morestack"):
        return Callee.MORE_STACK
    if base.startswith(("mallocgc", "makeslice", "makemap")):
        return Callee.ALLOCATE
    return _RUNTIME.get(base, Callee.RUNTIME)


def is_standard(package: str) -> bool:
    """Whether an import path is the standard library's (its first element is one of a fixed list)."""
    return package.split("/", 1)[0] in _STANDARD
