from __future__ import annotations

from pathlib import Path

import pytest

from leaktui.engines.proc_cgroup import memory_limit_of


def v2_mount(path: Path, root: str = "/") -> str:
    return f"35 25 0:30 {root} {path} rw,nosuid - cgroup2 cgroup2 rw\n"


def v1_mount(path: Path, root: str = "/") -> str:
    return f"36 25 0:31 {root} {path} rw,nosuid shared:9 - cgroup cgroup rw,memory\n"


def group(path: Path, **files: str) -> Path:
    path.mkdir(parents=True, exist_ok=True)
    for name, text in files.items():
        (path / name.replace("__", ".")).write_text(text)
    return path


def test_v2_takes_the_lowest_on_the_way_up(tmp_path: Path) -> None:
    group(tmp_path / "system.slice", memory__max="1000000\n")
    group(tmp_path / "system.slice/app", memory__max="max\n")
    assert memory_limit_of("0::/system.slice/app\n", v2_mount(tmp_path)) == 1_000_000
    group(tmp_path / "system.slice/app", memory__max="500000\n")
    assert memory_limit_of("0::/system.slice/app\n", v2_mount(tmp_path)) == 500_000


def test_v2_without_a_limit(tmp_path: Path) -> None:
    group(tmp_path / "app", memory__max="max\n")
    assert memory_limit_of("0::/app\n", v2_mount(tmp_path)) is None


def test_v2_does_not_look_above_the_mount(tmp_path: Path) -> None:
    group(tmp_path, memory__max="77\n")
    inner = group(tmp_path / "mnt")
    group(inner / "app", memory__max="max\n")
    assert memory_limit_of("0::/app\n", v2_mount(inner)) is None


def test_v1_hierarchical_limit(tmp_path: Path) -> None:
    group(tmp_path / "docker/abc", memory__stat="cache 5\nhierarchical_memory_limit 268435456\nrss 7\n")
    text = "9:name=systemd:/\n4:cpu,memory:/docker/abc\n0::/\n"
    assert memory_limit_of(text, v1_mount(tmp_path)) == 256 << 20


def test_v1_no_limit_is_a_huge_number(tmp_path: Path) -> None:
    group(tmp_path / "x", memory__limit_in_bytes="9223372036854771712\n")
    assert memory_limit_of("4:memory:/x\n", v1_mount(tmp_path)) is None
    group(tmp_path / "x", memory__limit_in_bytes="4096\n")
    assert memory_limit_of("4:memory:/x\n", v1_mount(tmp_path)) == 4096


def test_mount_that_shows_a_subtree(tmp_path: Path) -> None:
    group(tmp_path / "app", memory__max="123\n")
    assert memory_limit_of("0::/pod7/app\n", v2_mount(tmp_path, root="/pod7")) == 123


@pytest.mark.parametrize("path", ["/../../other", "/elsewhere", "/gone"])
def test_group_that_cannot_be_seen_gives_none(tmp_path: Path, path: str) -> None:
    group(tmp_path.parent / "other", memory__max="1\n")
    assert memory_limit_of(f"0::{path}\n", v2_mount(tmp_path / "mnt", root="/pod7")) is None
    assert memory_limit_of("0::/gone\n", v2_mount(tmp_path / "mnt")) is None


def test_mount_point_with_a_blank(tmp_path: Path) -> None:
    group(tmp_path / "a b/app", memory__max="9\n")
    mount = v2_mount(tmp_path / "a b").replace("a b", "a\\040b")
    assert memory_limit_of("0::/app\n", mount) == 9


@pytest.mark.parametrize("text", ["", "nonsense", "0::", "::::", "4:memory"])
def test_odd_text(text: str) -> None:
    assert memory_limit_of(text, "nonsense - \n - cgroup2\nx y z - cgroup2 a b\n") is None
