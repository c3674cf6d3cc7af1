"""A goroutine's frames with their values as a tree of lines, of which only what is open is made. Pure.

Law: text of the target is made safe here; what was not loaded is never shown as empty: it leads to an
expression that loads it.
"""

from __future__ import annotations

from collections.abc import Sequence, Set
from dataclasses import dataclass

from leaktui.model.frame import Frame
from leaktui.model.inspection import Evaluation, InspectedFrame, Inspection, Variable
from leaktui.model.wait import GoroutineDetail
from leaktui.text import format_count, printable
from leaktui.tui.details import field
from leaktui.tui.links import ExpressionLink, FoldLink
from leaktui.tui.wait_lines import detail_lines
from leaktui.tui.widgets.document import DocLine
from leaktui.tui.widgets.toned import Span, Tone
from leaktui.tui.wording import frame_path, frame_place, function_name, heading, is_stdlib, type_name

Key = tuple[str, ...]

_MOST_CHILDREN = 200
_MOST_DEPTH = 24
_VALUE_LIMIT = 300
_PREVIEW_PARTS = 4


@dataclass(frozen=True, slots=True)
class Suggestion:
    """An expression worth asking, and what it tells."""

    label: str
    link: ExpressionLink


def frame_key(index: int) -> Key:
    return "frame", str(index)


def evaluation_key(evaluation: Evaluation) -> Key:
    return "evaluated", str(evaluation.frame_index), evaluation.expression


def first_open(inspection: Inspection) -> Set[Key]:
    """What is open at first: the program's own innermost frame, or else the first with values above the runtime's."""
    with_values = [index for index, item in enumerate(inspection.frames) if item.arguments or item.variables]
    own = [index for index in with_values if not is_stdlib(inspection.frames[index].frame.function)]
    others = [index for index in with_values if not _is_runtime(inspection.frames[index].frame.function)]
    chosen = next(iter(own or others or with_values), None)
    return {frame_key(chosen)} if chosen is not None else set()


def _is_runtime(function: str) -> bool:
    return function.startswith(("runtime.", "internal/", "time.Sleep"))


def inspection_lines(inspection: Inspection, opened: Set[Key], *, seen_since: bool = False) -> list[DocLine]:
    """*inspection* with the parts in *opened* unfolded; *seen_since*: the goroutine was alive after it."""
    if inspection.gone and seen_since:
        text = f"Goroutine {inspection.goid} could not be read in the time a stop may take: v looks again."
        return [DocLine(((text, "warning"),))]
    if inspection.gone:
        return [DocLine(((f"Goroutine {inspection.goid} had ended by then.", "warning"),))]
    lines = [field("waits for", printable(inspection.wait_reason, 100) or "nothing: it runs")]
    lines.append(field("stopped", f"{inspection.stop_ms:.1f} ms, to look at it"))
    lines += detail_lines(GoroutineDetail(inspection.goid, panics=inspection.panics))
    lines += [DocLine(), DocLine(heading("Frames, innermost first"))]
    for index, item in enumerate(inspection.frames):
        lines += _frame_lines(inspection.goid, index, item, opened)
    if not inspection.frames:
        lines.append(DocLine((("  no frame was seen", "muted"),)))
    elif inspection.depth and len(inspection.frames) >= inspection.depth:
        lines.append(DocLine(((f"  … {inspection.depth} frames were asked for", "muted"),)))
    return lines


def _frame_lines(goid: int, index: int, item: InspectedFrame, opened: Set[Key]) -> list[DocLine]:
    key = frame_key(index)
    unfolded = key in opened
    frame = item.frame
    tone: Tone = "muted" if is_stdlib(frame.function) else "strong"
    spans: list[Span] = [("▾ " if unfolded else "▸ ", "accent"), (f"{index:>2} ", "muted")]
    spans += [(function_name(frame.function), tone), (f"  {frame_place(frame)}", "muted")]
    if frame.inlined:
        spans.append(("  inlined", "muted"))
    if item.deferred:
        count = len(item.deferred)
        spans.append((f"  {count} deferred" if count > 1 else "  deferred", "warning"))
    lines = [DocLine(tuple(spans), FoldLink(key, index), wrap=False)]
    if not unfolded:
        return lines
    lines.append(_source_line(frame))
    if item.unreadable:
        lines.append(DocLine(((f"     {printable(item.unreadable, _VALUE_LIMIT)}", "warning"),), indent=5))
    for title, variables in (("arg ", item.arguments), ("", item.variables)):
        for variable in variables:
            place = _Place(goid, index, (*key, variable.name), variable.name, 5, title)
            lines += _variable_lines(variable, place, opened)
    if not item.arguments and not item.variables and not item.unreadable:
        lines.append(DocLine((("     no arguments and no locals", "muted"),)))
    if item.deferred:
        deferred = detail_lines(GoroutineDetail(goid, deferred=item.deferred))[2:]
        lines.append(DocLine((("     deferred, the next one first", "muted"),)))
        lines += [DocLine((("     ", "plain"), *line.spans), line.target, wrap=False) for line in deferred]
    return lines


