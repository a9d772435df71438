"""``ctx``, away from the runtime."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from longshore.workers._context import RequestContext, current_context, current_request_id

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable


class Host:
    """A runtime that only keeps."""

    def __init__(self) -> None:
        self.named = 0
        self.kept: list[Awaitable[object]] = []

    def name_request(self, number: int) -> str:
        self.named += 1
        return f"id-{number}"

    def keep(self, awaitable: Awaitable[object], context: RequestContext) -> None:
        self.kept.append(awaitable)

    def before_end(self, callback: Callable[[], Awaitable[object]]) -> None: ...


SCOPE = {"method": "PUT", "path": "/a b", "raw_path": b"/a%20b", "query_string": b"x=1"}


def test_what_it_says_about_its_request() -> None:
    context = RequestContext(Host(), SCOPE, 7)
    assert (context.method, context.path, context.subject) == ("PUT", "/a%20b?x=1", "PUT /a%20b?x=1")
    assert repr(context) == "<RequestContext id-7: PUT /a%20b?x=1>"


@pytest.mark.parametrize(
    ("scope", "method", "path"),
    [
        ({"path": "/a b", "method": "GET"}, "GET", "/a%20b"),
        ({"type": "websocket", "path": "/"}, "GET", "/"),
        ({"method": "GET", "raw_path": b"/\xff", "path": "/"}, "GET", "/\xff"),
        ({}, "", ""),
    ],
)
def test_scopes_of_other_servers(scope: dict[str, Any], method: str, path: str) -> None:
    context = RequestContext(Host(), scope, 1)
    assert (context.method, context.path) == (method, path)


def test_id_is_made_when_it_is_asked_for() -> None:
    host = Host()
    context = RequestContext(host, SCOPE, 1)
    assert host.named == 0
    assert context.request_id == context.request_id == "id-1"
    assert host.named == 1


def test_subject_can_be_something_else() -> None:
    context = RequestContext(Host(), {}, 1)
    context.subject = "cron * * * * *"
    assert context.subject == "cron * * * * *"


def test_there_is_none_outside() -> None:
    assert current_context.get() is None
    assert current_request_id() == ""


def test_pass_through_on_exception_does_nothing() -> None:
    context = RequestContext(Host(), {}, 1)
    context.pass_through_on_exception()
    context.passThroughOnException()


def test_wait_until_hands_over_what_can_be_awaited() -> None:
    class Awaitable:
        def __await__(self) -> Any: ...

    host = Host()
    one = Awaitable()
    RequestContext(host, {}, 1).wait_until(one)
    assert host.kept == [one]
