"""The reference has every public name, and names nothing that is not there."""

from __future__ import annotations

import importlib
import re
from typing import TYPE_CHECKING, Final

import pytest

from tests.docs.snippets import ROOT

if TYPE_CHECKING:
    from types import ModuleType

MODULES: Final = (
    "longshore",
    "longshore.abc",
    "longshore.embedded",
    "longshore.testing",
    "longshore.workers",
    "longshore.adapters.asyncio_streams",
    "longshore.adapters.httpcore_backend",
    "longshore.adapters.protocol",
)
NOT_SHOWN: Final = frozenset(
    {
        "longshore.adapters.protocol.ProtocolTransport",  # the type of a result, used as asyncio's Transport
    }
)
DIRECTIVE: Final = re.compile(r"^::: ([\w.]+)$", re.MULTILINE)


def shown() -> list[str]:
    """Return every name that a page of the reference shows."""
    pages = sorted((ROOT / "docs" / "reference").glob("*.md"))
    return [name for page in pages for name in DIRECTIVE.findall(page.read_text(encoding="utf-8"))]


def public(module: ModuleType) -> set[str]:
    """Return what a module exports, by full name."""
    return {f"{module.__name__}.{name}" for name in module.__all__}


@pytest.mark.parametrize("module", MODULES)
def test_every_public_name_is_in_the_reference(module: str) -> None:
    assert public(importlib.import_module(module)) - NOT_SHOWN <= set(shown())


def test_no_name_is_shown_twice() -> None:
    assert sorted(set(shown())) == sorted(shown())


def test_every_error_is_in_the_tree_of_the_reference() -> None:
    page = (ROOT / "docs" / "reference" / "errors.md").read_text(encoding="utf-8")
    tree = re.findall(r"[├└]─ (\w+)", page)
    errors = importlib.import_module("longshore.errors")
    classes = {name for name in errors.__all__ if issubclass(getattr(errors, name), errors.SocketError)}
    assert sorted(tree) == sorted(classes - {"SocketError"})
