"""The commands that do by hand what a step does, for this very process. Pure: nothing is run.

Law: what is put into a command is quoted for the shell; what the target could have chosen is made printable first.
"""

from __future__ import annotations

import shlex

from leaktui.guide.script import Name
from leaktui.guide.sight import Sight
from leaktui.guide.state import State
from leaktui.model.finding import Finding, LeakKind
from leaktui.text import masked_url, printable

_PROFILES = {
    LeakKind.HTTP_BODY: "goroutine",
    LeakKind.GOROUTINE: "goroutine",
    LeakKind.HEAP: "heap",
}


def commands(name: Name, state: State, sight: Sight) -> tuple[str, ...]:
    """At most three command lines for the step *name*."""
    finding = state.finding
    return tuple(_choose(name, finding, sight))[:3]


def _choose(name: Name, finding: Finding | None, sight: Sight) -> list[str]:
    pid, url = sight.snapshot.target.pid, _quoted_url(sight)
    leaktui = f"--pid {pid}" if pid is not None else f"--url {url}"
    if name is Name.ATTACH:
        return [f"leaktui doctor {leaktui}"]
    if name is Name.BASELINE:
        return _counts(pid, url)
    if name is Name.GROW:
        watch = [f"watch -n 5 'ls /proc/{pid}/fd | wc -l; grep VmRSS /proc/{pid}/status'"] if pid else []
        return [*watch, *([f"curl -so before.pb.gz {url}/heap"] if url else [])]
    if name is Name.KIND:
        compare = [f"go tool pprof -top -base before.pb.gz {url}/heap"] if url else []
        return [f"leaktui diagnose {leaktui}", *compare]
    if name is Name.WHO:
        return _who(finding, pid, url, leaktui)
    if name is Name.LINE:
        return _line(finding, url, leaktui)
    if name is Name.CONFIRM:
        return _confirm(finding, pid, leaktui)
    if name is Name.FIX:
        return _edit(finding)
    if name is Name.REPORT:
        return [
            f"leaktui diagnose {leaktui} --md -o report.md",
            f"leaktui record {leaktui} -o before.leaktui",
            "leaktui verify --baseline before.leaktui --pid NEW    (after the fix)",
        ]
    return [
        "leaktui record --pid OLD -o before.leaktui",
        f"leaktui verify --baseline before.leaktui {leaktui}",
    ]


def _counts(pid: int | None, url: str) -> list[str]:
    lines = [f"ls /proc/{pid}/fd | wc -l; grep VmRSS /proc/{pid}/status"] if pid is not None else []
    return [*lines, *([f"curl -s '{_bare(url)}/goroutine?debug=1' | head -1"] if url else [])]


def _who(finding: Finding | None, pid: int | None, url: str, leaktui: str) -> list[str]:
    kind = finding.kind if finding is not None else None
    if kind is LeakKind.FD and pid is not None:
        return [f"ls -l /proc/{pid}/fd | awk '{{print $NF}}' | sort | uniq -c | sort -n | tail"]
    if kind is LeakKind.HEAP and url:
        return [f"go tool pprof -top -sample_index=inuse_space {url}/heap"]
    lines = [f"ss -tnp | grep pid={pid},"] if kind is LeakKind.HTTP_BODY and pid is not None else []
    if url:
        lines.append(f"go tool pprof -top {url}/goroutine")
    return lines or [f"leaktui {leaktui}    (then 3 or 4)"]


def _line(finding: Finding | None, url: str, leaktui: str) -> list[str]:
    lines = [f"leaktui diagnose {leaktui} --json"]
    if finding is not None and finding.function and url and finding.kind in _PROFILES:
        function = printable(finding.function, 200).rsplit(".", 1)[-1]
        listing = f"go tool pprof -list {shlex.quote(function)} {url}/{_PROFILES[finding.kind]}"
        lines.insert(0, listing)
    if finding is not None and finding.kind is LeakKind.FD:
        lines.insert(0, "strace -f -k -e trace=openat,socket,accept4 -p PID    (slows it down)")
    return lines


def _confirm(finding: Finding | None, pid: int | None, leaktui: str) -> list[str]:
    if pid is None:
        return [f"leaktui {leaktui}"]
    debugger = f"dlv attach {pid}    (stops the process)"
    if finding is not None and finding.kind is LeakKind.FD:
        return [f"ls -l /proc/{pid}/fd | tail"]
    if finding is not None and finding.kind is LeakKind.HTTP_BODY:
        return [f"leaktui {leaktui}    (then 4, Enter, h)", debugger]
    return [f"leaktui {leaktui}    (then 3, Enter)", debugger]


def _edit(finding: Finding | None) -> list[str]:
    frame = finding.location if finding is not None else None
    if frame is None or not frame.file:
        return []
    return [f"$EDITOR +{frame.line} {shlex.quote(printable(frame.file, 400))}"]


def _quoted_url(sight: Sight) -> str:
    """The pprof address as a shell takes it; one of a unix socket is no use to curl or pprof, and left out."""
    url = masked_url(sight.url)
    return shlex.quote(url) if url.startswith(("http://", "https://")) else ""


def _bare(url: str) -> str:
    return url.strip("'")
