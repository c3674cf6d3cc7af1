"""Build info blobs, made as data and compared with `go version -m`."""

from __future__ import annotations

import subprocess

import pytest
from hypothesis import given
from hypothesis import strategies as st

from leaktui.binary.buildinfo import MAGIC, decode_build_info, parse_modules
from leaktui.binary.executable import Executable
from leaktui.errors import DecodeError
from leaktui.model.target import BuildInfo, Module
from tests.binary.go_builds import Builder

START = bytes.fromhex("3077af0c9274080241e1c107e6d618e6")
END = bytes.fromhex("f932433186182072008242104116d8f2")


def blob(version: str, modules: str, *, flags: int = 2) -> bytes:
    def string(data: bytes) -> bytes:
        length, encoded = len(data), bytearray()
        while length >= 0x80:
            encoded.append(length & 0x7F | 0x80)
            length >>= 7
        return bytes(encoded) + bytes([length]) + data

    framed = START + modules.encode() + END if modules else b""
    return MAGIC + bytes([8, flags]) + bytes(16) + string(version.encode()) + string(framed)


MODULES = """path\texample.com/app/cmd/server
mod\texample.com/app\tv1.2.3\th1:abc=
dep\tgithub.com/a/b\tv0.1.0\th1:def=
dep\tgithub.com/c/d\tv0.2.0
=>\t../local\tv0.0.0-00010101000000-000000000000\t
dep\tgopkg.in/yaml.v3\tv3.0.1\th1:ghi=
build\t-buildmode=exe
build\t-ldflags="-X main.version=1 -s"
build\t"odd=key"=value
build\tvcs.modified=true
"""


def test_modules_and_settings() -> None:
    assert decode_build_info(blob("go1.26.8", MODULES)) == BuildInfo(
        go_version="go1.26.8",
        main_package="example.com/app/cmd/server",
        module=Module("example.com/app", "v1.2.3"),
        dependencies=(
            Module("github.com/a/b", "v0.1.0"),
            Module("github.com/c/d", "v0.2.0"),
            Module("gopkg.in/yaml.v3", "v3.0.1"),
        ),
        settings=(
            ("-buildmode", "exe"),
            ("-ldflags", "-X main.version=1 -s"),
            ("odd=key", "value"),
            ("vcs.modified", "true"),
        ),
    )


def test_no_modules() -> None:
    assert decode_build_info(blob("devel go1.28-abc", "")) == BuildInfo(go_version="devel go1.28-abc")


@pytest.mark.parametrize(
    "data",
    [
        b"",
        MAGIC,
        blob("go1.17", "", flags=0),
        blob("1.26", ""),
        blob("go1.26", MODULES)[:200],
        MAGIC + bytes([8, 2]) + bytes(16) + b"\xff" * 20,
        MAGIC + bytes([8, 2]) + bytes(16) + b"\xff\xff\xff\xff\x07",
    ],
)
def test_damaged(data: bytes) -> None:
    with pytest.raises(DecodeError):
        decode_build_info(data)


@given(st.binary(max_size=120))
def test_any_bytes_after_the_header(data: bytes) -> None:
    try:
        info = decode_build_info(MAGIC + bytes([8, 2]) + bytes(16) + data)
    except DecodeError:
        return
    assert info.go_version.startswith(("go", "devel"))


@given(st.text(alphabet='pathmoddepbuild\t\n="`\\x', max_size=80))
def test_any_module_text(text: str) -> None:
    assert parse_modules("go1.26", text).go_version == "go1.26"


@pytest.mark.go
def test_agrees_with_go_version(matrix_builder: Builder) -> None:
    path = matrix_builder("census", "stripped")
    said = subprocess.run(
        [matrix_builder.toolchain.go, "version", "-m", path], capture_output=True, text=True, check=True
    ).stdout
    first, _, rest = said.partition("\n")
    lines = "\n".join(line.removeprefix("\t") for line in rest.splitlines())
    with Executable.open(path) as exe:
        assert exe.build == parse_modules(first.rpartition(" ")[2], lines)
        assert dict(exe.build.settings)["GOARCH"] == "amd64"
