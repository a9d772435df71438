"""What a worker says while its module takes long to import."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from longshore.proto.ipc.messages import BootFailed, LogLine, Ready, StillBooting
from tests.runtime.worker.processes import HELLO, listening, running_hatchery, write_worker

if TYPE_CHECKING:
    from pathlib import Path

HANGING = """import logging
logging.warning("the loop cannot send this")
def wait():
    with open({fifo!r}) as fifo:
        fifo.read()
wait()
raise LookupError("over")
"""


def test_a_module_that_hangs_says_where_and_loses_no_message(tmp_path: Path) -> None:
    fifo = tmp_path / "fifo"
    os.mkfifo(fifo)
    config = write_worker(tmp_path, HANGING.format(fifo=str(fifo)))
    with running_hatchery() as hatchery, listening() as listener:
        worker = hatchery.start(config, listener, boot_timeout_s=0.1)
        frames = worker.next(StillBooting).frames
        assert [(frame.file, frame.line, frame.function) for frame in frames] == [
            (config.main, 6, "<module>"),
            (config.main, 4, "wait"),
        ]
        assert frames[-1].source[3].strip().startswith("with open(")
        fifo.write_text("")
        assert worker.next(LogLine).text == "the loop cannot send this"
        assert worker.next(BootFailed).report.message == "over"
        assert worker.exit_code() == 3
        worker.channel.close()


def test_a_host_with_endless_patience_is_told_nothing(tmp_path: Path) -> None:
    with running_hatchery() as hatchery, listening() as listener:
        worker = hatchery.start(write_worker(tmp_path, HELLO), listener)
        worker.next(Ready)
        worker.drain()
        assert not [message for message in worker.rest() if isinstance(message, StillBooting)]
        worker.channel.close()
