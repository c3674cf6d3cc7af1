"""Probes on a process: `arm` puts them in, the `Armed` it gives takes them out.

Law: all or none. Nothing is armed that was not proved; what cannot be armed leaves nothing behind.
"""

from __future__ import annotations

from collections.abc import Sequence
from types import TracebackType
from typing import Protocol

from leaktui.engines.probes.kernel.bpf_probes import BpfProbes
from leaktui.engines.probes.kernel.per_cpu_perf import PerCpuProbes
from leaktui.engines.probes.kernel.permission import check, check_without_bpf, explain
from leaktui.engines.probes.kernel.site_proof import Claim, refuse_traced
from leaktui.engines.probes.kernel.system_call import KernelRefused
from leaktui.engines.probes.recipe import Hit, Site
from leaktui.engines.proc_stat import read_live_stat
from leaktui.errors import EngineUnavailable

MOST_SITES = 256


class Armed(Protocol):
    """Probes that are in. Safe to use from several threads; of `read`, one at a time."""

    exact: bool
    """Whether words were read at the very moment of the hit, and each hit was counted."""

    @property
    def probes(self) -> int:
        """How many there are; 0 once they are out."""
        ...

    def read(self, timeout: float) -> list[Hit]:
        """The hits since the last time, in order; waits up to *timeout* seconds for the first.

        There may be more: a read gives at most some ten thousand. After `close` there are none.
        """
        ...

    def hits(self) -> int:
        """How often the target came by, recorded or not."""
        ...

    def hits_by_site(self) -> tuple[int, ...]:
        """The same for each site, in the order they were given."""
        ...

    def dropped(self) -> int:
        """How many hits should have been recorded and found no room."""
        ...

    def disable(self) -> None:
        """Take the probes out; what they left can still be read. Safe to call again."""
        ...

    def close(self) -> None:
        """Take the probes out and forget what they left. Safe to call again, from any thread."""
        ...

    def __enter__(self) -> Armed: ...

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None: ...


def arm(pid: int, sites: Sequence[Site], *, ring_bytes: int = 8 << 20, bpf: bool = True) -> Armed:
    """Put a probe at each of *sites* in process *pid*; they begin to count at the same moment.

    With *bpf* false perf samples the hits: for kernels and containers that take no BPF (see `Armed.exact`).

    Raises EngineUnavailable with the reason and what to do, TargetGone, TargetForbidden.
    """
    if not 0 < len(sites) <= MOST_SITES:
        raise EngineUnavailable(f"{len(sites)} places to probe, not 1 to {MOST_SITES}")
    feature = check() if bpf else check_without_bpf()
    refuse_traced(pid)
    claim = Claim(pid, sites)
    try:
        if bpf:
            return BpfProbes(claim, ring_bytes=ring_bytes, linked=feature)
        return PerCpuProbes(claim, ring_bytes=ring_bytes, chain_has_caller=feature)
    except KernelRefused as refusal:
        claim.release()
        read_live_stat(pid)
        raise explain(refusal) from None
    except BaseException:
        claim.release()
        raise
