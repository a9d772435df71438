"""``longshore pool`` as people run it: its log, its signals, its ends, its users, its check."""

from __future__ import annotations

import asyncio
import os
import signal
import socket
import subprocess
import sys
import threading
import urllib.request
from typing import TYPE_CHECKING

import asyncpg
import psycopg
import pytest

from tests.cli.launched import LIMIT_S, environment, run_longshore
from tests.server_process import HOST, free_port

if TYPE_CHECKING:
    from pathlib import Path

    from tests.certificates import CertificateFiles
    from tests.pool_process import PoolLauncher
    from tests.server_process import Server

pytestmark = [pytest.mark.needs("postgres"), pytest.mark.timeout(90)]


def psql(*words: str, **variables: str) -> subprocess.CompletedProcess[str]:
    """Run psql."""
    return subprocess.run(
        ["psql", "-XAt", *words],
        env=environment(**variables),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        encoding="utf-8",
        check=False,
        timeout=LIMIT_S,
    )


def add_user(folder: Path, name: str, password: str) -> None:
    """Add a user by the command."""
    words = [sys.executable, "-m", "longshore", "pool", "users", "add", name, "--stdin", "--users-file", "users.txt"]
    done = subprocess.run(words, cwd=folder, input=password, encoding="utf-8", capture_output=True, check=True)
    assert password not in done.stdout + done.stderr


def test_a_url_is_all_it_needs(pool_process: PoolLauncher, postgres_server: Server) -> None:
    pools = pool_process
    place = f"{HOST}:{free_port()}"
    url = f"postgres://postgres:hidden@{HOST}:{postgres_server.port}/postgres"
    running = pools.launch(url, "--listen", place, "--size", "2", "--cache", "--verbose")
    running.wait_for("no password is asked for")
    running.wait_for(f"listening at {place}")
    found = psql("-h", HOST, "-p", place.rpartition(":")[2], "-U", "anybody", "postgres", "-c", "SELECT current_user")
    assert (found.stdout, found.stderr) == ("postgres\n", "")
    running.wait_for(r"client \d+ logged in: anybody@postgres from 127\.0\.0\.1:\d+")
    running.process.send_signal(signal.SIGTERM)
    assert running.ended() == 0
    assert "hidden" not in running.text
    assert "60 s + 15 s" in running.text


def test_psql_psycopg_and_asyncpg_work_over_tcp_and_unix(pool_process: PoolLauncher) -> None:
    pools = pool_process
    folder = pools.folder / "run"
    folder.mkdir()
    path = folder / f".s.PGSQL.{pools.port}"
    pools.file.write_text(pools.file.read_text().replace('listen = ["', f'listen = ["unix:{path}", "'))
    running = pools.start()
    assert psql("-h", str(folder), "-p", str(pools.port), "-U", "x", "postgres", "-c", "SELECT 1").stdout == "1\n"
    with pools.connect() as client:
        assert client.execute("SELECT %s::int", (5,)).fetchone() == (5,)

    async def ask() -> int:
        connection = await asyncpg.connect(host=HOST, port=pools.port, user="x", database="postgres")
        try:
            return int(await connection.fetchval("SELECT $1::int", 6))
        finally:
            await connection.close()

    assert asyncio.run(ask()) == 6
    running.process.send_signal(signal.SIGINT)
    assert running.ended() == 0
    assert list(folder.iterdir()) == []
    assert not (pools.folder / "control.sock").exists()


def test_sigterm_lets_transactions_end_and_tells_idle_clients(pool_process: PoolLauncher) -> None:
    pools = pool_process
    running = pools.start()
    idle, busy = pools.connect(), pools.connect()
    idle.execute("SELECT 1")
    busy.execute("BEGIN")
    running.process.send_signal(signal.SIGTERM)
    running.wait_for("stopping: 2 clients")
    with pytest.raises(psycopg.OperationalError, match="terminating connection due to administrator command"):
        idle.execute("SELECT 1")
    with pytest.raises(psycopg.OperationalError, match="refused"):
        pools.connect()
    assert busy.execute("SELECT 2").fetchone() == (2,)
    busy.execute("COMMIT")
    assert running.ended() == 0


def test_who_does_not_end_is_cut_off_after_the_grace(pool_process: PoolLauncher) -> None:
    running = pool_process.start("--grace", "0.1")
    busy = pool_process.connect()
    busy.execute("BEGIN")
    running.process.send_signal(signal.SIGTERM)
    running.wait_for("cut off in the middle of a transaction: 1 client")
    assert running.ended() == 0
    with pytest.raises(psycopg.OperationalError):
        busy.execute("SELECT 1")


