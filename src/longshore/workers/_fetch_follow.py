"""From a ``Request`` to a ``Response``: the headers that go out, and redirects (WHATWG Fetch *HTTP-redirect fetch*)."""

from __future__ import annotations

import asyncio
import re
from typing import TYPE_CHECKING, TypeAlias

import httpx

from longshore.core.shown import shown
from longshore.workers._extract import length_of
from longshore.workers._fetch_body import CODINGS, BodyLease, FetchedBody, is_decodable
from longshore.workers._fetch_client import close_response, parse_url, place, resolve, send
from longshore.workers._javascript_streams import JsReadableStream
from longshore.workers._response import received_response

if TYPE_CHECKING:
    from collections.abc import Iterable

    from longshore.sockets._readable import ReadableStream
    from longshore.workers._headers import RawHeaders
    from longshore.workers._request import Request
    from longshore.workers._response import Response

__all__ = ["follow"]

Upload: TypeAlias = "bytes | ReadableStream | None"

REDIRECTS = frozenset({301, 302, 303, 307, 308})
MAX_REDIRECTS = 20
BODILESS_STATUSES = frozenset({101, 204, 205, 304})
# Of one connection, or made by the HTTP client itself (RFC 9110 §7.6.1).
OWN_HEADERS = frozenset(
    b"connection expect host keep-alive proxy-connection te trailer transfer-encoding upgrade".split()
)
BODY_HEADERS = frozenset(b"content-encoding content-language content-length content-location content-type".split())
# Meant for the origin that the program named, and for no other.
CREDENTIALS = frozenset(b"authorization cookie proxy-authorization".split())
# RFC 9110 §5.5: what no value of a header may hold. A response with it could not be passed on.
find_invalid = re.compile(b"[\x00-\x08\x0a-\x1f\x7f]").search
# A body nobody wants is read to its end when it is this short, so that its connection can be used again.
DISCARDED_BYTES = 16 * 1024
DISCARD_TIMEOUT_S = 1.0


async def follow(request: Request, binding: str | None = None) -> Response:
    """Send ``request``, follow where it leads, and return the response.

    Args:
        request: its body is used up.
        binding: whose credentials to use, at every hop.

    Raises, cancellation: as ``longshore.workers.fetch()``.
    """
    url, method = parse_url(request.url), str(request.method)
    body = request._consume()
    headers = _outgoing(request, body)
    for hop in range(MAX_REDIRECTS + 1):
        answer = await send(method, url, headers, body, binding)
        location = answer.headers.get("location") if answer.status_code in REDIRECTS else None
        if location is None or request.redirect == "manual":
            return await _response(request, method, url, answer, is_redirected=hop > 0)
        await _discard(answer)
        if request.redirect == "error":
            raise OSError(f"fetch of {place(url)} failed: it redirects to {shown(location)}, and redirect is 'error'")
        target = resolve(url, location)
        if answer.status_code != 303 and body is not None and not isinstance(body, bytes):
            raise OSError(
                f"fetch of {place(url)} failed: it redirects, and the body was a stream, which cannot be sent twice"
            )
        method, body, headers = _redirected(answer.status_code, method, body, headers, _is_same_origin(url, target))
        url = target
    raise OSError(f"fetch of {place(parse_url(request.url))} failed: more than {MAX_REDIRECTS} redirects")


def _outgoing(request: Request, body: Upload) -> RawHeaders:
    """Return the headers to send, those that belong to a connection left out."""
    given = request._raw if request._headers is None else request._headers.raw()
    dropped = _connection_headers(given)
    length = length_of(body)
    if length is not None or body is None:
        dropped = dropped | {b"content-length"}
    headers = [(name, value) for name, value in given if name not in dropped and name != b"accept-encoding"]
    if length is not None and not isinstance(body, bytes):
        headers.append((b"content-length", str(length).encode()))
    names = {name for name, _ in headers}
    if b"accept" not in names:
        headers.append((b"accept", b"*/*"))
    if b"user-agent" not in names:
        headers.append((b"user-agent", b"longshore"))
    headers.append((b"accept-encoding", _codings([value for name, value in given if name == b"accept-encoding"])))
    return headers


def _connection_headers(headers: Iterable[tuple[bytes, bytes]]) -> frozenset[bytes]:
    """Return the names that belong to one connection: the known ones, and those that ``Connection`` lists."""
    listed = [value for name, value in headers if name == b"connection"]
    return OWN_HEADERS.union(part.strip().lower() for value in listed for part in value.split(b","))


def _codings(asked: list[bytes]) -> bytes:
    """Return what of the program's own ``Accept-Encoding`` can be decoded here; all that can be when it has none."""
    if not asked:
        return ", ".join(sorted(CODINGS - {"identity"})).encode()
    wanted = [part.strip() for part in b",".join(asked).decode("latin-1").split(",")]
    return (
        ", ".join(each for each in wanted if each.partition(";")[0].strip().lower() in CODINGS).encode() or b"identity"
    )


def _redirected(
    status: int, method: str, body: Upload, headers: RawHeaders, is_same_origin: bool
) -> tuple[str, Upload, RawHeaders]:
    dropped: frozenset[bytes] = frozenset()
    if (status in (301, 302) and method == "POST") or (status == 303 and method not in ("GET", "HEAD")):
        method, body, dropped = "GET", None, BODY_HEADERS
    if not is_same_origin:
        dropped = dropped | CREDENTIALS
    return method, body, [(name, value) for name, value in headers if name not in dropped]


def _is_same_origin(one: httpx.URL, other: httpx.URL) -> bool:
    return (one.scheme, one.raw_host, one.port) == (other.scheme, other.raw_host, other.port)


async def _response(
    request: Request, method: str, url: httpx.URL, answer: httpx.Response, *, is_redirected: bool
) -> Response:
    raw = [(name.lower(), value) for name, value in answer.headers.raw]
    for name, value in raw:
        if (found := find_invalid(value)) is not None:
            await close_response(answer)
            raise OSError(
                f"fetch of {place(url)} failed: the header {shown(name.decode('latin-1'))} of its response holds "
                f"{found[0].decode('latin-1')!r}, and control characters are not allowed in HTTP"
            )
    dropped = _connection_headers(raw)
    stream: bytes | ReadableStream | None = None
    is_decoded = False
    if method == "HEAD" or answer.status_code in BODILESS_STATUSES:
        await _discard(answer)
    elif answer.headers.get("content-length") == "0":
        await _discard(answer)
        stream = b""
    else:
        body = FetchedBody(answer, url, request.signal, may_stay_encoded="accept-encoding" in request.headers)
        stream = JsReadableStream(body, BodyLease(body))
        # What the headers say about the bytes on the wire, a program that copies them would give out as its own.
        is_decoded = is_decodable(answer)
    return received_response(
        answer.status_code,
        [pair for pair in raw if pair[0] not in dropped],
        stream,
        url=str(url),
        status_text=answer.extensions.get("reason_phrase", b"").decode("latin-1"),
        is_redirected=is_redirected,
        is_decoded=is_decoded,
    )


async def _discard(answer: httpx.Response) -> None:
    """Let go of a body that nobody gets."""
    left = DISCARDED_BYTES
    try:
        async with asyncio.timeout(DISCARD_TIMEOUT_S):
            async for chunk in answer.aiter_raw():
                left -= len(chunk)
                if left < 0:
                    break
    except (TimeoutError, httpx.HTTPError):
        pass  # then the connection is closed
    await close_response(answer)
