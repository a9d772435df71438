"""``Request``: one that a client sent, or one for ``fetch()`` to send.

``incoming_request()`` is on the path of every request that a worker answers: it stores what the server gave and decodes
nothing. URL, method, headers and body are made when they are asked for.
"""

from __future__ import annotations

import re
from http import HTTPMethod
from typing import TYPE_CHECKING, Any, Final, cast
from urllib.parse import parse_qsl, unquote, urlsplit

from longshore.workers._extract import extract_body
from longshore.workers._headers import encode_headers, has_header
from longshore.workers._incoming_body import IncomingBody
from longshore.workers._javascript_streams import JsReadableStream
from longshore.workers._request_options import RequestOptions, checked_options
from longshore.workers._timed_receive import timed
from longshore.workers._url import incoming_url, normalize_url

if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Self

    from typing_extensions import Unpack

    from longshore.workers._incoming_body import Receive
    from longshore.workers._types import FetchKwargs, HeadersInit, Payload

__all__ = ["Request", "incoming_request"]

METHODS: Final = {method.value: method for method in HTTPMethod}
# WHATWG Fetch §2.2.1: these are written in capitals, whatever was given; others stay as they are.
NORMALIZED_METHODS: Final = frozenset({"DELETE", "GET", "HEAD", "OPTIONS", "POST", "PUT"})
FORBIDDEN_METHODS: Final = frozenset({"CONNECT", "TRACE", "TRACK"})
BODILESS_METHODS: Final = frozenset({"GET", "HEAD"})
_is_token = re.compile(r"[!#$%&'*+\-.^_`|~0-9A-Za-z]+").fullmatch

# A proxy passes redirects on; it does not follow them.
INCOMING_OPTIONS: Final[dict[str, Any]] = {"redirect": "manual"}


# Stands for a body that nobody asked for yet.
UNREAD: Final[Any] = object()


