"""The walkthrough as lines: the rail of steps, the clock, one step with what was seen, its source. Pure.

What a line tells of is its target: Enter opens the row in its pane.
"""

from __future__ import annotations

from collections.abc import Sequence

from leaktui.guide import CLOCK_SECONDS, Name, Outcome, Progress, Question, State, StepState, Weight
from leaktui.guide.graph import Graph, graph_for
from leaktui.model.explanation import Explanation
from leaktui.model.verification import VerificationVerdict
from leaktui.text import printable
from leaktui.tui.highlight import highlight_go
from leaktui.tui.links import SubjectLink
from leaktui.tui.widgets.document import DocLine
from leaktui.tui.widgets.sparkline import draw_bar
from leaktui.tui.widgets.toned import (
    Line,
    Span,
    Tone,
    fit_line,
    fit_text,
    join,
    line_width,
    spread,
    wrap_line,
)

_LABEL = 9
_TONES: dict[Weight, Tone] = {
    Weight.PLAIN: "plain",
    Weight.MAIN: "strong",
    Weight.GOOD: "success",
    Weight.BAD: "danger",
    Weight.UNSURE: "warning",
    Weight.SIDE: "muted",
}
_MARKS: dict[Progress, Span] = {
    Progress.TO_DO: ("·", "muted"),
    Progress.DOING: ("▸", "accent"),
    Progress.DONE: ("✓", "success"),
    Progress.SKIPPED: ("–", "muted"),
}
_OUTCOMES: dict[Outcome, Span] = {
    Outcome.OPEN: ("ended", "muted"),
    Outcome.LEAK: ("LEAK", "danger"),
    Outcome.NOTHING: ("nothing leaks", "success"),
    Outcome.UNDECIDED: ("undecided", "warning"),
}
_CONTEXT = 2


def clock_text(seconds: float) -> str:
    """`1:12`."""
    minutes, rest = divmod(int(seconds), 60)
    return f"{minutes}:{rest:02d}"


def title_line(state: State, name: str, width: int) -> Line:
    """Who is looked at, and the clock."""
    left: Line = ((" Walkthrough", "strong"), (f"  {name}", "muted"))
    bar = draw_bar(min(1.0, state.seconds / CLOCK_SECONDS), 10)
    clock: Line = ((clock_text(state.seconds), "strong"), (f" of {clock_text(CLOCK_SECONDS)} ", "muted"))
    if state.finished:
        return spread(left, (_OUTCOMES[state.outcome], *_mended(state), (", in ", "muted"), *clock), width)
    how: Span = ("● auto", "success") if state.auto else ("‖ key by key", "warning")
    return spread(left, (how, (f"  {bar}  ", "graph"), *clock), width)


def _mended(state: State) -> Line:
    """What came of the fix, where there was one."""
    verification = state.verification
    if verification is None:
        return ()
    tone: Tone = "success" if verification.verdict is VerificationVerdict.FIXED else "warning"
    return (", ", "muted"), (verification.verdict.value, tone)


def rail_line(state: State, width: int) -> Line:
    """All steps on one line; that shown stands out."""
    parts: list[Line] = []
    for index, item in enumerate(state.steps):
        mark, tone = _MARKS[item.progress]
        word = item.step.name.value
        if index == state.shown:
            parts.append(((f"{mark}{word}", "chip"),))
        else:
            parts.append(((mark, tone), (word, "plain" if item.progress is not Progress.TO_DO else "muted")))
    line: Line = ((" ", "plain"), *join(parts, ("  ", "plain")))
    return line if line_width(line) <= width else ((" ", "plain"), *join(parts, (" ", "plain")))


def rail_lines(state: State, width: int) -> tuple[Line, ...]:
    """All steps below each other, with the time each ended."""
    lines: list[Line] = []
    for index, item in enumerate(state.steps):
        mark, tone = _MARKS[item.progress]
        ended = clock_text(item.ended) if item.ended is not None else ""
        title = fit_text(f" {item.step.title}", max(1, width - 8))
        shade: Tone = "muted" if item.progress in (Progress.TO_DO, Progress.SKIPPED) else "plain"
        spans: Line = ((f" {mark}", tone), (title, "chip" if index == state.shown else shade))
        lines += [spread(spans, ((f"{ended} ", "muted"),), width), ()]
    return tuple(lines)