def _source_line(frame: Frame) -> DocLine:
    if not frame.file:
        return DocLine((("     no source line is known", "muted"),))
    return DocLine((("     ", "plain"), (frame_path(frame), "accent")), frame, wrap=False, keep_end=True)


# -- values --------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _Place:
    """Where a variable stands: its key in the tree, and the expression that leads to it."""

    goid: int
    frame_index: int
    key: Key
    expression: str
    indent: int
    title: str = ""
    depth: int = 0

    def child(self, number: int, parent: Variable, child: Variable) -> _Place:
        return _Place(
            self.goid,
            self.frame_index,
            (*self.key, child.name or str(number)),
            child_expression(self.expression, parent, child),
            self.indent + 2,
            depth=self.depth + 1,
        )


def child_expression(expression: str, parent: Variable, child: Variable) -> str:
    """The expression of a part of what *expression* is; empty where there is none to write."""
    if not expression:
        return ""
    name = child.name
    if name.startswith("["):
        return expression + name
    if not name or name.startswith("*"):
        # What a pointer points to: Go finds the fields of either.
        return expression if child.children else f"*{expression}"
    if name == "data":
        return f"{expression}.(data)" if not parent.type_name.startswith("struct") else f"{expression}.data"
    return f"{expression}.{name}"


def _variable_lines(variable: Variable, place: _Place, opened: Set[Key]) -> list[DocLine]:
    variable = _through_pointer(variable)
    unfolded = place.key in opened and bool(variable.children)
    mark = "▾ " if unfolded else "▸ " if variable.children else "  "
    target: object | None = FoldLink(place.key, place.frame_index) if variable.children else None
    if target is None and is_unloaded(variable) and place.expression:
        target = ExpressionLink(place.expression, place.goid, place.frame_index)
    spans: list[Span] = [(" " * place.indent, "plain"), (mark, "accent"), (place.title, "muted")]
    spans += [(printable(variable.name, 120) or "*", "plain"), (f" {type_name(variable.type_name)}", "muted")]
    if not unfolded:
        spans += _value_spans(variable)
    elif variable.value:
        spans.append((f"  {printable(variable.value, 60)}", "muted"))
    lines = [DocLine(tuple(spans), target, wrap=False)]
    if not unfolded or place.depth >= _MOST_DEPTH:
        return lines
    for number, child in enumerate(variable.children[:_MOST_CHILDREN]):
        lines += _variable_lines(child, place.child(number, variable, child), opened)
    if (
        variable.type_name.startswith(("chan ", "<-chan ", "chan<- "))
        and variable.length
        and place.expression
    ):
        contents = f"*{place.expression}.buf"
        text = f"{' ' * (place.indent + 4)}what is queued: {printable(contents, 200)}"
        link = ExpressionLink(contents, place.goid, place.frame_index)
        return [*lines, DocLine(((text, "accent"),), link, wrap=False)]
    missing = max(0, (variable.length or 0) - len(variable.children), len(variable.children) - _MOST_CHILDREN)
    if missing and variable.length is not None:
        lines.append(_missing_line(variable, missing, place))
    return lines


def _missing_line(variable: Variable, missing: int, place: _Place) -> DocLine:
    """Elements that were not loaded, and the slice of them that could be."""
    text = f"{' ' * (place.indent + 4)}… {format_count(missing)} more"
    shown = min(len(variable.children), _MOST_CHILDREN)
    sliceable = variable.type_name.startswith("[") and place.expression
    if not sliceable:
        return DocLine(((text, "muted"),), wrap=False)
    expression = f"{place.expression}[{shown}:{min(variable.length or 0, shown + 64)}]"
    return DocLine(((text, "muted"),), ExpressionLink(expression, place.goid, place.frame_index), wrap=False)


def _through_pointer(variable: Variable) -> Variable:
    """A pointer to something loaded is shown with its parts at once: one step less to open."""
    if len(variable.children) != 1 or not variable.type_name.startswith("*"):
        return variable
    (behind,) = variable.children
    if not behind.children:
        return variable
    return Variable(
        variable.name,
        variable.type_name,
        variable.value,
        behind.children,
        behind.length,
        variable.address,
        variable.unreadable,
    )


