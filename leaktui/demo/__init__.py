"""A leaking Go service to try leaktui on: its source, how it is built, how it is run.

Law: the demo is a process like any other; nothing in leaktui knows its names or lines. It never
outlives the leaktui that started it.
"""

from pathlib import Path

from leaktui.demo.launcher import LEAKS, DemoService

CAPTURE = Path(__file__).with_name("storefront.capture")
"""A recording of the demo, for where it cannot be built."""

__all__ = ["CAPTURE", "LEAKS", "DemoService"]
