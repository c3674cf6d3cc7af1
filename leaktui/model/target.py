"""The process under investigation and the executable it runs."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Module:
    """A Go module as the build info names it."""

    path: str
    version: str = ""


@dataclass(frozen=True, slots=True)
class BuildInfo:
    """What `go version -m` prints: read from the executable, present in stripped ones too."""

    go_version: str
    main_package: str = ""
    module: Module | None = None
    dependencies: tuple[Module, ...] = ()
    settings: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True, slots=True)
class Target:
    """Whom we look at. `pid` is None for a bare URL or a capture.

    `started_at` is seconds since 1970 and, with the pid, names the process for good (pids are reused).
    """

    pid: int | None
    exe: str = ""
    go_version: str = ""
    module: str = ""
    main_package: str = ""
    stripped: bool | None = None
    started_at: float | None = None
    url: str | None = None
    build: BuildInfo | None = None
