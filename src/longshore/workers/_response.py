"""``Response``, and ``FetchResponse``, which is all of it but the constructor.

``Response("…")`` is on the path of every request that a worker answers: the headers of a body whose type is known are
shared tuples, and nothing is made that nobody asked for.
"""

from __future__ import annotations

from http import HTTPStatus
from typing import TYPE_CHECKING, Any, Final, Protocol, overload

from longshore.workers._blob import encode_text
from longshore.workers._extract import TEXT_TYPE, extract_body
from longshore.workers._headers import encode_headers, has_header
from longshore.workers._json import to_json
from longshore.workers._response_wire import SentResponse
from longshore.workers._status import NULL_BODY, REDIRECTS, checked_payload, checked_phrase, checked_status
from longshore.workers._url import redirect_location

if TYPE_CHECKING:
    from collections.abc import Coroutine, Iterable

    from longshore.sockets._readable import ReadableStream
    from longshore.workers._types import Body, HeadersInit, Payload

__all__ = ["FetchResponse", "Response", "received_response"]

TEXT_ONLY: Final = ((b"content-type", TEXT_TYPE.encode()),)
JSON_ONLY: Final = ((b"content-type", b"application/json"),)
NO_HEADERS: Final = ()

# RFC 9110 §7.6.1: what one connection says is not for the next one.
HOP_BY_HOP: Final = frozenset(
    {b"connection", b"keep-alive", b"proxy-connection", b"te", b"trailer", b"transfer-encoding", b"upgrade"}
)


class _Json(Protocol):
    """``response.json()`` reads the body; ``Response.json(data)`` makes a response."""

    @overload
    def __get__(self, instance: None, owner: type) -> _MakeJson: ...
    @overload
    def __get__(self, instance: FetchResponse, owner: type) -> _ReadJson: ...


class _MakeJson(Protocol):
    def __call__(
        self,
        data: Any,
        status: HTTPStatus | int = HTTPStatus.OK,
        status_text: str = "",
        headers: HeadersInit | None = None,
    ) -> Response: ...


class _ReadJson(Protocol):
    def __call__(self, **kwargs: Any) -> Coroutine[Any, Any, Any]: ...


class FetchResponse(SentResponse):
    """An HTTP response: its properties, its body, and the static methods that make one."""

    __slots__ = ()

    def clone(self) -> Response:
        """Return a copy; both have the whole body, and each may be read first.

        Raises:
            OSError: the body was read already.
        """
        return self._copy(self._share())

    def replace_body(self, body: Body) -> Response:
        """Return a response with the same status and headers and another body.

        Raises:
            TypeError: as ``Response()``.
        """
        payload, content_type, _ = extract_body(body)
        copy = self._copy(checked_payload(self._status, payload))
        if content_type is not None and "content-type" not in copy.headers:
            copy.headers["content-type"] = content_type
        return copy

    def _copy(self, payload: Payload | None) -> Response:
        copy = Response.__new__(Response)
        copy._status, copy._status_text = self._status, self._status_text
        copy._url, copy._is_redirected = self._url, self._is_redirected
        copy._raw = self._raw
        copy._headers = None if self._headers is None else self._headers.copy()
        copy._payload, copy._is_used = payload, False
        return copy

    # -- that make responses ---------------------------------------------------------------------

    @staticmethod
    def redirect(url: str, status: HTTPStatus | int = HTTPStatus.FOUND) -> Response:
        """Return a redirect.

        Args:
            url: where to; absolute, or relative to the request's.
            status: 301, 302, 303, 307 or 308.

        Raises:
            ValueError: ``status`` is not that of a redirect.
            TypeError: ``url`` is empty or not valid.
        """
        if status not in REDIRECTS:
            raise ValueError(
                f"{int(status)} is not a redirect status code. It must be one of: 301, 302, 303, 307, or 308."
            )
        return Response(None, status, headers={"location": redirect_location(url)})

    @staticmethod
    def from_json(
        data: Any, status: HTTPStatus | int = HTTPStatus.OK, status_text: str = "", headers: HeadersInit | None = None
    ) -> Response:
        """Return ``data`` as JSON; ``Response.json(data)`` does the same.

        Args:
            data: what ``json.dumps`` takes; also dates, ``Decimal`` and ``UUID``.
            status: the status code.
            status_text: the reason phrase.
            headers: more headers; a content type among them replaces ``application/json``.

        Raises:
            TypeError: ``data`` has no JSON form, or a header is not allowed.
            ValueError: the status code is not between 200 and 599.
        """
        response = Response(to_json(data), status, status_text, headers)
        if not headers:
            response._raw = JSON_ONLY
        elif not has_header(response._raw, b"content-type"):
            response._raw = [*response._raw, *JSON_ONLY]
        return response

    if TYPE_CHECKING:
        json: _Json
    else:
        # What it is called on decides what its first argument is, as in Cloudflare's SDK; `_Json` has its types.
        def json(  # noqa: D417 -- from_json() describes the arguments
            data: Any,  # noqa: N805 -- see above
            status: HTTPStatus | int = HTTPStatus.OK,
            status_text: str = "",
            headers: HeadersInit | None = None,
            **kwargs: Any,
        ) -> Any:
            """Read the whole body as JSON, or, called on the class, return a response that is ``data`` as JSON.

            Args:
                data: see ``from_json()``, as for the arguments behind it.
                **kwargs: for a body that is read: passed to ``json.loads``.

            Raises, cancellation: as ``from_json()``; as ``bytes()``, and ``ValueError`` when the body is no JSON.
            """
            if isinstance(data, FetchResponse):
                return data._parse_json(**kwargs)
            if kwargs:
                raise TypeError(f"Response.json() got an unexpected keyword argument {min(kwargs)!r}")
            return FetchResponse.from_json(data, status, status_text, headers)

    replaceBody = replace_body  # noqa: N815 -- JavaScript's name
    fromJson = from_json  # noqa: N815 -- JavaScript's name


