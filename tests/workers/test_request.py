"""``Request``: made here, and received."""

from __future__ import annotations

import json
from http import HTTPMethod
from http.client import HTTPMessage
from typing import Any

import pytest

from longshore.workers._blob import Blob
from longshore.workers._form_data import FormData
from longshore.workers._headers import Headers
from longshore.workers._request import Request, incoming_request
from tests.workers.asgi_client import Client, http_scope, incoming


def received(**changes: Any) -> Request:
    """Return a request without a body, with ``changes`` to what the server says."""
    return incoming_request({**http_scope(), **changes}, Client().receive)


class TestMadeHere:
    """A request for ``fetch()``."""

    def test_url_is_written_as_browsers_write_it(self) -> None:
        request = Request("https://test.com", method=HTTPMethod.POST)
        assert repr(request) == "Request(method='POST', url='https://test.com/')"
        assert request.url == "https://test.com/"

    def test_method_is_one_of_the_enum(self) -> None:
        assert Request("https://test.com").method is HTTPMethod.GET
        assert Request("https://test.com", method=HTTPMethod.POST).method is HTTPMethod.POST
        assert Request("https://test.com", method="PATCH").method == "PATCH"

    def test_method_in_small_letters(self) -> None:
        """WHATWG Fetch §2.2.1: only these are made capital."""
        assert Request("https://test.com", method="post").method is HTTPMethod.POST
        assert Request("https://test.com", method="patch").method == "patch"

    @pytest.mark.parametrize("method", ["CONNECT", "trace", "TRACK", "a b", "", "GET\r\nX: 1", 7])
    def test_method_that_is_not_allowed(self, method: Any) -> None:
        with pytest.raises(TypeError, match="method"):
            Request("https://test.com", method=method)

    def test_headers_of_a_dict(self) -> None:
        assert Request("http://example.com", headers={"aaaa": "test"}).headers["aaaa"] == "test"

    def test_headers_of_headers(self) -> None:
        given = Headers()
        given.set("foo", "bar")
        assert Request("http://example.com", headers=given).headers["foo"] == "bar"

    def test_headers_are_an_http_message(self) -> None:
        assert isinstance(Request("http://example.com").headers, HTTPMessage)

    def test_values_of_one_name_are_joined(self) -> None:
        request = Request("http://example.com", headers=[("Accept-encoding", "deflate"), ("Accept-encoding", "gzip")])
        assert request.headers.get_all("Accept-encoding") == ["deflate, gzip"]

    def test_commas_in_a_value_stay(self) -> None:
        given = {"User-Agent": "Python, Client/2.0", "Accept": "text/html, application/json"}
        request = Request("http://example.com", headers=given)
        assert request.headers.get("User-Agent") == "Python, Client/2.0"
        assert request.headers.get_all("User-Agent") == ["Python, Client/2.0"]
        assert request.headers.get("Accept") == "text/html, application/json"

    def test_cookies_stay_apart(self) -> None:
        request = Request(
            "http://example.com",
            headers=[("Set-Cookie", "session=abc123"), ("Set-Cookie", "token=xyz789"), ("X-Custom", "value")],
        )
        assert request.headers.get_all("Set-Cookie") == ["session=abc123", "token=xyz789"]
        assert request.headers.get("X-Custom") == "value"

    def test_headers_of_a_wrong_type(self) -> None:
        with pytest.raises(TypeError, match=r"^Received unexpected type for headers argument$"):
            Request("http://example.com", headers="a: b")  # type: ignore[arg-type]  # the case under test

    def test_get_with_a_body(self) -> None:
        with pytest.raises(TypeError, match="GET request cannot have a body"):
            Request("http://example.com", body="x")

    def test_unknown_option(self) -> None:
        with pytest.raises(TypeError, match=r"no option 'metod'; there are .*method"):
            Request("http://example.com", metod="GET")  # type: ignore[call-arg]  # the case under test

    def test_wrong_input(self) -> None:
        with pytest.raises(TypeError, match="must be a str or a Request"):
            Request(7)  # type: ignore[arg-type]  # the case under test

    def test_wrong_redirect(self) -> None:
        with pytest.raises(TypeError, match="redirect='never' must be one of"):
            Request("http://example.com", redirect="never")

    async def test_content_type_of_the_body(self) -> None:
        def content_type(**options: Any) -> str | None:
            return Request("http://example.com", method="POST", **options).headers.get("content-type")

        assert content_type(body="text") == "text/plain;charset=UTF-8"
        assert content_type(body=b"bytes") is None
        assert content_type(body=Blob("x", "image/PNG")) == "image/png"
        assert (content_type(body=FormData({"a": "1"})) or "").startswith("multipart/form-data; boundary=")
        assert content_type(body="{}", headers={"Content-Type": "application/json"}) == "application/json"

    def test_defaults_of_the_properties(self) -> None:
        request = Request("http://example.com")
        assert (request.cf, request.signal, request.client, request.body) == (None, None, None, None)
        assert (request.redirect, request.cache, request.credentials) == ("follow", "default", "same-origin")
        assert (request.destination, request.integrity, request.mode) == ("", "", "cors")
        assert (request.referrer, request.referrer_policy) == ("about:client", "")
        assert (request.keepalive, request.is_history_navigation, request.body_used) == (False, False, False)

    def test_properties_that_were_given(self) -> None:
        request = Request("http://example.com", cf={"cacheTtl": 5}, redirect="manual", cache="no-store", keepalive=True)
        assert request.cf == {"cacheTtl": 5}
        assert (request.redirect, request.cache, request.keepalive) == ("manual", "no-store", True)

    def test_path_and_query(self) -> None:
        request = Request("http://example.com/caf%C3%A9?q=a+b&q=%26&empty=")
        assert request.path == "/café"
        assert request.query == [("q", "a b"), ("q", "&"), ("empty", "")]

    def test_a_worker_may_keep_things_on_it(self) -> None:
        request: Any = Request("http://example.com")
        request.user = "ada"
        assert request.user == "ada"


