"""``AuditTrail``: where the audit records of all workers go: a file, and the host (shell)."""

from __future__ import annotations

import asyncio
import logging
from typing import TYPE_CHECKING, Final

import msgspec

from longshore.egress.audit_file import AuditFile

if TYPE_CHECKING:
    from collections.abc import Callable

    from longshore.proto.ipc.egress import AuditRecord

__all__ = ["AuditTrail"]

_logger = logging.getLogger(__name__)

# Records of so long a time go to the file together.
_TOGETHER_S: Final = 0.01


class AuditTrail:
    """One for each egress process; made inside the running loop.

    A file that cannot be opened is said once, in the log; the records still go to the host.

    Args:
        path: the file, absolute; None: none.
        tell: is given every record, for the host (``lambda record: channel.send(Audited(record=record))``).
    """

    def __init__(self, path: str | None, tell: Callable[[AuditRecord], None]) -> None:
        self._loop = asyncio.get_running_loop()
        self._tell = tell
        self._encode = msgspec.json.Encoder().encode
        self._lines: list[bytes] = []
        self._timer: asyncio.TimerHandle | None = None
        self._file: AuditFile | None = None
        if path is not None:
            try:
                self._file = AuditFile(path)
            except OSError as exc:
                _logger.error("there is no audit log: %s", exc)  # noqa: TRY400 - nobody needs the traceback

    def write(self, record: AuditRecord) -> None:
        """Write a record to the file, soon, and tell the host. Never blocks."""
        if self._file is not None:
            self._lines.append(self._encode(record))
            if self._timer is None:
                self._timer = self._loop.call_later(_TOGETHER_S, self._flush)
        self._tell(record)

    def reopen(self) -> None:
        """Open the file anew: it was renamed (which is noticed without this too), or somebody asked."""
        if self._file is not None:
            self._file.reopen()

    def close(self) -> None:
        """Write what is held back. Blocks for the disk, but not for ever."""
        self._flush()
        if self._file is not None:
            self._file.close()
            self._file = None

    def _flush(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if self._lines and self._file is not None:
            self._file.write(b"\n".join([*self._lines, b""]))
            self._lines.clear()
