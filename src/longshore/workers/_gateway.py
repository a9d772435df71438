"""What the ASGI and the WSGI adapter have in common."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, get_args

__all__ = ["BaseOptions", "EncodeBody"]

EncodeBody = Literal["automatic", "manual"]


@dataclass(frozen=True, kw_only=True)
class BaseOptions:
    """Options of an adapter.

    Raises:
        ValueError: a value is not one of those allowed.
    """

    encode_body: EncodeBody = "automatic"
    """Whether Cloudflare's runtime compresses a body that has ``Content-Encoding``. This one sends bodies as the
    application made them, which is ``"manual"``, whatever is said here."""

    def __post_init__(self) -> None:
        if self.encode_body not in get_args(EncodeBody):
            raise ValueError(f"encode_body must be one of {get_args(EncodeBody)}, got {self.encode_body!r}")