class TestBody:
    """Reading the body."""

    async def test_json(self) -> None:
        request = Request("http://example.com", body='{"field": 42}', method=HTTPMethod.POST)
        assert await request.json() == {"field": 42}

    async def test_json_takes_the_options_of_loads(self) -> None:
        request = Request("http://example.com", body="1.50", method="POST")
        assert await request.json(parse_float=str) == "1.50"

    async def test_json_that_is_none(self) -> None:
        with pytest.raises(json.JSONDecodeError):
            await Request("http://example.com", body="{", method="POST").json()

    @pytest.mark.parametrize("reading", ["buffer", "bytes", "text", "json", "form_data", "blob"])
    async def test_a_second_read_raises(self, reading: str) -> None:
        request = Request("http://example.com", body="{}", method="POST")
        await request.text()
        assert request.body_used
        with pytest.raises(OSError, match=r"^Body already used$") as caught:
            await getattr(request, reading)()
        assert type(caught.value) is OSError

    async def test_a_clone_of_a_used_body_raises(self) -> None:
        request = Request("http://example.com", body="{}", method="POST")
        await request.json()
        with pytest.raises(OSError, match=r"^Body already used$"):
            request.clone()

    async def test_blob(self) -> None:
        blob = await Request("http://example.com", body="foobar", method="POST").blob()
        assert await blob.text() == "foobar"
        assert blob.content_type == "text/plain;charset=utf-8"

    async def test_form_data(self) -> None:
        form = FormData()
        form.append("foobar", 123)
        request = Request("http://example.com", body=form, method="POST")
        assert (await request.form_data())["foobar"] == "123"

    async def test_no_body_is_empty_as_often_as_one_likes(self) -> None:
        request = Request("http://example.com")
        assert await request.text() == await request.text() == ""
        assert await request.bytes() == b""
        assert not request.body_used

    async def test_buffer_has_the_methods_of_pyodide(self) -> None:
        buffer = await Request("http://example.com", body=b"abc", method="POST").buffer()
        assert buffer == b"abc"
        assert (buffer.byteLength, buffer.nbytes, buffer.to_bytes(), buffer.to_string()) == (3, 3, b"abc", "abc")
        assert bytes(buffer.to_memoryview()) == bytes(buffer.to_py()) == b"abc"

    async def test_names_of_javascript(self) -> None:
        request = Request("http://example.com", body=FormData({"a": "1"}), method="POST")
        clone: Any = request.clone().js_object
        assert not clone.bodyUsed
        assert await clone.arrayBuffer()
        assert clone.bodyUsed
        assert (clone.isHistoryNavigation, clone.referrerPolicy) == (False, "")
        assert (await request.formData())["a"] == "1"


