"""The grammar of the command line."""

from __future__ import annotations

import pytest

from leaktui.cli.arguments import parse_arguments


def error_of(capsys: pytest.CaptureFixture[str], *arguments: str) -> str:
    """The one line on stderr that refuses *arguments*."""
    with pytest.raises(SystemExit) as end:
        parse_arguments(arguments)
    assert end.value.code == 2
    said = capsys.readouterr()
    assert said.out == ""
    assert said.err.startswith("leaktui: ") and said.err.count("\n") == 1, said.err
    return said.err


def test_nothing_means_the_picker() -> None:
    options = parse_arguments([])
    assert (options.command, options.pid, options.url, options.lean) == (None, None, None, False)


def test_the_process_may_be_named_before_or_after_the_command() -> None:
    for arguments in (["--pid", "7", "diagnose"], ["diagnose", "--pid", "7"]):
        options = parse_arguments(arguments)
        assert (options.command, options.pid) == ("diagnose", 7)


def test_the_defaults_of_diagnose() -> None:
    options = parse_arguments(["diagnose", "--pid", "7"])
    assert (options.form, options.seconds, options.output, options.show_secrets) == (
        "text",
        60.0,
        None,
        False,
    )
    assert (options.allow, options.read_only, options.source_roots, options.insecure) == (
        None,
        False,
        None,
        False,
    )


def test_everything_diagnose_takes() -> None:
    options = parse_arguments(
        [
            *(
                "diagnose",
                "--pid",
                "7",
                "--url",
                "https://h/ops",
                "--json",
                "--seconds",
                "2.5",
                "--allow",
                "pause",
            ),
            *("--show-secrets", "-o", "out.json", "--source-root", "/a=/b", "--source-root", "=/c"),
            *("--user", "ops", "--insecure", "--no-color"),
        ]
    )
    assert (options.form, options.seconds, options.allow, options.output) == (
        "json",
        2.5,
        frozenset({"pause"}),
        "out.json",
    )
    assert options.source_roots == ["/a=/b", "=/c"]
    assert (options.user, options.insecure, options.no_color, options.show_secrets) == (
        "ops",
        True,
        True,
        True,
    )


def test_the_demo() -> None:
    options = parse_arguments(["demo", "--leak", "fd", "--rate", "5", "--headless"])
    assert (options.leak, options.rate, options.headless) == ("fd", 5.0, True)


@pytest.mark.parametrize(
    "pid", ["0", "-1", "-7", "abc", "", "4194304", "9" * 40, "1.5", "0x10", "٣", "+7", "7 8"]
)
def test_what_is_no_pid(pid: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert "is not a process id" in error_of(capsys, "diagnose", f"--pid={pid}")


@pytest.mark.parametrize("seconds", ["0", "-1", "nan", "inf", "soon", "86401"])
def test_what_is_no_time(seconds: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert "is not a number of seconds above 0 and up to 86400" in error_of(
        capsys, "diagnose", f"--seconds={seconds}"
    )


@pytest.mark.parametrize(
    ("arguments", "part"),
    [
        (["rewind"], "invalid choice: 'rewind'"),
        (["diagnose", "--json", "--md"], "not allowed with argument"),
        (["diagnose", "--allow", "anything"], "'anything' is nothing to allow"),
        (["diagnose", "--source-root", "/a"], "'/a' is not FROM=TO"),
        (["diagnose", "--source-root", "/a="], "'/a=' is not FROM=TO"),
        (["demo", "--leak", "everything"], "invalid choice: 'everything'"),
        (["demo", "--rate", "0"], "'0' is not a number of leaks"),
        (["\x1b[31m\n"], "\\x1b[31m"),
    ],
)
def test_nonsense_is_one_line(arguments: list[str], part: str, capsys: pytest.CaptureFixture[str]) -> None:
    said = error_of(capsys, *arguments)
    assert part in said
    assert said.rstrip().endswith("--help`")


def test_an_abbreviated_option_does_not_swallow_a_secret(capsys: pytest.CaptureFixture[str]) -> None:
    said = error_of(capsys, "diagnose", "--token", "--pid", "7")
    assert "unrecognized arguments" in said
