"""``longshore pool top``."""

from __future__ import annotations

import asyncio
import io
import json
import os
import pty
import re
import sys
import termios
from typing import TYPE_CHECKING

import pytest
from rich.console import Console

from longshore.cli.top_columns import VIEWS, fitting
from longshore.cli.top_figures import Sample, pool_figures
from longshore.cli.top_screen import TopState, draw, items_of
from tests.pool.admin.rig import ADMIN, STATS, AdminRig, admin_on, tool
from tests.pool.rig import session

if TYPE_CHECKING:
    from tests.server_process import Server


def _row(name: str, **values: int | str) -> dict[str, str]:
    return {"database": name, "user": "u", "size": "5", **{key: str(value) for key, value in values.items()}}


BEFORE = Sample(10.0, [_row("app", xact_count=100, query_count=200, query_time=1000, cache_reads=10, cache_hits=5)])
NOW = Sample(
    12.0,
    [
        _row(
            "app",
            xact_count=300,
            query_count=600,
            query_time=401_000,
            cache_reads=20,
            cache_hits=14,
            wait_time=30_000,
            wait_count=3,
            bytes_received=4000,
            cl_waiting=2,
            sv_active=3,
            sv_idle=1,
        ),
        _row("new", xact_count=10, max_wait_time=1_500_000, paused=1),
    ],
)


def test_figures_are_over_the_time_between_two_samples() -> None:
    app, new = pool_figures(BEFORE, NOW)
    assert (app.transactions_per_s, app.queries_per_s) == (100.0, 200.0)
    assert (app.query_ms, app.wait_ms, app.hit_ratio) == (1.0, 10.0, 0.9)
    assert (app.in_bytes_per_s, app.waiting, app.servers, app.busy_servers) == (2000.0, 2, 4, 3)
    assert (new.transactions_per_s, new.wait_ms, new.hit_ratio, new.is_paused) == (5.0, 1500.0, None, True)


def test_a_pool_that_was_restarted_counts_from_zero() -> None:
    (app,) = pool_figures(NOW, Sample(14.0, [_row("app", xact_count=3)]))
    assert app.transactions_per_s == 0


@pytest.mark.parametrize("view", VIEWS)
@pytest.mark.parametrize("width", [1, 10, 40, 80, 200])
def test_no_line_is_wider_than_the_terminal(view: str, width: int) -> None:
    state = TopState(view=view, sort=1)
    rows = [dict.fromkeys(("id", "state", "database", "application_name", "statement"), "x\x1b[2J" * 30)] * 9
    now = Sample(NOW.at, NOW.pools, rows)
    console = Console(width=width, height=10, file=io.StringIO())
    with console.capture() as capture:
        console.print(draw(state, BEFORE, now, url="host:6432/longshore", width=width, height=10))
    lines = capture.get().splitlines()
    assert all(len(line) <= width for line in lines)
    assert "\x1b[2J" not in capture.get()
    assert len(lines) <= 10


def test_what_has_no_room_goes_by_rank() -> None:
    items = pool_figures(BEFORE, NOW)
    names = [[column.heading for column in fitting(VIEWS["pools"], items, width)] for width in (5, 20, 60, 300)]
    assert names[0] == ["database"]
    assert names[1] == ["database", "waiting"]
    assert set(names[1]) < set(names[2]) < set(names[3])
    assert len(names[3]) == len(VIEWS["pools"])


def test_keys_choose_the_view_and_the_order() -> None:
    state = TopState()
    for key in "oo":
        assert state.press(key)
    assert VIEWS["pools"][state.sort].heading == "user"
    state.sort = next(number for number, each in enumerate(VIEWS["pools"]) if each.heading == "tx/s")
    assert [each.database for each in items_of(state, BEFORE, NOW)] == ["app", "new"]
    state.press("r")
    assert [each.database for each in items_of(state, BEFORE, NOW)] == ["new", "app"]
    state.press("c")
    assert (state.view, state.sort, state.is_reversed) == ("clients", -1, False)
    state.press("p")
    assert state.is_held
    assert not state.press("q")


async def _top(rig: AdminRig, *words: str, user: str = STATS) -> tuple[int, str, str]:
    return await tool(sys.executable, "-m", "longshore", "pool", "top", rig.url("longshore", user), *words)


@pytest.mark.needs("postgres")
@pytest.mark.one_loop("asyncio")
@pytest.mark.timeout(120)
async def test_once_and_json_and_without_a_terminal(postgres_server: Server) -> None:
    async with admin_on(postgres_server.port) as rig, session(rig.port, database="app") as one:
        await one.query("BEGIN")
        for words in (["--once"], []):
            code, out, err = await _top(rig, *words)
            assert (code, err) == (0, "")
            assert out.split()[:2] == ["database", "user"]
            assert "cache" in out
            assert "\x1b" not in out
        code, out, _ = await _top(rig, "--json")
        (pool,) = json.loads(out)["pools"]
        assert (pool["database"], pool["idle_in_transaction"], pool["size"]) == ("app", 1, 2)
        code, _, err = await _top(rig, user="stranger")
        assert code == 1
        assert "may not use the admin database" in err


@pytest.mark.needs("postgres")
@pytest.mark.one_loop("asyncio")
@pytest.mark.timeout(120)
@pytest.mark.parametrize("end", ["q", "\x03"], ids=["q", "ctrl-c"])
async def test_live_in_a_terminal_which_is_given_back(postgres_server: Server, end: str) -> None:
    async with admin_on(postgres_server.port) as rig, session(rig.port, database="app") as one:
        await one.query("SELECT pg_advisory_lock(3)")
        code, shown, is_restored = await asyncio.to_thread(_in_terminal, rig.url("longshore", ADMIN), end)
    assert code == 0
    assert is_restored
    assert re.search(r"\x1b\[\?1049h.*app.*advisory lock.*\x1b\[\?1049l", shown, re.DOTALL)
    assert shown.rindex("\x1b[?25h") > shown.rindex("\x1b[?25l"), "the cursor is hidden"


def _in_terminal(url: str, end: str) -> tuple[int, str, bool]:
    """Run it in a terminal of its own, look at the pins, end it; return code, output, and whether all is as before."""
    pid, fd = pty.fork()
    if pid == 0:
        words = [sys.executable, "-m", "longshore", "pool", "top", url, "--interval", "0.3"]
        os.execve(sys.executable, words, {**os.environ, "TERM": "xterm", "COLUMNS": "150", "LINES": "20"})
    before = termios.tcgetattr(fd)
    shown = _until(fd, b"active")
    os.write(fd, b"i")
    shown += _until(fd, b"advisory lock")
    os.write(fd, end.encode())
    shown += _until(fd, b"\x1b[?1049l")
    is_restored = termios.tcgetattr(fd) == before
    while data := _read(fd):
        shown += data
    _, status = os.waitpid(pid, 0)
    os.close(fd)
    return os.waitstatus_to_exitcode(status), shown.decode(errors="replace"), is_restored


def _until(fd: int, wanted: bytes) -> bytes:
    found = b""
    while wanted not in found:
        data = _read(fd)
        assert data, f"it ended with {found!r}"
        found += data
    return found


def _read(fd: int) -> bytes:
    try:
        return os.read(fd, 65536)
    except OSError:  # Linux: the other side is closed
        return b""
