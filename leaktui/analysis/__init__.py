"""Snapshots in, conclusions out.

Law: pure. No I/O, no clock, no randomness: the same snapshots give the same findings. What the analysis
needs to know of the program (which functions are the standard library's, which return a response to
their caller) it asks of `analysis.program.Program`.
"""
