"""``Response``: what it may be made of, its properties, the responses it makes."""

from __future__ import annotations

import datetime as dt
import decimal
import uuid
from array import array
from http import HTTPStatus
from typing import TYPE_CHECKING, Any

import pytest

from longshore.workers._blob import Blob
from longshore.workers._form_data import FormData
from longshore.workers._response import FetchResponse, Response, received_response
from tests.loopback import linked

if TYPE_CHECKING:
    from collections.abc import AsyncIterator


class Strange:
    """What nobody can send."""

    def __init__(self, x: int = 0) -> None:
        self.x = x


async def pieces(*values: Any) -> AsyncIterator[Any]:
    for value in values:
        yield value


class TestConstructor:
    """What a response may be made of."""

    async def test_text(self) -> None:
        response = Response("test123")
        assert response.headers["content-type"] == "text/plain;charset=UTF-8"
        assert await response.text() == "test123"

    async def test_bytes(self) -> None:
        response = Response(b"test")
        assert response.status == 200
        assert "content-type" not in response.headers
        assert await response.text() == "test"

    @pytest.mark.parametrize(
        "body", [bytearray(b"abcd"), memoryview(b"abcd"), array("H", [25185, 25699]), memoryview(b"xabcdx")[1:5]]
    )
    async def test_memory(self, body: Any) -> None:
        assert await Response(body).bytes() == b"abcd"

    async def test_blob(self) -> None:
        response = Response(Blob("x", "image/png"))
        assert response.headers["content-type"] == "image/png"
        assert await response.text() == "x"

    async def test_form(self) -> None:
        assert (await Response(FormData({"field": "value"})).form_data())["field"] == "value"

    async def test_async_generator(self) -> None:
        assert await Response(pieces(b"a", "é", bytearray(b"c"), memoryview(b"d"))).text() == "aécd"

    async def test_async_generator_of_something_else(self) -> None:
        with pytest.raises(TypeError, match="chunk of the body is of type int: yield bytes or str"):
            await Response(pieces(b"a", 7)).text()

    async def test_readable_of_a_socket(self) -> None:
        async with linked() as (socket, peer):
            await peer.send(b"hello")
            await peer.send_eof()
            assert await Response(socket.readable).text() == "hello"

    async def test_body_of_another(self) -> None:
        assert await Response(Response("x").body, status=201).text() == "x"

    def test_null_body(self) -> None:
        response = Response(None, status=204)
        assert (response.status, response.body) == (204, None)

    @pytest.mark.parametrize(
        ("body", "message"),
        [
            (Strange(42), "Unsupported type in Response: Strange"),
            (7, "Unsupported type in Response: int"),
            ({"a": 1}, "Unsupported type in Response: dict; Response.json(...) sends it as JSON"),
            ([1], "Unsupported type in Response: list; Response.json(...) sends it as JSON"),
        ],
    )
    def test_other_types(self, body: Any, message: str) -> None:
        with pytest.raises(TypeError) as caught:
            Response(body)
        assert str(caught.value) == message

    def test_forgotten_await(self) -> None:
        async def text() -> str:
            return "x"

        coroutine = text()
        with pytest.raises(TypeError, match="Unsupported type in Response: coroutine; await it first"):
            Response(coroutine)  # type: ignore[arg-type]  # the case under test
        coroutine.close()

    async def test_locked_stream(self) -> None:
        stream = Response(pieces(b"a")).body
        assert stream is not None
        reader = stream.get_reader()
        with pytest.raises(TypeError, match="locked"):
            Response(stream)
        reader.release_lock()

    @pytest.mark.parametrize("status", [199, 600, 0, -1, 100])
    def test_status_out_of_range(self, status: int) -> None:
        with pytest.raises(ValueError, match=f"status={status} of a Response must be between 200 and 599"):
            Response("x", status=status)

    @pytest.mark.parametrize("status", ["200", 200.0, True])
    def test_status_of_another_type(self, status: Any) -> None:
        with pytest.raises(TypeError, match="must be an int"):
            Response("x", status=status)

    def test_websocket_status_names_the_way_out(self) -> None:
        with pytest.raises(ValueError, match="WebSockets are served by ASGI applications"):
            Response(None, status=101)
        with pytest.raises(TypeError, match="serve WebSockets from an ASGI application"):
            Response(None, web_socket=object())  # type: ignore[arg-type]  # the case under test

    @pytest.mark.parametrize("status", [204, 205, 304])
    def test_null_body_status_with_a_body(self, status: int) -> None:
        with pytest.raises(TypeError, match="cannot have a body"):
            Response("x", status=status)

    @pytest.mark.parametrize("body", ["", b"", None])
    def test_null_body_status_with_an_empty_one(self, body: str | bytes | None) -> None:
        assert Response(body, status=204).body is None
        assert Response(body, status=204).wire() == (204, [], b"")

    def test_reason_phrase(self) -> None:
        assert Response("x", status=404).status_text == "Not Found"
        assert Response("x", status=299).status_text == ""
        assert Response("x", 200, "Fine").status_text == "Fine"
        with pytest.raises(TypeError, match="status_text"):
            Response("x", status_text="a\r\nb")

    def test_status_of_the_enum(self) -> None:
        response = Response("x", HTTPStatus.CREATED)
        assert (response.status, type(response.status)) == (201, int)

    @pytest.mark.parametrize("headers", [7, {1, 2}, "a: b"])
    def test_headers_of_another_type(self, headers: Any) -> None:
        with pytest.raises(TypeError, match=r"^Received unexpected type for headers argument$"):
            Response("x", headers=headers)

    async def test_lone_surrogate(self) -> None:
        assert await Response("a\ud800b").bytes() == "a�b".encode()