def test_a_second_ctrl_c_ends_it_at_once(pool_process: PoolLauncher) -> None:
    running = pool_process.start("--grace", "3600")
    busy = pool_process.connect()
    busy.execute("BEGIN")
    running.process.send_signal(signal.SIGINT)
    running.wait_for("stopping")
    running.process.send_signal(signal.SIGINT)
    assert running.ended() == 0


def test_sighup_reloads_and_keeps_the_former_when_the_file_is_wrong(pool_process: PoolLauncher) -> None:
    pools = pool_process
    running = pools.start()
    client = pools.connect()
    pools.write(database="sise = 3")
    running.process.send_signal(signal.SIGHUP)
    running.wait_for(r"the former stays in force: .*pool\.toml:7: databases\.postgres\.sise: .*did you mean 'size'\?")
    assert client.execute("SELECT 1").fetchone() == (1,)
    pools.write(rest=f'[databases.second]\nurl = "{pools.url}"')
    running.process.send_signal(signal.SIGHUP)
    running.wait_for("configuration reloaded: 2 databases")
    assert pools.connect(dbname="second").execute("SELECT 1").fetchone() == (1,)
    assert client.execute("SELECT 1").fetchone() == (1,)
    pools.write(pool=f'metrics = "127.0.0.1:{free_port()}"')
    running.process.send_signal(signal.SIGHUP)
    running.wait_for(r"pool\.metrics needs a restart")


def test_sighup_reads_the_users_file_of_a_command_line(pool_process: PoolLauncher) -> None:
    pools = pool_process
    add_user(pools.folder, "ann", "hush")
    running = pools.launch(pools.url, "--listen", f"{HOST}:{pools.port}", "--users-file", "users.txt")
    running.wait_for("listening at")
    with pytest.raises(psycopg.OperationalError, match="password authentication failed"):
        pools.connect("ben", password="hush")
    add_user(pools.folder, "ben", "hush")
    running.process.send_signal(signal.SIGHUP)
    running.wait_for("configuration reloaded")
    assert pools.connect("ben", password="hush").execute("SELECT 1").fetchone() == (1,)
    (pools.folder / "users.txt").chmod(0o644)
    running.process.send_signal(signal.SIGHUP)
    running.wait_for("the former stays in force: .*can be read by everybody")
    (pools.folder / "users.txt").unlink()
    running.process.send_signal(signal.SIGHUP)
    running.wait_for("the former stays in force: .*cannot be read")
    assert pools.connect("ben", password="hush").execute("SELECT 1").fetchone() == (1,)


def test_an_admin_session_is_told_that_the_pool_ends(pool_process: PoolLauncher) -> None:
    pools = pool_process
    pools.write(pool='admin_users = ["postgres"]')
    running = pools.start()
    with pools.connect(dbname="longshore") as admin:
        admin.execute("SHOW VERSION")
        running.process.send_signal(signal.SIGTERM)
        assert running.ended() == 0
        with pytest.raises(psycopg.OperationalError, match="the pool is shutting down"):
            admin.execute("SHOW VERSION")


def test_the_users_file_keeps_its_owner(tmp_path: Path) -> None:
    if os.geteuid() != 0:
        pytest.skip("only root may work on the file of another account")
    add_user(tmp_path, "ann", "hush")
    file = tmp_path / "users.txt"
    os.chown(file, 4711, 4712)
    add_user(tmp_path, "ben", "hush")
    assert (file.stat().st_uid, file.stat().st_gid, file.stat().st_mode & 0o777) == (4711, 4712, 0o600)


def test_users_log_in_with_scram_and_others_do_not(pool_process: PoolLauncher) -> None:
    pools = pool_process
    add_user(pools.folder, "ann", "hush")
    add_user(pools.folder, "ben", "hush")
    pools.write(pool='users_file = "users.txt"', database='users = ["ann"]')
    running = pools.start("--log-format", "json", ready='"event": "listening"')
    with pools.connect("ann", password="hush") as client:
        assert client.execute("SELECT 1").fetchone() == (1,)
    with pytest.raises(psycopg.OperationalError, match="password authentication failed"):
        pools.connect("ann", password="wrong")
    running.wait_for('"event": "login_refused"')
    with pytest.raises(psycopg.OperationalError, match="permission denied for database"):
        pools.connect("ben", password="hush")
    with pytest.raises(psycopg.OperationalError, match="password authentication failed"):
        pools.connect("cid", password="hush")
    add_user(pools.folder, "ann", "hash-hash")
    running.process.send_signal(signal.SIGHUP)
    running.wait_for('"event": "reloaded"')
    assert pools.connect("ann", password="hash-hash").execute("SELECT 1").fetchone() == (1,)
    refused = next(each for each in pools.events(running) if each["event"] == "login_refused")
    assert (refused["level"], refused["user"], refused["database"]) == ("warning", "ann", "postgres")


