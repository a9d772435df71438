"""``Headers``, and the encoding of headers."""

from __future__ import annotations

import email.message
import re
from http.client import HTTPMessage
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from longshore.workers import _headers
from longshore.workers._headers import Headers, encode_headers

BAD_NAMES: list[Any] = ["", " ", "a b", "a:", "a\r\n", "é", "a\0", "(a)", 7, None, b"a"]
BAD_VALUES: list[Any] = ["a\r\nb: c", "a\nb", "a\rb", "a\0b", "\x7f", "a\x1bb", "日本", None, b"a", ["a"], {}]


class TestEncoding:
    """``encode_headers``."""

    @pytest.mark.parametrize(
        ("init", "raw"),
        [
            (None, []),
            ({}, []),
            ([], []),
            ({"Content-Type": "text/html"}, [(b"content-type", b"text/html")]),
            ([("a", "1"), ("B", "2")], [(b"a", b"1"), (b"b", b"2")]),
            ((("a", "1"),), [(b"a", b"1")]),
            ([["a", "1"]], [(b"a", b"1")]),
            ([("a", "1"), ("A", "2"), ("b", "3")], [(b"a", b"1, 2"), (b"b", b"3")]),
            (
                {"a": 123, "b": True, "c": 1.5, "d": False},
                [(b"a", b"123"), (b"b", b"true"), (b"c", b"1.5"), (b"d", b"false")],
            ),
            ({"a": "  x  ", "b": "\tx\r\n"}, [(b"a", b"x"), (b"b", b"x")]),
            ({"a": "é"}, [(b"a", b"\xe9")]),
            ({"a": "x\ty"}, [(b"a", b"x\ty")]),
            ({"a": ""}, [(b"a", b"")]),
            ([("set-cookie", "a=1"), ("Set-Cookie", "b=2")], [(b"set-cookie", b"a=1"), (b"set-cookie", b"b=2")]),
        ],
    )
    def test_kinds(self, init: Any, raw: list[tuple[bytes, bytes]]) -> None:
        assert encode_headers(init) == raw

    def test_messages(self) -> None:
        message = HTTPMessage()
        message["X-A"] = "1"
        message["X-A"] = "2"
        assert encode_headers(message) == [(b"x-a", b"1, 2")]  # type: ignore[arg-type]  # any HTTPMessage works
        assert encode_headers(Headers({"x-a": "1"})) == [(b"x-a", b"1")]

    @pytest.mark.parametrize("name", BAD_NAMES)
    def test_names(self, name: Any) -> None:
        with pytest.raises(TypeError, match="header name"):
            encode_headers({name: "x"})

    @pytest.mark.parametrize("value", BAD_VALUES)
    def test_values(self, value: Any) -> None:
        with pytest.raises(TypeError, match="header 'x-a'"):
            encode_headers({"x-a": value})

    def test_a_secret_value_is_not_in_the_message(self) -> None:
        with pytest.raises(TypeError) as caught:
            encode_headers({"authorization": "Bearer hunter2\n\nx"})
        assert "hunter2" not in str(caught.value)

    @pytest.mark.parametrize("init", [["ab"], [("a",)], [("a", "b", "c")], ["a: b"], [7]])
    def test_lists_of_something_else(self, init: Any) -> None:
        with pytest.raises(TypeError, match="pair"):
            encode_headers(init)

    @pytest.mark.parametrize("init", ["a: b", 7, {"a"}, b"a"])
    def test_something_else(self, init: Any) -> None:
        with pytest.raises(TypeError, match=r"^Received unexpected type for headers argument$"):
            encode_headers(init)

    @given(st.lists(st.tuples(st.text(), st.text())))
    def test_whatever_is_given_writes_no_header_of_its_own(self, pairs: list[tuple[str, str]]) -> None:
        try:
            raw = encode_headers(pairs)
        except TypeError:
            return
        for name, value in raw:
            assert re.fullmatch(rb"[!#$%&'*+\-.^_`|~0-9a-z]+", name)
            assert not re.search(rb"[\x00-\x08\x0a-\x1f\x7f]", value)

    def test_made_up_names_do_not_fill_memory(self) -> None:
        encode_headers({f"x-{number}": "1" for number in range(_headers._MAX_NAMES + 10)})
        assert len(_headers._names) <= _headers._MAX_NAMES


