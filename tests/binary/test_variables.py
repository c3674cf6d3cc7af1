"""Names of variables: from symbols where there are any, else the package whose code mentions them."""

from __future__ import annotations

import threading

import pytest

from leaktui.binary.executable import Executable
from leaktui.binary.variables import VariableNames
from tests.binary.go_builds import Builder

pytestmark = pytest.mark.go

VARIABLES = {
    "runtime.allgs": "runtime",
    "runtime.allm": "runtime",
    "os.Args": "os",
    "os.ErrNotExist": "",
    "net/http.DefaultTransport": "net/http",
    "time.localLoc": "time",
}
"""Variables and the packages that use them; empty where many do."""


def test_symbols_name_variables(builder: Builder) -> None:
    with Executable.open(builder("services", "plain")) as executable:
        names = VariableNames(executable)
        for name in VARIABLES:
            symbol = executable.find_symbol(name)
            assert symbol is not None, name
            assert names.find_symbol(symbol.address) == (name, 0)
        symbol = executable.find_symbol("runtime.allgs")
        assert symbol is not None
        assert names.find_symbol(symbol.address + 16) == ("runtime.allgs", 16)
        assert names.find_symbol(symbol.address + symbol.size) != ("runtime.allgs", 24)
        assert names.find_symbol(8) is None


@pytest.mark.parametrize("flavour", ["plain", "pie"])
def test_packages_are_those_whose_code_mentions_a_variable(matrix_builder: Builder, flavour: str) -> None:
    with Executable.open(matrix_builder("services", flavour)) as executable:
        names = VariableNames(executable)
        for name, package in VARIABLES.items():
            symbol = executable.find_symbol(name)
            if symbol is not None and package:
                assert names.find_package(symbol.address, threading.Event()) == (package, 0), name


def test_a_stripped_program_has_no_names_but_packages(builder: Builder) -> None:
    with Executable.open(builder("services", "plain")) as executable:
        symbol = executable.find_symbol("time.localLoc")
    assert symbol is not None
    with Executable.open(builder("services", "stripped")) as executable:
        names = VariableNames(executable)
        assert names.find_symbol(symbol.address) is None


def test_an_address_nothing_mentions_is_nobodys(builder: Builder) -> None:
    with Executable.open(builder("services", "stripped")) as executable:
        names = VariableNames(executable)
        assert names.find_package(0x10, threading.Event()) is None
        assert names.find_package(executable.pc_lines.text_end + (1 << 30) + 4, threading.Event()) is None


def test_it_stops_when_told_to(builder: Builder) -> None:
    cancel = threading.Event()
    cancel.set()
    with Executable.open(builder("services", "plain")) as executable:
        symbol = executable.find_symbol("runtime.allgs")
        assert symbol is not None
        names = VariableNames(executable)
        assert names.find_package(symbol.address, cancel) is None
        assert names.find_package(symbol.address, threading.Event()) == ("runtime", 0)


def test_inside_a_variable_it_is_told_how_far(matrix_builder: Builder) -> None:
    """Code mentions the beginning of an array, and goes on from there."""
    with Executable.open(matrix_builder("services", "plain")) as executable:
        names = VariableNames(executable)
        symbol = executable.find_symbol("runtime.semtable")
        assert symbol is not None
        assert names.find_package(symbol.address + 64 * 5, threading.Event()) == ("runtime", 64 * 5)
