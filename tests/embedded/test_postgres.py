"""A PostgreSQL of one's own: it works, it is private, and nothing of it stays."""

from __future__ import annotations

import contextlib
import os
import select
import shutil
import socket
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

import asyncpg
import pytest

from longshore.embedded import PostgresServer, PostgresUnavailable, running_postgres
from longshore.embedded import _programs as programs_module
from longshore.embedded import postgres as postgres_module
from longshore.embedded._account import is_open_to_others, private_directory, unprivileged_account
from longshore.embedded._programs import PostgresPrograms, find_programs

if TYPE_CHECKING:
    from collections.abc import Iterator

SQL = "CREATE TABLE t (name text); INSERT INTO t VALUES ('Zoë'), ('李娜');"


@pytest.fixture(scope="module")
def server() -> Iterator[PostgresServer]:
    """One server for the tests that only ask it something."""
    with running_postgres(sql=SQL, user="ada", database="shop") as running:
        yield running


def is_alive(pid: int) -> bool:
    """Return whether there is such a process."""
    with contextlib.suppress(ProcessLookupError):
        os.kill(pid, 0)
        return True
    return False


async def test_a_driver_finds_what_was_put_there(server: PostgresServer) -> None:
    connection = await asyncpg.connect(server.url)
    assert [row["name"] for row in await connection.fetch("SELECT name FROM t")] == ["Zoë", "李娜"]
    assert await connection.fetchval("SELECT current_user || '@' || current_database()") == "ada@shop"
    await connection.close()


async def test_nobody_gets_in_without_the_password(server: PostgresServer) -> None:
    url = server.url.replace(server.password, "guess")
    with pytest.raises(asyncpg.InvalidPasswordError):
        await asyncpg.connect(url)


def test_it_is_on_the_loopback_only_and_has_no_socket_file(server: PostgresServer) -> None:
    query = "SELECT current_setting('listen_addresses') || '|' || current_setting('unix_socket_directories')"
    command = [str(server.psql), server.url, "-X", "-A", "-t", "-c", query]
    done = subprocess.run(command, check=True, capture_output=True, encoding="utf-8", timeout=30)
    assert done.stdout.strip() == "127.0.0.1|"


def test_the_password_is_not_shown(server: PostgresServer) -> None:
    assert server.password not in repr(server)
    assert server.version.split(".")[0].isdecimal()


def test_it_does_not_run_as_root(server: PostgresServer) -> None:
    assert os.stat(f"/proc/{server.pid}").st_uid != 0


def test_nothing_stays(monkeypatch: pytest.MonkeyPatch) -> None:
    with private_directory("longshore-test-", None) as base:
        base.chmod(0o755)
        monkeypatch.setattr(tempfile, "tempdir", str(base))
        with running_postgres() as server:
            assert is_alive(server.pid)
            assert len(list(base.iterdir())) == 1
        assert not is_alive(server.pid)
        assert list(base.iterdir()) == []


def test_an_error_in_the_block_leaves_nothing_either(monkeypatch: pytest.MonkeyPatch) -> None:
    with private_directory("longshore-test-", None) as base:
        base.chmod(0o755)
        monkeypatch.setattr(tempfile, "tempdir", str(base))
        with pytest.raises(ZeroDivisionError), running_postgres() as server:
            raise ZeroDivisionError
        assert not is_alive(server.pid)
        assert list(base.iterdir()) == []


def test_wrong_statements_are_told_and_leave_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    with private_directory("longshore-test-", None) as base:
        base.chmod(0o755)
        monkeypatch.setattr(tempfile, "tempdir", str(base))
        with (
            pytest.raises(PostgresUnavailable, match='relation "nothing" does not exist'),
            running_postgres(sql="SELECT * FROM nothing;"),
        ):
            raise AssertionError("it must not get here")
        assert list(base.iterdir()) == []