def test_clients_are_encrypted(pool_process: PoolLauncher, server_cert_files: CertificateFiles) -> None:
    pools = pool_process
    rest = f"certificate_file = '{server_cert_files.chain}'\nkey_file = '{server_cert_files.private_key}'"
    pools.write(rest=f"[tls]\nmode = 'require'\n{rest}")
    old = pools.start()
    client = pools.connect(sslmode="require")
    assert client.execute("SELECT 1").fetchone() == (1,)
    with pytest.raises(psycopg.OperationalError, match="takes encrypted connections only"):
        pools.connect(sslmode="disable")
    # Its keys cannot be moved: after a replacement it stays with the old process for as long as it likes.
    pools.start("--replace", ready="took the place of process")
    old.wait_for("took over")
    assert client.execute("SELECT 2").fetchone() == (2,)
    assert pools.connect(sslmode="require").execute("SELECT 3").fetchone() == (3,)
    client.close()
    assert old.ended() == 0


def test_a_pin_is_explained_once_with_its_statement(pool_process: PoolLauncher) -> None:
    pools = pool_process
    running = pools.start("--log-format", "json", ready='"event": "listening"')
    for _ in range(2):
        with pools.connect("ann") as client:
            client.execute("SELECT pg_advisory_lock(5)")
            client.execute("SELECT 1")
    with pools.connect("ann") as client:
        client.execute("CREATE TEMPORARY TABLE t ()")
        client.execute("SELECT 1")
    running.process.send_signal(signal.SIGTERM)
    assert running.ended() == 0
    pins = [each for each in pools.events(running) if each["event"] == "pinned"]
    assert [(each["user"], each["statement"]) for each in pins] == [
        ("ann", "SELECT pg_advisory_lock(5)"),
        ("ann", "CREATE TEMPORARY TABLE t ()"),
    ]


def test_a_database_that_refuses_us_is_told(pool_process: PoolLauncher) -> None:
    pools = pool_process
    pools.write(rest=f'[databases.none]\nurl = "{pools.url}_none"')
    running = pools.start()
    with pytest.raises(psycopg.OperationalError, match="does not exist"):
        pools.connect(dbname="none")
    running.wait_for(r"cannot log in to none as postgres.*does not exist")


def test_metrics_and_the_admin_database(pool_process: PoolLauncher) -> None:
    pools = pool_process
    place = f"{HOST}:{free_port()}"
    pools.write(pool=f'metrics = "{place}"\nadmin_users = ["root"]')
    old = pools.start(ready=f"metrics at http://{place}/metrics")
    pools.connect().execute("SELECT 1")
    with urllib.request.urlopen(f"http://{place}/metrics", timeout=LIMIT_S) as answer:
        assert b"longshore_pool" in answer.read()
    shown = psql("-h", HOST, "-p", str(pools.port), "-U", "root", "longshore", "-c", "SHOW CONFIG")
    assert f"metrics|{place}|" in shown.stdout
    assert psql("-h", HOST, "-p", str(pools.port), "-U", "other", "longshore", "-c", "SHOW CONFIG").returncode != 0
    # The port moves with everything else.
    fresh = pools.start("--replace", ready=f"metrics at http://{place}/metrics")
    assert old.ended() == 0
    with urllib.request.urlopen(f"http://{place}/metrics", timeout=LIMIT_S) as answer:
        assert b"longshore_pool" in answer.read()
    psql("-h", HOST, "-p", str(pools.port), "-U", "root", "longshore", "-c", "SHUTDOWN")
    assert fresh.ended() == 0


def test_more_clients_than_allowed_are_refused(pool_process: PoolLauncher) -> None:
    pools = pool_process
    pools.write(pool="max_clients = 2")
    pools.start()
    first, _second = pools.connect(), pools.connect()
    with pytest.raises(psycopg.OperationalError, match="too many clients"):
        pools.connect()
    assert first.execute("SELECT 1").fetchone() == (1,)


def test_systemd_is_told_and_gives_the_socket(pool_process: PoolLauncher) -> None:
    pools = pool_process
    told = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    told.settimeout(LIMIT_S)
    told.bind(str(pools.folder / "notify"))
    with socket.create_server((HOST, pools.port)) as listening:
        script = f"import os; os.environ['LISTEN_PID'] = str(os.getpid()); os.dup2({listening.fileno()}, 3);"
        script += f"os.execv({sys.executable!r}, [{sys.executable!r}, '-m', 'longshore', 'pool', '-c', 'pool.toml'])"
        process = subprocess.Popen(
            [sys.executable, "-c", script],
            cwd=pools.folder,
            env=environment(NOTIFY_SOCKET=str(pools.folder / "notify"), LISTEN_FDS="1"),
            stdout=subprocess.DEVNULL,
            pass_fds=(listening.fileno(),),
        )
    try:
        assert told_lines(pools.folder, told)[0] == "READY=1"
        assert pools.connect().execute("SELECT 1").fetchone() == (1,)
        process.send_signal(signal.SIGHUP)
        assert told_lines(pools.folder, told)[0] == "RELOADING=1"
        assert told_lines(pools.folder, told) == ["READY=1"]
        process.send_signal(signal.SIGTERM)
        assert told_lines(pools.folder, told) == ["STOPPING=1"]
        assert process.wait(LIMIT_S) == 0
    finally:
        told.close()
        process.kill()
        process.wait()


