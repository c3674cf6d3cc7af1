"""The interface's rows of the benchmark table; measured in `tests.bench.tui`."""

from tests.bench.tui import run

__all__ = ["run"]
