"""Compares parsed values with the declarations of ``shape`` and reports everything that differs (PURE)."""

from __future__ import annotations

from difflib import get_close_matches
from typing import TYPE_CHECKING, Any, Final, TypeGuard

from msgspec import inspect

from longshore.config.shape import Section, TopLevel
from longshore.config.wrangler_keys import INERT_KEYS, TOP_LEVEL_ONLY
from longshore.core.shown import shown

if TYPE_CHECKING:
    from collections.abc import Iterable

    from longshore.config.document import Document
    from longshore.config.errors import Problem
    from longshore.config.positions import KeyPath

__all__ = ["nearest", "validate"]

# TOML has tables and arrays, JSON has objects and arrays; both are understood by these names.
_KINDS: Final[tuple[tuple[type, str], ...]] = (
    (bool, "true or false"),
    (str, "text"),
    (int, "a whole number"),
    (float, "a number"),
    (list, "a list"),
    (dict, "a table"),
    (type(None), "null"),
)
_SCALARS: Final[tuple[tuple[type, tuple[type, ...]], ...]] = (
    (inspect.StrType, (str,)),
    (inspect.BoolType, (bool,)),
    (inspect.IntType, (int,)),
    (inspect.FloatType, (int, float)),
)
_FILE: Final = inspect.type_info(TopLevel)
_SECTION: Final = inspect.type_info(Section)
# Struct types are equal by the class they describe.
_SECTIONS: Final = (Section, TopLevel)


def validate(document: Document, shape: type | None = None) -> list[tuple[KeyPath, Problem]]:
    """Return everything that is wrong with a document's keys, types, ranges and single values, in its order.

    Args:
        document: what was read.
        shape: what it may hold, a ``msgspec.Struct``; None: the configuration of a worker.
    """
    walk = _Walk(document)
    walk.check(document.values, _FILE if shape is None else inspect.type_info(shape), ())
    return sorted(walk.problems, key=lambda found: (found[1].line or 0, found[1].column or 0))


def nearest(word: str, words: Iterable[str]) -> str | None:
    """Return the word that ``word`` was probably meant to be."""
    spellings = {known.lower().replace("_", "").replace("-", ""): known for known in words}
    found = get_close_matches(word.lower().replace("_", "").replace("-", ""), spellings, n=1, cutoff=0.6)
    return spellings[found[0]] if found else None


