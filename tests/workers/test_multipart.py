"""Forms on the wire: what is written is read, and what is read is judged."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from longshore.errors import LimitExceeded
from longshore.workers import _multipart
from longshore.workers._blob import Blob, File
from longshore.workers._form_data import FormData
from longshore.workers._multipart import encode_form, form_reader
from longshore.workers._request import Request
from longshore.workers._response import Response
from tests.workers.asgi_client import incoming

if TYPE_CHECKING:
    from collections.abc import Iterable

URL_ENCODED = "application/x-www-form-urlencoded"
MULTIPART = "multipart/form-data; boundary=b"

BROWSER_FORM = (
    b"--b\r\n"
    b'Content-Disposition: form-data; name="text"\r\n\r\n'
    b"two\r\nlines\r\n"
    b"--b\r\n"
    b'content-disposition: form-data; name="file"; filename="caf\xc3\xa9 %22x%22.png"\r\n'
    b"Content-Type: image/png\r\n\r\n"
    b"\x89PNG\r\n--b-\r\n"
    b"--b--\r\n"
)


def read(content_type: str | None, chunks: Iterable[bytes]) -> FormData:
    reader = form_reader(content_type)
    for chunk in chunks:
        reader.feed(chunk)
    return reader.finish()


def check_browser_form(form: FormData) -> None:
    assert list(form) == ["text", "file"]
    assert form["text"] == "two\r\nlines"
    file = form["file"]
    assert isinstance(file, File)
    assert (file.name, file.content_type, file.data) == ('café "x".png', "image/png", b"\x89PNG\r\n--b-")


def test_form_of_a_browser_whole() -> None:
    check_browser_form(read(MULTIPART, [BROWSER_FORM]))


def test_form_of_a_browser_byte_by_byte() -> None:
    check_browser_form(read(MULTIPART, (BROWSER_FORM[i : i + 1] for i in range(len(BROWSER_FORM)))))


def test_form_of_a_browser_with_something_behind() -> None:
    check_browser_form(read(MULTIPART, [BROWSER_FORM, b"epilogue"]))


def test_every_truncation_is_noticed() -> None:
    for end in range(len(BROWSER_FORM) - len(b"--\r\n")):
        with pytest.raises(TypeError, match="form"):
            read(MULTIPART, [BROWSER_FORM[:end]])


@given(st.lists(st.tuples(st.text(), st.text() | st.binary())), st.data())
def test_what_is_written_is_read(fields: list[tuple[str, str | bytes]], data: st.DataObject) -> None:
    """Line ends become CRLF, and half a surrogate pair becomes U+FFFD, as the standard wants."""
    form = FormData()
    for name, value in fields:
        form.append(name, Blob(value) if isinstance(value, bytes) else value)
    body, content_type = encode_form(form)
    cut = data.draw(st.integers(0, len(body)))
    found = read(content_type, [body[:cut], body[cut:]])

    def normal(text: str) -> str:
        text = text.replace("\r\n", "\n").replace("\r", "\n").replace("\n", "\r\n")
        return text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")

    def escaped(name: str) -> str:
        for character, escape in (('"', "%22"), ("\r", "%0D"), ("\n", "%0A")):
            name = name.replace(escape, character)
        return name

    expected = [
        (escaped(normal(name)), value if isinstance(value, bytes) else normal(value).removeprefix("\ufeff"))
        for name, value in fields
    ]
    assert [(name, value.data if isinstance(value, Blob) else value) for name, value in found.items()] == expected


def test_what_is_written() -> None:
    form = FormData({"a": "1"})
    form.append("b", Blob("x", "text/x"), filename='a"\r\nb')
    body, content_type = encode_form(form)
    boundary = content_type.removeprefix("multipart/form-data; boundary=")
    assert body.decode() == (
        f'--{boundary}\r\nContent-Disposition: form-data; name="a"\r\n\r\n1\r\n'
        f'--{boundary}\r\nContent-Disposition: form-data; name="b"; filename="a%22%0D%0Ab"\r\n'
        f"Content-Type: text/x\r\n\r\nx\r\n--{boundary}--\r\n"
    )


@pytest.mark.parametrize(
    ("disposition", "names"),
    [
        (r'form-data; name="a\b"; filename="C:\dir\f.txt"', ("a\\b", "C:\\dir\\f.txt")),
        (r'form-data; name="\"; filename="f"', ("\\", "f")),
        (r'form-data; name="say \"a\""; filename="f \"x\".txt"', ('say "a"', 'f "x".txt')),
        ("form-data;filename=f.txt;name=a", ("a", "f.txt")),
    ],
)
def test_how_programs_write_names(disposition: str, names: tuple[str, str]) -> None:
    """Browsers write backslashes as they are; older versions of curl escape quotes with them."""
    form = read(MULTIPART, [f"--b\r\nContent-Disposition: {disposition}\r\n\r\nx\r\n--b--\r\n".encode()])
    (file,) = form.values()
    assert isinstance(file, File)
    assert (list(form), file.name) == ([names[0]], names[1])


def test_an_empty_form() -> None:
    body, content_type = encode_form(FormData())
    assert len(read(content_type, [body])) == 0


@pytest.mark.parametrize(
    ("body", "fields"),
    [
        (b"a=1&b=2&a=3", [("a", "1"), ("b", "2"), ("a", "3")]),
        (b"q=a+b%20c%26&empty=&flag", [("q", "a b c&"), ("empty", ""), ("flag", "")]),
        (b"", []),
        (b"&&a=1&", [("a", "1")]),
        ("é=ü&x=%C3%A9&y=%FF".encode(), [("é", "ü"), ("x", "é"), ("y", "�")]),
    ],
)
def test_url_encoded(body: bytes, fields: list[tuple[str, str]]) -> None:
    assert list(read(URL_ENCODED, [body]).items()) == fields
    assert list(read(f"{URL_ENCODED}; charset=utf-8", [body[:1], body[1:]]).items()) == fields


@pytest.mark.parametrize("content_type", [None, "", "text/plain", "application/json", "multipart/mixed; boundary=b"])
def test_types_that_are_no_form(content_type: str | None) -> None:
    with pytest.raises(TypeError, match=f"content type {content_type!r} is not a form"):
        form_reader(content_type)


@pytest.mark.parametrize("content_type", ["multipart/form-data", "multipart/form-data; boundary="])
def test_no_boundary(content_type: str) -> None:
    with pytest.raises(TypeError, match="no boundary"):
        form_reader(content_type)


@pytest.mark.parametrize(
    ("body", "message"),
    [
        (b"hello", "not valid multipart"),
        (b"--other\r\n", "not valid multipart"),
        (b"--b\r\n\r\nx\r\n--b--\r\n", "no name"),
        (b"--b\r\nContent-Disposition: form-data\r\n\r\nx\r\n--b--\r\n", "no name"),
        (b"--b\r\nb@d header: x\r\n\r\nx\r\n--b--\r\n", "not valid multipart"),
        (b'--b\r\nContent-Disposition: form-data; name="a"\r\n\r\nx', "ends before its closing boundary"),
        (b"--b\r\n" + b"x: y\r\n" * 100, "not valid multipart"),
        (b"--b\r\nx: " + b"y" * 100_000, "not valid multipart"),
        (b"", "ends before its closing boundary"),
    ],
)
def test_malformed(body: bytes, message: str, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.DEBUG), pytest.raises(TypeError, match=message):
        read(MULTIPART, [body])
    assert not caplog.records


@given(st.binary(), st.integers(0, len(BROWSER_FORM)), st.integers(0, 20))
def test_whatever_comes_is_a_form_or_a_type_error(noise: bytes, start: int, length: int) -> None:
    body = BROWSER_FORM[:start] + noise + BROWSER_FORM[start + length :]
    for content_type in (MULTIPART, URL_ENCODED):
        try:
            form = read(content_type, [body])
        except TypeError as exc:
            assert "form" in str(exc)  # noqa: PT017 -- most bodies raise, not all
        else:
            assert all(isinstance(name, str) for name in form)


def test_a_boundary_that_is_too_long() -> None:
    with pytest.raises(TypeError, match="not valid multipart"):
        form_reader(f"multipart/form-data; boundary={'b' * 1000}")


@pytest.mark.parametrize("kind", ["urlencoded", "multipart"])
def test_too_many_fields(kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_multipart, "MAX_FORM_FIELDS", 3)
    form = FormData()
    for _ in range(3):
        form.append("a", "1")
    body, content_type = (b"a=1&a=1&a=1", URL_ENCODED) if kind == "urlencoded" else encode_form(form)
    assert len(read(content_type, [body])) == 3
    form.append("a", "1")
    body, content_type = (b"a=1&a=1&a=1&a=1", URL_ENCODED) if kind == "urlencoded" else encode_form(form)
    with pytest.raises(LimitExceeded, match=r"more than 3 fields") as caught:
        read(content_type, [body])
    assert (caught.value.limit, caught.value.value) == ("max_form_fields", 3)


async def test_of_an_incoming_request() -> None:
    request = incoming(BROWSER_FORM[:50], BROWSER_FORM[50:], content_type=MULTIPART)
    check_browser_form(await request.form_data())
    assert request.body_used


async def test_a_body_that_is_no_form_is_left_alone() -> None:
    request = incoming(b"{}", content_type="application/json")
    with pytest.raises(TypeError, match="is not a form"):
        await request.form_data()
    assert await request.json() == {}


async def test_there_and_back() -> None:
    """The cases of upstream's ``formdatablob``."""
    form: Any = FormData({"field": "value"})
    form["blob.py"] = Blob("print(42)", content_type="text/python")
    form.append("metadata", Blob("{}", content_type="text/python"), filename="metadata.json")
    for message in (Response(form), Request("http://a.example", method="POST", body=form)):
        data: Any = await message.formData()
        assert data["field"] == "value"
        assert await data["blob.py"].text() == "print(42)"
        assert data["blob.py"].content_type == "text/python"
        assert data["metadata"].name == "metadata.json"
