"""Profiles in pprof's sense: values on stacks."""

from __future__ import annotations

from dataclasses import dataclass

from leaktui.model.frame import Stack
from leaktui.model.goroutine import Labels


@dataclass(frozen=True, slots=True)
class ValueType:
    """A column of a profile, e.g. `inuse_space` in `bytes`."""

    name: str
    unit: str


@dataclass(frozen=True, slots=True)
class Sample:
    """One stack with a value per column of its profile."""

    stack: Stack
    values: tuple[int, ...]
    labels: Labels = ()


@dataclass(frozen=True, slots=True)
class Profile:
    """A decoded `profile.proto`. Times are nanoseconds since 1970; 0 where not given."""

    value_types: tuple[ValueType, ...]
    samples: tuple[Sample, ...]
    time_ns: int = 0
    duration_ns: int = 0
    period: int = 0
    period_type: ValueType | None = None
    comments: tuple[str, ...] = ()

    def column(self, name: str) -> int | None:
        """Index of the column called *name*, None when the profile has none."""
        for index, value_type in enumerate(self.value_types):
            if value_type.name == name:
                return index
        return None


@dataclass(frozen=True, slots=True)
class AllocSite:
    """What one allocation stack has allocated since the process began, and what of it is live.

    Bytes and objects are estimates scaled from the sampling rate, as pprof gives them.
    """

    stack: Stack
    alloc_objects: int
    alloc_bytes: int
    inuse_objects: int
    inuse_bytes: int


@dataclass(frozen=True, slots=True)
class HeapProfile:
    """All allocation sites at one moment; live figures are as of the last completed GC.

    `sample_rate` is bytes between samples (runtime.MemProfileRate), 0 where unknown.
    """

    sites: tuple[AllocSite, ...]
    time_ns: int = 0
    sample_rate: int = 0
