"""How far workers are shut in, in words: what ``dev`` and ``serve`` say (PURE)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from longshore.cli.words import printable
from longshore.sandbox.layers import LAYERS

if TYPE_CHECKING:
    from collections.abc import Iterable

    from longshore.runtime.host.events import Enclosed

__all__ = ["enclosed_words", "is_worrying", "missing_words"]

NOT_SHUT_IN: Final = "workers may do what this account may do; the network's rules hold for connect() and fetch() only"
_ESSENTIAL: Final = frozenset(each.name for each in LAYERS if each.is_essential)


def enclosed_words(event: Enclosed) -> str:
    """Return which layers are in force."""
    if event.in_force:
        return ", ".join(event.in_force)
    return f"off: {NOT_SHUT_IN}" if event.isolation == "off" else f"none: {NOT_SHUT_IN}"


def missing_words(event: Enclosed) -> list[str]:
    """Return a line for each reason why layers are missing: their names, the reason, and what that means."""
    by_reason: dict[str, list[tuple[str, str]]] = {}
    for name, reason, lost in event.missing:
        by_reason.setdefault(reason, []).append((name, lost))
    return [_missing(reason, found) for reason, found in by_reason.items()]


def is_worrying(event: Enclosed) -> bool:
    """Return whether something is missing that ``isolation = "required"`` would insist on."""
    return any(name in _ESSENTIAL for name, _, _ in event.missing)


def _missing(reason: str, found: Iterable[tuple[str, str]]) -> str:
    names = ", ".join(name for name, _ in found)
    because = f" ({printable(reason)})" if reason else ""
    # Two layers may keep the same thing, and when one is gone so is that.
    return f"without {names}{because}: {', '.join(dict.fromkeys(lost for _, lost in found))}"
