"""The keys of wrangler's that have no effect."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from longshore.config.shape import Section, TopLevel
from longshore.config.wrangler_keys import INERT_KEYS, NON_INHERITABLE, TOP_LEVEL_ONLY, declared_bindings, is_minor

if TYPE_CHECKING:
    from longshore.config.positions import KeyPath

BINDINGS: list[tuple[str, object, list[tuple[str, KeyPath]]]] = [
    (
        "kv_namespaces",
        [{"binding": "A"}, {"binding": "B"}],
        [("A", ("kv_namespaces", 0, "binding")), ("B", ("kv_namespaces", 1, "binding"))],
    ),
    ("durable_objects", {"bindings": [{"name": "A"}]}, [("A", ("durable_objects", "bindings", 0, "name"))]),
    (
        "queues",
        {"producers": [{"binding": "Q"}], "consumers": [{"queue": "q"}]},
        [("Q", ("queues", "producers", 0, "binding"))],
    ),
    ("ai", {"binding": "AI"}, [("AI", ("ai", "binding"))]),
    ("wasm_modules", {"W": "w.wasm"}, [("W", ("wasm_modules", "W"))]),
    ("routes", ["example.com"], []),
    ("kv_namespaces", "nonsense", []),
    ("kv_namespaces", [1, {"binding": 2}, {"binding": ""}, {}], []),
    ("wasm_modules", [], []),
    ("queues", [], []),
]


@pytest.mark.parametrize(("key", "value", "bindings"), BINDINGS)
def test_the_bindings_that_a_key_declares(key: str, value: object, bindings: list[tuple[str, KeyPath]]) -> None:
    assert list(declared_bindings(key, value)) == bindings


def test_no_key_both_has_an_effect_and_has_none() -> None:
    assert not INERT_KEYS.keys() & set(TopLevel.__struct_fields__)


def test_every_key_in_the_lists_is_known() -> None:
    known = INERT_KEYS.keys() | set(TopLevel.__struct_fields__)
    assert known >= NON_INHERITABLE
    assert known >= TOP_LEVEL_ONLY
    assert not NON_INHERITABLE & TOP_LEVEL_ONLY
    assert not TOP_LEVEL_ONLY & set(Section.__struct_fields__)


def test_what_a_worker_could_miss_is_not_minor() -> None:
    minor = {key for key in INERT_KEYS if is_minor(key)}
    assert {"observability", "placement", "logpush", "limits", "routes"} <= minor
    assert not minor & {key for key, inert in INERT_KEYS.items() if inert.bindings}
    assert not minor & {"alias", "define", "connect", "containers", "site"}
    assert not is_minor("vars")
