"""What status codes mean for a ``Response``, and the checks of what a worker gives."""

from __future__ import annotations

from http import HTTPStatus
from typing import TYPE_CHECKING, Final

from longshore.workers._headers import encode_value

if TYPE_CHECKING:
    from longshore.workers._types import Payload

__all__ = ["LENGTHLESS", "NULL_BODY", "PHRASES", "REDIRECTS", "checked_payload", "checked_phrase", "checked_status"]

# WHATWG Fetch §2.2.3.
NULL_BODY: Final = frozenset({101, 204, 205, 304})
REDIRECTS: Final = frozenset({301, 302, 303, 307, 308})
# RFC 9110 §8.6: an answer with one of these says nothing about the length of a body.
LENGTHLESS: Final = frozenset({101, 204, 304})

PHRASES: Final = {status.value: status.phrase for status in HTTPStatus}


def checked_status(status: object) -> int:
    """Return a status code that a worker may answer with.

    Raises:
        TypeError: it is no int.
        ValueError: it is not between 200 and 599.
    """
    if not isinstance(status, int) or isinstance(status, bool):
        raise TypeError(f"status={status!r} of a Response must be an int")
    if not 200 <= status <= 599:
        hint = "; WebSockets are served by ASGI applications" if status == HTTPStatus.SWITCHING_PROTOCOLS else ""
        raise ValueError(f"status={int(status)} of a Response must be between 200 and 599{hint}")
    return int(status)


def checked_phrase(text: str) -> str:
    """Return a reason phrase, or raise ``TypeError`` when HTTP has no room for it."""
    try:
        encode_value("status_text", text)
    except TypeError as exc:
        raise TypeError(f"status_text={text!r} cannot be sent: {exc}") from exc
    return text


def checked_payload(status: int, payload: Payload | None) -> Payload | None:
    """Return the body that an answer with ``status`` has; an empty one counts as none.

    Raises:
        TypeError: there may be none, and there is one.
    """
    if status not in NULL_BODY or payload is None:
        return payload
    if payload == b"":
        return None
    raise TypeError(f"Response with null body status (101, 204, 205, or 304) cannot have a body: status={status}")