class TestOfAnotherResponse:
    """A response made of a response."""

    async def test_copies(self) -> None:
        first = Response("x", 201, "Made", {"x-a": "1"})
        first.headers["x-b"] = "2"
        second = Response(first)
        assert (second.status, second.status_text, await second.text()) == (201, "Made", "x")
        assert (second.headers["x-a"], second.headers["x-b"]) == ("1", "2")
        second.headers["x-b"] = "3"
        assert first.headers["x-b"] == "2"

    async def test_takes_a_stream_over(self) -> None:
        first = Response(pieces(b"x"))
        second = Response(first)
        with pytest.raises(OSError, match=r"^Body already used$"):
            await first.text()
        assert await second.text() == "x"

    @pytest.mark.parametrize("options", [{"status": 200}, {"status_text": "x"}, {"headers": {"a": "b"}}])
    def test_takes_no_options(self, options: Any) -> None:
        with pytest.raises(ValueError, match=r"^Expected no options when constructing Response from a"):
            Response(Response("x"), **options)


class TestProperties:
    """What a response says about itself."""

    def test_defaults(self) -> None:
        response = Response("x")
        assert isinstance(response, FetchResponse)
        assert (response.ok, response.url, response.redirected, response.type) == (True, "", False, "default")
        assert response.js_object is response.js_response is response

    def test_ok_is_for_two_hundreds(self) -> None:
        assert [Response(None, status).ok for status in (200, 299, 300, 404, 500)] == [True, True, False, False, False]

    def test_repr(self) -> None:
        assert (
            repr(Response.json([1, 2, 3])) == "Response(status=200, status_text='OK', content_type='application/json')"
        )
        assert repr(Response(None, 299)) == "Response(status=299)"

    def test_names_of_javascript(self) -> None:
        response = Response("x", 201)
        assert (response.statusText, response.bodyUsed) == ("Created", False)
        assert response.replaceBody("y").status == 201

    @pytest.mark.parametrize(
        ("status", "message"),
        [(404, "404 Client Error: Not Found for url: "), (503, "503 Server Error: Service Unavailable for url: ")],
    )
    def test_raise_for_status(self, status: int, message: str) -> None:
        with pytest.raises(OSError) as caught:  # noqa: PT011 -- the whole text is compared below
            Response("x", status).raise_for_status()
        assert str(caught.value) == message
        Response("x", 302).raise_for_status()


class TestBody:
    """Reading the body."""

    async def test_every_way_to_read(self) -> None:
        response = Response("[1]")
        assert await response.clone().json() == [1]
        assert await response.clone().bytes() == b"[1]"
        assert (await response.clone().buffer()).byteLength == 3
        assert bytes(await response.clone().memoryview()) == b"[1]"
        assert await response.clone().string() == "[1]"
        assert await response.clone().text() == "[1]"
        assert (await response.clone().blob()).size == 3
        assert not response.body_used

    async def test_a_second_read_raises(self) -> None:
        response = Response("x")
        await response.text()
        with pytest.raises(OSError, match=r"^Body already used$"):
            await response.text()
        with pytest.raises(OSError, match=r"^Body already used$"):
            response.clone()

    async def test_text_is_utf8_without_its_mark(self) -> None:
        assert await Response(b"\xef\xbb\xbfa\xff").text() == "a�"

    async def test_clone_of_a_stream(self) -> None:
        first = Response(pieces("a", "b"))
        second = first.clone()
        assert await first.text() == await second.text() == "ab"

    async def test_replace_body(self) -> None:
        response = Response("test", status=201, status_text="Created", headers={"x-a": "1"})
        other = response.replace_body("other")
        assert (other.status, other.status_text, other.headers["x-a"]) == (201, "Created", "1")
        assert await other.text() == "other"
        assert await response.text() == "test"

    def test_replace_body_of_nothing(self) -> None:
        assert Response(None).replace_body("x").headers["content-type"] == "text/plain;charset=UTF-8"
        with pytest.raises(TypeError, match="cannot have a body"):
            Response(None, 204).replace_body("x")


