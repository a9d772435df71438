"""``FormData``: names with values, of which some may be files (WHATWG XMLHttpRequest §4)."""

from __future__ import annotations

from collections.abc import ItemsView, Iterable, Iterator, KeysView, Mapping, MutableMapping, ValuesView
from typing import TYPE_CHECKING, Any, TypeAlias

from longshore.workers._blob import Blob, File

if TYPE_CHECKING:
    from typing import Self

__all__ = ["FormData", "FormDataValue"]

FormDataValue: TypeAlias = "str | Blob"
"""What a field may hold."""


class FormData(MutableMapping[str, FormDataValue]):
    """An ordered list of fields; a name may occur more than once.

    ``form[name]`` is the first value of a name, ``form[name] = value`` replaces all of them; iterating gives every
    field, so a name that occurs twice comes twice.

    Args:
        form_data: a dict, or another ``FormData``.

    Raises:
        TypeError: it is something else, or holds a value that is neither text nor a blob nor a number.
    """

    __slots__ = ("_fields",)

    def __init__(self, form_data: FormData | Mapping[str, Any] | None = None) -> None:
        self._fields: list[tuple[str, FormDataValue]] = []
        if not form_data:
            return
        if not isinstance(form_data, Mapping):
            raise TypeError("Expected form_data to be a dict or an instance of FormData")
        for name, value in form_data.items():
            self.append(name, value)

    @classmethod
    def from_fields(cls, fields: Iterable[tuple[str, FormDataValue]]) -> FormData:
        """Return a form with ``fields``, which are right already."""
        form = cls()
        form._fields.extend(fields)
        return form

    def __getitem__(self, key: str) -> FormDataValue:
        for name, value in self._fields:
            if name == key:
                return value
        raise KeyError(key)

    def __setitem__(self, key: str, value: Any) -> None:
        if isinstance(value, list):
            raise TypeError("Expected single item in arguments to FormData.__setitem__")
        self.set(key, value)

    def __delitem__(self, key: str) -> None:
        if key not in self:
            raise KeyError(key)
        self.delete(key)

    def __contains__(self, key: object) -> bool:
        return any(name == key for name, _ in self._fields)

    def __iter__(self) -> Iterator[str]:
        return (name for name, _ in self._fields)

    def __len__(self) -> int:
        return len(self._fields)

    def append(self, key: str, value: Any, filename: str | None = None) -> None:
        """Add a field.

        Args:
            key: its name.
            value: text, a blob, or a number.
            filename: the name of the file; only for a blob, which is called ``"blob"`` without it.

        Raises:
            TypeError: the value is of another type, or has a file name and is no blob.
        """
        self._fields.append((key, _entry(key, value, filename)))

    def set(self, key: str, value: Any, filename: str | None = None) -> None:
        """Replace every field of that name by one, in the place of the first; see ``append()``.

        Raises:
            TypeError: as ``append()``.
        """
        entry = (key, _entry(key, value, filename))
        found = [position for position, (name, _) in enumerate(self._fields) if name == key]
        if not found:
            self._fields.append(entry)
            return
        self._fields[found[0]] = entry
        for position in reversed(found[1:]):
            del self._fields[position]

    def delete(self, key: str) -> None:
        """Remove every field of that name; none is no error."""
        self._fields = [field for field in self._fields if field[0] != key]

    def get_all(self, key: str) -> list[FormDataValue]:
        """Return every value of that name."""
        return [value for name, value in self._fields if name == key]

    def has(self, key: str) -> bool:
        """Return True when there is a field of that name."""
        return key in self

    getAll = get_all  # noqa: N815 -- JavaScript's name

    def keys(self) -> KeysView[str]:
        """Return the names, in order."""
        return KeysView(self)

    def values(self) -> ValuesView[FormDataValue]:
        """Return the values, in order."""
        return _Values(self)

    def items(self) -> ItemsView[str, FormDataValue]:
        """Return the fields, in order."""
        return _Items(self)

    def copy(self) -> FormData:
        """Return a form that changes independently of this one."""
        return FormData.from_fields(self._fields)

    @property
    def js_object(self) -> Self:
        """The form itself, which has JavaScript's names too."""
        return self

    def __eq__(self, other: object) -> bool:
        return self._fields == other._fields if isinstance(other, FormData) else NotImplemented

    __hash__ = None  # type: ignore[assignment]  # as every mapping that can change

    def __repr__(self) -> str:
        return f"FormData({self._fields!r})"


class _Values(ValuesView[FormDataValue]):
    def __init__(self, form: FormData) -> None:
        super().__init__(form)
        self._form = form

    def __iter__(self) -> Iterator[FormDataValue]:
        return (value for _, value in self._form._fields)

    def __contains__(self, value: object) -> bool:
        return any(value == known for known in self)


class _Items(ItemsView[str, FormDataValue]):
    def __init__(self, form: FormData) -> None:
        super().__init__(form)
        self._form = form

    def __iter__(self) -> Iterator[tuple[str, FormDataValue]]:
        return iter(self._form._fields)

    def __contains__(self, item: object) -> bool:
        return item in self._form._fields


def _entry(key: object, value: object, filename: str | None) -> FormDataValue:
    if not isinstance(key, str):
        raise TypeError(f"the name of a form field is {key!r}: it must be a str")
    if isinstance(value, Blob):
        # WHATWG "create an entry": in a form every blob is a file.
        if isinstance(value, File) and filename is None:
            return value
        return File(value, filename if filename is not None else "blob")
    if filename is not None:
        raise TypeError(f"form field {key!r} has the file name {filename!r}: only a Blob or a File may have one")
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, (str, int, float)):
        return str(value)
    raise TypeError(f"form field {key!r} is of type {type(value).__name__}: give a str, or wrap bytes in Blob(...)")