def is_unloaded(variable: Variable) -> bool:
    """Whether there is more to *variable* than was loaded."""
    if variable.unreadable or variable.children:
        return False
    if variable.value == "nil" or variable.type_name in ("unsafe.Pointer", "uintptr"):
        return False
    if variable.type_name.startswith("*"):
        return variable.value not in ("", "0x0", "0")
    if variable.length:
        return variable.type_name != "string" or len(variable.value) < variable.length
    return not variable.value and variable.length is None


def _value_spans(variable: Variable) -> list[Span]:
    if variable.unreadable:
        return [(f"  {printable(variable.unreadable, _VALUE_LIMIT)}", "warning")]
    text, tone = short_value(variable)
    return [(" = ", "muted"), (text, tone)]


def short_value(variable: Variable) -> Span:
    """A value on one line, safe to draw."""
    if variable.unreadable:
        return printable(variable.unreadable, _VALUE_LIMIT), "warning"
    kind, value = variable.type_name, printable(variable.value, _VALUE_LIMIT)
    if kind == "string" or (value and kind.endswith("string") and variable.length is not None):
        cut = "…" if variable.length is not None and len(variable.value) < variable.length else ""
        return f'"{value}"{cut}', "string"
    if variable.children:
        return _preview(variable), "plain"
    if value:
        return value, "muted" if value == "nil" else "number"
    if variable.length is not None:
        return (
            ("empty", "muted")
            if not variable.length
            else (f"{format_count(variable.length)} of them", "muted")
        )
    return ("{…}", "muted") if is_unloaded(variable) else ("{}", "muted")


def _preview(variable: Variable) -> str:
    """`{ID: 7, Name: "x", …}`, or how many elements there are."""
    if variable.length is not None and not variable.type_name.startswith("*"):
        unit = "entry" if variable.type_name.startswith("map") else "element"
        plural = "entries" if unit == "entry" else "elements"
        return f"{format_count(variable.length)} {unit if variable.length == 1 else plural}"
    parts = []
    for child in variable.children[:_PREVIEW_PARTS]:
        value = "{…}" if child.children else short_value(child)[0]
        parts.append(f"{printable(child.name, 40)}: {value[:40]}" if child.name else value[:40])
    more = ", …" if len(variable.children) > _PREVIEW_PARTS else ""
    return "{" + ", ".join(parts) + more + "}"


# -- expressions ---------------------------------------------------------------------------------


def evaluation_lines(evaluations: Sequence[Evaluation], goid: int, opened: Set[Key]) -> list[DocLine]:
    """What was asked of goroutine *goid*, the newest first; each expression once."""
    lines: list[DocLine] = []
    seen: set[Key] = set()
    for evaluation in reversed(evaluations):
        key = evaluation_key(evaluation)
        if evaluation.goid != goid or key in seen:
            continue
        seen.add(key)
        where = f"in frame {evaluation.frame_index}" if goid else ""
        note = f"   {where}, {evaluation.stop_ms:.1f} ms" if where else f"   {evaluation.stop_ms:.1f} ms"
        again = ExpressionLink(evaluation.expression, goid, evaluation.frame_index)
        text = printable(evaluation.expression, 200)
        lines.append(DocLine(((f"  {text}", "strong"), (note, "muted")), again, wrap=False))
        if evaluation.value is None:
            error = printable(evaluation.error, _VALUE_LIMIT) or "it gave nothing"
            lines.append(DocLine(((f"    {error}", "warning"),), indent=4))
            continue
        place = _Place(goid, evaluation.frame_index, key, evaluation.expression, 4)
        lines += _variable_lines(_renamed(evaluation.value), place, opened)
    return [DocLine(), DocLine(heading("Evaluated")), *lines] if lines else []


def _renamed(variable: Variable) -> Variable:
    return Variable(
        "=",
        variable.type_name,
        variable.value,
        variable.children,
        variable.length,
        variable.address,
        variable.unreadable,
    )


def suggestion_lines(suggestions: Sequence[Suggestion]) -> list[DocLine]:
    """Expressions worth asking: Enter asks."""
    if not suggestions:
        return []
    lines = [DocLine(), DocLine(heading("Worth asking: Enter evaluates"))]
    for item in suggestions:
        expression = printable(item.link.expression, 200)
        lines.append(
            DocLine(((f"  {item.label:<22}", "plain"), (expression, "muted")), item.link, wrap=False)
        )
    return lines
