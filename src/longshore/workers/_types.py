"""Names for annotations: what the SDK's functions take."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeAlias, TypedDict

if TYPE_CHECKING:
    from collections.abc import AsyncIterable, Mapping, Sequence
    from http import HTTPMethod

    from longshore.aio.abort import AbortSignal
    from longshore.sockets._readable import ReadableStream
    from longshore.workers._blob import Blob
    from longshore.workers._form_data import FormData
    from longshore.workers._headers import Headers

__all__ = ["Body", "FetchKwargs", "HeadersInit", "JSBody", "Payload", "RequestInitCfProperties"]


JSBody: TypeAlias = (
    "bytes | bytearray | memoryview | Blob | FormData | ReadableStream | AsyncIterable[bytes] | AsyncIterable[str]"
)
"""What a body may be apart from text; the name is Cloudflare's."""

Body: TypeAlias = "str | JSBody | None"
"""What a body may be."""

Payload: TypeAlias = "bytes | ReadableStream | AsyncIterable[bytes]"
"""What a body is once it is ready to be sent."""

HeadersInit: TypeAlias = "Headers | Mapping[str, str | int | float] | Sequence[tuple[str, str | int | float]]"
"""What headers may be made of."""


class RequestInitCfProperties(TypedDict, total=False):
    """``cf=`` of ``fetch()``: instructions to Cloudflare's network, which have no effect elsewhere."""

    apps: bool | None
    cacheEverything: bool | None
    cacheKey: str | None
    cacheTags: list[str] | None
    cacheTtl: int
    cacheTtlByStatus: dict[str, int]
    image: Any | None
    mirage: bool | None
    polish: str | None
    resolveOverride: str | None
    scrapeShield: bool | None
    webp: bool | None


class FetchKwargs(TypedDict, total=False):
    """The keyword arguments of ``fetch()`` and ``Request()``."""

    headers: HeadersInit | None
    body: Body
    method: HTTPMethod | str | None
    redirect: str | None
    cf: RequestInitCfProperties | None
    fetcher: Any
    signal: AbortSignal | None
    cache: str | None
    credentials: str | None
    integrity: str | None
    keepalive: bool | None
    mode: str | None
    referrer: str | None
    referrer_policy: str | None