class Response(FetchResponse):
    """The answer to a request.

    Args:
        body: text, bytes, a ``Blob``, a ``FormData``, a ``ReadableStream`` (``socket.readable``), an async iterator
            of bytes or text, None, or another response, of which this becomes a copy that takes its body over.
        status: the status code, 200 unless given.
        status_text: the reason phrase; HTTP/1 servers send the usual one of the status code.
        headers: a mapping, a ``Headers`` or a list of pairs.
        web_socket: must be None; WebSockets are served by ASGI applications.

    Raises:
        TypeError: the body is something else, a header is not allowed, or a status that has no body (204, 205, 304) has
            one.
        ValueError: the status code is not between 200 and 599, or options come with another response.
    """

    __slots__ = ()

    def __init__(
        self,
        body: Body | FetchResponse = None,
        status: HTTPStatus | int | None = None,
        status_text: str = "",
        headers: HeadersInit | None = None,
        web_socket: None = None,
    ) -> None:
        self._status = 200 if status is None else checked_status(status)
        self._url = self._status_text = ""
        self._is_redirected = self._is_used = False
        self._headers = None
        if body.__class__ is str:
            self._payload = encode_text(body)
            self._raw = TEXT_ONLY
        elif body.__class__ is bytes:
            self._payload = body
            self._raw = NO_HEADERS
        elif isinstance(body, FetchResponse):
            self._become(body, has_options=status is not None or bool(status_text) or bool(headers))
            return
        else:
            self._payload, content_type, _ = extract_body(body)
            self._raw = NO_HEADERS if content_type is None else ((b"content-type", content_type.encode("latin-1")),)
        if headers:
            self._add_headers(headers)
        if status_text:
            self._status_text = checked_phrase(status_text)
        if self._status in NULL_BODY:
            self._drop_empty_body()
        if web_socket is not None:
            raise TypeError("web_socket is not supported: serve WebSockets from an ASGI application")

    def _become(self, other: FetchResponse, *, has_options: bool) -> None:
        if has_options:
            raise ValueError(
                "Expected no options when constructing Response from a Response; "
                "to change it, write Response(other.body, status=…, headers=other.headers)"
            )
        other._check_usable()
        self._status, self._status_text = other._status, other._status_text
        self._url, self._is_redirected = other._url, other._is_redirected
        self._raw = other._raw
        self._headers = None if other._headers is None else other._headers.copy()
        self._payload = other._payload
        other._is_used = not (self._payload is None or isinstance(self._payload, bytes))

    def _add_headers(self, headers: HeadersInit) -> None:
        raw = encode_headers(headers)
        if self._raw and not has_header(raw, b"content-type"):
            raw += self._raw
        self._raw = raw

    def _drop_empty_body(self) -> None:
        self._payload = checked_payload(self._status, self._payload)
        if self._raw is TEXT_ONLY:
            self._raw = NO_HEADERS

    def __repr__(self) -> str:
        shown = [f"status={self._status}"]
        if self.status_text:
            shown.append(f"status_text={self.status_text!r}")
        content_type = self._content_type()
        if content_type is not None:
            shown.append(f"content_type={content_type!r}")
        if self._url:
            shown.append(f"url={self._url!r}")
        return f"Response({', '.join(shown)})"


def received_response(
    status: int,
    headers: Iterable[tuple[bytes, bytes]],
    body: ReadableStream | bytes | None,
    *,
    url: str,
    status_text: str = "",
    is_redirected: bool = False,
    is_decoded: bool = False,
) -> Response:
    """Return the response that ``fetch()`` got.

    Args:
        status: any code that HTTP allows.
        headers: as they arrived, names in lower case; those for the one connection are left out.
        body: None when there is none.
        url: where it came from, after redirects.
        status_text: the reason phrase.
        is_redirected: a redirect was followed.
        is_decoded: ``body`` is no longer compressed, so what the headers say about that and the length is left out.
    """
    dropped = HOP_BY_HOP | {b"content-encoding", b"content-length"} if is_decoded else HOP_BY_HOP
    response = Response.__new__(Response)
    response._status, response._status_text = status, status_text
    response._url, response._is_redirected = url, is_redirected
    response._raw = [pair for pair in headers if pair[0] not in dropped]
    response._headers = None
    response._payload, response._is_used = body, False
    return response