class TestHeaders:
    """The class."""

    def test_is_an_http_message(self) -> None:
        assert isinstance(Headers(), HTTPMessage)
        assert isinstance(Headers(), email.message.Message)

    def test_names_in_any_case(self) -> None:
        headers = Headers({"X-A": "1"})
        assert headers["x-A"] == headers.get("X-a") == "1"
        assert "X-a" in headers
        assert "x-b" not in headers
        assert headers["x-b"] is None
        assert headers.get("x-b", "0") == "0"
        assert (len(headers), list(headers), headers.keys(), headers.values()) == (1, ["x-a"], ["x-a"], ["1"])

    def test_setting_replaces(self) -> None:
        headers = Headers([("set-cookie", "a"), ("x-a", "1"), ("set-cookie", "b")])
        headers["Set-Cookie"] = "c"
        headers["X-A"] = 2
        assert headers.items() == [("x-a", "2"), ("set-cookie", "c")]

    def test_add_header_adds(self) -> None:
        headers = Headers({"x-a": "1"})
        headers.add_header("X-A", "2")
        headers.add_header("Content-Disposition", "attachment", filename="a.txt")
        assert headers.get_all("x-a") == ["1", "2"]
        assert headers["content-disposition"] == 'attachment; filename="a.txt"'
        assert headers.get_filename() == "a.txt"

    def test_content_type_of_a_message(self) -> None:
        headers = Headers({"content-type": "text/html; charset=latin-1"})
        assert (headers.get_content_type(), headers.get_param("charset")) == ("text/html", "latin-1")
        headers.replace_header("content-type", "text/plain")
        assert headers.get_content_type() == "text/plain"

    def test_set_param(self) -> None:
        headers = Headers({"content-type": "text/html"})
        headers.set_param("charset", "utf-8")
        assert headers.raw() == [(b"content-type", b'text/html; charset="utf-8"')]

    def test_names_of_javascript(self) -> None:
        headers = Headers()
        headers.append("X-A", 1)
        headers.append("x-a", True)
        headers.append("set-cookie", "a")
        headers.append("set-cookie", "b")
        assert headers.items() == [("x-a", "1, true"), ("set-cookie", "a"), ("set-cookie", "b")]
        assert headers.getSetCookie() == headers.get_set_cookie() == ["a", "b"]
        headers.set("x-a", "2")
        assert (headers.has("X-A"), headers["x-a"]) == (True, "2")
        headers.delete("x-a")
        headers.delete("x-a")
        assert not headers.has("x-a")

    @pytest.mark.parametrize("value", BAD_VALUES)
    def test_no_way_around_the_checks(self, value: Any) -> None:
        headers = Headers({"x-a": "1"})
        for change in (headers.__setitem__, headers.append, headers.set, headers.replace_header, headers.set_raw):
            with pytest.raises(TypeError):
                change("x-a", value)
        assert headers.items() == [("x-a", "1")]

    def test_add_header_is_checked(self) -> None:
        with pytest.raises(TypeError):
            Headers().add_header("x-a", "a\r\nb: c")
        with pytest.raises(TypeError):
            Headers().add_header("x a", "b")

    def test_raw_and_back(self) -> None:
        raw = [(b"x-a", b"\xe9"), (b"set-cookie", b"a"), (b"set-cookie", b"b")]
        assert Headers.from_raw(raw).raw() == raw

    def test_copy(self) -> None:
        headers = Headers({"x-a": "1"})
        copy = headers.copy()
        copy["x-a"] = "2"
        assert headers["x-a"] == "1"
        assert repr(copy) == "Headers([('x-a', '2')])"
