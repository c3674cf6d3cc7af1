"""Is it fixed? Two measurements of the same length held against each other.

Law: `fixed` is said only where the new process was seen to do what leaked, often enough that the old leak would have
shown, and left nothing; `not fixed` only where it was seen to leak there. Everything else is undecided, and says why.
"""

from __future__ import annotations

from leaktui.analysis.measurement import Suspect, all_callers, measure_name, same_suspect
from leaktui.model.assessment import Slope
from leaktui.model.finding import LeakKind
from leaktui.model.verification import Measure, Measurement, Verification, VerificationVerdict
from leaktui.text import format_count, format_duration, format_rate, short_function

_LEAST_EXPECTED = 5.0
"""So many would have been left by the old build: fewer prove nothing."""

_STILL = 0.2
"""A share left, or a growth, of this much of the baseline's is the old leak."""

_FEW = 0.05
"""A share left of up to this much of the baseline's is what is just being done."""

_MOST = 0.5
"""A heap of which this share of the baseline's stayed is not seen to let go of anything."""

_SHORTEST = 0.75
"""A measurement this much shorter than its baseline is not of the same length."""

_LEAST_LOOKS = 4
"""A number that was looked at less often may have any trend."""

_LIVELY = 0.1
"""What leaked must be done at least this often, by the baseline's pace."""

_UNITS = {
    LeakKind.HTTP_BODY: ("bodies", "were opened", "were left open"),
    LeakKind.GOROUTINE: ("goroutines", "were started", "stayed"),
    LeakKind.FD: ("descriptors", "were opened", "were left open"),
    LeakKind.HEAP: ("objects", "were allocated", "stayed live"),
}
_KIND_WORDS = {
    LeakKind.HTTP_BODY: "bodies",
    LeakKind.GOROUTINE: "goroutines",
    LeakKind.FD: "descriptors",
    LeakKind.HEAP: "heap",
}


def compare(before: Measurement, after: Measurement) -> Verification:
    """The verdict on *after*, which followed the suspect of *before* (`measure(…, of=before.suspect)`)."""
    rows = _pair(before, after)
    suspect = before.suspect
    if suspect is None:
        reasons = [
            "nothing leaked in the baseline, so there is nothing to be fixed",
            *_elsewhere(before, after),
        ]
        return Verification(before, after, VerificationVerdict.UNDECIDED, rows, tuple(reasons))
    old, new = _followed(before, suspect), _followed(after, suspect)
    verdict, reasons = _judge(before, after, suspect, old, new)
    reasons += _moved(suspect, after)
    reasons += _elsewhere(before, after)
    missing = [name for name in before.sources if name not in after.sources]
    if missing:
        reasons.append(f"the baseline was also measured by {', '.join(missing)}, the new process was not")
    return Verification(before, after, verdict, rows, tuple(dict.fromkeys(reasons)))


