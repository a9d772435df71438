"""``RecordingDialer``: every ``connect()`` of a worker, told to the host (``Recorder``).

It wraps the dialer that a worker has anyway, so nothing of it is there when connections are not recorded. The policy
is the inner dialer's: it is in force in both cases.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from longshore.abc import Connection
from longshore.errors import ResetError, SocketError
from longshore.runtime.worker.recorder import describe, is_recorded
from longshore.workers._context import connecting_via

if TYPE_CHECKING:
    import ssl
    from asyncio.trsock import TransportSocket
    from collections.abc import Callable

    from longshore.abc import ByteStream, Dialer, DialRequest, StreamOwner
    from longshore.core.tls_options import TlsRequest
    from longshore.proto.ipc.pool import DefineDatabase
    from longshore.runtime.worker.recorder import Recorder, Recording

__all__ = ["RecordingDialer", "RecordingStream"]


class RecordingDialer:
    """Reports what another dialer does.

    Args:
        dialer: opens the connections.
        recorder: is told.
    """

    def __init__(self, dialer: Dialer, recorder: Recorder) -> None:
        self._dialer = dialer
        self._recorder = recorder

    async def dial(self, request: DialRequest) -> Connection:
        """Connect with the inner dialer; see ``Dialer.dial``.

        Cancellation: as the inner dialer.
        """
        recording = self._recorder.begin(str(request.address), connecting_via.get())
        token = is_recorded.set(True)
        try:
            connection = await self._dialer.dial(request)
        except BaseException as exc:
            recording.failed(exc)
            raise
        finally:
            is_recorded.reset(token)
        info = connection.info
        recording.opened(info.remote_address, info.timings)
        return Connection(RecordingStream(connection.stream, recording), connection.get_info)

    @property
    def define_database(self) -> Callable[[DefineDatabase], None] | None:
        """See ``BrokerDialer.define_database``; None when the inner dialer has none."""
        found: Callable[[DefineDatabase], None] | None = getattr(self._dialer, "define_database", None)
        return found

    async def start_tls(self, connection: Connection, tls: TlsRequest) -> Connection:
        """Upgrade with the inner dialer; the recording goes on with the bytes above TLS.

        Cancellation: closes the connection.
        """
        stream = connection.stream
        if not isinstance(stream, RecordingStream):
            return await self._dialer.start_tls(connection, tls)
        try:
            upgraded = await self._dialer.start_tls(Connection(stream.inner, connection.get_info), tls)
        except BaseException as exc:
            stream.recording.ended(describe(exc))
            raise
        stream.recording.late_tls_s = upgraded.info.timings.tls_s
        return Connection(RecordingStream(upgraded.stream, stream.recording), upgraded.get_info)


class RecordingStream:
    """Counts what passes through a stream and notices how it ends.

    It stands between the stream and its owner, so that it hears of a reset that nobody reads, too.

    Args:
        inner: the stream.
        recording: is told.
    """

    __slots__ = ("_how", "_owner", "inner", "recording")

    def __init__(self, inner: ByteStream, recording: Recording) -> None:
        self.inner = inner
        self.recording = recording
        self._owner: StreamOwner | None = None
        self._how: str | None = None

    # -- what adapters look for ------------------------------------------------------------------

    @property
    def ssl_object(self) -> ssl.SSLObject | None:
        """TLS as OpenSSL sees it, None on a plain connection."""
        found: ssl.SSLObject | None = getattr(self.inner, "ssl_object", None)
        return found

    @property
    def transport_socket(self) -> TransportSocket | None:
        """The socket for reading and setting options; None when closed."""
        found: TransportSocket | None = getattr(self.inner, "transport_socket", None)
        return found

    # -- between stream and owner ----------------------------------------------------------------

    def set_owner(self, owner: StreamOwner | None) -> None:
        """Say who hears of readiness."""
        self._owner = owner
        self.inner.set_owner(None if owner is None else self)

    def on_readable(self) -> None:
        """Pass on."""
        if self._owner is not None:
            self._owner.on_readable()

    def on_writable(self) -> None:
        """Pass on."""
        if self._owner is not None:
            self._owner.on_writable()

    def on_broken(self, error: Exception) -> None:
        """Note, and pass on."""
        self._note(error)
        if self._owner is not None:
            self._owner.on_broken(error)

    # -- the stream ------------------------------------------------------------------------------

    def try_read(self, max_bytes: int) -> bytes | None:
        """Read; see ``ByteStream.try_read``."""
        try:
            data = self.inner.try_read(max_bytes)
        except SocketError as exc:
            self._note(exc)
            raise
        if data is not None:
            self._count_received(len(data))
        return data

    def try_read_into(self, buffer: memoryview) -> int | None:
        """Read; see ``ByteStream.try_read_into``."""
        try:
            count = self.inner.try_read_into(buffer)
        except SocketError as exc:
            self._note(exc)
            raise
        if count is not None:
            self._count_received(count)
        return count

    def peek(self) -> bool | None:
        """Look; see ``ByteStream.peek``."""
        try:
            found = self.inner.peek()
        except SocketError as exc:
            self._note(exc)
            raise
        if found is False:
            self._count_received(0)
        return found

    def try_write(self, data: bytes | bytearray | memoryview) -> int:
        """Write; see ``ByteStream.try_write``."""
        try:
            count = self.inner.try_write(data)
        except SocketError as exc:
            self._note(exc)
            raise
        self.recording.sent += count
        return count

    def flush(self) -> bool:
        """Push; see ``ByteStream.flush``."""
        return self.inner.flush()

    def try_write_eof(self, *, closing: bool = False) -> bool:
        """End the write direction; see ``ByteStream.try_write_eof``."""
        return self.inner.try_write_eof(closing=closing)

    def close(self) -> None:
        """Release the connection."""
        self.inner.close()
        self.recording.ended(self._how or "closed")

    def abort(self) -> None:
        """Reset the connection."""
        self.inner.abort()
        self.recording.ended(self._how or "aborted")

    def fileno(self) -> int:
        """Return the descriptor, -1 when closed."""
        return self.inner.fileno()

    def _count_received(self, count: int) -> None:
        if count:
            self.recording.received += count
        elif self._how is None:
            self._how = "end of file"

    def _note(self, error: Exception) -> None:
        if self._how is None or self._how == "end of file":
            self._how = "reset" if isinstance(error, ResetError) else describe(error)