class Request(RequestOptions):
    """An HTTP request.

    Args:
        input: the URL, or a request to copy; the copy takes its body over.
        **options: ``method``, ``headers``, ``body``, ``redirect``, ``cf``, ``signal`` and the other options of the
            Fetch standard, which replace what the copied request says.

    Raises:
        TypeError: the URL is not absolute, an option is unknown, a method or header is not allowed, or GET has a body.
        OSError: the body of the request to copy was read already.
    """

    __slots__ = ("_body_timeout_s", "_method", "_receive", "_scope", "_url")

    _scope: Mapping[str, Any] | None
    _receive: Receive | None
    _url: str | None
    _method: str | None
    _body_timeout_s: float

    def __init__(
        self,
        input: Request | str,  # noqa: A002 -- the name of the standard, used as a keyword
        **options: Unpack[FetchKwargs],
    ) -> None:
        given: dict[str, Any] = {**options}
        method, headers, body = given.pop("method", None), given.pop("headers", None), given.pop("body", None)
        checked = checked_options(given)
        self._scope = self._receive = self._headers = None
        self._payload = None
        self._is_used = False
        self._raw = []
        if isinstance(input, Request):
            self._copy(input, takes_body=body is None)
        elif isinstance(input, str):
            self._url, self._method, self._options = normalize_url(input), "GET", {}
        else:
            raise TypeError(f"input={input!r} of Request() must be a str or a Request")
        if method is not None:
            self._method = _checked_method(method)
        self._options = {**self._options, **checked}
        self._set_headers_and_body(headers, body)

    def _copy(self, other: Request, *, takes_body: bool) -> None:
        self._url, self._method, self._options = other.url, str(other.method), other._options
        self._raw = other.headers.raw()
        if takes_body:
            other._check_usable()
            self._payload = other._load()
            other._is_used = self._payload is not None

    def _set_headers_and_body(self, headers: HeadersInit | None, body: Any) -> None:
        if headers is not None:
            self._raw = encode_headers(headers)
        if body is not None:
            self._payload, content_type, _ = extract_body(body, "Request")
            if content_type is not None and not has_header(self._raw, b"content-type"):
                self._raw = [*self._raw, (b"content-type", content_type.encode("latin-1"))]
        if self._payload is not None and self._method in BODILESS_METHODS:
            raise TypeError(f"a {self._method} request cannot have a body: give method='POST', or another")

    # -- what it asks for ------------------------------------------------------------------------

    @property
    def url(self) -> str:
        """The whole URL, percent-encoded as it was sent."""
        url = self._url
        if url is None:
            url = self._url = incoming_url(self._known_scope())
        return url

    @property
    def method(self) -> HTTPMethod | str:
        """The method; one that HTTP's registry does not know is a plain str."""
        method = self._method
        if method is None:
            method = self._method = self._known_scope()["method"]
        return METHODS.get(method, method)

    @property
    def path(self) -> str:
        """The path of the URL, decoded: it may hold any character, line ends too."""
        if self._scope is not None:
            return cast("str", self._scope["path"])
        return unquote(urlsplit(self.url).path)

    @property
    def query(self) -> list[tuple[str, str]]:
        """The parameters of the URL, decoded, in order; ``dict(request.query)`` when no name occurs twice."""
        if self._scope is not None:
            text = self._scope.get("query_string", b"").decode("latin-1")
        else:
            text = urlsplit(self.url).query
        return parse_qsl(text, keep_blank_values=True, errors="replace")

    @property
    def client(self) -> tuple[str, int] | None:
        """Address and port of the client, or None: there is none for a request made here."""
        found = self._scope.get("client") if self._scope is not None else None
        return None if found is None else (found[0], found[1])

    # -- the body --------------------------------------------------------------------------------

    async def json(self, **kwargs: Any) -> Any:
        """Read the whole body as JSON.

        Args:
            **kwargs: passed to ``json.loads``.

        Raises:
            ValueError: it is no JSON.
            OSError, LimitExceeded: as ``bytes()``.

        Cancellation: safe, but the body is used up.
        """
        return await self._parse_json(**kwargs)

    def clone(self) -> Request:
        """Return a copy; both have the whole body, and each may be read first.

        Raises:
            OSError: the body was read already.
        """
        payload = self._share()
        copy = Request.__new__(Request)
        copy._scope, copy._receive, copy._options = self._scope, None, self._options
        copy._url, copy._method = self._url, self._method
        copy._raw = self._raw
        copy._headers = None if self._headers is None else self._headers.copy()
        copy._payload, copy._is_used = payload, False
        return copy

    @property
    def js_object(self) -> Self:
        """The request itself, which has JavaScript's names too."""
        return self

    def __repr__(self) -> str:
        return f"Request(method={str(self.method)!r}, url={self.url!r})"

    # -- inside ----------------------------------------------------------------------------------

    def _known_scope(self) -> Mapping[str, Any]:
        assert self._scope is not None, "a request without a scope was given its URL and method"
        return self._scope

    def _load(self) -> Payload | None:
        if self._payload is UNREAD:
            assert self._receive is not None, "an unread body has a channel"
            incoming = _incoming_body(self._known_scope(), self._receive, self._body_timeout_s)
            self._payload = None if incoming is None else JsReadableStream(incoming)
        return self._payload


def incoming_request(scope: Mapping[str, Any], receive: Receive, body_timeout_s: float = 0.0) -> Request:
    """Return the request that an ASGI server received.

    Args:
        scope: of type ``http``.
        receive: nobody else may call it while the body is being read.
        body_timeout_s: how long a read of the body may wait for the client; 0 is without a limit.
    """
    request = Request.__new__(Request)
    request._scope = scope
    request._receive = receive
    request._body_timeout_s = body_timeout_s
    request._url = request._method = request._headers = None
    request._raw = scope["headers"]
    request._options = INCOMING_OPTIONS
    request._payload = UNREAD
    request._is_used = False
    return request


def _incoming_body(scope: Mapping[str, Any], receive: Receive, timeout_s: float) -> IncomingBody | None:
    """RFC 9112 §6: in HTTP/1 a length or a transfer coding says that there is a body."""
    length, is_coded = None, scope.get("http_version", "1.1")[0] not in "01"
    for name, value in scope["headers"]:
        if name == b"content-length":
            length = int(value) if value.isdigit() else None
        elif name == b"transfer-encoding":
            is_coded = True
    if length is None and not is_coded:
        return None
    if length == 0 and scope["method"] in BODILESS_METHODS:
        return None
    return IncomingBody(timed(receive, timeout_s), length)


def _checked_method(method: object) -> str:
    if not isinstance(method, str) or not _is_token(method):
        raise TypeError(f"method {method!r} is not allowed in HTTP")
    upper = method.upper()
    if upper in FORBIDDEN_METHODS:
        raise TypeError(f"method {method!r} cannot be used: it would reach the proxies in between, not the server")
    return upper if upper in NORMALIZED_METHODS else str.__str__(method)