def _judge(
    before: Measurement, after: Measurement, suspect: Suspect, old: Measure | None, new: Measure | None
) -> tuple[VerificationVerdict, list[str]]:
    name = short_function(suspect[1]) or f"a {suspect[0].value} leak"
    if after.suspect is not None and same_suspect(after.suspect, suspect):
        return VerificationVerdict.NOT_FIXED, [f"{name} still leaks", *_counted(suspect, old, new)]
    if after.seconds < _SHORTEST * before.seconds:
        return VerificationVerdict.UNDECIDED, [
            f"the new process was measured for {format_duration(after.seconds)}, the baseline for"
            f" {format_duration(before.seconds)}"
        ]
    if not suspect[1]:
        return _judge_kind(before, after, suspect)
    if new is None or not new.opened:
        others = _taken_over(before, after, suspect, old)
        if others is not None:
            return VerificationVerdict.FIXED, [
                f"{name} opens none any more: others do its work, and left none of {_how_often(suspect, others)}"
            ]
        return VerificationVerdict.UNDECIDED, [
            f"the new process did not do what leaked: {name} was not seen at it, so nothing is shown"
        ]
    old_share = _share(old)
    share = _share(new)
    expected = new.opened * old_share
    goes_on = _goes_on(suspect, before, after, old, new)
    if (new.left or 0) >= 3 and share >= _STILL * old_share and goes_on:
        return VerificationVerdict.NOT_FIXED, [f"{name} still leaks", *_counted(suspect, old, new)]
    if goes_on is not False and _has_series(suspect):
        text = "rises" if goes_on else "was looked at too seldom to say that it stays as it is"
        return VerificationVerdict.UNDECIDED, [f"{new.name} {text}", *_counted(suspect, old, new)]
    # Goroutines are counted as they are met, which is seldom where they end at once.
    slack = suspect[0] is not LeakKind.GOROUTINE and _pace(new, after) < _LIVELY * _pace(old, before)
    if expected < _LEAST_EXPECTED or slack:
        return VerificationVerdict.UNDECIDED, [
            f"the new process hardly did what leaked ({_how_often(suspect, new)}), too little to show that it is fixed"
        ]
    if (new.left or 0) > max(2.0, _FEW * expected) and not _has_series(suspect):
        return VerificationVerdict.UNDECIDED, [
            "some were left, fewer than before: measure longer",
            *_counted(suspect, old, new),
        ]
    if suspect[0] is LeakKind.HEAP and share >= _MOST * old_share:
        return VerificationVerdict.UNDECIDED, [
            "most of what was allocated stayed: measure longer, to see whether what keeps it is full",
            *_counted(suspect, old, new),
        ]
    if suspect[0] is LeakKind.HEAP and after.suspect is not None and after.suspect[0] is LeakKind.HEAP:
        # Sampled allocation sites can change hands: what is inlined here may be called there in another build.
        return VerificationVerdict.UNDECIDED, ["the heap still grows, by what another line allocates"]
    return VerificationVerdict.FIXED, [f"{name} leaks no more", *_counted(suspect, old, new)]


def _goes_on(
    suspect: Suspect, before: Measurement, after: Measurement, old: Measure | None, new: Measure
) -> bool | None:
    """Whether the number itself goes on growing as it did; None where too few looks at it tell."""
    if not _has_series(suspect):
        return True
    expected = _gain(old) * after.seconds / before.seconds if old is not None and before.seconds > 0 else 0.0
    gain, slope = _gain(new), new.slope
    if slope is not None and slope.rising and gain > _STILL * expected:
        return True
    told = slope is not None and slope.points >= _LEAST_LOOKS and slope.seconds >= after.seconds / 2
    # A heap may have filled what is bounded now, and have levelled off: its median slope shows that, not its ends.
    level = suspect[0] is LeakKind.HEAP and slope is not None and not _as_steep(slope, old)
    if told and (gain <= _STILL * expected or level):
        return False
    return True if gain > expected / 2 else None


def _as_steep(slope: Slope, old: Measure | None) -> bool:
    """Whether *slope* is still that of the baseline, however few looks it rests on."""
    before = old.slope.per_minute if old is not None and old.slope is not None else 0.0
    return slope.per_minute > max(0.0, _STILL * before)


def _taken_over(
    before: Measurement, after: Measurement, suspect: Suspect, old: Measure | None
) -> Measure | None:
    """All that was opened, where so much was that others must do what the suspect did, and none was left."""
    name = all_callers(suspect[0])
    was, now = _row(before, name), _row(after, name)
    if (
        was is None
        or now is None
        or now.left
        or any(_rises(item) for item in after.measures if _is_count(item))
    ):
        return None
    lost = _pace(old, before)
    if not lost or _pace(now, after) < _pace(was, before) - lost / 2:
        return None
    return now if (now.opened or 0) * _share(old) >= _LEAST_EXPECTED else None


def _is_count(measure: Measure) -> bool:
    """Whether it counts things that a leak of bodies or descriptors leaves."""
    return measure.kind in (LeakKind.HTTP_BODY, LeakKind.FD) and measure.opened is None


