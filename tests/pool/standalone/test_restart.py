"""An online restart: clients move to the new process and do not notice."""

from __future__ import annotations

import os
import signal
import subprocess
import threading
from pathlib import Path
from typing import TYPE_CHECKING

import psycopg
import pytest

from tests.cli.launched import LIMIT_S
from tests.server_process import HOST, require_program

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.cli.launched import Launched
    from tests.pool_process import PoolLauncher

pytestmark = [pytest.mark.needs("postgres"), pytest.mark.timeout(120)]
RESTARTS = 10


class Worker:
    """A client that works until it is told to stop, in a thread of its own."""

    def __init__(self, work: Callable[[], None]) -> None:
        self.done = 0
        self.error: Exception | None = None
        self._is_stopped = False
        self._progress = threading.Event()
        self._work = work
        self._thread = threading.Thread(target=self._run)
        self._thread.start()

    def _run(self) -> None:
        try:
            while not self._is_stopped:
                self._work()
                self.done += 1
                self._progress.set()
        except (psycopg.Error, AssertionError) as exc:  # the test judges it
            self.error = exc
        finally:
            self._progress.set()

    def wait_for_progress(self) -> None:
        """Wait until it has worked once more, or has failed."""
        self._progress.clear()
        if self.error is None:
            self._progress.wait(LIMIT_S)

    def stop(self) -> None:
        """Wait for its end."""
        self._is_stopped = True
        self._thread.join()


def replaced(pools: PoolLauncher, former: Launched) -> Launched:
    """Put a new process into the place of a running one, and wait until that has ended."""
    fresh = pools.start("--replace", ready="took the place of process")
    assert former.ended() == 0, former.text
    return fresh


@pytest.mark.slow
@pytest.mark.timeout(240)
def test_ten_restarts_drop_nobody(pool_process: PoolLauncher) -> None:
    pgbench = Path(require_program("postgres")).resolve().with_name("pgbench")
    pools = pool_process
    running = pools.start()
    with psycopg.connect(pools.url, autocommit=True) as direct:
        direct.execute("CREATE TABLE IF NOT EXISTS restarts (n int)")
        direct.execute("TRUNCATE restarts")
    prepared, transactions, sessions = pools.connect(), pools.connect(), pools.connect()
    sessions.execute("SET search_path = pg_catalog, public")
    sessions.execute("PREPARE three AS SELECT 3")

    def work_prepared() -> None:
        row = prepared.execute("SELECT 1 + %s FROM pg_sleep(0.005)", (1,), prepare=True).fetchone()
        assert row == (2,)

    def work_in_transactions() -> None:
        with transactions.transaction():
            transactions.execute("INSERT INTO restarts VALUES (1)")
            transactions.execute("SELECT pg_sleep(0.01)")
            transactions.execute("INSERT INTO restarts VALUES (2)")

    def work_in_session() -> None:
        sessions.execute("SELECT pg_sleep(0.005)")
        assert sessions.execute("SHOW search_path").fetchone() == ("pg_catalog, public",)
        assert sessions.execute("EXECUTE three").fetchone() == (3,)

    script = pools.folder / "one.sql"
    script.write_text("SELECT 1;\nBEGIN;\nSELECT 2;\nCOMMIT;\n")
    target = ["-h", HOST, "-p", str(pools.port), "-U", "postgres", "postgres"]
    words = [str(pgbench), "-n", "-c", "4", "-R", "400", "-T", "600", "-M", "prepared", "-f", str(script), *target]
    bench = subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, encoding="utf-8")
    workers = [Worker(each) for each in (work_prepared, work_in_transactions, work_in_session)]
    try:
        for _ in range(RESTARTS):
            running = replaced(pools, running)
            assert bench.poll() is None, "pgbench ended"
            for each in workers:
                each.wait_for_progress()
    finally:
        for each in workers:
            each.stop()
        bench.send_signal(signal.SIGALRM)  # what ends its time
        said, _ = bench.communicate(timeout=20)
    assert [each.error for each in workers] == [None, None, None]
    assert "aborted" not in said
    assert "error" not in said, said
    with psycopg.connect(pools.url) as direct:
        ones = direct.execute("SELECT count(*) FILTER (WHERE n = 1), count(*) FROM restarts").fetchone()
    assert ones == (workers[1].done, 2 * workers[1].done)
    running.process.send_signal(signal.SIGTERM)
    assert running.ended() == 0


def test_a_client_in_a_transaction_stays_until_it_ends(pool_process: PoolLauncher) -> None:
    pools = pool_process
    old = pools.start()
    client = pools.connect()
    client.execute("BEGIN")
    client.execute("CREATE TEMPORARY TABLE mine (n int) ON COMMIT DROP")
    pools.start("--replace", ready="took the place of process")
    old.wait_for("took over")
    assert old.process.poll() is None
    client.execute("INSERT INTO mine VALUES (7)")
    assert client.execute("SELECT n FROM mine").fetchone() == (7,)
    client.execute("COMMIT")
    assert old.ended() == 0
    assert client.execute("SELECT 1").fetchone() == (1,)


def test_a_pinned_client_stays_with_the_old_process(pool_process: PoolLauncher) -> None:
    pools = pool_process
    old = pools.start()
    client = pools.connect()
    client.execute("SELECT pg_advisory_lock(77)")
    pools.start("--replace", ready="took the place of process")
    old.wait_for("took over")
    row = client.execute("SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND objid = 77").fetchone()
    assert row == (1,)
    client.execute("SELECT pg_advisory_unlock(77)")
    assert old.ended() == 0
    assert client.execute("SELECT 1").fetchone() == (1,)


