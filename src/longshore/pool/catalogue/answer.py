"""The server's answer to the queries for its catalogue, taken in as it comes (PURE)."""

from __future__ import annotations

from typing import Final

import msgspec

from longshore.pool.catalogue import rows
from longshore.pool.catalogue.names import Names
from longshore.proto.postgres.backend_messages import ErrorResponse
from longshore.proto.postgres.constants import BackendType
from longshore.proto.postgres.framing import Frame, backend_reader
from longshore.proto.postgres.parse_backend import parse_backend

__all__ = ["Answer"]

_MAX_ROW_BYTES: Final = 256 * 1024
_MAX_BYTES: Final = 256 * 1024 * 1024
_VALUE_AT: Final = 11  # of a DataRow with one column: type, length, how many, length of the first
_DECODER: Final = msgspec.json.Decoder(rows.Row)


class Answer:
    """What the queries bring. Every row goes into ``names`` at once; nothing else of it is kept."""

    def __init__(self) -> None:
        self.names = Names()
        self.failure: str | None = None
        self.finished = 0
        """Queries that have been answered."""
        self._reader = backend_reader(max_whole_bytes=_MAX_ROW_BYTES)
        self._bytes = 0

    def receive(self, data: bytes) -> None:
        """Take messages, or parts of them."""
        self._bytes += len(data)
        if self._bytes > _MAX_BYTES:
            self.failure = f"the catalogue has more than {_MAX_BYTES // 1024 // 1024} MiB"
        for event in self._reader.receive_data(data):
            # A longer one is a body that nobody will look through: the function stays unknown.
            if not isinstance(event, Frame) or self.failure is not None:
                continue
            if event.type == BackendType.DataRow:
                self._add(event.raw[_VALUE_AT:])
            elif event.type == BackendType.ReadyForQuery:
                self.finished += 1
            elif event.type == BackendType.ErrorResponse:
                error = parse_backend(event.type, event.payload)
                assert isinstance(error, ErrorResponse)
                self.failure = error.message

    def _add(self, value: bytes) -> None:
        try:
            self.names.add(_DECODER.decode(value))
        except msgspec.DecodeError as exc:
            self.failure = f"a row of the catalogue cannot be read: {exc}"