def _judge_kind(
    before: Measurement, after: Measurement, suspect: Suspect
) -> tuple[VerificationVerdict, list[str]]:
    """Where the baseline knows what sort of thing leaks and not where: its number must go on rising to be not fixed."""
    rising = [
        (old, new)
        for old, new in _pair(before, after)
        if old is not None and new is not None and old.kind is suspect[0] and _rises(old)
    ]
    if any(_rises(new) and _gain(new) > _STILL * _gain(old) for old, new in rising):
        return VerificationVerdict.NOT_FIXED, [f"the {_KIND_WORDS[suspect[0]]} still pile up"]
    return VerificationVerdict.UNDECIDED, [
        "the baseline does not say which function leaked, so it cannot be seen whether the new process did it at all"
    ]


def _has_series(suspect: Suspect) -> bool:
    """Whether the number itself is followed, so that its trend says more than what a moment left."""
    return suspect[0] in (LeakKind.GOROUTINE, LeakKind.HEAP)


def _rises(measure: Measure) -> bool:
    return measure.slope is not None and measure.slope.rising


def _gain(measure: Measure) -> float:
    return measure.last - measure.first


def _share(measure: Measure | None) -> float:
    """The share of what was opened that was left; all of it where that was not counted."""
    if measure is None or not measure.opened or measure.left is None:
        return 1.0
    return min(1.0, measure.left / measure.opened)


def _pace(measure: Measure | None, measurement: Measurement) -> float:
    """How many were opened a second."""
    if measure is None or not measure.opened or measurement.seconds <= 0:
        return 0.0
    return measure.opened / measurement.seconds


def _how_often(suspect: Suspect, measure: Measure) -> str:
    things, opened, _ = _UNITS[suspect[0]]
    return f"{format_count(measure.opened or 0)} {things} {opened}"


def _counted(suspect: Suspect, old: Measure | None, new: Measure | None) -> list[str]:
    """What was opened and left, before and after, where it was counted; else how it grew."""
    things, opened, stayed = _UNITS[suspect[0]]
    parts = []
    for when, measure in (("before", old), ("after", new)):
        if measure is not None and measure.opened is not None and measure.left is not None:
            share = f"{format_count(measure.left)} of {format_count(measure.opened)}"
            parts.append(f"{when}, {share} {things} that {opened} {stayed}")
        elif measure is not None and measure.slope is not None:
            parts.append(f"{when}, {format_rate(measure.slope.per_minute, as_bytes=measure.unit == 'bytes')}")
    return ["; ".join(parts)] if parts else []


def _moved(suspect: Suspect, after: Measurement) -> list[str]:
    """A sentence where the line is another one now."""
    found = after.suspect
    if found is None or not same_suspect(found, suspect) or not suspect[3] or not found[3]:
        return []
    if found[3] == suspect[3] and found[2].rpartition("/")[2] == suspect[2].rpartition("/")[2]:
        return []
    return [f"the line has moved: {_place(suspect)} before, {_place(found)} now"]


def _elsewhere(before: Measurement, after: Measurement) -> list[str]:
    """A sentence where the new process leaks something that the old one did not."""
    found = after.suspect
    if found is None or (before.suspect is not None and same_suspect(found, before.suspect)):
        return []
    what = short_function(found[1]) or "something"
    where = f" ({_place(found)})" if found[3] else ""
    return [f"it leaks elsewhere now: {_KIND_WORDS[found[0]]}, {what}{where}"]


def _place(suspect: Suspect) -> str:
    return f"{suspect[2].rpartition('/')[2]}:{suspect[3]}"


# -- rows ------------------------------------------------------------------------------------------


def _followed(measurement: Measurement, suspect: Suspect) -> Measure | None:
    """The row of *suspect*: whole processes are measured first, what leaked last."""
    return _row(measurement, measure_name(suspect))


def _row(measurement: Measurement, name: str) -> Measure | None:
    return next((item for item in reversed(measurement.measures) if item.name == name), None)


def _pair(before: Measurement, after: Measurement) -> tuple[tuple[Measure | None, Measure | None], ...]:
    """What bears the same name on both sides, in the order of the first, what is only in the second last."""
    olds = {item.name: item for item in before.measures}
    news = {item.name: item for item in after.measures}
    names = dict.fromkeys((*olds, *news))
    return tuple((olds.get(name), news.get(name)) for name in names)