def test_a_cancel_reaches_a_client_of_the_old_process(pool_process: PoolLauncher) -> None:
    pools = pool_process
    old = pools.start()
    client = pools.connect()
    client.execute("BEGIN")
    pools.start("--replace", ready="took the place of process")
    old.wait_for("took over")
    failures: list[Exception] = []

    def sleep() -> None:
        try:
            client.execute("SELECT pg_sleep(60)")
        except psycopg.Error as exc:
            failures.append(exc)

    thread = threading.Thread(target=sleep)
    thread.start()
    with psycopg.connect(pools.url, autocommit=True) as direct:
        asleep = "SELECT count(*) FROM pg_stat_activity WHERE query LIKE '%pg_sleep(60)%' AND state = 'active'"
        while direct.execute(asleep).fetchone() != (2,):
            pass
    client.cancel()  # goes to the new process: that accepts
    thread.join()
    assert [type(each) for each in failures] == [psycopg.errors.QueryCanceled]
    client.execute("ROLLBACK")
    assert old.ended() == 0


def test_a_cancel_reaches_a_client_that_was_moved(pool_process: PoolLauncher) -> None:
    pools = pool_process
    old = pools.start()
    client = pools.connect()
    replaced(pools, old)
    failures: list[Exception] = []

    def sleep() -> None:
        try:
            client.execute("SELECT pg_sleep(61)")
        except psycopg.Error as exc:
            failures.append(exc)

    thread = threading.Thread(target=sleep)
    thread.start()
    with psycopg.connect(pools.url, autocommit=True) as direct:
        asleep = "SELECT count(*) FROM pg_stat_activity WHERE query LIKE '%pg_sleep(61)%' AND state = 'active'"
        while direct.execute(asleep).fetchone() != (2,):
            pass
    client.cancel()
    thread.join()
    assert [type(each) for each in failures] == [psycopg.errors.QueryCanceled]


def test_a_successor_that_fails_changes_nothing(pool_process: PoolLauncher) -> None:
    pools = pool_process
    old = pools.start()
    client = pools.connect()
    taken = pools.folder / "taken"
    taken.write_text("no socket")
    pools.file.write_text(pools.file.read_text().replace('listen = ["', f'listen = ["unix:{taken}", "'))
    failed = pools.launch("--config", "pool.toml", "--replace")
    assert failed.ended() == 1
    assert "something that is no socket stands there" in failed.text
    old.wait_for("ended before it was ready")
    assert client.execute("SELECT 1").fetchone() == (1,)
    assert pools.connect().execute("SELECT 1").fetchone() == (1,)
    assert old.process.poll() is None


def test_the_old_process_accepts_again_when_the_new_one_is_killed(pool_process: PoolLauncher) -> None:
    pools = pool_process
    old = pools.start()
    client = pools.connect()
    client.execute("BEGIN")
    fresh = pools.start("--replace", ready="took the place of process")
    old.wait_for("took over")
    os.kill(fresh.process.pid, signal.SIGKILL)
    fresh.ended()
    old.wait_for("goes on accepting")
    assert pools.connect().execute("SELECT 1").fetchone() == (1,)
    client.execute("COMMIT")
    assert client.execute("SELECT 1").fetchone() == (1,)
    # And it can be replaced once more.
    replaced(pools, old)
    assert client.execute("SELECT 1").fetchone() == (1,)


def test_nothing_to_replace_is_said(pool_process: PoolLauncher) -> None:
    failed = pool_process.launch("--config", "pool.toml", "--replace")
    assert failed.ended() == 1
    assert "start without --replace" in failed.text


def test_stopping_the_new_process_ends_the_old_one_too(pool_process: PoolLauncher) -> None:
    pools = pool_process
    old = pools.start()
    client = pools.connect()
    client.execute("SELECT pg_advisory_lock(78)")
    fresh = pools.start("--replace", ready="took the place of process")
    old.wait_for("took over")
    fresh.process.send_signal(signal.SIGTERM)
    assert (fresh.ended(), old.ended()) == (0, 0)
    with pytest.raises(psycopg.OperationalError, match="terminating connection due to administrator command"):
        client.execute("SELECT 1")
    assert not (pools.folder / "control.sock").exists()


def test_who_listens_goes_on_hearing(pool_process: PoolLauncher) -> None:
    pools = pool_process
    old = pools.start()
    client = pools.connect()
    client.execute("LISTEN news")
    pools.start("--replace", ready="took the place of process")
    old.wait_for("took over")
    with psycopg.connect(pools.url, autocommit=True) as direct:
        direct.execute("NOTIFY news, 'hear'")
    (heard,) = client.notifies(timeout=LIMIT_S, stop_after=1)
    assert (heard.channel, heard.payload) == ("news", "hear")


def test_who_cannot_be_moved_is_given_so_much_time(pool_process: PoolLauncher) -> None:
    pools = pool_process
    old = pools.start()
    client = pools.connect()
    client.execute("SELECT pg_advisory_lock(79)")
    pools.start("--replace", "--drain", "0.1", ready="took the place of process")
    assert old.ended() == 0
    with pytest.raises(psycopg.OperationalError, match="terminating connection due to administrator command"):
        client.execute("SELECT 1")
