"""Finding a frame's file: mapped, trimmed, hostile."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from leaktui.sources import SourceRoot, Sources, parse_source_root


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    (tmp_path / "app").mkdir()
    (tmp_path / "app" / "user.go").write_text("package app\n\nfunc f() {\n\tg()\n}\n")
    return tmp_path


@pytest.mark.parametrize(
    ("roots", "file", "module"),
    [
        ([("/build/src", "{}")], "/build/src/app/user.go", ""),
        ([("/build/src/", "{}")], "/build/src/app/user.go", ""),
        ([("example.com/shop", "{}")], "example.com/shop/app/user.go", "example.com/shop"),
        ([("", "{}")], "app/user.go", ""),
        ([("", "{}")], "example.com/shop/app/user.go", "example.com/shop"),
        ([("", "{}")], "./app/user.go", ""),
    ],
)
def test_mapped_roots(tree: Path, roots: list[tuple[str, str]], file: str, module: str) -> None:
    sources = Sources(
        [SourceRoot(source, to.format(tree)) for source, to in roots], module=module, here=tree / "app"
    )
    assert sources.find(file) == tree / "app" / "user.go"


def test_trimmed_names_are_looked_for_here(tree: Path) -> None:
    sources = Sources(module="example.com/shop", here=tree)
    assert sources.find("example.com/shop/app/user.go") == tree / "app" / "user.go"
    assert sources.find("example.com/shopping/app/user.go") is None


def test_dependencies_are_looked_for_in_the_module_cache(tree: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GOMODCACHE", str(tree))
    assert Sources(here=tree / "app").find("app/user.go") == tree / "app" / "user.go"


def test_a_prefix_is_a_directory_and_not_a_string(tree: Path) -> None:
    sources = Sources([SourceRoot("/build/src", str(tree))], here=tree)
    assert sources.find("/build/src2/app/user.go") is None


def test_devices_pipes_and_directories_are_not_read(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.go")
    sources = Sources()
    assert sources.read(str(tmp_path / "pipe.go")) is None
    assert sources.read("/dev/zero") is None
    assert sources.read(str(tmp_path)) is None
    assert sources.read("") is None
    assert sources.read("/tmp/\0.go") is None


def test_large_and_binary_files_and_links_to_others_are_not_shown(tmp_path: Path) -> None:
    (tmp_path / "large.go").write_bytes(b"//" * (5 * 1024 * 1024))
    (tmp_path / "binary.go").write_bytes(b"package a\0")
    (tmp_path / "link.go").symlink_to("/etc/passwd")
    sources = Sources()
    assert sources.read(str(tmp_path / "large.go")) is None
    assert sources.read(str(tmp_path / "binary.go")) is None
    assert sources.read(str(tmp_path / "link.go")) is None


def test_the_longest_root_wins(tree: Path) -> None:
    (tree / "two").mkdir()
    (tree / "two" / "user.go").write_text("package app\n")
    sources = Sources([SourceRoot("/b", str(tree / "app")), SourceRoot("/b/vendor", str(tree / "two"))])
    assert sources.find("/b/vendor/user.go") == tree / "two" / "user.go"
    assert sources.find("/b/user.go") == tree / "app" / "user.go"
    assert Sources([SourceRoot("/", str(tree))]).find("/app/user.go") == tree / "app" / "user.go"


@pytest.mark.parametrize("text", ["", "a", "a=", "="])
def test_half_a_root_is_none(text: str) -> None:
    with pytest.raises(ValueError, match="FROM=TO"):
        parse_source_root(text)


def test_root_slashes_do_not_matter() -> None:
    assert parse_source_root("/a/=/b/") == SourceRoot("/a", "/b")
    assert parse_source_root("/=/b") == SourceRoot("/", "/b")


def test_the_files_of_a_package_go_by_the_names_of_the_target(tree: Path) -> None:
    for name in (
        "close.go",
        "user_test.go",
        "user_windows.go",
        "user_linux.go",
        "x_linux_arm64.go",
        "_old.go",
        "a.txt",
    ):
        (tree / "app" / name).write_text("package app\n")
    expected = ("close.go", "user.go", "user_linux.go", "x_linux_arm64.go")
    sources = Sources([SourceRoot("/build", str(tree))], here=tree)
    assert sources.package("/build/app/user.go") == tuple(f"/build/app/{name}" for name in expected)
    assert sources.package("/build/app/none.go") is None
    assert sources.package("") is None
    trimmed = Sources(module="example.com/shop", here=tree)
    assert trimmed.package("example.com/shop/app/user.go") == tuple(
        f"example.com/shop/app/{name}" for name in expected
    )


def test_of_a_kept_file_the_package_is_not_known(tree: Path) -> None:
    file = str(tree / "app" / "user.go")
    sources = Sources(kept=lambda name: {1: "package app"} if name == file else {})
    assert sources.package(file) is None
    assert Sources().package(file) == (file,)


def test_a_package_of_too_many_files_is_not_known(tree: Path) -> None:
    for number in range(1001):
        (tree / "app" / f"f{number}.go").touch()
    assert Sources().package(str(tree / "app" / "user.go")) is None
