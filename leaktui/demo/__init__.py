"""A leaking Go service to try leaktui on: its source, how it is built, how it is run.

Law: the demo is a process like any other; nothing in leaktui knows its names or lines. It never
outlives the leaktui that started it.
"""

from leaktui.demo.launcher import LEAKS, DemoService

__all__ = ["LEAKS", "DemoService"]
