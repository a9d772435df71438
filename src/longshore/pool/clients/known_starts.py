"""What clients of a pool asked for in their StartupMessages before, and were told (PURE)."""

from __future__ import annotations

from typing import Final, NamedTuple, TypeAlias

__all__ = ["KnownStart", "KnownStarts"]

_MAX: Final = 1000

Asked: TypeAlias = "tuple[tuple[bytes, bytes], ...]"
"""Parameters of a StartupMessage."""


class KnownStart(NamedTuple):
    """What follows from a StartupMessage."""

    settings: dict[str, str]
    """Name → statement."""
    parameters: dict[bytes, bytes]
    """What the client is told of the server's parameters."""


class KnownStarts:
    """Of one pool; it forgets all when what the pool tells of its servers has changed."""

    def __init__(self) -> None:
        self._known: dict[Asked, KnownStart] = {}

    def find(self, asked: Asked) -> KnownStart | None:
        """Return what follows; None: nobody has asked for just that."""
        return self._known.get(asked)

    def keep(self, asked: Asked, settings: dict[str, str], parameters: dict[bytes, bytes]) -> KnownStart:
        """Remember what followed."""
        if len(self._known) >= _MAX:
            self._known.clear()
        known = self._known[asked] = KnownStart(settings, parameters)
        return known

    def clear(self) -> None:
        """Forget all."""
        self._known.clear()