class _Walk:
    def __init__(self, document: Document) -> None:
        self.document = document
        self.problems: list[tuple[KeyPath, Problem]] = []

    def report(self, path: KeyPath, message: str, hint: str = "") -> None:
        self.problems.append((path, self.document.problem(path, message, hint)))

    def check(self, value: Any, kind: inspect.Type, path: KeyPath) -> None:
        """Report what is wrong with ``value`` and with all that it holds."""
        if isinstance(kind, inspect.Metadata):
            self.check_metadata(value, kind, path)
        elif isinstance(kind, inspect.UnionType):
            self.check_union(value, kind, path)
        elif isinstance(kind, inspect.StructType):
            self.check_struct(value, kind, path)
        elif isinstance(kind, inspect.DictType):
            self.check_map(value, kind, path)
        elif isinstance(kind, inspect.ListType):
            self.check_list(value, kind, path)
        elif isinstance(kind, inspect.LiteralType):
            if value not in kind.values or not isinstance(value, str):
                choice = " or ".join(repr(each) for each in kind.values)
                near = nearest(value, map(str, kind.values)) if isinstance(value, str) else None
                self.report(path, f"expected {choice}, found {shown(value)}", f"did you mean {near!r}?" if near else "")
        elif not isinstance(kind, inspect.AnyType):
            self.check_scalar(value, kind, path)

    def check_metadata(self, value: Any, kind: inspect.Metadata, path: KeyPath) -> None:
        before = len(self.problems)
        self.check(value, kind.type, path)
        check = (kind.extra or {}).get("check")
        if check is None or len(self.problems) > before:
            return
        try:
            check(value)
        except ValueError as error:
            self.report(path, str(error))

    def check_union(self, value: Any, kind: inspect.UnionType, path: KeyPath) -> None:
        # Only `X | None` and `str | list[str] | None` are declared; null in a file is none of them.
        kinds = [each for each in kind.types if not isinstance(each, inspect.NoneType)]
        if len(kinds) > 1:
            kinds = [each for each in kinds if isinstance(each, inspect.ListType) == isinstance(value, list)]
        self.check(value, kinds[0], path)

    def check_struct(self, value: Any, kind: inspect.StructType, path: KeyPath) -> None:
        if not self.is_table(value, path):
            return
        fields = {field.encode_name: field for field in kind.fields}
        for key, item in value.items():
            if key in fields:
                self.check(item, fields[key].type, (*path, key))
            else:
                self.check_foreign_key(key, kind, (*path, key), fields)
        for name, field in fields.items():
            if field.required and name not in value:
                self.report(path, f"{name!r} is missing")

    def check_foreign_key(self, key: str, kind: inspect.StructType, path: KeyPath, known: Iterable[str]) -> None:
        """Report a key that is none of the table's own, unless it is a key of wrangler's without effect."""
        is_section = kind.cls in _SECTIONS
        is_inside_env = kind.cls is Section
        if is_section and is_inside_env and key in TOP_LEVEL_ONLY:
            self.report(path, "stands at the top level only", "move it there, it holds for every environment")
        elif not (is_section and key in INERT_KEYS):
            names = [*known, *(INERT_KEYS if is_section else ())]
            near = nearest(key, names)
            self.report(path, "unknown key", f"did you mean {near!r}?" if near else _known_keys(names, is_section))

    def check_map(self, value: Any, kind: inspect.DictType, path: KeyPath) -> None:
        if self.is_table(value, path):
            for key, item in value.items():
                self.check(item, kind.value_type, (*path, key))

    def check_list(self, value: Any, kind: inspect.ListType, path: KeyPath) -> None:
        if not isinstance(value, list):
            item = _expected(kind.item_type)
            hint = "write [[…]] for each, with two brackets" if isinstance(value, dict) else "write it in [ ]"
            self.report(path, f"expected a list of {item}, found {_kind(value)}", hint)
            return
        for index, item in enumerate(value):
            self.check(item, kind.item_type, (*path, index))

    def check_scalar(self, value: Any, kind: inspect.Type, path: KeyPath) -> None:
        types = next(types for each, types in _SCALARS if isinstance(kind, each))
        number = value if isinstance(value, (int, float)) else 0
        if not isinstance(value, types) or (isinstance(value, bool) and bool not in types):
            self.report(path, f"expected {_expected(kind)}, found {_found(value)}")
        elif isinstance(kind, (inspect.IntType, inspect.FloatType)) and not _is_in_range(number, kind):
            self.report(path, f"expected {_expected(kind)}, found {shown(value)}")

    def is_table(self, value: Any, path: KeyPath) -> TypeGuard[dict[str, Any]]:
        if isinstance(value, dict):
            return True
        hint = "write [name] with one bracket" if isinstance(value, list) else ""
        self.report(path, f"expected a table, found {_kind(value)}", hint)
        return False


def _known_keys(names: list[str], is_section: bool) -> str:
    return "docs/reference/configuration.md lists all keys" if is_section else f"known here: {', '.join(names)}"


def _is_in_range(value: float, kind: inspect.IntType | inspect.FloatType) -> bool:
    above = (kind.ge is None or value >= kind.ge) and (kind.gt is None or value > kind.gt)
    return above and (kind.le is None or value <= kind.le)


def _expected(kind: inspect.Type) -> str:
    if isinstance(kind, inspect.Metadata):
        return _expected(kind.type)
    if isinstance(kind, inspect.StructType):
        return "tables"
    if isinstance(kind, inspect.StrType):
        return "text"
    if isinstance(kind, inspect.BoolType):
        return "true or false"
    what = "a whole number" if isinstance(kind, inspect.IntType) else "a number"
    assert isinstance(kind, (inspect.IntType, inspect.FloatType)), kind
    assert kind.le is not None, "every number of the shapes has its bounds"
    if kind.ge is not None:
        return f"{what} from {_number(kind.ge)} to {_number(kind.le)}"
    return f"{what} above {_number(kind.gt or 0)}, at most {_number(kind.le)}"


def _number(value: float) -> str:
    return str(value) if isinstance(value, int) else f"{value:g}"


def _kind(value: Any) -> str:
    return next((name for kind, name in _KINDS if isinstance(value, kind)), f"a {type(value).__name__}")


def _found(value: Any) -> str:
    """Return what stands there; the insides of lists and tables may be secret and are not shown."""
    if isinstance(value, (list, dict)) or value is None:
        return _kind(value)
    if isinstance(value, bool):
        return str(value).lower()
    return f"{_kind(value)}, {shown(value)}"
