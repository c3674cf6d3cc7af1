import pytest

from leaktui.errors import DecodeError, LimitExceeded
from leaktui.wire.trace import Event, Generation, TraceDecoder, generation
from leaktui.wire.trace import events as ev
from tests.wire.trace_bytes import TraceWriter, capture_names, read_capture, read_truth, varints


def generations_of(data: bytes) -> list[Generation]:
    decoder = TraceDecoder()
    return decoder.feed(data) + decoder.finish()


def events_of(data: bytes) -> list[Event]:
    return [event for each in generations_of(data) for window in each.windows() for event in window]


@pytest.mark.parametrize("name", [name for name in capture_names() if "descriptors" not in name])
def test_agrees_with_go_on_events_and_goroutines(name: str) -> None:
    """Counts, and sums of goroutine numbers, as `go tool trace` gave them when the capture was made."""
    names = {
        ev.GO_BLOCK: "block",
        ev.GO_UNBLOCK: "unblock",
        ev.GO_CREATE: "create",
        ev.GO_DESTROY: "end",
        ev.GO_SYSCALL_BEGIN: "syscall",
        ev.GO_STOP: "stop",
    }
    counts = {name: [0, 0, 0] for name in names.values()}
    for _, kind, goid, target, _, _ in events_of(read_capture(name)):
        if kind in names:
            count = counts[names[kind]]
            count[0] += 1
            count[1] += goid
            count[2] += target if kind in (ev.GO_UNBLOCK, ev.GO_CREATE) else goid
    assert counts == read_truth(name)["events"]


@pytest.mark.parametrize("name", capture_names())
def test_time_never_goes_back_within_a_generation(name: str) -> None:
    for each in generations_of(read_capture(name)):
        times = [event[0] for window in each.windows() for event in window]
        assert times == sorted(times)


def test_windows_can_be_gone_through_twice() -> None:
    first = generations_of(read_capture("go1.25-descriptors"))[0]
    once = [event for window in first.windows() for event in window]
    counts = first.counts
    assert [event for window in first.windows() for event in window] == once
    assert first.counts == counts


def test_small_windows_hold_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    data = read_capture("go1.25-h1")
    whole = events_of(data)
    monkeypatch.setattr(generation, "_WINDOW", 100)
    windows = [window for each in generations_of(data) for window in each.windows()]
    assert len(windows) > 5
    assert [event for window in windows for event in window] == whole


def test_threads_are_merged_by_time_and_keep_their_own_order() -> None:
    writer = TraceWriter()
    writer.status(1)
    writer.status(2)
    writer.add(ev.GO_STOP, 0, 0, thread=1, tick=2000)
    writer.add(ev.GO_BLOCK, 0, 0, thread=2, tick=1500)
    writer.add(ev.GO_START, 7, 1, thread=1, tick=2500)
    writer.add(ev.GO_BLOCK, 0, 0, thread=1, tick=2500)
    writer.add(ev.GO_UNBLOCK, 7, 1, 0, thread=3, tick=2600)
    assert [(event[1], event[2]) for event in events_of(writer.bytes())] == [
        (ev.GO_STATUS, 1),
        (ev.GO_STATUS, 2),
        (ev.GO_BLOCK, 2),
        (ev.GO_STOP, 1),
        (ev.GO_BLOCK, 7),
        (ev.GO_UNBLOCK, 0),
    ]


def test_which_goroutine_runs_on_a_thread() -> None:
    writer = TraceWriter()

    def mark() -> None:
        writer.add(ev.GO_SYSCALL_BEGIN, 1, 0, thread=5)

    # Another thread tells that goroutine 40 is in a system call on thread 5.
    writer.add(ev.GO_STATUS, 40, 5, ev.SYSCALL, thread=1)
    mark()
    writer.add(ev.GO_SYSCALL_END_BLOCKED, thread=5)
    mark()
    writer.add(ev.GO_START, 41, 1, thread=5)
    mark()
    writer.add(ev.GO_SWITCH, 42, 1, thread=5)
    mark()
    writer.add(ev.GO_DESTROY, thread=5)
    mark()
    writer.add(ev.GO_CREATE_SYSCALL, 43, thread=5)
    mark()
    writer.add(ev.GO_STATUS, 44, 6, ev.RUNNING, thread=5)  # of thread 6: says nothing of this one
    mark()
    marks = [event[2] for event in events_of(writer.bytes()) if event[1] == ev.GO_SYSCALL_BEGIN]
    assert marks == [40, 0, 41, 42, 0, 43, 43]


def test_allocation_events_of_the_experiment_are_passed_over() -> None:
    """Their numbers are single bytes above 127, unlike anything else in a batch."""
    writer = TraceWriter()
    writer.status(1)
    for number, width in enumerate(ev.EXPERIMENTAL_ARGUMENTS):
        # The byte, then the delta of one tick and the other arguments.
        data = bytes([128 + number]) + varints(1, *[300] * (width - 1))
        writer._threads[1].append((writer.tick + 1, data))
        writer.tick += 1
    writer.add(ev.GO_DESTROY, thread=1)
    events = events_of(writer.bytes())
    assert [event[1] for event in events] == [ev.GO_STATUS, ev.GO_DESTROY]
    assert events[1][0] - events[0][0] == 10 * 64


@pytest.mark.parametrize(("ticks_per_second", "expected"), [(15_625_000, 64_000), (3_000_000_000, 333)])
def test_ticks_become_nanoseconds(ticks_per_second: int, expected: int) -> None:
    writer = TraceWriter(ticks_per_second=ticks_per_second)
    writer.status(1)
    writer.add(ev.GO_STOP, 0, 0, thread=1, tick=writer.tick + 1000)
    first, second = events_of(writer.bytes())
    assert second[0] - first[0] in (expected, expected + 1)


@pytest.mark.parametrize(
    ("events", "message"),
    [
        (varints(ev.GO_BLOCK, 1, 1), "ends within an event"),
        (varints(ev.GO_BLOCK), "ends within an event"),
        (varints(60, 1), "unknown event .60."),
        (varints(ev.STACK, 1), "unknown event .3."),
        (bytes([150, 1, 1]), "unknown event .150."),
    ],
)
def test_damaged_events(events: bytes, message: str) -> None:
    writer = TraceWriter()
    writer._threads[1] = [(1001, events)]
    with pytest.raises(DecodeError, match=message):
        events_of(writer.bytes())


def test_no_clock() -> None:
    writer = TraceWriter(ticks_per_second=0)
    writer.status(1)
    with pytest.raises(DecodeError, match="how fast its clock runs"):
        events_of(writer.bytes())


def test_overlap_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(generation, "_WINDOW", 10)
    monkeypatch.setattr(generation, "_MAX_OVERLAP", 50)
    writer = TraceWriter()
    for thread in range(1, 20):
        for _ in range(10):
            writer.add(ev.GO_STOP, 0, 0, thread=thread, tick=2000 + thread)
    for events in writer._threads.values():
        events[0] = (1001, events[0][1])  # all batches claim to begin at the same moment
    with pytest.raises(LimitExceeded, match="overlap in time"):
        events_of(writer.bytes())