def told_lines(folder: Path, sock: socket.socket) -> list[str]:
    """Return the next message of a process to systemd."""
    return sock.recv(4096).decode().splitlines()


def test_check_asks_the_databases(pool_process: PoolLauncher) -> None:
    pools = pool_process
    done = run_longshore("pool", "--config", "pool.toml", "--check", cwd=pools.folder)
    assert done.returncode == 0, done.stdout
    assert "ok      postgres" in done.stdout
    assert "primary" in done.stdout
    rest = f'[databases.none]\nurl = "{pools.url}_none"\n[databases."*"]\nhost = "{HOST}"'
    pools.write(database="size = 5000", rest=rest)
    done = run_longshore("pool", "--config", "pool.toml", "--check", cwd=pools.folder)
    assert done.returncode == 1
    assert "failed  none" in done.stdout
    assert "skipped *" in done.stdout
    assert "may open 5000 connections" in done.stdout


def test_wrong_command_lines_and_files(tmp_path: Path) -> None:
    for words, code, said in (
        ((), 64, "no URL, and no pool.toml here"),
        (("mysql://a:b@c/d",), 64, "is one of MySQL"),
        (("postgres://a:b@c/d", "--listen", "0.0.0.0:1"), 64, "nobody would be asked for a password"),
        (("postgres://a:b@c/d", "--mode", "statement"), 64, "neither transaction nor session"),
        (("--config", "none.toml"), 78, "cannot be read"),
        (("--size", "3", "--config", "none.toml"), 64, "go with a URL"),
        (("postgres://a:b@c/d", "--config", "none.toml"), 64, "not both"),
    ):
        done = run_longshore("pool", *words, cwd=tmp_path)
        assert done.returncode == code, (words, done)
        assert said in " ".join((done.stdout + done.stderr).split()).replace(" │ │ ", " "), (words, done)


def test_a_port_that_is_taken(pool_process: PoolLauncher) -> None:
    pool_process.start()
    second = pool_process.launch(pool_process.url, "--listen", f"{HOST}:{pool_process.port}")
    assert second.ended() == 1
    assert "another process listens there" in second.text


def test_init_prints_the_example_and_users_are_kept(tmp_path: Path) -> None:
    done = run_longshore("pool", "init", cwd=tmp_path)
    assert "[databases.shop]" in done.stdout
    add_user(tmp_path, "ann", "hush")
    assert os.stat(tmp_path / "users.txt").st_mode & 0o777 == 0o600
    done = run_longshore("pool", "users", "list", "--users-file", "users.txt", cwd=tmp_path)
    assert done.stdout == "ann  SCRAM-SHA-256\n"
    done = run_longshore("pool", "users", "remove", "ben", "--users-file", "users.txt", cwd=tmp_path)
    assert (done.returncode, "there is no user 'ben'" in done.stderr) == (1, True)
    done = run_longshore("pool", "users", "remove", "ann", "--users-file", "users.txt", cwd=tmp_path)
    assert done.returncode == 0
    assert (tmp_path / "users.txt").read_text() == ""


def test_a_killed_pool_leaves_nothing_that_stops_the_next_one(pool_process: PoolLauncher) -> None:
    pools = pool_process
    path = pools.folder / "sock"
    pools.file.write_text(pools.file.read_text().replace('listen = ["', f'listen = ["unix:{path}", "'))
    first = pools.start()
    first.process.kill()
    first.ended()
    assert path.exists()
    pools.start()
    assert pools.connect().execute("SELECT 1").fetchone() == (1,)


def test_waiting_sessions_are_told_of(pool_process: PoolLauncher) -> None:
    pools = pool_process
    pools.write(database="size = 1")
    running = pools.start()
    holder = pools.connect()
    holder.execute("BEGIN")
    waiter = pools.connect()
    thread = threading.Thread(target=waiter.execute, args=("SELECT 1",))
    thread.start()
    running.wait_for(
        r"1 session waits for one of the 1 server connections of postgres@postgres, the longest for [0-9]+\."
    )
    holder.execute("COMMIT")
    thread.join()
