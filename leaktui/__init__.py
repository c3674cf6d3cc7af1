"""leaktui: finds the line that leaks in a running Go process, without stopping it."""

__version__ = "0.1.0"