@pytest.mark.skipif(shutil.which("setpriv") is None or sys.platform != "linux", reason="the kernel has to do it")
def test_it_does_not_outlive_a_process_that_is_killed() -> None:
    code = (
        "import sys, time\nfrom longshore.embedded import running_postgres\n"
        "with running_postgres() as server:\n    print(server.pid, flush=True)\n    sys.stdin.read()\n"
    )
    process = subprocess.Popen([sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    assert process.stdin is not None
    assert process.stdout is not None
    with process.stdin, process.stdout:
        pid = int(process.stdout.readline())
        folder = os.readlink(f"/proc/{pid}/cwd")
        watched = os.pidfd_open(pid)
        process.kill()
        process.wait()
        ended = signal_when_ended(watched)
    shutil.rmtree(Path(folder).parent)
    assert ended


def signal_when_ended(pidfd: int) -> bool:
    """Wait for the end of a process that is not our child."""
    try:
        return bool(select.select([pidfd], [], [], 20.0)[0])
    finally:
        os.close(pidfd)


def test_an_address_that_is_taken_is_tried_no_further_than_thrice(monkeypatch: pytest.MonkeyPatch) -> None:
    tried: list[int] = []
    with socket.create_server(("127.0.0.1", 0)) as taken:

        def same_port() -> int:
            tried.append(taken.getsockname()[1])
            return tried[-1]

        monkeypatch.setattr(postgres_module, "_free_port", same_port)
        with pytest.raises(PostgresUnavailable, match="Address already in use"), running_postgres():
            raise AssertionError("it must not get here")
    assert len(tried) == 3


def test_variables_of_the_environment_do_not_lead_elsewhere(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PGHOST", "192.0.2.1")
    monkeypatch.setenv("PGPORT", "1")
    monkeypatch.setenv("PGOPTIONS", "--nonsense")
    with running_postgres(sql="SELECT 1;"):
        pass


def test_programs_that_the_account_cannot_reach_are_copied(monkeypatch: pytest.MonkeyPatch) -> None:
    if unprivileged_account() is None:
        pytest.skip("only root changes to another account")
    original = find_programs()
    with private_directory("longshore-test-", None) as locked:
        hidden = locked / "site-packages" / original.folder.parent.name
        hidden.mkdir(parents=True)
        libraries = original.folder.parent.with_name(f"{original.folder.parent.name}.libs")
        (hidden / original.folder.name).symlink_to(original.folder)
        (hidden.parent / libraries.name).symlink_to(libraries)
        assert not is_open_to_others(hidden)
        monkeypatch.setattr(postgres_module, "find_programs", lambda: PostgresPrograms(hidden / original.folder.name))
        with running_postgres(sql="SELECT 1;") as server:
            assert "programs" in str(server.psql)


def test_a_missing_wheel_is_named_with_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(programs_module, "PACKAGE", "no_such_package")
    with pytest.raises(PostgresUnavailable, match=r"no-such-package.*pip install \"longshore\[demo\]\""):
        find_programs()
    monkeypatch.setattr(programs_module, "PACKAGE", "longshore")
    with pytest.raises(PostgresUnavailable, match="holds no PostgreSQL"):
        find_programs()


ZOMBIES = """
import os, sys
leader = os.getpid()
if os.fork() == 0:
    os.setpgid(0, 0)
    if (pid := os.fork()) == 0:
        os.setpgid(0, leader)
        os.close(1)
        os.read(0, 1)
    # It reaps nobody.
    print(pid, flush=True)
    os.read(0, 1)
    os._exit(0)
os.close(1)
os.read(0, 1)
"""


@pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="elsewhere nobody tells who is a zombie")
def test_what_has_ended_and_is_not_reaped_is_not_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(postgres_module, "STOP_LIMIT_S", 3600.0)
    process = subprocess.Popen(
        [sys.executable, "-c", ZOMBIES], stdin=subprocess.PIPE, stdout=subprocess.PIPE, start_new_session=True
    )
    assert process.stdin is not None
    assert process.stdout is not None
    with process.stdin, process.stdout:
        zombie = int(process.stdout.readline())
        handle = os.pidfd_open(zombie)
        postgres_module._end_session(process)
        select.select([handle], [], [])  # it was killed, but may not have got to its end yet
        os.close(handle)
        assert Path(f"/proc/{zombie}/stat").read_text().rpartition(") ")[2].startswith("Z")
