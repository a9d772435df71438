"""``FormData`` as a mapping."""

from __future__ import annotations

from collections.abc import MutableMapping
from typing import Any

import pytest

from longshore.workers._blob import Blob, File
from longshore.workers._form_data import FormData


def form(*fields: tuple[str, Any]) -> FormData:
    made = FormData()
    for name, value in fields:
        made.append(name, value)
    return made


def test_reading() -> None:
    data = form(("foobar", 123), ("key", "lorem ipsum"), ("key", "dolor sit amet"))
    assert data["foobar"] == "123"
    assert data["key"] == "lorem ipsum"
    assert data.get_all("key") == data.getAll("key") == ["lorem ipsum", "dolor sit amet"]
    assert "unknown key" not in data
    assert "key" in data
    assert data.has("key")


def test_from_a_dict() -> None:
    data = FormData({"key": "foobar"})
    assert data["key"] == "foobar"
    assert "key" in data


@pytest.mark.parametrize("nothing", [None, {}, ()])
def test_from_nothing(nothing: Any) -> None:
    assert len(FormData(nothing)) == 0


def test_from_a_form() -> None:
    data = form(("a", "1"), ("a", "2"))
    assert FormData(data) == data == data.copy()
    assert FormData(data) is not data


@pytest.mark.parametrize("other", ["a=1", [("a", "1")], 7])
def test_from_something_else(other: Any) -> None:
    with pytest.raises(TypeError, match=r"^Expected form_data to be a dict or an instance of FormData$"):
        FormData(other)


def test_iterating_gives_every_field() -> None:
    data = FormData({"key": "foobar"})
    data.append("key", "another")
    data.append("key2", "foobar2")
    assert list(data) == list(data.keys()) == ["key", "key", "key2"]
    assert list(data.values()) == ["foobar", "another", "foobar2"]
    assert list(data.items()) == [("key", "foobar"), ("key", "another"), ("key2", "foobar2")]
    assert len(data) == len(data.keys()) == len(data.items()) == len(data.values()) == 3
    assert "another" in data.values()
    assert ("key", "another") in data.items()
    assert ("key", "x") not in data.items()


def test_a_missing_key() -> None:
    """Unlike upstream, where it is JavaScript's null, so that ``get()`` knows no default."""
    data = FormData()
    with pytest.raises(KeyError, match="absent"):
        _ = data["absent"]
    assert data.get("absent") is None
    assert data.get("absent", "x") == "x"
    with pytest.raises(KeyError):
        del data["absent"]
    data.delete("absent")


def test_setting_replaces_in_place() -> None:
    data = form(("a", "1"), ("b", "2"), ("a", "3"))
    data["a"] = "4"
    assert list(data.items()) == [("a", "4"), ("b", "2")]
    data.set("c", 5)
    assert data["c"] == "5"


def test_setting_a_list() -> None:
    with pytest.raises(TypeError, match=r"^Expected single item in arguments to FormData.__setitem__$"):
        FormData()["a"] = ["1", "2"]


def test_deleting() -> None:
    data = form(("a", "1"), ("b", "2"), ("a", "3"))
    del data["a"]
    assert list(data) == ["b"]
    data.delete("b")
    assert not data


def test_is_a_mapping() -> None:
    data: MutableMapping[str, Any] = FormData({"a": "1"})
    assert isinstance(data, MutableMapping)
    assert data.pop("a") == "1"
    assert data.setdefault("b", "2") == "2"
    data.update({"c": "3"})
    assert dict(data.items()) == {"b": "2", "c": "3"}
    data.clear()
    assert len(data) == 0


def test_values_are_text() -> None:
    assert list(form(("a", 1), ("b", 1.5), ("c", True), ("d", False)).values()) == ["1", "1.5", "true", "false"]


@pytest.mark.parametrize("value", [None, b"bytes", {}, object()])
def test_values_of_other_types(value: Any) -> None:
    with pytest.raises(TypeError, match=r"form field 'a' is of type .*: give a str, or wrap bytes in Blob"):
        FormData({"a": value})


def test_names_are_text() -> None:
    with pytest.raises(TypeError, match="the name of a form field is 7"):
        FormData({7: "a"})  # type: ignore[dict-item]  # the case under test


def test_blobs_become_files() -> None:
    data = FormData({"a": Blob("x", "image/png")})
    data.append("b", Blob("{}", content_type="text/python"), filename="metadata.json")
    file = File("y", "own.txt")
    data.append("c", file)
    data.append("d", file, filename="other.txt")
    files = [value for value in data.values() if isinstance(value, File)]
    assert [value.name for value in files] == ["blob", "metadata.json", "own.txt", "other.txt"]
    assert files[0].content_type == "image/png"
    assert files[2] is file


def test_only_blobs_have_file_names() -> None:
    with pytest.raises(TypeError, match="only a Blob or a File may have one"):
        FormData().append("a", "text", filename="a.txt")


def test_repr_and_hash() -> None:
    assert repr(FormData({"a": "1"})) == "FormData([('a', '1')])"
    assert FormData().js_object == FormData()
    with pytest.raises(TypeError):
        hash(FormData())
