"""``python_to_rpc()`` and ``python_from_rpc()``: which values may leave a worker, and how they arrive.

In Cloudflare's runtime they turn Python values into JavaScript's and back. Here both ends are Python, so what is left
of them is their judgement and the copy that they make.
"""

from __future__ import annotations

import inspect
import re
from typing import Any

from longshore.workers._json_values import as_json_value

__all__ = ["python_from_rpc", "python_to_rpc"]


def python_from_rpc(value: Any) -> Any:
    """Return ``value`` as a caller gets it: dicts have attribute access, everything else stays.

    Args:
        value: what a remote method returned.
    """
    return as_json_value(value)


def python_to_rpc(value: Any) -> Any:
    """Return a copy of ``value`` to send; objects of the SDK, functions and scalars go as they are.

    Args:
        value: an argument or a result of a remote method.

    Raises:
        TypeError: it is, or holds, a tuple, a bytearray, a regular expression or an awaitable.
    """
    _check(value)
    if isinstance(value, dict):
        return {name: python_to_rpc(inner) for name, inner in value.items()}
    if isinstance(value, list):
        return [python_to_rpc(inner) for inner in value]
    return value


def _check(value: Any) -> None:
    if isinstance(value, re.Pattern):
        raise TypeError("RegExp cannot be sent over RPC.")
    if isinstance(value, (tuple, bytearray)):
        raise TypeError(f"{type(value)} cannot be sent over RPC.")
    if inspect.isawaitable(value):
        raise TypeError(f"Awaitable {type(value)} cannot be sent over RPC.")
    if isinstance(value, (set, frozenset)):
        for inner in value:
            _check(inner)
