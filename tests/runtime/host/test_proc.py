"""What ``/proc`` knows of a process."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from longshore.runtime.host.proc import first_child

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="/proc is Linux's")


def test_the_oldest_child_is_found() -> None:
    command = ["sh", "-c", "sleep 1000 & echo $!; sleep 1000 & wait"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, process_group=0) as parent:
        assert parent.stdout is not None
        try:
            oldest = int(parent.stdout.readline())
            assert first_child(parent.pid) == oldest
        finally:
            os.killpg(parent.pid, 9)


def test_without_children_and_without_a_process_there_is_none() -> None:
    with subprocess.Popen(["sleep", "1000"]) as process:
        assert first_child(process.pid) is None
        process.kill()
    assert first_child(process.pid) is None
