"""``python_to_rpc()`` and ``python_from_rpc()``: the texts of Cloudflare's SDK, ``workflows`` beside them."""

from __future__ import annotations

import datetime as dt
import re
from typing import Any

import pytest

from longshore.workers._rpc import python_from_rpc, python_to_rpc
from longshore.workers.workflows import NonRetryableError


async def _work() -> None:
    pass


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ((1, 2), "<class 'tuple'> cannot be sent over RPC."),
        (bytearray(b"x"), "<class 'bytearray'> cannot be sent over RPC."),
        (re.compile("x"), "RegExp cannot be sent over RPC."),
        ([{"a": [(1,)]}], "<class 'tuple'> cannot be sent over RPC."),
        ({(1, 2)}, "<class 'tuple'> cannot be sent over RPC."),
        ({"a": bytearray()}, "<class 'bytearray'> cannot be sent over RPC."),
    ],
)
def test_what_cannot_be_sent(value: Any, text: str) -> None:
    with pytest.raises(TypeError) as caught:
        python_to_rpc(value)
    assert str(caught.value) == text


def test_an_awaitable_cannot_be_sent() -> None:
    work = _work()
    with pytest.raises(TypeError) as caught:
        python_to_rpc([work])
    assert str(caught.value) == "Awaitable <class 'coroutine'> cannot be sent over RPC."
    work.close()


def test_plain_values_arrive_as_they_were() -> None:
    now = dt.datetime(2025, 1, 1, tzinfo=dt.UTC)
    for value in (None, 1, 1.5, "text", b"bytes", True, now, {1, 2}, [1, [2]], {"a": {"b": None}}):
        assert python_from_rpc(python_to_rpc(value)) == value


def test_dicts_arrive_with_attributes() -> None:
    """Cloudflare's ``results.results[0]``."""
    answer = python_from_rpc(python_to_rpc({"results": [{"id": 7}]}))
    assert answer.results[0].id == 7
    assert answer["results"][0]["id"] == 7


def test_what_is_sent_is_a_copy() -> None:
    mine: dict[str, Any] = {"list": [1]}
    sent = python_to_rpc(mine)
    sent["list"].append(2)
    assert mine == {"list": [1]}


def test_functions_and_objects_go_as_they_are() -> None:
    error = ValueError("x")
    assert python_to_rpc(_work) is _work
    assert python_to_rpc([error])[0] is error


def test_workflows_has_its_exception() -> None:
    assert issubclass(NonRetryableError, Exception)
