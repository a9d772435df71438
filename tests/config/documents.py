"""Documents made up by Hypothesis, with the place of each key as the writer knows it."""

from __future__ import annotations

import json
from typing import Any, TypeAlias

from hypothesis import strategies as st

from longshore.config.positions import KeyPath

Places: TypeAlias = dict[KeyPath, int]

# What is awkward in a scanner: quotes, brackets, comment signs, escapes, other scripts.
TEXTS = st.text(st.sampled_from("ab ]}[{#='\"\\,.:/*\né€\U0001f600"), max_size=6)
KEYS = st.one_of(st.sampled_from(["a", "b", "c-d", "1"]), TEXTS)
SCALARS = st.one_of(st.booleans(), st.integers(-5, 5), TEXTS, st.floats(-2, 2))
VALUES: st.SearchStrategy[Any] = st.recursive(
    SCALARS,
    lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(KEYS, inner, max_size=3)),
    max_leaves=8,
)
TABLES: st.SearchStrategy[dict[str, Any]] = st.dictionaries(KEYS, VALUES, max_size=4)


class Writer:
    """Writes text and knows the line it is in."""

    def __init__(self, draw: st.DrawFn) -> None:
        self.draw = draw
        self.text = ""
        self.places: Places = {}

    def line(self) -> int:
        """The present line, from 1."""
        return self.text.count("\n") + 1

    def choose(self, *texts: str) -> str:
        """One of the spellings that mean the same."""
        return self.draw(st.sampled_from(texts))

    def add(self, *texts: str) -> None:
        """Write one of the spellings."""
        self.text += self.choose(*texts)


class JsonWriter(Writer):
    """Objects with comments, trailing commas and free line breaks."""

    def gap(self) -> None:
        """White space and comments."""
        self.add("", "", " ", "\n", "\r\n", "/* \n } */", "// ]\n", "\t")

    def value(self, value: Any, path: KeyPath) -> None:
        """Write a value."""
        self.gap()
        if isinstance(value, dict):
            self.add("{")
            for key, item in value.items():
                self.gap()
                self.places[*path, key] = self.line()
                self.add(json.dumps(key), json.dumps(key, ensure_ascii=False))
                self.gap()
                self.add(":")
                self.value(item, (*path, key))
                self.gap()
                self.text += "," if key != list(value)[-1] else self.choose("", ",")
            self.gap()
            self.add("}")
        elif isinstance(value, list):
            self.add("[")
            for index, item in enumerate(value):
                self.value(item, (*path, index))
                self.gap()
                self.text += "," if index < len(value) - 1 else self.choose("", ",")
            self.gap()
            self.add("]")
        else:
            if path and isinstance(path[-1], int):
                self.places[path] = self.line()
            self.add(json.dumps(value), json.dumps(value, ensure_ascii=False))


class TomlWriter(Writer):
    """Tables as headers, dotted keys and inline tables; arrays of tables both ways."""

    def key(self, key: str) -> str:
        """Write a key in one of its spellings."""
        forms = [_basic(key)]
        if key and all(letter.isascii() and (letter.isalnum() or letter in "-_") for letter in key):
            forms.append(key)
        if "'" not in key and "\n" not in key:
            forms.append(f"'{key}'")
        return self.choose(*forms)

    def table(self, table: dict[str, Any], path: KeyPath, header: str) -> None:
        """Write a table: its plain keys first, then what gets a header of its own."""
        later: list[tuple[str, Any]] = []
        for key, value in table.items():
            is_tables = isinstance(value, list) and value and all(isinstance(item, dict) for item in value)
            if (isinstance(value, dict) or is_tables) and self.draw(st.booleans()):
                later.append((key, value))
                continue
            self.add("", "", "# x = ']\n", "\n", "  ")
            self.places[*path, key] = self.line()
            self.add(f"{self.key(key)} = ", f"{self.key(key)}\t=")
            self.value(value, (*path, key))
            self.add("\n", " # }\n", "\r\n")
        for key, value in later:
            name = f"{header}{'.' if header else ''}{self.key(key)}"
            for index, item in enumerate(value) if isinstance(value, list) else [(None, value)]:
                inner: KeyPath = (*path, key) if index is None else (*path, key, index)
                self.places.setdefault((*path, key), self.line())
                self.places.setdefault(inner, self.line())
                self.add(f"[{name}]\n" if index is None else f"[[ {name} ]] # ]\n")
                self.table(item, inner, name)

    def value(self, value: Any, path: KeyPath) -> None:
        """Write a value in one of its spellings."""
        if isinstance(value, dict):
            self.add("{")
            for index, (key, item) in enumerate(value.items()):
                self.text += ", " if index else ""
                self.places[*path, key] = self.line()
                self.text += f"{self.key(key)} = "
                self.value(item, (*path, key))
            self.add("}")
        elif isinstance(value, list):
            self.add("[")
            for index, item in enumerate(value):
                self.add("", "\n", " # ]\n", " ")
                self.places[*path, index] = self.line()
                self.value(item, (*path, index))
                self.text += self.choose(",", " # ,\n,") if index < len(value) - 1 else self.choose("", ",")
            self.add("]", "\n]")
        elif isinstance(value, str):
            self.text += self.string(value)
        else:
            self.text += json.dumps(value)

    def string(self, value: str) -> str:
        """Return a string in one of the four spellings, where it has it."""
        forms = [_basic(value)]
        if "'" not in value:
            forms.append(f"'''\n{value}'''")
            if "\n" not in value:
                forms.append(f"'{value}'")
        forms.append('"""\n' + value.replace("\\", "\\\\").replace('""', '"\\"') + '"""')
        return self.choose(*forms)


def _basic(value: str) -> str:
    return json.dumps(value, ensure_ascii=False)


@st.composite
def json_documents(draw: st.DrawFn) -> tuple[dict[str, Any], str, Places]:
    """An object, its text, and the line of each of its keys."""
    table = draw(TABLES)
    writer = JsonWriter(draw)
    writer.value(table, ())
    writer.gap()
    return table, writer.text, writer.places


@st.composite
def toml_documents(draw: st.DrawFn) -> tuple[dict[str, Any], str, Places]:
    """A table, its text, and the line of each of its keys."""
    table = draw(TABLES)
    writer = TomlWriter(draw)
    writer.table(table, (), "")
    return table, writer.text, writer.places
