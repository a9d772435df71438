"""``Blob`` and ``File``."""

from __future__ import annotations

import time
from typing import Any

import pytest

from longshore.workers._blob import Blob, BlobEnding, File
from longshore.workers._form_data import FormData


async def test_parts_are_joined() -> None:
    blob = Blob(["some ", b"string", bytearray(b"!"), memoryview(b"?"), Blob("."), File("/", "f")])
    assert await blob.text() == "some string!?./"
    assert blob.size == len(blob) == 15
    assert repr(blob) == "Blob(size=15, content_type='')"


@pytest.mark.parametrize("single", ["foobar", b"foobar", bytearray(b"foobar"), memoryview(b"foobar"), Blob("foobar")])
async def test_a_single_part_needs_no_list(single: Any) -> None:
    assert await Blob(single).bytes() == b"foobar"


async def test_any_iterable_of_parts() -> None:
    assert await Blob(part for part in ("a", "b")).text() == "ab"
    assert Blob([]).size == Blob().size == 0


@pytest.mark.parametrize("part", [7, None, {}, object()])
def test_parts_that_are_none(part: Any) -> None:
    with pytest.raises(TypeError, match=r"^Don't know how to handle <class '.*'> for Blob\(\)$"):
        Blob([part])


def test_number_is_no_blob() -> None:
    with pytest.raises(TypeError, match="Don't know how to handle"):
        Blob(7)  # type: ignore[arg-type]  # the case under test


def test_content_type() -> None:
    blob = Blob(["test"], content_type="application/JSON")
    assert blob.content_type == blob.type == blob.js_object.type == "application/json"
    assert Blob("x", "é").content_type == Blob("x", "a\nb").content_type == ""


def test_content_type_is_inherited_from_a_single_blob() -> None:
    blob = Blob(["test"], content_type="application/json")
    assert Blob(blob).content_type == "application/json"
    assert Blob(blob, content_type="other/type").content_type == "other/type"
    assert Blob([blob]).content_type == ""


async def test_slice() -> None:
    blob = Blob("test", "text/plain")
    assert await blob.slice(1, 3).text() == "es"
    assert await blob.slice(-2).text() == "st"
    assert await blob.slice().text() == "test"
    assert (blob.slice(0, 1).content_type, blob.slice(0, 1, "text/x").content_type) == ("", "text/x")


async def test_endings() -> None:
    text = "a\r\nb\rc\nd"
    assert await Blob([text], endings=BlobEnding.NATIVE).text() == "a\nb\nc\nd"
    assert await Blob([text], endings="native").text() == "a\nb\nc\nd"
    assert await Blob([text], endings="transparent").text() == text
    assert await Blob([text.encode()], endings="native").text() == text
    with pytest.raises(TypeError, match="endings='x' must be"):
        Blob([text], endings="x")


async def test_ways_to_read() -> None:
    blob = Blob("abc")
    assert await blob.bytes() == await blob.arrayBuffer() == blob.data == b"abc"
    assert (await blob.array_buffer()).byteLength == 3
    assert [chunk async for chunk in blob.stream()] == [b"abc"]


def test_file() -> None:
    file = File("my file", filename="test.txt", content_type="text/plain", last_modified=7)
    assert (file.name, file.content_type, file.last_modified, file.size) == ("test.txt", "text/plain", 7, 7)
    assert isinstance(file, Blob)
    assert repr(file) == "File(name='test.txt', size=7, content_type='text/plain')"


def test_file_of_a_file() -> None:
    file = File("x", "a.txt", "text/plain", last_modified=7)
    other = File(file, "b.txt")
    assert (other.name, other.content_type, other.last_modified) == ("b.txt", "text/plain", 7)
    assert File([file], "c.txt").content_type == ""


def test_file_is_new_unless_said_otherwise() -> None:
    before = time.time_ns() // 1_000_000
    assert before <= File("x", "a").last_modified <= time.time_ns() // 1_000_000
    assert File("x", "a", last_modified=0).last_modified == 0


async def test_in_a_form() -> None:
    form = FormData()
    form["test"] = Blob(["some string"])
    value = form["test"]
    assert isinstance(value, Blob)
    assert await value.text() == "some string"
