"""Which variables of the host's environment a worker may see (PURE).

The environment of a host holds secrets: the key of the credential store, passwords of databases, tokens of whatever
started it. A worker, and the zygote whose memory it shares, gets what is harmless and useful, and what
``[sandbox] environment`` names.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

__all__ = ["as_json", "harmless"]

_NAMES: Final = frozenset(
    {
        "COLORTERM",
        "FORCE_COLOR",
        "HOME",
        "LANG",
        "LANGUAGE",
        # Where the interpreter, and what it loads, may only find its libraries with their help.
        "LD_LIBRARY_PATH",
        "LD_PRELOAD",
        "LOGNAME",
        "NO_COLOR",
        "PATH",
        "SHELL",
        "SSL_CERT_DIR",
        "SSL_CERT_FILE",
        "TERM",
        "TMPDIR",
        "TZ",
        "TZDIR",
        "USER",
        "VIRTUAL_ENV",
    }
)
_PREFIXES: Final = ("LC_", "MALLOC_", "PYTHON")


def harmless(variables: Mapping[str, str], named: Iterable[str] = ()) -> dict[str, str]:
    """Return what a worker may see.

    Args:
        variables: the host's environment.
        named: what the operator grants besides.
    """
    granted = _NAMES.union(named)
    return {name: text for name, text in variables.items() if name in granted or name.startswith(_PREFIXES)}


def as_json(variables: Mapping[str, str]) -> dict[str, str]:
    """Return those variables that are text: others, in whatever encoding, cannot travel in a message."""
    return {name: text for name, text in variables.items() if _is_text(name) and _is_text(text)}


def _is_text(value: str) -> bool:
    return not any("\ud800" <= character <= "\udfff" for character in value)
