"""Live heap that grows, by allocation site and by owner line.

Law: a heap profile shows the live heap as of the last finished GC, so profiles with equal figures are one
observation, and without a few GCs in between nothing is concluded. Live bytes are estimated from samples:
where objects come and go, which of them are sampled is chance, and a gain within that chance is none.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from leaktui.analysis.attribution import innermost_user_frame
from leaktui.analysis.growth import rises, theil_sen
from leaktui.analysis.program import Program
from leaktui.analysis.series import captures, series_by_key
from leaktui.model.assessment import SiteRow
from leaktui.model.frame import Frame, Stack
from leaktui.model.profile import AllocSite, HeapProfile
from leaktui.model.snapshot import Snapshot

_LEAST_SAMPLES = 4
_NET_SHARE = 0.5
"""The whole live heap must gain at least this share of what an owner gains."""

_NOISE = 4.0
"""How many standard deviations of the sampling noise a gain must exceed."""

_NET_NOISE = 3.5
"""The same of the gain of the whole: what was replaced was drawn twice."""

_LOOKED_AT_BY = ("net/http/pprof.", "runtime/pprof.", "runtime/trace.")
"""What allocates only because somebody looks: the buffers of profiles and traces."""
_DEFAULT_RATE = 512 * 1024


@dataclass(frozen=True, slots=True)
class RisingSite:
    """An owner line whose live bytes rise."""

    owner: Frame
    stack: Stack
    stacks: tuple[Stack, ...]
    inuse_bytes: int
    inuse_objects: int
    gain_bytes: int
    per_minute: float
    seconds: float
    observations: int
    share_of_gain: float


def heap_observations(snapshots: Sequence[Snapshot]) -> list[tuple[float, HeapProfile]]:
    """Heap profiles with figures that differ from the one before: one per GC seen."""
    observed: list[tuple[float, HeapProfile]] = []
    for time, profile in captures(snapshots, lambda item: item.heap, lambda item: item.heap_time):
        if not observed or _figures(profile) != _figures(observed[-1][1]):
            observed.append((time, profile))
    return observed


def _figures(profile: HeapProfile) -> tuple[int, int, int]:
    return (
        len(profile.sites),
        sum(site.alloc_bytes for site in profile.sites),
        sum(site.inuse_bytes for site in profile.sites),
    )


def list_sites(
    snapshots: Sequence[Snapshot], program: Program, baseline: float | None = None
) -> tuple[SiteRow, ...]:
    """A row per allocation site of the newest profile: what grew first, then what is large."""
    observed = heap_observations(snapshots)
    if not observed:
        return ()
    reference = observed[0][1]
    for time, profile in observed:
        if baseline is not None and time <= baseline:
            reference = profile
    before = {site.stack: site for site in reference.sites}
    series = series_by_key(
        [
            (time, [(site.stack, float(site.inuse_bytes)) for site in profile.sites])
            for time, profile in observed
        ]
    )
    rows = []
    for site in observed[-1][1].sites:
        points = series[site.stack]
        old = before.get(site.stack, AllocSite(site.stack, 0, 0, 0, 0))
        owner = innermost_user_frame(site.stack, program)
        moved = points[-1][1] != points[0][1]
        rows.append(
            SiteRow(
                site=site,
                owner=owner[1] if owner else None,
                slope=theil_sen(points) if moved else None,
                delta_bytes=site.inuse_bytes - old.inuse_bytes,
                delta_objects=site.inuse_objects - old.inuse_objects,
            )
        )
    rows.sort(key=lambda row: (-max(0, row.delta_bytes), -row.site.inuse_bytes))
    return tuple(rows)


def rising_sites(snapshots: Sequence[Snapshot], program: Program) -> list[RisingSite]:
    """Owner lines whose live bytes rise over at least four GCs, the largest gain first."""
    observed = heap_observations(snapshots)
    if len(observed) < 4:
        return []
    rate = observed[-1][1].sample_rate or _DEFAULT_RATE
    owners: dict[Stack, tuple[int, Frame] | None] = {}
    members: dict[Frame, dict[Stack, AllocSite]] = {}

    def owner_of(site: AllocSite) -> Frame | None:
        if site.stack not in owners:
            owners[site.stack] = innermost_user_frame(site.stack, program)
        found = owners[site.stack]
        return _line_of(found[1]) if found else None

    samples: list[tuple[float, list[tuple[Frame, float]]]] = []
    for time, profile in observed:
        pairs = []
        for site in profile.sites:
            owner = owner_of(site)
            if owner is not None:
                pairs.append((owner, float(site.inuse_bytes)))
                members.setdefault(owner, {})[site.stack] = site
        samples.append((time, pairs))
    series = series_by_key(samples)
    freed_before = _freed_bytes(observed[0][1].sites, owner_of)
    total_gain = max(1.0, sum(max(0.0, points[-1][1] - points[0][1]) for points in series.values()))
    net_gain = own_live_bytes(observed[-1][1]) - own_live_bytes(observed[0][1])
    losses = sum(max(0.0, points[0][1] - points[-1][1]) for points in series.values())
    found = []
    for owner, points in series.items():
        slope = rises(points, least_gain=_LEAST_SAMPLES * rate)
        if slope is None:
            continue
        sites = sorted(members[owner].values(), key=lambda site: -site.inuse_bytes)
        top = owners[sites[0].stack]
        gain = points[-1][1] - points[0][1]
        freed = sum(site.alloc_bytes - site.inuse_bytes for site in sites) - freed_before.get(owner, 0)
        noise = _sampling_noise(sites, freed, rate)
        if gain < _NOISE * noise:
            continue
        # What takes the place of something else leaves the whole as it was: a ring refilled, perhaps at another line.
        replaced = _unit_bytes(sites, rate) * min(gain, losses)
        if net_gain < max(_NET_SHARE * gain, _NET_NOISE * math.sqrt(2 * (noise**2 + replaced))):
            continue
        found.append(
            RisingSite(
                owner=owner,
                stack=sites[0].stack[top[0] if top else 0 :],
                stacks=tuple(site.stack for site in sites),
                inuse_bytes=round(points[-1][1]),
                inuse_objects=sum(site.inuse_objects for site in sites),
                gain_bytes=round(gain),
                per_minute=slope.per_minute,
                seconds=slope.seconds,
                observations=slope.points,
                share_of_gain=gain / total_gain,
            )
        )
    found.sort(key=lambda item: -item.gain_bytes)
    return found


def own_live_bytes(profile: HeapProfile) -> int:
    """Live bytes but those of being looked at: what serving profiles and traces keeps is not the program's."""
    return sum(site.inuse_bytes for site in profile.sites if not _is_of_looking(site.stack))