def question_lines(question: Question | None, state: State, width: int) -> tuple[Line, ...]:
    """What is asked, with its cost and the keys; nothing where nothing is asked."""
    if question is None:
        return ()
    left = ""
    if question.expires is not None and state.auto:
        word = "yes, the demo is ours," if question.unasked else "no,"
        left = f"   ({word} in {max(0.0, question.expires - state.seconds):.0f} s)"
    ask: Line = ((f" {question.what}", "warning"),)
    cost: Line = ((f" {question.cost}  ", "plain"), ("y", "accent"), (" yes  ", "muted"), ("n", "accent"))
    answer: Line = (*cost, (" no", "muted"), (left, "muted"))
    return (*wrap_line(ask, width, 1), *wrap_line(answer, width, 1))


# -- one step ----------------------------------------------------------------------------------


def step_lines(state: State, width: int, source: Sequence[str] = ()) -> list[DocLine]:
    """The step that is shown, in *width* columns. *source* are the lines of the suspect's file, where it was read."""
    item = state.looked_at
    lines = [_heading(state, item)]
    words = [
        *_labelled("What", item.what or item.step.what),
        *_labelled("Why", item.why or item.step.why, "muted"),
    ]
    if item.progress is Progress.SKIPPED:
        return [*lines, *words, DocLine(), *_labelled("Left out", item.reason, "warning")]
    if item.step.name is Name.FIX and state.explanation is not None and source:
        # The code and its change take the first page; what is done, and why, comes after.
        return [
            *lines,
            *_seen_lines(item),
            *_source_lines(state, source, width),
            DocLine(),
            *words,
            *_hand_lines(item),
        ]
    lines += words
    if item.seen:
        lines.append(DocLine())
    excerpt = (
        _excerpt_lines(state, source, width) if item.step.name in (Name.LINE, Name.FIX) and source else []
    )
    for line, seen in zip(_seen_lines(item), item.seen, strict=True):
        if excerpt and seen.source and item.step.name is Name.LINE:
            # The code comes before what it rests on: that may be long.
            lines += [*excerpt, DocLine()]
            excerpt = []
        lines.append(line)
    graph = graph_for(state, item, max(16, width - _LABEL - 3))
    if graph is not None:
        lines += [DocLine(), *_graph_lines(graph)]
    lines += excerpt
    lines += _hand_lines(item)
    if item.reason:
        lines += [DocLine(), *_labelled("Note", item.reason, "muted")]
    return lines


def _heading(state: State, item: StepState) -> DocLine:
    number = f"{state.shown + 1} of {len(state.steps)} · "
    doing: Span = ("", "plain")
    if item.progress is Progress.DOING:
        doing = ("   looking…", "accent")
    elif item.progress is Progress.SKIPPED:
        doing = ("   left out", "muted")
    elif item.progress is Progress.DONE and state.shown < len(state.steps) - 1:
        doing = ("   done", "success")
    return DocLine(((number, "muted"), (item.step.title, "strong"), doing), wrap=False)


def _seen_lines(item: StepState) -> list[DocLine]:
    lines = []
    for index, seen in enumerate(item.seen):
        text: Line = ((printable(seen.text), _TONES[seen.weight]),)
        if seen.source:
            text = (*text, (f"  {printable(seen.source, 40)}", "comment"))
        target = SubjectLink(seen.subject) if seen.subject is not None else None
        lines.append(_field("Saw" if not index else "", text, target))
    return lines


def _field(label: str, text: Line, target: object | None = None) -> DocLine:
    return DocLine(((f"{label:<{_LABEL}}", "accent"), *text), target, indent=_LABEL)


def _labelled(label: str, text: str, tone: Tone = "plain") -> list[DocLine]:
    return [_field(label, ((printable(text), tone),))]


