"""``fetch()`` against a real server: what goes out, what comes back, redirects, errors."""

from __future__ import annotations

import asyncio
import json
import sys
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

import pytest

from longshore import (
    AbortController,
    AbortSignal,
    ConnectError,
    DirectDialer,
    EgressPolicy,
    PolicyDenied,
    ResetError,
    TlsError,
    set_default_dialer,
)
from longshore.workers import Headers, Request, Response, fetch
from longshore.workers._fetch import aclose_fetch_clients
from tests.adapters.http_app import HttpApp
from tests.loopback import refusing_address
from tests.workers.web import Web, serving

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from tests.certificates import CertificateFiles


@asynccontextmanager
async def web() -> AsyncIterator[tuple[Web, str]]:
    """Give an application and where it is; end with no connection of ``fetch()`` left."""
    app = Web()
    async with serving(app) as url:
        try:
            yield app, url
        finally:
            await aclose_fetch_clients()


async def sent_to(url: str, **options: Any) -> dict[str, str]:
    """Return the headers that the server got."""
    response = await fetch(f"{url}/echo", **options)
    await response.bytes()
    sent: dict[str, str] = json.loads(response.headers["x-sent"])
    return sent


# -- plain use -----------------------------------------------------------------------------------


async def test_the_response_is_one_of_the_sdk() -> None:
    async with web() as (_, url):
        response = await fetch(f"{url}/hello")
        assert isinstance(response, Response)
        assert (response.status, response.status_text, response.ok) == (200, "OK", True)
        assert response.url == f"{url}/hello"
        assert not response.redirected
        assert response.headers["content-type"] == "text/plain"
        assert [response.body_used, await response.text(), response.body_used] == [False, "hello", True]
        with pytest.raises(OSError, match=r"^Body already used$"):
            await response.text()


async def test_a_header_that_nobody_could_pass_on_is_an_error(caplog: pytest.LogCaptureFixture) -> None:
    async with web() as (_, url):
        with pytest.raises(OSError, match=r"the header 'x-odd' of its response holds '\\x01', and control characters"):
            await fetch(f"{url}/control")


async def test_the_body_of_a_request_goes_out_with_its_type_and_length() -> None:
    async with web() as (_, url):
        for body, content_type, length in (
            ("text ü", "text/plain;charset=UTF-8", "7"),
            (b"bytes", None, "5"),
            (bytearray(b"bytes"), None, "5"),
            ("", "text/plain;charset=UTF-8", "0"),
        ):
            response = await fetch(f"{url}/echo", method="POST", body=body)
            assert await response.bytes() == (body.encode() if isinstance(body, str) else body)
            sent = json.loads(response.headers["x-sent"])
            assert (sent.get("content-type"), sent["content-length"]) == (content_type, length)


async def test_a_stream_goes_out_in_chunks() -> None:
    async def numbers() -> AsyncIterator[bytes]:
        for number in range(3):
            yield b"%d " % number

    async with web() as (_, url):
        response = await fetch(f"{url}/echo", method="PUT", body=numbers())
        assert await response.text() == "0 1 2 "
        sent = json.loads(response.headers["x-sent"])
        assert sent["transfer-encoding"] == "chunked"
        assert "content-length" not in sent


async def test_an_error_in_the_stream_that_is_sent_is_the_callers() -> None:
    async def broken() -> AsyncIterator[bytes]:
        yield b"some"
        raise ValueError("no more")

    async with web() as (_, url):
        with pytest.raises(ValueError, match="no more"):
            await fetch(f"{url}/echo", method="POST", body=broken())


async def test_a_post_without_a_body_says_so() -> None:
    async with web() as (_, url):
        assert (await sent_to(url, method="POST"))["content-length"] == "0"
        assert "content-length" not in await sent_to(url)


async def test_headers_go_out_as_given_and_those_of_the_connection_do_not() -> None:
    given = {
        "X-Number": 123,
        "Authorization": "Basic x",
        "Cookie": "a=b",
        "Host": "elsewhere.example",
        "Connection": "close, x-hop",
        "X-Hop": "dropped",
        "Transfer-Encoding": "chunked",
        "Upgrade": "h2c",
        "Content-Length": "99",
    }
    async with web() as (_, url):
        sent = await sent_to(url, headers=given)
        assert sent["x-number"] == "123"
        assert (sent["authorization"], sent["cookie"]) == ("Basic x", "a=b")
        assert sent["host"] == url.removeprefix("http://")
        assert sent.keys().isdisjoint({"x-hop", "transfer-encoding", "upgrade", "content-length"})
        assert (sent["accept"], sent["user-agent"]) == ("*/*", "longshore")
        sent = await sent_to(url, headers=[("Accept", "text/html"), ("User-Agent", "mine")])
        assert (sent["accept"], sent["user-agent"]) == ("text/html", "mine")
        sent = await sent_to(url, headers=Headers({"A": "1"}))
        assert sent["a"] == "1"


