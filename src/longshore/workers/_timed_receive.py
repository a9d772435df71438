"""``TimedReceive``: ASGI's ``receive()`` that does not wait for ever for a client that has stopped in mid-body."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, MutableMapping

    Message = MutableMapping[str, Any]

__all__ = ["BodyTimeout", "TimedReceive", "timed"]


class BodyTimeout(TimeoutError):
    """The client sent nothing of the request body for too long.

    Attributes:
        timeout_s: the bound that ran out, in seconds.
    """

    def __init__(self, timeout_s: float, received_bytes: int) -> None:
        super().__init__(
            f"the client sent nothing for {timeout_s:g} s, after {received_bytes} bytes of the request body "
            "(serve.body_timeout_s)"
        )
        self.timeout_s = timeout_s


class TimedReceive:
    """A ``receive()`` with a time limit while a body is expected; a timer exists only while somebody waits.

    Args:
        receive: ASGI's.
        timeout_s: how long nothing may come.
    """

    __slots__ = ("_has_more", "_news", "_receive", "_received_bytes", "_timeout_s")

    def __init__(self, receive: Callable[[], Awaitable[Message]], timeout_s: float) -> None:
        self._receive = receive
        self._timeout_s = timeout_s
        self._received_bytes = 0
        self._has_more = True
        # uvicorn's event: set when there is a message. Of other servers it is not known whether they will wait.
        self._news: Any = getattr(getattr(receive, "__self__", None), "message_event", None)

    async def __call__(self) -> Message:
        """Do what ``receive()`` does.

        Raises:
            BodyTimeout: nothing came in time.

        Cancellation: as that of ``receive()``.
        """
        if not self._has_more or (self._news is not None and self._news.is_set()):
            message = await self._receive()
        else:
            message = await self._wait()
        self._received_bytes += len(message.get("body", b""))
        self._has_more = message.get("more_body", False)
        return message

    async def _wait(self) -> Message:
        limit = asyncio.timeout(self._timeout_s)
        try:
            async with limit:
                return await self._receive()
        except TimeoutError:
            if not limit.expired():
                raise
            raise BodyTimeout(self._timeout_s, self._received_bytes) from None


def timed(receive: Callable[[], Awaitable[Message]], timeout_s: float) -> Callable[[], Awaitable[Message]]:
    """Return ``receive`` with a time limit; 0 is none."""
    return TimedReceive(receive, timeout_s) if timeout_s else receive