def _is_of_looking(stack: Stack) -> bool:
    return any(frame.function.startswith(_LOOKED_AT_BY) for frame in stack)


def _freed_bytes(
    sites: Iterable[AllocSite], owner_of: Callable[[AllocSite], Frame | None]
) -> dict[Frame, int]:
    """Bytes allocated and no longer live, by owner."""
    freed: dict[Frame, int] = {}
    for site in sites:
        owner = owner_of(site)
        if owner is not None:
            freed[owner] = freed.get(owner, 0) + site.alloc_bytes - site.inuse_bytes
    return freed


def _sampling_noise(sites: Sequence[AllocSite], freed_bytes: int, rate: int) -> float:
    """Standard deviation, in bytes, of the live estimate that the turnover of objects alone makes.

    An object of size s is sampled with probability 1 − exp(−s/rate) and then stands for s divided by it
    (runtime/pprof scaleHeapSample); the number of samples is Poisson. Only what was replaced since the
    first look is drawn anew: at most what is live, at most what was freed.
    """
    inuse = sum(site.inuse_bytes for site in sites)
    turned_over = max(0, min(inuse, freed_bytes))
    return math.sqrt(turned_over * _unit_bytes(sites, rate))


def _unit_bytes(sites: Sequence[AllocSite], rate: int) -> float:
    """Bytes that one sampled object of *sites* stands for, 0 where there is none."""
    objects = sum(site.inuse_objects for site in sites)
    if not objects:
        return 0.0
    size = sum(site.inuse_bytes for site in sites) / objects
    return size / -math.expm1(-size / rate) if size and rate > 0 else size


def _line_of(frame: Frame) -> Frame:
    """*frame* without its address: what names a line."""
    return Frame(frame.function, frame.file, frame.line)
