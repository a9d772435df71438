"""What a worker in a test tells: failures as the exceptions they are, and lines of its log."""

from __future__ import annotations

import logging
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import longshore.runtime
from longshore.proto.ipc.messages import HandlerFailed, LogLine
from longshore.runtime.worker.logs import level_name
from longshore.workers._context import current_request_id

if TYPE_CHECKING:
    from collections.abc import Iterator

    from longshore.proto.ipc.messages import WorkerMessage
    from longshore.testing._loop_thread import LoopThread
    from longshore.workers._context import RequestContext

__all__ = ["Reports", "WorkerLog", "catching", "users_part"]

PACKAGE_DIR = Path(longshore.runtime.__file__).parents[1]
OWN_DIRS = tuple(str(PACKAGE_DIR / name) + "/" for name in ("runtime", "testing", "workers", "compat"))

# They log each step of each request at INFO (longshore.runtime.worker.logs).
TALKATIVE = ("httpx", "httpcore", "websockets")


@dataclass(frozen=True, slots=True)
class WorkerLog:
    """One line of a worker's log."""

    level: str
    """``"debug"``, ``"info"``, ``"warning"`` or ``"error"``."""
    text: str
    """The message; a failure has its traceback."""
    logger: str = ""
    """Name of the ``logging.Logger``; empty when the runtime itself speaks."""
    request_id: str = ""
    """Of the request on whose behalf it was written."""

    def __str__(self) -> str:
        return f"{self.level}: {self.text}"


_caught: ContextVar[list[BaseException] | None] = ContextVar("longshore.testing.caught", default=None)


@contextmanager
def catching() -> Iterator[list[BaseException]]:
    """Yield the list that gets what the handlers raise which are called in this block."""
    caught: list[BaseException] = []
    token = _caught.set(caught)
    try:
        yield caught
    finally:
        _caught.reset(token)


class Reports:
    """The ``Reporter`` of a worker in a test, and its log handler."""

    def __init__(self) -> None:
        self.logs: list[WorkerLog] = []
        # What work given to wait_until raised, and nobody has raised into a test yet.
        self.late: list[BaseException] = []

    def send(self, message: WorkerMessage) -> None:
        """Note what is worth a line."""
        if isinstance(message, HandlerFailed):
            text = f"{message.where} failed in {message.subject}\n{message.report.text}"
            self.logs.append(WorkerLog("error", text, request_id=message.request_id))
        elif isinstance(message, LogLine):
            self.logs.append(WorkerLog(message.level, message.text, message.logger, message.request_id))

    def on_failure(self, where: str, _context: RequestContext, exc: BaseException) -> None:
        """Keep an exception for whoever waits for it; one that a client over HTTP has caused was answered."""
        if where == "wait_until":
            self.late.append(exc)
        elif (caught := _caught.get()) is not None:
            caught.append(exc)

    def take_late(self) -> list[BaseException]:
        """Return the failures of ``wait_until`` work so far, once."""
        late, self.late = self.late, []
        return late

    @contextmanager
    def listening(self, thread: LoopThread) -> Iterator[None]:
        """Note what the worker logs from INFO on, as the runtime does."""
        handler = _LogHandler(self, thread)
        root = logging.getLogger()
        former = root.level
        talkative = [logger for logger in map(logging.getLogger, TALKATIVE) if logger.level == logging.NOTSET]
        root.addHandler(handler)
        root.setLevel(min(former, logging.INFO))
        for logger in talkative:
            logger.setLevel(logging.WARNING)
        try:
            yield
        finally:
            root.removeHandler(handler)
            root.setLevel(former)
            for logger in talkative:
                logger.setLevel(logging.NOTSET)


class _LogHandler(logging.Handler):
    def __init__(self, reports: Reports, thread: LoopThread) -> None:
        super().__init__(logging.NOTSET)
        self._reports = reports
        self._thread = thread

    def emit(self, record: logging.LogRecord) -> None:
        """Note a record of the worker's thread, or of one that works for a request."""
        request_id = current_request_id()
        if not request_id and not self._thread.is_current:
            return
        try:
            text = self.format(record)
        except Exception:  # noqa: BLE001 - logging never raises into the program (logging.Handler.handleError)
            self.handleError(record)
            return
        self._reports.logs.append(WorkerLog(level_name(record.levelno), text, record.name, request_id))


def users_part(exc: BaseException) -> BaseException:
    """Return ``exc`` with a traceback that begins in the user's code, if it gets there."""
    trace = exc.__traceback__
    while trace is not None and trace.tb_frame.f_code.co_filename.startswith(OWN_DIRS):
        trace = trace.tb_next
    return exc if trace is None else exc.with_traceback(trace)
