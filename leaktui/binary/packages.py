"""Whose code a function is: the standard library's, the main module's or a dependency's.

Law: pure, from the function's symbol, the build info and, where given, the file it was compiled from.
The file is the strongest witness, then the modules, then the first element of the import path.
"""

from __future__ import annotations

from enum import Enum

from leaktui.model.target import BuildInfo
from leaktui.text import package_of

DEVEL = "(devel)"
"""The version of a module built from a working directory."""

_GENERATED = ("type:", "go:")

# The directories at the top of GOROOT/src, Go 1.21 to 1.27, without cmd.
# fmt: off
STDLIB_ROOTS = frozenset(
    {
        "archive", "arena", "bufio", "builtin", "bytes", "cmp", "compress", "container", "context",
        "crypto", "database", "debug", "embed", "encoding", "errors", "expvar", "flag", "fmt", "go",
        "hash", "html", "image", "index", "internal", "io", "iter", "log", "maps", "math", "mime",
        "net", "os", "path", "plugin", "reflect", "regexp", "runtime", "simd", "slices", "sort",
        "strconv", "strings", "structs", "sync", "syscall", "testing", "text", "time", "unicode",
        "unique", "unsafe", "uuid", "vendor", "weak",
    }
)
# fmt: on


class Owner(Enum):
    """Whose code a function is."""

    STDLIB = "stdlib"
    MAIN = "main"
    DEPENDENCY = "dependency"


class PackageMap:
    """Tells packages apart for one executable.

    *goroot* is the directory of the standard library's sources as compiled in (`Executable.goroot`),
    empty when unknown or trimmed.
    """

    def __init__(self, build: BuildInfo, *, goroot: str = "") -> None:
        self._main_package = build.main_package
        # A module built from a directory has no version: with `go run FILE` the main module is listed
        # like that among the dependencies, and so are the modules of a workspace.
        own = {module.path for module in build.dependencies if module.version == DEVEL}
        if build.module is not None:
            own.add(build.module.path)
        self._own = frozenset(own)
        self._dependencies = frozenset(module.path for module in build.dependencies) - self._own
        self._goroot = goroot.rstrip("/") + "/" if goroot else ""
        self._known: dict[tuple[str, str], Owner] = {}

    def owner_of(self, function: str, file: str = "") -> Owner:
        """Whose code *function* (a symbol, `net/http.(*Client).Do`) is.

        *file*, where the caller has it, settles packages of a program that is not built from modules.
        Symbols without a package (assembly, C, `type:.eq.…`) count as the runtime's.
        """
        if "." not in function.split("[", 1)[0].rpartition("/")[2] or function.startswith(_GENERATED):
            return Owner.STDLIB
        key = (package_of(function), file if self._goroot and file.startswith("/") else "")
        owner = self._known.get(key)
        if owner is None:
            owner = self._known[key] = self._decide(*key)
        return owner

    def is_stdlib(self, function: str, file: str = "") -> bool:
        """Whether *function* is of the standard library or the runtime."""
        return self.owner_of(function, file) is Owner.STDLIB

    def is_main_module(self, function: str, file: str = "") -> bool:
        """Whether *function* is the program's own: of its main module, or of its workspace."""
        return self.owner_of(function, file) is Owner.MAIN

    def is_dependency(self, function: str, file: str = "") -> bool:
        """Whether *function* is of a module the program requires."""
        return self.owner_of(function, file) is Owner.DEPENDENCY

    def _decide(self, package: str, file: str) -> Owner:
        if package in ("main", self._main_package):
            return Owner.MAIN
        for path in (package, package.removesuffix("_test")):
            while path:
                if path in self._own:
                    return Owner.MAIN
                if path in self._dependencies:
                    return Owner.DEPENDENCY
                path = path.rpartition("/")[0]
        root = package.split("/", 1)[0]
        if "." in root:
            # No module claims it (GOPATH, Bazel, Buck). What is below the main package is the program's.
            vendored = "/vendor/" in package or not package.startswith(f"{self._main_package or package}/")
            return Owner.DEPENDENCY if vendored else Owner.MAIN
        if file:
            # A program without modules may have packages named like the standard library's: `log/shared`.
            return Owner.STDLIB if file.startswith(self._goroot) else Owner.MAIN
        if root in STDLIB_ROOTS:
            return Owner.STDLIB
        # Modules list everything that is not the standard library, so this is a part of it we do not know yet.
        return Owner.STDLIB if self._own else Owner.MAIN
