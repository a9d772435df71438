"""No process outlives its block, and what went wrong is said."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from bench.certificates import make_certificates
from bench.processes import ContenderFailed, measure, python, server

if TYPE_CHECKING:
    from pathlib import Path

SERVER = [sys.executable, "-u", "-c", "import os, time\nprint(os.getpid())\ntime.sleep(60)"]
"""Announces its process id in the place of a port."""


def is_alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


def test_readings_are_the_lines_of_json() -> None:
    code = 'print(\'{"seconds": 1.5}\\n{"seconds": 2.5}\')'
    assert measure([sys.executable, "-c", code], None) == [{"seconds": 1.5}, {"seconds": 2.5}]


def test_failure_names_the_last_line() -> None:
    with pytest.raises(ContenderFailed, match="exit 1: ZeroDivisionError"):
        measure([sys.executable, "-c", "1 / 0"], None)


def test_process_that_hangs_is_ended() -> None:
    with pytest.raises(ContenderFailed, match=r"not done after 0\.2 s"):
        measure([sys.executable, "-c", "import time; time.sleep(60)"], None, patience_s=0.2)


def test_server_ends_with_its_block_however_that_ends() -> None:
    pids: list[int] = []

    def interrupted() -> None:
        with server(SERVER, None) as pid:
            assert is_alive(pid)
            pids.append(pid)
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        interrupted()
    assert not is_alive(pids[0])


def test_server_that_does_not_start_says_why() -> None:
    command = [sys.executable, "-c", "raise ValueError('no')"]
    with pytest.raises(RuntimeError, match="ValueError: no"), server(command, None):
        pass


def test_python_server_ends_when_the_bench_is_gone(tmp_path: Path) -> None:
    certificate = make_certificates(tmp_path).server
    command = python("bench.servers.flights", certificate, "plain", "TLSv1_3")
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        assert int(process.stdout.readline()) > 0
        process.stdin.close()
        assert process.wait(30) == 0


def test_contender_reports_an_error_for_the_job_that_failed() -> None:
    jobs = [{"verb": "echo", "port": 1, "count": 1}, {"verb": "no such verb", "port": 1}]
    order = {"module": "asyncio_streams", "loop": "asyncio", "jobs": jobs}
    answers = measure(python("bench.contenders", json.dumps(order)), None)
    assert [next(iter(answer)) for answer in answers] == ["error", "error"]
    assert "ConnectionRefusedError" in answers[0]["error"]
