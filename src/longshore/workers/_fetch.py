"""``fetch()``: an HTTP request from a worker (WHATWG Fetch, in Python spelling), by httpx over ``connect()``.

So it goes where the worker may go, by the same rules as its sockets. Redirects are followed here and not by httpx, for
Fetch has rules of its own for them.
"""

from __future__ import annotations

import asyncio
import sys
from functools import partial
from typing import TYPE_CHECKING, Any

from longshore.aio.abort import AbortSignal
from longshore.aio.tasks import spawn
from longshore.workers._abort import abort_error
from longshore.workers._request import Request

if TYPE_CHECKING:
    from collections.abc import Coroutine
    from typing import Unpack

    from longshore.workers._response import Response
    from longshore.workers._types import FetchKwargs

__all__ = ["aclose_fetch_clients", "fetch", "fetch_with"]

CLIENT = "longshore.workers._fetch_client"


async def fetch(resource: str | Request, **options: Unpack[FetchKwargs]) -> Response:
    """Send a request and return the response as soon as its headers are there; the body streams.

    Connections are kept and used again. Cookies are never stored. There is no time limit but that on connecting: use
    ``asyncio.timeout()`` or ``signal``.

    Args:
        resource: an absolute URL, or a ``Request``, whose body is used up; the one that a handler got can be passed on.
        **options: as in WHATWG Fetch: ``method``, ``headers``, ``body``, ``signal``, and ``redirect``, which is
            ``"follow"`` (at most 20 times), ``"manual"`` or ``"error"``. What steers a browser or Cloudflare's network
            (``cache``, ``cf``, ``credentials``, ``mode`` …) is accepted and has no effect.

    Raises:
        TypeError: the URL or an option is wrong; a body with GET or HEAD.
        OSError: there is no answer: ``ConnectError``, ``ResolveError``, ``PolicyDenied``, ``TlsError``, ``ResetError``
            as ``connect()`` raises them; a plain one for what is wrong in HTTP; for ``signal`` its reason, if that is
            an ``OSError``.

    Cancellation: the connection is given up.
    """
    return await fetch_with(None, resource, options)


async def fetch_with(binding: str | None, resource: str | Request, options: FetchKwargs) -> Response:
    """Do what ``fetch()`` does, with the credentials of a binding; None for without.

    Raises, cancellation: as ``fetch()``.
    """
    if isinstance(resource, Request) and not options:
        request = resource
    elif isinstance(resource, (str, Request)):
        request = Request(resource, **options)
    else:
        raise TypeError(f"fetch() takes a URL as a str, or a Request, not {type(resource).__name__}")
    from longshore.workers._fetch_follow import follow  # noqa: PLC0415 - httpx is imported with the first request

    signal = request.signal
    if signal is None:
        return await follow(request, binding)
    if not isinstance(signal, AbortSignal):
        raise TypeError(f"signal is of type {type(signal).__name__}: give the signal of an AbortController")
    return await _until_aborted(follow(request, binding), signal)


async def aclose_fetch_clients() -> None:
    """Close the connections that ``fetch()`` keeps in this event loop: for the end of a worker.

    Cancellation: resets what is not closed yet.
    """
    if CLIENT in sys.modules:
        await sys.modules[CLIENT].aclose_clients()


async def _until_aborted(work: Coroutine[Any, Any, Response], signal: AbortSignal) -> Response:
    """Do ``work``, unless ``signal`` stops it."""
    task = spawn(work, name="longshore fetch")
    signal.add_callback(task, partial(_cancel, task))
    try:
        return await task
    except asyncio.CancelledError:
        current = asyncio.current_task()
        if signal.aborted and not (current is not None and current.cancelling()):
            raise abort_error(signal.reason, "fetch()") from None
        if task.done() and not task.cancelled() and task.exception() is None:
            await _drop(task.result())  # it was there in the very moment of the cancellation, and nobody gets it
        raise
    finally:
        signal.remove_callback(task)


def _cancel(task: asyncio.Task[Response], _reason: object) -> None:
    task.cancel()


async def _drop(response: Response) -> None:
    if response.body is not None:
        await response.body.cancel()
