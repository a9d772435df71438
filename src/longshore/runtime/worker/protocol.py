"""uvicorn's HTTP and WebSocket protocols, as a worker needs them: they know when they are idle, and tell who leaves.

On the way of a request this adds a few lines to six of uvicorn's callbacks and one key to the scope, nothing else.

What is known about a connection at any time:

* ``_is_in_message``: the parser has seen the beginning of a request and not its end.
* ``cycle`` is uvicorn's newest request whose head is complete, with its response; older ones are answered before it
  (pipelining). ``scope`` is that of the newest request, so the two tell whether a head is still coming.

It is *idle* when the parser is between two requests and the newest response is complete: only then does nothing of the
connection live in this process, and it can be handed to another one.
"""

from __future__ import annotations

from contextvars import copy_context
from typing import TYPE_CHECKING, Any, cast

from uvicorn.protocols.http.httptools_impl import STATUS_LINE, HttpToolsProtocol
from uvicorn.protocols.utils import is_ssl
from uvicorn.protocols.websockets.websockets_sansio_impl import WebSocketsSansIOProtocol

from longshore.runtime.worker.client import SCOPE_KEY, ClientConnection
from longshore.runtime.worker.flow import Flow
from longshore.runtime.worker.target import BadTarget, is_host, split_absolute, with_host

if TYPE_CHECKING:
    import asyncio

    from uvicorn._types import ASGI3Application
    from uvicorn.config import Config
    from uvicorn.protocols.http.httptools_impl import RequestResponseCycle

    from longshore.runtime.worker.serving import Serving

__all__ = ["MAX_HEAD_BYTES", "WorkerProtocol", "WorkerWebSocketProtocol"]

MAX_HEAD_BYTES = 64 * 1024
"""Request line and headers together, beyond what one read of the socket brings: more is answered with status 431."""

HEAD_TIMEOUT_S = 30.0
"""How long the head of a request may take to arrive."""

FIRST_REQUEST_TIMEOUT_S = 120.0
"""How long a new connection may keep silent: browsers open some in advance."""

# Plain functions: super() makes an object for each call before Python 3.12.
_data_received = HttpToolsProtocol.data_received
_on_headers_complete = HttpToolsProtocol.on_headers_complete
_on_message_begin = HttpToolsProtocol.on_message_begin
_on_message_complete = HttpToolsProtocol.on_message_complete
_on_response_complete = HttpToolsProtocol.on_response_complete
_start_asgi_task = HttpToolsProtocol._start_asgi_task


class _CompleteHead(list[tuple[bytes, bytes]]):
    """The headers of a request whose body has begun: uvicorn appends trailers to them."""

    def append(self, trailer: tuple[bytes, bytes], /) -> None:
        pass


