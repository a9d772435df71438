"""``handler``: the decorator of the module style."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

__all__ = ["handler"]

Handler = TypeVar("Handler", bound="Callable[..., Any]")


def handler(function: Handler) -> Handler:
    """Mark a handler of the module style, such as ``on_fetch``.

    In Cloudflare's runtime it turns JavaScript arguments into Python ones. Here every handler gets Python objects, so
    the function is returned as it is.

    Args:
        function: the handler.
    """
    return function
