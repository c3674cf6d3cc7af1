"""What the open bodies themselves tell of a suspect: which requests they answer, and who can still close them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from urllib.parse import urlsplit

from leaktui.analysis.body_trend import BodyTrend
from leaktui.model.body import BodyState
from leaktui.model.finding import Evidence
from leaktui.model.open_body import OpenBody
from leaktui.model.snapshot import Snapshot
from leaktui.text import format_rate, printable

_REQUESTS_NAMED = 2
_PATH_LENGTH = 60


def unattended_bodies(snapshots: Sequence[Snapshot]) -> tuple[OpenBody, ...]:
    """The open bodies of the newest look that nobody is reading."""
    census = snapshots[-1].bodies
    if census is None:
        return ()
    return tuple(body for body in census.bodies if body.state is not BodyState.BEING_READ)


def trend_evidence(trend: BodyTrend, rate: str) -> list[Evidence]:
    """How many bodies wait, and who else counts as many. *rate* is the growth in brackets, or empty."""
    text = f"{trend.unattended} connections wait for a body that nobody reads{rate}"
    if trend.source == "memory":
        text = f"{trend.unattended} response bodies are open and nobody reads them{rate}"
    return [
        Evidence(trend.source, text),
        *(Evidence(source, f"counts {count} of them, too") for source, count in trend.also_counted if count),
    ]


def growth_text(per_minute: float | None, over: str = "") -> str:
    """` (+58/min over 12 s)`, empty where growth was not measured."""
    return "" if per_minute is None else f" ({format_rate(per_minute)}{over})"


def orphan_evidence(bodies: Iterable[OpenBody]) -> list[Evidence]:
    """Proof by the garbage collector: it freed the bodies, and their connections wait all the same."""
    count = sum(body.orphaned is True for body in bodies)
    if not count:
        return []
    text = f"{count} of them the garbage collector has freed, while their connections wait: nobody can close them"
    return [Evidence("memory", text)]


def request_evidence(bodies: Sequence[OpenBody]) -> list[Evidence]:
    """Which requests most of *bodies* answer, and how far they were read."""
    named = [body for body in bodies if body.url]
    if not named:
        return []
    counts = Counter((body.method, _place(body.url), body.status) for body in named)
    parts = []
    for (method, place, status), count in counts.most_common(_REQUESTS_NAMED):
        answered = f" (status {status})" if status is not None else ""
        parts.append(f"{count} answer {printable(method, 20)} {place}{answered}")
    rest = len(named) - sum(count for _, count in counts.most_common(_REQUESTS_NAMED))
    if rest:
        parts.append(f"{rest} others")
    states = Counter(body.state.value for body in bodies)
    how = ", ".join(f"{count} {state}" for state, count in states.most_common())
    return [Evidence("memory", f"{'; '.join(parts)}. {how}")]


def _place(url: str) -> str:
    """Host and path of *url*, which have no secrets: what is in the query stays out of reports."""
    try:
        parts = urlsplit(url)
    except ValueError:
        return "a URL that makes no sense"
    path = printable(parts.path, _PATH_LENGTH)
    return printable(parts.netloc.rpartition("@")[2], _PATH_LENGTH) + path