class TestCopy:
    """Requests made of requests."""

    async def test_a_copy_takes_the_body_over(self) -> None:
        first = Request("http://example.com/a", method="POST", body="x", headers={"x-a": "1"})
        second = Request(first, headers={"x-b": "2"})
        assert (second.url, second.method, second.headers["x-b"]) == (first.url, first.method, "2")
        assert "x-a" not in second.headers
        assert await second.text() == "x"
        assert first.body_used

    async def test_a_copy_with_another_body_leaves_it(self) -> None:
        first = Request("http://example.com/a", method="POST", body="x", headers={"x-a": "1"})
        second = Request(first, body="y")
        assert await second.text() + await first.text() == "yx"
        assert second.headers["x-a"] == "1"

    async def test_a_copy_of_a_used_request(self) -> None:
        first = Request("http://example.com/a", method="POST", body="x")
        await first.text()
        with pytest.raises(OSError, match=r"^Body already used$"):
            Request(first)

    def test_a_copy_keeps_the_options(self) -> None:
        first = Request("http://example.com/a", redirect="error", cf={"cacheTtl": 1})
        second = Request(first, redirect="manual")
        assert (second.redirect, second.cf, first.redirect) == ("manual", {"cacheTtl": 1}, "error")

    async def test_clone_has_its_own_headers(self) -> None:
        first = Request("http://example.com/a", method="POST", body="x", headers={"x-a": "1"})
        first.headers["x-a"] = "2"
        second = first.clone()
        second.headers["x-a"] = "3"
        assert (first.headers["x-a"], second.headers["x-a"]) == ("2", "3")
        assert await first.text() == await second.text() == "x"


class TestReceived:
    """A request that a client sent."""

    def test_url(self) -> None:
        request = received(raw_path=b"/a%20b", path="/a b", query_string=b"x=1")
        assert request.url == "http://worker.example/a%20b?x=1"
        assert repr(request) == "Request(method='GET', url='http://worker.example/a%20b?x=1')"

    def test_path_query_and_client(self) -> None:
        request = received(raw_path=b"/a%20b", path="/a b", query_string=b"x=1&y=%C3%A9&x=2")
        assert request.path == "/a b"
        assert request.query == [("x", "1"), ("y", "é"), ("x", "2")]
        assert request.client == ("192.0.2.7", 54321)

    def test_client_on_a_unix_socket(self) -> None:
        assert received(client=None).client is None

    def test_unknown_method_is_text(self) -> None:
        request = received(method="PURGE")
        assert request.method == "PURGE"
        assert not isinstance(request.method, HTTPMethod)

    def test_known_method_is_of_the_enum(self) -> None:
        assert received(method="DELETE").method is HTTPMethod.DELETE

    def test_repeated_header_is_joined(self) -> None:
        headers = [(b"x-custom-header", b"some_value"), (b"x-custom-header", b" some_other_value ")]
        assert received(headers=headers).headers.get_all("X-Custom-Header") == ["some_value, some_other_value"]

    def test_cookies_of_http2_are_joined_by_semicolons(self) -> None:
        assert received(headers=[(b"cookie", b"a=1"), (b"cookie", b"b=2")]).headers["cookie"] == "a=1; b=2"

    def test_headers_are_the_same_object(self) -> None:
        request = received()
        assert request.headers is request.headers

    def test_redirects_are_passed_on(self) -> None:
        assert received().redirect == "manual"

    def test_cf_is_none(self) -> None:
        assert received().cf is None

    async def test_no_body(self) -> None:
        request = received()
        assert request.body is None
        assert await request.text() == ""

    async def test_get_with_a_length_of_zero_has_none(self) -> None:
        assert incoming(method="GET").body is None

    async def test_post_with_a_length_of_zero_has_an_empty_one(self) -> None:
        request = incoming()
        assert request.body is not None
        assert await request.bytes() == b""

    async def test_chunked_body(self) -> None:
        client = Client(b"ab")
        client.finish()
        request = incoming_request(http_scope("POST", transfer_encoding="chunked"), client.receive)
        assert await request.bytes() == b"ab"

    async def test_body_of_http2_needs_no_length(self) -> None:
        client = Client(b"ab")
        client.finish()
        request = incoming_request({**http_scope("POST"), "http_version": "2"}, client.receive)
        assert await request.bytes() == b"ab"

    async def test_a_body_in_pieces(self) -> None:
        request = incoming(b"ab", b"cd")
        assert not request.body_used
        assert await request.bytes() == b"abcd"
        assert request.body_used

    async def test_a_clone_and_the_request_both_read_it(self) -> None:
        request = incoming(b"ab", b"cd")
        clone = request.clone()
        assert await clone.text() == "abcd"
        assert not request.body_used
        assert await request.text() == "abcd"
        assert clone.url == request.url

    async def test_a_copy_is_a_proxied_request(self) -> None:
        request = incoming(b"ab", content_type="text/x")
        copy = Request(request, method="PUT")
        assert (copy.url, copy.method, copy.headers["content-type"]) == (request.url, "PUT", "text/x")
        assert await copy.text() == "ab"
        assert request.body_used

    async def test_content_length_that_is_no_number_counts_as_none(self) -> None:
        assert incoming(content_length="x").body is None
