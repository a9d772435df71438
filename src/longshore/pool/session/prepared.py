"""Prepared statements of the extended protocol, shared by the sessions of a pool (PURE).

A client's name is its own affair. On a server connection a statement has a name of ours, the same for every session
that prepared the same text with the same parameter types under the same ``search_path`` and role, and after the same
changes of the catalogue: those decide what the names in it mean. So the work of Parse is done once for each server
connection.
"""

from __future__ import annotations

from collections import OrderedDict
from typing import TYPE_CHECKING, Final, NamedTuple

from longshore.pool.session.shape import Shape

if TYPE_CHECKING:
    from longshore.sql.facts import TextFacts

__all__ = ["NAME_PREFIX", "Prepared", "StatementKey", "StatementNames"]

NAME_PREFIX: Final = b"longshore_"
_MAX_NAMES: Final = 10_000
_MAX_SHARED_BYTES: Final = 16 * 1024


class StatementKey(NamedTuple):
    """What makes two prepared statements the same."""

    body: bytes
    """Of Parse: text, NUL, parameter types."""
    meaning: tuple[object, ...]
    """What decides what the names in it mean."""


class Prepared:
    """A statement that a client has prepared.

    Args:
        body: of its Parse.
        name: on server connections; empty for the unnamed statement.
        facts: about its text.
        text: of its Parse.
    """

    __slots__ = ("body", "facts", "is_void", "name", "shape", "text")

    def __init__(self, body: bytes, name: bytes, facts: TextFacts, text: str) -> None:
        self.body = body
        self.name = name
        self.facts = facts
        self.text = text
        self.is_void = False
        """Its Parse has failed."""
        self.shape = Shape()
        """What the client was told of its parameters and columns."""


class StatementNames:
    """Gives statements their names on server connections; one for each pool.

    It may forget: then the same statement gets a second name, and the first is used as long as somebody knows it.
    """

    def __init__(self) -> None:
        self._names: OrderedDict[StatementKey, bytes] = OrderedDict()
        self._last = 0

    def name(self, key: StatementKey) -> bytes:
        """Return the name of a statement."""
        if len(key.body) > _MAX_SHARED_BYTES:
            return self.new()
        name = self._names.get(key)
        if name is None:
            name = self._names[key] = self.new()
            if len(self._names) > _MAX_NAMES:
                self._names.popitem(last=False)
        else:
            self._names.move_to_end(key)
        return name

    def new(self) -> bytes:
        """Return a name that nobody else has."""
        self._last += 1
        return NAME_PREFIX + b"%x" % self._last

    def __len__(self) -> int:
        return len(self._names)