async def test_cookies_are_seen_and_never_stored() -> None:
    async with web() as (_, url):
        response = await fetch(f"{url}/cookies")
        assert response.headers.get_all("set-cookie") == ["a=1", "b=2; Path=/"]
        await response.bytes()
        assert "cookie" not in await sent_to(url)


async def test_the_environment_sets_no_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    with refusing_address() as nobody:
        for name in ("http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"):
            monkeypatch.setenv(name, f"http://{nobody}")
        async with web() as (_, url):
            assert await (await fetch(f"{url}/hello")).text() == "hello"


async def test_a_request_can_be_given_and_changed() -> None:
    async with web() as (_, url):
        request = Request(f"{url}/echo", method="POST", body="mine", headers={"a": "1"})
        response = await fetch(request)
        assert await response.text() == "mine"
        assert request.body_used
        with pytest.raises(OSError, match=r"^Body already used$"):
            await fetch(request)
        request = Request(f"{url}/echo", method="POST", body="mine", headers={"a": "1"})
        response = await fetch(request, headers={"b": "2"}, method="PUT")
        assert await response.text() == "mine"
        sent = json.loads(response.headers["x-sent"])
        assert sent["b"] == "2"
        assert "a" not in sent
        assert response.headers["x-method"] == "PUT"


async def test_what_steers_browsers_and_cloudflare_has_no_effect() -> None:
    async with web() as (_, url):
        response = await fetch(
            f"{url}/hello", cf={"cacheTtl": 5}, cache="no-store", credentials="omit", mode="cors", keepalive=True
        )
        assert await response.text() == "hello"


async def test_statuses_without_a_body_have_none() -> None:
    async with web() as (app, url):
        for path, method in (("/status/204", "GET"), ("/status/304", "GET"), ("/hello", "HEAD")):
            response = await fetch(url + path, method=method)
            assert response.body is None
            assert await response.bytes() == b""
        assert len(app.clients) == 1, "the connection was used again"


