"""Tests of the spelling of times, sizes, statuses and untrusted text."""

from __future__ import annotations

import pytest

from longshore.cli import words
from longshore.proto.ipc.messages import ConnectionOpened, RequestFinished
from longshore.runtime.host import events
from tests.cli import samples


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0, "0.0ms"),
        (0.00042, "0.4ms"),
        (0.0051, "5ms"),
        (0.9994, "999ms"),
        (0.9996, "1.0s"),
        (1.24, "1.2s"),
        (99.9, "99.9s"),
        (100, "1m 40s"),
        (125, "2m 05s"),
        (3599.9, "60m 00s"),
    ],
)
def test_durations(seconds: float, text: str) -> None:
    assert words.duration(seconds) == text


@pytest.mark.parametrize(
    ("count", "text"),
    [
        (0, "0 B"),
        (999, "999 B"),
        (1000, "1.0 kB"),
        (999_949, "999.9 kB"),
        (999_950, "1.0 MB"),
        (3_400_000_000, "3.4 GB"),
        (10**18, "1000000.0 TB"),
    ],
)
def test_sizes(count: int, text: str) -> None:
    assert words.size(count) == text


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("plain ü 漢\ttab\nline", "plain ü 漢\ttab\nline"),
        ("\x1b[31mred\x07", "\\x1b[31mred\\x07"),
        ("over\rwritten", "over\\x0dwritten"),
        ("\x9bC1 \x7f", "\\x9bC1 \\x7f"),
    ],
)
def test_no_text_speaks_to_the_terminal(text: str, shown: str) -> None:
    assert words.printable(text) == shown


@pytest.mark.parametrize(
    ("status", "outcome", "text"),
    [
        (200, "ok", "200 OK"),
        (299, "ok", "299"),
        (500, "error", "500 Internal Server Error"),
        (200, "error", "200 OK, broken off"),
        (0, "canceled", "canceled"),
        (200, "canceled", "200 OK, canceled"),
        (0, "error", "no response"),
    ],
)
def test_what_became_of_a_request(status: int, outcome: str, text: str) -> None:
    message = RequestFinished(request_id="1", method="GET", path="/", status=status, duration_s=0, outcome=outcome)
    assert words.status_words(message) == text


def test_a_connection_tells_where_it_leads_and_how_long_each_phase_took() -> None:
    assert words.opened_words(samples.OPENED) == "192.0.2.7:5432  dns 0.2ms  tcp 4ms  tls 12ms"
    assert words.opened_words(samples.REFUSED) == "connection refused"
    bare = ConnectionOpened(connection_id=1, request_id="", address="a:1", remote_address="a:1", via="fetch()")
    assert words.opened_words(bare) == "fetch()"
    assert words.opened_words(ConnectionOpened(connection_id=1, request_id="", address="a:1")) == "open"


def test_the_end_of_a_connection_tells_how_and_how_much() -> None:
    assert words.closed_words(samples.CLOSED) == "closed after 1.2s, sent 1.2 kB, received 5.6 MB"


@pytest.mark.parametrize(
    ("file", "library"),
    [
        ("/venv/lib/python3.11/site-packages/asyncpg/connection.py", "asyncpg"),
        ("/venv/lib/python3.11/site-packages/six.py", "six"),
        ("/usr/lib/python3/dist-packages/yaml/__init__.py", "yaml"),
        ("/usr/lib/python3.11/asyncio/tasks.py", "asyncio"),
        ("/usr/lib/python3.13t/json.py", "json"),
        ("<frozen importlib._bootstrap>", "<frozen importlib._bootstrap>"),
        ("/somewhere/else.py", "else.py"),
        ("uvloop/loop.pyx", "uvloop"),
        (words.__file__, "longshore"),
    ],
)
def test_the_package_of_a_frame(file: str, library: str) -> None:
    assert words.library_of(file) == library


def test_the_place_of_a_frame_is_relative_to_the_project() -> None:
    assert words.place(samples.USERS, samples.PROJECT) == "src/entry.py:12 in fetch"
    assert words.place(samples.USERS, "/home/ada/sho") == "/home/ada/shop/src/entry.py:12 in fetch"
    assert words.place(samples.USERS, "") == "/home/ada/shop/src/entry.py:12 in fetch"


def test_the_end_of_a_process_names_the_signal() -> None:
    assert words.exited_words(events.WorkerExited(1, 3, was_expected=True)) == "ended with 3"
    assert words.exited_words(events.WorkerExited(1, -9, was_expected=True)) == "was ended by SIGKILL"
    assert words.exited_words(events.WorkerExited(1, -63, was_expected=False)).startswith(
        "was ended by signal 63, which"
    )


def test_tags_are_the_end_of_the_id() -> None:
    assert words.tag("0192ab-17") == "#17"
    assert words.tag("7") == "#7"
    assert words.tag("") == ""
