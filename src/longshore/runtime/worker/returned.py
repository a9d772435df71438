"""Judges what a ``fetch`` handler returned."""

from __future__ import annotations

import inspect
from typing import TYPE_CHECKING, Any

from longshore.workers._response import FetchResponse

if TYPE_CHECKING:
    from longshore.runtime.worker.entry import Entry

__all__ = ["response_of"]

HINTS: dict[type, str] = {
    str: "return Response(text)",
    bytes: "return Response(data)",
    bytearray: "return Response(data)",
    dict: "return Response.json(data)",
    list: "return Response.json(data)",
    int: 'return Response("", status=...)',
}


async def response_of(answer: Any, entry: Entry) -> FetchResponse:
    """Return the response in ``answer``, which may be awaitable.

    Args:
        answer: what the handler returned.
        entry: says where the handler is.

    Raises:
        TypeError: it is no ``Response``; the message says what to return instead.
    """
    if inspect.isawaitable(answer):
        answer = await answer
    if isinstance(answer, FetchResponse):
        return answer
    raise _wrong(answer, entry)


def _wrong(answer: Any, entry: Entry) -> TypeError:
    if answer is None:
        what = "None: is a return missing?"
    elif inspect.isasyncgen(answer) or inspect.isgenerator(answer):
        what = f"a {type(answer).__name__}: give it to a Response, return Response(chunks())"
    else:
        hint = next((hint for kind, hint in HINTS.items() if isinstance(answer, kind)), 'return Response("...")')
        what = f"{type(answer).__name__}: {hint}"
    error = TypeError(f"the fetch handler must return a Response; it returned {what}")
    if entry.where:
        error.add_note(f"the handler is {entry.where}")
    return error