class WorkerProtocol(HttpToolsProtocol):
    """One HTTP/1.1 connection."""

    def __init__(
        self,
        config: Config,
        server_state: Serving,
        app_state: dict[str, Any],
        _loop: asyncio.AbstractEventLoop | None = None,
    ) -> None:
        super().__init__(config, server_state, app_state, _loop)
        self._serving = server_state
        self._client = ClientConnection()
        # Requests begin in it. Else what one of them sets would be there for the next: asyncio hands the context of
        # whoever resumes reading on to the connection's callbacks, and a pipelined request begins in the one before.
        self._context = copy_context()
        self._is_in_message = False
        # Counts from the second read of a head on; nearly every head comes in one.
        self._head_bytes = 0
        self._head_timer: asyncio.TimerHandle | None = None
        # Of the request whose head is coming; None until there is one.
        self._host: bytes | None = None
        self._has_hosts = False
        # The last one that was right: clients say the same with each request.
        self._good_host: bytes | None = None
        # Why a request is refused, if it is not for its syntax.
        self._objection = ""

    # -- the connection ----------------------------------------------------------------------------

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # as in uvicorn
        """Take a connection, new or of another worker."""
        super().connection_made(transport)
        self.flow = Flow(transport, self.loop)
        self.timeout_keep_alive_task = self.loop.call_later(FIRST_REQUEST_TIMEOUT_S, self.timeout_keep_alive_handler)
        if self._serving.draining is not None:
            self._serving.draining.tend_soon(self)

    def connection_lost(self, exc: Exception | None) -> None:
        """Tell the request that is being answered."""
        self._flow.unwatch()
        super().connection_lost(exc)
        self._unset_keepalive_if_required()
        self._end_head()
        self._client.lose()
        self._serving.connection_ended()

    @property
    def is_idle(self) -> bool:
        """True when no request has begun since the last response was complete."""
        return not self._is_in_message and self._is_answered

    @property
    def _flow(self) -> Flow:
        return cast("Flow", self.flow)

    @property
    def _has_served(self) -> bool:
        cycle: RequestResponseCycle | None = self.cycle  # uvicorn's annotation leaves None out
        return cycle is not None

    @property
    def _newest_scope(self) -> object:
        return self.cycle.scope if self._has_served else None

    @property
    def _is_answered(self) -> bool:
        return not self._has_served or self.cycle.response_complete

    @property
    def can_move(self) -> bool:
        """True when another process could go on with the descriptor: the state of TLS is in this one."""
        return not is_ssl(self.transport)

    @property
    def is_flushed(self) -> bool:
        """True when the kernel has all bytes of the responses."""
        return self.transport.get_write_buffer_size() == 0

    def idle_s(self) -> float:
        """Return for how long the connection has been idle; 0 when it is new and nothing came yet."""
        timer = self.timeout_keep_alive_task
        if timer is None or not self._has_served:
            return 0.0
        return self.loop.time() - (timer.when() - self.timeout_keep_alive)

    def fileno(self) -> int:
        """Return the descriptor, -1 when there is none any more."""
        sock = self.transport.get_extra_info("socket")
        return -1 if sock is None else cast("int", sock.fileno())

    def say_close(self) -> None:
        """Make the newest request the last: its response says ``connection: close``.

        A response that has begun without saying so keeps the connection open: the client may rely on it.
        """
        if self._has_served and not self.cycle.response_started:
            self.cycle.keep_alive = False

    def stop_reading(self) -> None:
        """Leave what the client sends from now on in the kernel, its end too."""
        self._flow.stop_reading()

    def read_on(self) -> None:
        """Undo ``stop_reading()``."""
        self._flow.resume_reading()

    # -- one request -------------------------------------------------------------------------------

    def data_received(self, data: bytes) -> None:
        """Parse; the task of a request that came with it has not begun when this goes on."""
        _data_received(self, data)
        cycle: RequestResponseCycle | None = self.cycle
        if cycle is None or cycle.response_complete:
            self._wait_for_more()
        if self._is_in_message or self._head_bytes or self._serving.draining is not None:
            self._look_again(len(data))

    def on_message_begin(self) -> None:
        """Start a request."""
        _on_message_begin(self)
        self._is_in_message = True
        self._host = None
        self._has_hosts = False
        self.scope[SCOPE_KEY] = self._client  # type: ignore[literal-required]  # ASGI allows keys of the server

    def on_header(self, name: bytes, value: bytes) -> None:
        """Take a header, as uvicorn does, and note which one is ``Host``."""
        name = name.lower()
        if name == b"host":
            self._has_hosts = self._host is not None
            self._host = value
        elif name == b"expect" and value.lower() == b"100-continue":
            self.expect_100_continue = True
        self.headers.append((name, value))

    def on_headers_complete(self) -> None:
        """Begin to answer, if it is clear what the request is for (RFC 9112 §3.2).

        Raises:
            BadTarget: it is not; the parser gives up, and the client is answered with status 400.
        """
        if self._has_hosts or self._host is None or self._host != self._good_host:
            self._check_host()
        if self.url[:1] != b"/":
            self._take_absolute_target()
        _on_headers_complete(self)

    def _check_host(self) -> None:
        if self._has_hosts:
            raise self._object("the request has more than one Host")
        if self._host is None:
            if self.parser.get_http_version() != "1.0":
                raise self._object("the request has no Host")
        elif is_host(self._host):
            self._good_host = self._host
        else:
            raise self._object("the Host of the request is not valid")

    def _take_absolute_target(self) -> None:
        try:
            parts = split_absolute(self.url, self.scheme or "http")
        except BadTarget as exc:
            raise self._object(str(exc)) from None
        if parts is not None:
            authority, self.url = parts
            with_host(self.headers, authority)

    def _object(self, why: str) -> BadTarget:
        self._objection = why
        return BadTarget(why)

    def on_chunk_header(self) -> None:
        """Drop the trailers that may follow: one must not be taken for a header (RFC 9110 §6.5.1)."""
        if self.headers.__class__ is not _CompleteHead:
            self.headers = _CompleteHead(self.headers)

    def on_message_complete(self) -> None:
        """The request is complete; the response may have been so before."""
        _on_message_complete(self)
        self._is_in_message = False

    def on_response_complete(self) -> None:
        """The response is complete; the request may be so later."""
        _on_response_complete(self)
        if self._serving.draining is not None:
            self._serving.draining.tend_soon(self)

    def _start_asgi_task(self, cycle: RequestResponseCycle, app: ASGI3Application) -> None:
        self._context.run(_start_asgi_task, self, cycle, app)

    def _wait_for_more(self) -> None:
        """Set the timer again, which uvicorn stops whatever comes: a line end, or the rest of an answered request."""
        if self.timeout_keep_alive_task is None and self in self.connections and not self.transport.is_closing():
            self.timeout_keep_alive_task = self.loop.call_later(
                self.timeout_keep_alive, self.timeout_keep_alive_handler
            )

    def _look_again(self, count: int) -> None:
        """Do what only some requests need: those that come in pieces, and those that come during a drain."""
        if self._is_in_message and self.scope is not self._newest_scope:
            self._limit_head(count)
        elif self._head_bytes:
            self._end_head()
        if self._serving.draining is not None:
            self._serving.draining.tend_soon(self)
            self._serving.draining.on_request(self)

    def handle_websocket_upgrade(self) -> None:
        """Give the connection to the WebSocket protocol; a worker that ends takes no new ones."""
        self._flow.unwatch()
        super().handle_websocket_upgrade()
        self._unset_keepalive_if_required()
        self._is_in_message = False  # what comes now is not HTTP
        self._end_head()
        if self._serving.draining is not None:
            self._serving.draining.refuse_websocket(cast("WorkerWebSocketProtocol", self.transport.get_protocol()))

    # -- limits ------------------------------------------------------------------------------------

    def _limit_head(self, count: int) -> None:
        if self.transport.is_closing():
            return
        if not self._head_bytes:
            self._head_timer = self.loop.call_later(HEAD_TIMEOUT_S, self._refuse, 408, "Request Timeout")
        # The first read may hold the end of the request before: it counts as one byte.
        self._head_bytes += count if self._head_bytes else 1
        if self._head_bytes > MAX_HEAD_BYTES:
            self._refuse(431, "Request Header Fields Too Large")

    def _end_head(self) -> None:
        self._head_bytes = 0
        if self._head_timer is not None:
            self._head_timer.cancel()
            self._head_timer = None

    def send_400_response(self, msg: str) -> None:
        """Refuse what is no HTTP, unless the client would take that for the answer to a request before it."""
        is_newest = self._is_in_message and self.scope is self._newest_scope and not self.pipeline
        if self._is_answered or (is_newest and not self.cycle.response_started):
            super().send_400_response(self._objection or msg)
        else:
            self.transport.close()

    def _refuse(self, status: int, reason: str) -> None:
        self._end_head()
        if not self._is_answered:  # it was sent behind a request whose response must not suffer
            self.say_close()
            self.flow.pause_reading()
            return
        headers = b"content-type: text/plain; charset=utf-8\r\ncontent-length: %d\r\nconnection: close\r\n\r\n"
        self.transport.write(STATUS_LINE[status] + headers % len(reason) + reason.encode())
        self.transport.close()


class WorkerWebSocketProtocol(WebSocketsSansIOProtocol):
    """One WebSocket."""

    def __init__(
        self,
        config: Config,
        server_state: Serving,
        app_state: dict[str, Any],
        _loop: asyncio.AbstractEventLoop | None = None,
    ) -> None:
        super().__init__(config, server_state, app_state, _loop)
        self._serving = server_state

    def connection_lost(self, exc: Exception | None) -> None:
        """Leave, so that a drain can end."""
        super().connection_lost(exc)
        self._serving.connection_ended()
