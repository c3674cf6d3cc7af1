"""The facts leaktui deals in: frozen, slotted dataclasses and nothing else.

Law: no I/O, no clock, no formatting here. Units stand in the field's name or docstring; stacks run
from the innermost frame outwards, as Go prints them.
"""
