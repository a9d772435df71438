"""What a worker logs and warns of, as ``LogLine`` messages for the host.

The root logger has a handler, as if ``basicConfig()`` had been called. A worker that configures logging itself gets
what it asks for, on its own stdout and stderr: ``dictConfig`` replaces handlers anyway, and ``basicConfig`` takes this
one away, unless it is called for a level only. ``print`` is never touched.
"""

from __future__ import annotations

import logging
import sys
import warnings
from typing import TYPE_CHECKING, Any, TextIO

from longshore.proto.ipc.messages import LogLine
from longshore.workers._context import current_request_id

if TYPE_CHECKING:
    from longshore.runtime.worker.reporting import ChannelReporter

__all__ = ["HostLogHandler", "level_name", "report_logs"]

# They log each step of each request at INFO; who wants that sets their level.
_TALKATIVE = ("httpx", "httpcore", "websockets")


class HostLogHandler(logging.Handler):
    """Sends each record to the host.

    Args:
        reporter: the way there; when it is closed, records go to stderr.
    """

    def __init__(self, reporter: ChannelReporter) -> None:
        super().__init__(logging.NOTSET)
        self._reporter = reporter
        self.setFormatter(logging.Formatter("%(message)s"))  # with the traceback, if there is one

    def emit(self, record: logging.LogRecord) -> None:
        """Send a record."""
        try:
            text = self.format(record)
            if self._reporter.is_open:
                level = level_name(record.levelno)
                self._reporter.send(
                    LogLine(level=level, text=text, request_id=current_request_id(), logger=record.name)
                )
            else:
                sys.stderr.write(f"{record.levelname}: {text}\n")
        except Exception:  # noqa: BLE001 - logging never raises into the program (logging.Handler.handleError)
            self.handleError(record)


def report_logs(reporter: ChannelReporter) -> None:
    """Send log records from INFO on, and warnings."""
    handler = HostLogHandler(reporter)
    root = logging.getLogger()
    root.addHandler(handler)
    root.setLevel(logging.INFO)
    for name in _TALKATIVE:
        logging.getLogger(name).setLevel(logging.WARNING)
    _give_way(root, handler)
    _report_warnings(reporter)


def _give_way(root: logging.Logger, handler: logging.Handler) -> None:
    """Let ``basicConfig`` do its work though there is a handler; ``logging.info()`` calls it without arguments."""
    configure = logging.basicConfig

    def basic_config(**options: Any) -> None:
        if root.handlers == [handler]:
            if options.keys() <= {"level"}:
                root.setLevel(options.get("level") or root.level)
                return
            root.removeHandler(handler)
        configure(**options)

    logging.basicConfig = basic_config


def _report_warnings(reporter: ChannelReporter) -> None:
    def show(
        message: Warning | str,
        category: type[Warning],
        filename: str,
        lineno: int,
        file: TextIO | None = None,
        line: str | None = None,
    ) -> None:
        text = warnings.formatwarning(message, category, filename, lineno, line)
        if file is None:
            reporter.send(
                LogLine(level="warning", text=text.rstrip(), request_id=current_request_id(), logger=category.__name__)
            )
        else:
            file.write(text)

    warnings.showwarning = show


def level_name(level: int) -> str:
    """Return the name of a ``LogLine``'s level for a level of ``logging``."""
    if level < logging.INFO:
        return "debug"
    if level < logging.WARNING:
        return "info"
    return "warning" if level < logging.ERROR else "error"