async def test_tls_is_verified(
    server_cert_files: CertificateFiles, ca_file: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with serving(Web(), server_cert_files) as url:
        with pytest.raises(TlsError) as caught:
            await fetch(f"{url}/hello")
        assert caught.value.verify_reason
        await aclose_fetch_clients()
    monkeypatch.setenv("SSL_CERT_FILE", str(ca_file))
    from longshore.net.tls_context import _cached_context  # noqa: PLC0415 - the variable is read when it is made

    _cached_context.cache_clear()
    try:
        async with serving(Web(), server_cert_files) as url:
            assert await (await fetch(f"{url}/hello")).text() == "hello"
            await aclose_fetch_clients()
    finally:
        _cached_context.cache_clear()


# -- connections ---------------------------------------------------------------------------------


async def test_connections_are_used_again() -> None:
    async with web() as (app, url):
        for _ in range(5):
            assert await (await fetch(f"{url}/hello")).text() == "hello"
        assert len(app.clients) == 1


async def test_many_requests_at_once() -> None:
    async with web() as (app, url):
        responses = await asyncio.gather(*(fetch(f"{url}/hello") for _ in range(150)))
        assert {await response.text() for response in responses} == {"hello"}
        assert len(app.clients) > 100, "more than httpx's usual limit"


async def test_a_kept_connection_that_the_server_has_closed_costs_nothing() -> None:
    """The server reads the request and hangs up; one that may be repeated is, on a new connection."""
    async with HttpApp() as app:
        url = f"http://127.0.0.1:{app.port}"
        await (await fetch(f"{url}/ping")).bytes()
        with pytest.raises(ResetError):
            await fetch(f"{url}/destroy", method="POST", body=b"once")
        assert app.connection_count == 1
        await (await fetch(f"{url}/ping")).bytes()
        with pytest.raises(ResetError):
            await fetch(f"{url}/destroy")
        assert app.connection_count == 3, "the second attempt was made on a connection of its own, and was the last"
        await aclose_fetch_clients()


async def test_the_clients_of_a_loop_can_be_closed_and_come_back() -> None:
    async with web() as (app, url):
        for count in (1, 2):
            await (await fetch(f"{url}/hello")).bytes()
            await aclose_fetch_clients()
            assert len(app.clients) == count
        await aclose_fetch_clients()


def test_httpx_is_imported_with_the_first_request() -> None:
    code = "import sys; import longshore.workers; assert 'httpx' not in sys.modules and 'httpcore' not in sys.modules"
    import subprocess  # noqa: PLC0415 - used here only

    subprocess.run([sys.executable, "-c", code], check=True)


# -- redirects -----------------------------------------------------------------------------------


async def test_redirects_are_followed() -> None:
    async with web() as (app, url):
        response = await fetch(f"{url}/loop/20")
        assert (response.status, response.redirected, response.url) == (200, True, f"{url}/loop/0")
        assert await response.bytes() == b""
        with pytest.raises(OSError, match=f"fetch of '{url}/loop/21' failed: more than 20 redirects"):
            await fetch(f"{url}/loop/21")
        assert len(app.clients) == 1, "the bodies of redirects were read, so that their connection was used again"


async def test_a_redirect_may_be_shown_or_refused() -> None:
    async with web() as (_, url):
        response = await fetch(f"{url}/to/302?/hello", redirect="manual")
        assert (response.status, response.headers["location"], response.redirected) == (302, "/hello", False)
        assert await response.text() == "moved"
        with pytest.raises(OSError, match="it redirects to '/hello', and redirect is 'error'"):
            await fetch(f"{url}/to/302?/hello", redirect="error")
        with pytest.raises(TypeError, match="redirect='never'"):
            await fetch(f"{url}/hello", redirect="never")


REDIRECTED_METHODS = [
    ("POST", 301, "GET"),
    ("POST", 302, "GET"),
    ("POST", 303, "GET"),
    ("POST", 307, "POST"),
    ("POST", 308, "POST"),
    ("PUT", 302, "PUT"),
    ("PUT", 303, "GET"),
    ("HEAD", 303, "HEAD"),
    ("GET", 302, "GET"),
]


@pytest.mark.parametrize(("method", "status", "then"), REDIRECTED_METHODS)
async def test_the_method_after_a_redirect(method: str, status: int, then: str) -> None:
    """WHATWG Fetch, HTTP-redirect fetch, step 12."""
    body = "payload" if method in ("POST", "PUT") else None
    async with web() as (app, url):
        response = await fetch(f"{url}/to/{status}?/echo", method=method, body=body)
        assert app.requests[-1] == (then, "/echo")
        sent = json.loads(response.headers["x-sent"])
        is_sent_again = body is not None and then == method
        assert await response.text() == ("payload" if is_sent_again else "")
        assert ("content-type" in sent) == is_sent_again


async def test_credentials_are_not_carried_to_another_origin() -> None:
    given = {"Authorization": "secret", "Cookie": "secret", "X-Mine": "1"}
    async with web() as (_, url), serving(Web()) as other:
        for target, is_kept in ((f"{url}/echo", True), (f"{other}/echo", False)):
            response = await fetch(f"{url}/to/307?{target}", headers=given)
            sent = json.loads(response.headers["x-sent"])
            assert ("authorization" in sent, "cookie" in sent, sent["x-mine"]) == (is_kept, is_kept, "1")
            await response.bytes()


async def test_a_stream_cannot_be_sent_twice() -> None:
    async def chunks() -> AsyncIterator[bytes]:
        yield b"x"

    async with web() as (_, url):
        with pytest.raises(OSError, match="the body was a stream, which cannot be sent twice"):
            await fetch(f"{url}/to/307?/echo", method="POST", body=chunks())
        response = await fetch(f"{url}/to/303?/echo", method="POST", body=chunks())
        assert await response.text() == ""


@pytest.mark.parametrize("location", ["ftp://example.com/", "http://", "http://u:p@example.com/", "http://[::1/"])
async def test_a_redirect_to_nowhere_fails(location: str) -> None:
    async with web() as (_, url):
        with pytest.raises(OSError, match="failed: it redirects to"):
            await fetch(f"{url}/to/302?{location}")


# -- errors --------------------------------------------------------------------------------------


async def test_a_second_positional_argument() -> None:
    """The text that upstream's own test pins (``tests/python/sdk/worker.py``)."""
    call: Any = fetch
    with pytest.raises(TypeError) as caught:
        await call("http://example.com/", {"headers": {}})
    assert str(caught.value) == "fetch() takes 1 positional argument but 2 were given"


@pytest.mark.parametrize(
    ("url", "options"),
    [
        ("ftp://example.com/", {}),
        ("/hello", {}),
        ("http://", {}),
        ("http://user:word@example.com/", {}),
        ("http://exa mple/", {}),
        ("http://example.com:99999/", {}),
        (None, {}),
        (b"http://example.com/", {}),
        ("http://example.com/", {"body": "x"}),
        ("http://example.com/", {"body": "x", "method": "HEAD"}),
        ("http://example.com/", {"method": "CONNECT"}),
        ("http://example.com/", {"method": "GE T"}),
        ("http://example.com/", {"headers": {"a b": "c"}}),
        ("http://example.com/", {"headers": {"a": "b\r\nc: d"}}),
        ("http://example.com/", {"heders": {}}),
        ("http://example.com/", {"signal": object()}),
        ("http://example.com/", {"method": "POST", "body": {"a": 1}}),
    ],
)
async def test_wrong_arguments_are_type_errors(url: Any, options: dict[str, Any]) -> None:
    with pytest.raises(TypeError):
        await fetch(url, **options)


async def test_failures_are_os_errors_with_ours_inside() -> None:
    with refusing_address() as nobody, pytest.raises(ConnectError) as refused:
        await fetch(f"http://{nobody}/")
    assert isinstance(refused.value, OSError)
    assert refused.value.attempts
    former = set_default_dialer(DirectDialer(policy=EgressPolicy()))
    try:
        with pytest.raises(PolicyDenied):
            await fetch("http://127.0.0.1/")
    finally:
        set_default_dialer(former)
    await aclose_fetch_clients()


async def test_an_answer_that_is_no_http() -> None:
    async def speak(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"220 ready\r\n")
        writer.close()
        await writer.wait_closed()

    async with await asyncio.start_server(speak, "127.0.0.1", 0) as server:
        port = server.sockets[0].getsockname()[1]
        with pytest.raises(OSError, match=f"fetch of 'http://127.0.0.1:{port}/' failed: ") as caught:
            await fetch(f"http://127.0.0.1:{port}/?secret=1")
        assert "secret" not in str(caught.value)
        await aclose_fetch_clients()


async def test_a_body_that_is_cut_short_is_an_error() -> None:
    async with web() as (_, url):
        response = await fetch(f"{url}/short")
        assert response.body is not None
        with pytest.raises(OSError, match="failed: "):
            await response.bytes()


async def test_a_signal_stops_the_request() -> None:
    async with web() as (_, url):
        controller = AbortController()
        controller.abort("before")
        with pytest.raises(OSError, match=r"^fetch\(\) was aborted by its signal: before$"):
            await fetch(f"{url}/hello", signal=controller.signal)
        controller = AbortController()
        asyncio.get_running_loop().call_soon(controller.abort)
        with pytest.raises(OSError, match=r"^fetch\(\) was aborted by its signal$"):
            await fetch(f"{url}/stall", signal=controller.signal)
        with pytest.raises(TimeoutError, match=r"timeout of 0\.01 s"):
            await fetch(f"{url}/stall", signal=AbortSignal.timeout(0.01))


async def test_a_signal_stops_the_body() -> None:
    async with web() as (app, url):
        controller = AbortController()
        response = await fetch(f"{url}/drip", signal=controller.signal)
        assert response.body is not None
        assert await response.body.read() == b"first"
        asyncio.get_running_loop().call_soon(controller.abort, "enough")
        for _ in range(2):
            with pytest.raises(OSError, match=r"^reading the body was aborted by its signal: enough$"):
                await response.body.read()
        while not app.left:
            await asyncio.sleep(0)


async def test_cancelling_the_caller_is_no_abort() -> None:
    async with web() as (app, url):
        for signal in (None, AbortController().signal):
            left = app.left
            task = asyncio.ensure_future(fetch(f"{url}/stall", signal=signal))
            while app.requests.count(("GET", "/stall")) == left:
                await asyncio.sleep(0)
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
            while app.left == left:
                await asyncio.sleep(0)