def _hand_lines(item: StepState) -> list[DocLine]:
    if not item.by_hand:
        return []
    lines = [DocLine()]
    for index, command in enumerate(item.by_hand):
        lines.append(
            _field("By hand" if not index else "", (("$ ", "muted"), (printable(command), "string")))
        )
    return lines


def _graph_lines(graph: Graph) -> list[DocLine]:
    lines = []
    for row in graph.rows:
        if graph.turn is None:
            spans: Line = ((row, "graph"),)
        else:
            turn = graph.turn
            spans = ((row[:turn], "warning"), (row[turn : turn + 1], "muted"), (row[turn + 1 :], "success"))
        lines.append(DocLine(((" " * _LABEL, "plain"), *spans), wrap=False))
    foot: Line = ((" " * _LABEL, "plain"), (f"{graph.title}: ", "plain"), (graph.foot, "muted"))
    lines.append(DocLine(foot, wrap=False))
    return lines


# -- source ------------------------------------------------------------------------------------


def _excerpt_lines(state: State, source: Sequence[str], width: int) -> list[DocLine]:
    """The suspect's line and those around it."""
    location = state.finding.location if state.finding is not None else None
    if location is None or not 0 < location.line <= len(source):
        return []
    first, last = max(1, location.line - _CONTEXT), min(len(source), location.line + _CONTEXT)
    code = highlight_go(source[first - 1 : last])
    numbered = list(enumerate(code, start=first))
    return [DocLine(), *(_code_line(number, spans, {location.line: ""}, width) for number, spans in numbered)]


def _source_lines(state: State, source: Sequence[str], width: int) -> list[DocLine]:
    """The function's lines that say why, and the change."""
    explanation = state.explanation
    if explanation is None:
        return []
    notes = {explanation.acquire_line: "acquired here"}
    notes.update({mark.line: mark.note for mark in explanation.marks})
    last = min(explanation.last_line, len(source))
    code = highlight_go(source[explanation.first_line - 1 : last])
    wanted = {
        number
        for line in notes
        for number in range(line - 1, line + 2)
        if explanation.first_line <= number <= last
    }
    lines = [DocLine()]
    before = 0
    for number in sorted(wanted):
        if before and number > before + 1:
            lines.append(DocLine((("       ⋮", "comment"),), wrap=False))
        before = number
        lines.append(_code_line(number, code[number - explanation.first_line], notes, width))
    return [*lines, *_diff_lines(explanation)]


def _code_line(number: int, spans: Line, notes: dict[int, str], width: int) -> DocLine:
    """A line of code; where there is no room for both, its note stays whole and the code is cut."""
    here = number in notes
    gutter: Span = (f"{'▶' if here else ' '}{number:>5}  ", "danger" if here else "comment")
    note = notes.get(number, "")
    tail: Line = ((f"  ◀ {printable(note, 80)}", "warning"),) if note else ()
    room = max(16, width - 2 - line_width((gutter, *tail)))
    return DocLine((gutter, *fit_line(spans, room), *tail), wrap=False, marked=here)


def _near_changes(diff: Sequence[str]) -> list[str]:
    """The lines of a unified diff that change something, each with its neighbours; what was left out, as dots."""
    kept: list[str] = []
    changed = [
        index for index, text in enumerate(diff) if text[:1] in "+-" and text[:3] not in ("+++", "---")
    ]
    before = -1
    for index, text in enumerate(diff):
        if text.startswith(("+++", "---", "@@")) or not any(abs(index - other) <= 1 for other in changed):
            continue
        if kept and index > before + 1:
            kept.append("   ⋮")
        kept.append(text)
        before = index
    return kept


def _diff_lines(explanation: Explanation) -> list[DocLine]:
    if not explanation.diff:
        return []
    sure = "" if explanation.diff_certain else "  to be looked over"
    lines = [DocLine(), DocLine((("A change that mends it", "accent"), (sure, "warning")))]
    for text in _near_changes(explanation.diff.splitlines()):
        tone: Tone = "success" if text.startswith("+") else "danger" if text.startswith("-") else "muted"
        lines.append(DocLine(((printable(text.replace("\t", "    "), 400), tone),), wrap=False))
    return lines
