"""The properties of a response, and what of it goes on the wire.

``wire()`` is on the path of every request that a worker answers. The rule there: ``content-length`` comes from a table,
and no object is made for what nobody asked.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from longshore.sockets._readable import ReadableStream, source_of
from longshore.workers._body import BodyOwner
from longshore.workers._extract import length_of, usable
from longshore.workers._headers import has_header
from longshore.workers._sources import PulledSource
from longshore.workers._status import LENGTHLESS, PHRASES

if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Self

    from longshore.workers._headers import RawHeaders
    from longshore.workers._types import Payload

__all__ = ["SentResponse", "without_body"]

LENGTHS: Final = tuple((b"content-length", b"%d" % length) for length in range(1024))
# The server frames the message: what a worker says about it would be a second opinion.
FRAMING: Final = frozenset({b"content-length", b"transfer-encoding"})
TRANSFER_ENCODING: Final = frozenset({b"transfer-encoding"})
NOT_MODIFIED: Final = 304


def without_body(method: str, status: int, headers: RawHeaders) -> RawHeaders:
    """Return the headers of a response whose body is empty, as the answer to ``method``.

    The response may be one to HEAD, passed on: to the client of another method its length would be a promise, and the
    next response on the connection be taken for the body.
    """
    if method == "HEAD" or status in LENGTHLESS:
        return headers
    return [LENGTHS[0] if pair[0] == b"content-length" else pair for pair in headers]


class SentResponse(BodyOwner):
    """All of a response that makes no other response."""

    __slots__ = ("_is_redirected", "_status", "_status_text", "_url")

    _status: int
    _status_text: str
    _url: str
    _is_redirected: bool

    @property
    def status(self) -> int:
        """The status code."""
        return self._status

    @property
    def status_text(self) -> str:
        """The reason phrase; the usual one of the status code unless another was given."""
        return self._status_text or PHRASES.get(self._status, "")

    @property
    def ok(self) -> bool:
        """True for the status codes 200 to 299."""
        return 200 <= self._status <= 299

    @property
    def url(self) -> str:
        """Where it came from, after redirects; ``""`` for a response made here."""
        return self._url

    @property
    def redirected(self) -> bool:
        """True when ``fetch()`` followed a redirect."""
        return self._is_redirected

    @property
    def type(self) -> str:
        """Always ``"default"``: there are no cross-origin rules outside a browser."""
        return "default"

    @property
    def js_object(self) -> Self:
        """The response itself, which has JavaScript's names too."""
        return self

    @property
    def js_response(self) -> Self:
        """The response itself; Pyodide's name of ``js_object``."""
        return self

    def raise_for_status(self) -> None:
        """Raise when the status says that the request failed.

        Raises:
            OSError: the status code is 400 or higher.
        """
        if self._status >= 400:
            whose = "Client" if self._status < 500 else "Server"
            raise OSError(f"{self._status} {whose} Error: {self.status_text} for url: {self._url}")

    async def string(self) -> str:
        """Read the whole body as text; Pyodide's older name of ``text()``.

        Raises, cancellation: as ``bytes()``.
        """
        return await self.text()

    async def memoryview(self) -> memoryview:
        """Read the whole body.

        Raises, cancellation: as ``bytes()``.
        """
        return memoryview(await self.bytes())

    statusText = status_text  # noqa: N815 -- JavaScript's name

    def wire(self) -> tuple[int, RawHeaders, Payload]:
        """Return status, headers and body for the server; a body that is not bytes can be taken once.

        Raises:
            OSError: the body was read or sent already.
            TypeError: somebody else is reading it.
        """
        payload = self._payload
        headers = self._raw if self._headers is None else self._headers.raw()
        if payload.__class__ is bytes and not self._is_used:
            length = len(payload)
            entry = LENGTHS[length] if length < len(LENGTHS) else (b"content-length", b"%d" % length)
            if headers.__class__ is tuple:
                return self._status, [*headers, entry], payload
            kept = [pair for pair in headers if pair[0] not in FRAMING]
            kept.append(entry)
            return self._status, kept, payload
        return self._status, *self._wire_slowly(headers)

    def _wire_slowly(self, headers: Sequence[tuple[bytes, bytes]]) -> tuple[RawHeaders, Payload]:
        self._check_usable()
        payload = self._payload
        if payload is None:
            return self._headers_of_nothing(headers), b""
        kept = [pair for pair in headers if pair[0] != b"transfer-encoding"]
        if isinstance(payload, ReadableStream):
            payload = usable(payload)
            _pass_encoding_on(kept, payload)
        length = length_of(payload)
        if length is not None:
            kept = [*(pair for pair in kept if pair[0] != b"content-length"), (b"content-length", b"%d" % length)]
        self._is_used = not isinstance(payload, bytes)
        return kept, payload

    def _headers_of_nothing(self, headers: Sequence[tuple[bytes, bytes]]) -> RawHeaders:
        # An answer to HEAD may say how long the body would be, and 304 what it is (RFC 9110 §8.6).
        dropped = FRAMING if self._status in LENGTHLESS and self._status != NOT_MODIFIED else TRANSFER_ENCODING
        kept = [pair for pair in headers if pair[0] not in dropped]
        if self._status not in LENGTHLESS and not has_header(kept, b"content-length"):
            kept.append(LENGTHS[0])
        return kept


def _pass_encoding_on(headers: RawHeaders, payload: Payload) -> None:
    """Let a compressed body of ``fetch()`` that nobody has looked into go on as it came."""
    source = source_of(payload) if isinstance(payload, ReadableStream) else None
    if not isinstance(source, PulledSource):
        return
    encoding = source.content_encoding
    if encoding is not None and not has_header(headers, b"content-encoding"):
        source.undecoded()
        headers.append((b"content-encoding", encoding))
