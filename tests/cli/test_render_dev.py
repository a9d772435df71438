"""Tests of what ``longshore dev`` shows of an event."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from longshore.cli.render_dev import ASCII, DevRenderer
from longshore.proto.ipc.messages import Drained, ErrorReport, LogLine, RequestFinished, SourceFrame
from longshore.runtime.host import events
from longshore.runtime.host.events import FromWorker
from longshore.runtime.host.start import silent_failure
from tests.cli import samples

if TYPE_CHECKING:
    from rich.text import Text


def request(status: int, *, outcome: str = "ok", request_id: str = "1") -> events.HostEvent:
    """Return the end of a request."""
    return FromWorker(
        1,
        RequestFinished(
            request_id=request_id, method="GET", path="/", status=status, duration_s=0.005, outcome=outcome
        ),
    )


def plain(lines: list[Text]) -> list[str]:
    """Return the lines without colours."""
    return [line.plain for line in lines]


def shown(event: events.HostEvent) -> list[str]:
    """Return the lines of one event for a new renderer."""
    return plain(DevRenderer(samples.PROJECT).render(event))


CASES: list[tuple[events.HostEvent, list[str]]] = [
    (FromWorker(1, samples.REQUEST), ["GET /customers?page=2 200 OK (5ms)"]),
    (request(0, outcome="canceled"), ["GET / canceled (5ms)"]),
    (FromWorker(1, samples.OPENED), ["  → db.example:5432  192.0.2.7:5432  dns 0.2ms  tcp 4ms  tls 12ms  #17"]),
    (FromWorker(1, samples.REFUSED), ["  ✗ db.example:5432  connection refused  #17"]),
    (FromWorker(1, samples.CLOSED), ["  ← db.example:5432  closed after 1.2s, sent 1.2 kB, received 5.6 MB  #17"]),
    (FromWorker(1, samples.LOG), ["  warning shop  low on stock  #17", "    really"]),
    (FromWorker(1, LogLine(level="info", text="hello")), ["  info  hello"]),
    (FromWorker(1, samples.CRON), ["◷ cron */5 * * * * ok (500ms)"]),
    (FromWorker(1, Drained()), []),
    (
        FromWorker(1, Drained(cancelled_requests=1)),
        ["warning: out of time: cut off 1 request"],
    ),
    (events.ReloadStarted((f"{samples.PROJECT}/src/entry.py",)), ["↻ Reloading… src/entry.py"]),
    (events.Reloaded(0.084), ["↻ Reloaded in 84ms"]),
    (events.PortTaken(8787, 8788, ""), ["warning: port 8787 is taken; using 8788"]),
    (events.PortTaken(8787, 8788, "node"), ["warning: port 8787 is taken by node; using 8788"]),
    (events.WorkerExited(1, 0, was_expected=True), []),
    (
        events.WorkerExited(1, -9, was_expected=False),
        ["error: the worker was ended by SIGKILL, which nobody asked for"],
    ),
    (events.CronDue("* * * * *", 1), ["◷ cron * * * * * fired"]),
    (events.CronDue("* * * * *", None), ["warning: cron * * * * *: no worker is ready"]),
    (events.HostFailed("no port", 78), ["error: no port"]),
    (events.WorkerStarting(1), []),
    (events.Enclosed("required", ("user", "seccomp"), ()), ["Isolation  user, seccomp", ""]),
    (
        events.Enclosed("auto", ("user",), (("cgroup", "not writable", "no bounds"),)),
        ["Isolation  user", "! without cgroup (not writable): no bounds", ""],
    ),
    (
        events.EgressLost(),
        ["error: the process that makes connections ended; it is started anew, with the workers"],
    ),
    (
        events.PoolLost(),
        ["error: the process that keeps connections to databases ended; it is started anew, sessions were broken"],
    ),
    (events.Stopped(0), []),
]


@pytest.mark.parametrize(("event", "expected"), CASES, ids=lambda case: type(getattr(case, "message", case)).__name__)
def test_an_event_is_shown_as(event: events.HostEvent, expected: list[str]) -> None:
    assert shown(event) == expected


@pytest.mark.parametrize(
    ("status", "style"),
    [(101, "cyan"), (204, "green"), (302, "cyan"), (404, "yellow"), (503, "bold red"), (0, "yellow")],
)
def test_a_status_is_coloured_by_its_class(status: int, style: str) -> None:
    (line,) = DevRenderer().render(request(status))
    assert style in {str(span.style) for span in line.spans}


def test_an_error_shows_the_users_code_and_folds_the_libraries() -> None:
    assert shown(FromWorker(1, samples.FAILED)) == [
        "✗ LookupError: no customer 7  #17",
        "    2 frames in asyncpg, asyncio",
        "    src/entry.py:12 in fetch",
        "      10 |     async def fetch(self, request):",
        "      11 |         number = 7",
        "    > 12 |         raise LookupError(f'no customer {number}')",
        "    1 frame in asyncpg",
        "    ask for another one",
        "  caused by KeyError: 7",
        "    1 frame in asyncpg",
    ]


def test_a_boot_failure_says_what_happens_next() -> None:
    first, *_, last = shown(events.BootFailure(2, samples.REPORT, is_reload=True))
    assert first == "✗ LookupError: no customer 7  the new code cannot be run"
    assert last == "  Waiting for a change."


def test_a_worker_that_could_not_speak_has_no_exception() -> None:
    report = silent_failure("worker 2 was not ready within 30 s")
    first, _ = shown(events.BootFailure(2, report, is_reload=False))
    assert first == "✗ worker 2 was not ready within 30 s  the worker cannot be run"


def test_the_line_of_a_request_has_a_tag_when_there_are_lines_above_it() -> None:
    renderer = DevRenderer()
    renderer.render(FromWorker(1, samples.OPENED))
    assert plain(renderer.render(FromWorker(1, samples.REQUEST))) == ["GET /customers?page=2 200 OK (5ms)  #17"]
    assert plain(renderer.render(FromWorker(1, samples.REQUEST))) == ["GET /customers?page=2 200 OK (5ms)"]


def test_tags_of_requests_that_never_end_are_not_kept_for_ever() -> None:
    renderer = DevRenderer()
    for number in range(2000):
        renderer.render(FromWorker(1, LogLine(level="info", text="x", request_id=f"{number:08}")))
    assert plain(renderer.render(request(200, request_id="00000000"))) == ["GET / 200 OK (5ms)"]
    assert plain(renderer.render(request(200, request_id="00001999"))) == ["GET / 200 OK (5ms)  #001999"]


@pytest.mark.parametrize("event", samples.ALL, ids=lambda event: type(getattr(event, "message", event)).__name__)
def test_a_terminal_without_unicode_gets_no_sign_that_it_cannot_show(event: events.HostEvent) -> None:
    for line in plain(DevRenderer(samples.PROJECT, ASCII).render(event)):
        assert line.isascii()


def test_what_comes_from_outside_does_not_speak_to_the_terminal() -> None:
    log = LogLine(level="info", text="\x1b]0;title\x07", logger="\x1b[2J", request_id="\x1b[1")
    assert "\x1b" not in "".join(shown(FromWorker(1, log)))


@pytest.mark.parametrize(
    ("line", "columns", "marks"),
    [
        ("def broken(:", (12, 13), "           ^"),
        ("x = naïve nonsense", (5, 19), "    ^^^^^^^^^^^^^^"),
        ("x = 'never", (5, 0), "    ^"),
        ("x = 'never", (11, 12), "          ^"),
        ("\tx = = 1", (6, 7), "\t    ^"),
        ("名 = = 1", (5, 6), "     ^"),
        ("x = 1", (0, 0), None),
        ("x = 1", (77, 78), None),
    ],
)
def test_a_syntax_error_is_marked_where_it_is(line: str, columns: tuple[int, int], marks: str | None) -> None:
    frame = SourceFrame(
        file=f"{samples.PROJECT}/entry.py",
        line=9,
        function="",
        first_line=9,
        source=(line, "pass"),
        column=columns[0],
        end_column=columns[1],
        is_users=True,
    )
    report = ErrorReport(type="SyntaxError", message="invalid syntax", text="…", frames=(frame,))
    lines = [text.plain for text in DevRenderer(samples.PROJECT).render(events.BootFailure(1, report, is_reload=False))]
    expected = [
        "    entry.py:9",
        f"    >  9 | {line}",
        *([] if marks is None else [f"         | {marks}"]),
        "      10 | pass",
    ]
    assert lines[1:-1] == expected


def test_a_worker_that_hangs_while_it_boots_shows_where() -> None:
    report = silent_failure("worker 2 was not ready within 30 s", (samples.USERS,))
    first, place, *source, _ = shown(events.BootFailure(2, report, is_reload=False))
    assert first == "✗ worker 2 was not ready within 30 s  the worker cannot be run"
    assert place == "    src/entry.py:12 in fetch"
    assert source[-1].startswith("    > 12 | ")