class TestJson:
    """``json``, which makes and reads."""

    @pytest.mark.parametrize(
        ("data", "text"),
        [
            ([1, 2, 3], "[1, 2, 3]"),
            ("test", '"test"'),
            (["hi", "foo", 42], '["hi", "foo", 42]'),
            ({"field": 42}, '{"field": 42}'),
            (None, "null"),
        ],
    )
    async def test_static(self, data: Any, text: str) -> None:
        for response in (Response.json(data), Response.from_json(data), FetchResponse.json(data)):
            assert isinstance(response, Response)
            assert response.headers.get("content-type") == "application/json"
            assert await response.text() == text

    async def test_on_an_instance_it_reads(self) -> None:
        assert await Response("[1, 2, 3]").json() == [1, 2, 3]
        assert await Response("1.5").json(parse_float=str) == "1.5"

    async def test_status_and_headers(self) -> None:
        response = Response.json({"obj": {"field": 123}}, status=HTTPStatus.NOT_FOUND, headers={"x-other-header": "42"})
        assert (response.status, await response.text()) == (404, '{"obj": {"field": 123}}')
        assert response.headers.items() == [("x-other-header", "42"), ("content-type", "application/json")]

    def test_a_content_type_of_its_own(self) -> None:
        assert Response.json("test", headers={"Content-Type": "42"}).headers.get_all("content-type") == ["42"]

    @pytest.mark.parametrize(("data", "name"), [(Strange(42), "Strange"), ({1, 2, 3}, "set")])
    def test_what_json_cannot_say(self, data: Any, name: str) -> None:
        with pytest.raises(TypeError) as caught:
            Response.json(data)
        assert str(caught.value) == f"Object of type {name} is not JSON serializable"

    def test_unknown_argument(self) -> None:
        with pytest.raises(TypeError, match="unexpected keyword argument 'indent'"):
            Response.json({}, indent=2)  # type: ignore[call-arg]  # the case under test

    async def test_values_of_database_rows(self) -> None:
        """Better than upstream: a row can be sent as it came from the driver."""
        moment = dt.datetime(2026, 1, 2, 3, 4, 5, tzinfo=dt.UTC)
        row = {"at": moment, "on": moment.date(), "price": decimal.Decimal("1.10"), "id": uuid.UUID(int=1)}
        assert await Response.json([row]).json() == [
            {
                "at": "2026-01-02T03:04:05+00:00",
                "on": "2026-01-02",
                "price": "1.10",
                "id": "00000000-0000-0000-0000-000000000001",
            }
        ]


class TestRedirect:
    """``Response.redirect``."""

    @pytest.mark.parametrize(
        ("url", "location"),
        [
            ("https://example.com/sub", "https://example.com/sub"),
            ("https://Example.com", "https://example.com/"),
            ("/login?next=/a b", "/login?next=/a%20b"),
            ("mailto:ada@example.com", "mailto:ada@example.com"),
            ("/é", "/%C3%A9"),
        ],
    )
    def test_location(self, url: str, location: str) -> None:
        response = Response.redirect(url)
        assert (response.status, response.headers["location"], response.body) == (302, location, None)

    @pytest.mark.parametrize("status", [301, 302, 303, 307, 308, HTTPStatus.SEE_OTHER])
    def test_status(self, status: int) -> None:
        assert Response.redirect("/", status).status == status

    @pytest.mark.parametrize("status", [200, 300, 304, HTTPStatus.BAD_GATEWAY])
    def test_status_of_no_redirect(self, status: int) -> None:
        with pytest.raises(ValueError) as caught:  # noqa: PT011 -- the whole text is compared below
            Response.redirect("", status)
        assert str(caught.value) == (
            f"{int(status)} is not a redirect status code. It must be one of: 301, 302, 303, 307, or 308."
        )

    @pytest.mark.parametrize("url", ["", " ", "/a\r\nSet-Cookie: x=1", "https://", "http://a b/", 7])
    def test_url_that_is_none(self, url: Any) -> None:
        with pytest.raises(TypeError, match="url"):
            Response.redirect(url)


class TestReceived:
    """What ``fetch()`` makes."""

    def test_what_belongs_to_one_connection_is_left_out(self) -> None:
        headers = [(b"connection", b"close"), (b"transfer-encoding", b"chunked"), (b"x-a", b"1")]
        response = received_response(203, headers, None, url="http://a.example/", status_text="So", is_redirected=True)
        assert response.headers.items() == [("x-a", "1")]
        assert (response.status, response.status_text, response.redirected) == (203, "So", True)
        assert repr(response) == "Response(status=203, status_text='So', url='http://a.example/')"

    def test_decoded_body_has_another_length(self) -> None:
        headers = [(b"content-encoding", b"gzip"), (b"content-length", b"9"), (b"x-a", b"1")]
        response = received_response(200, headers, b"x", url="http://a.example/", is_decoded=True)
        assert response.wire() == (200, [(b"x-a", b"1"), (b"content-length", b"1")], b"x")
