"""Who can take part in the benches of the sockets library, and what each can do."""

from __future__ import annotations

from dataclasses import replace

from bench.model import ContenderSpec

__all__ = ["PEERS", "PYTHON_PEERS", "contenders_for"]

LOOPS = ("asyncio", "uvloop")
PYTHON_PEERS = ("asyncio-streams", "anyio", "trio")
"""What a Python program would use instead."""
PEERS = (*PYTHON_PEERS, "node")
"""The same, and Node's ``net``."""

_STREAM = frozenset({"echo", "bulk_in", "bulk_out", "dial", "idle", "flights"})
_PROTOCOL = frozenset({"echo", "bulk_in", "bulk_out", "dial", "idle"})
_BULK = frozenset({"bulk_in", "bulk_out"})


def _on_both_loops(name: str, module: str, verbs: frozenset[str], *requires: str) -> list[ContenderSpec]:
    return [
        ContenderSpec(name, "asyncio", module, requires, verbs),
        ContenderSpec(name, "uvloop", module, (*requires, "uvloop"), verbs),
    ]


def _raw(kind: str, module: str, verbs: frozenset[str]) -> list[ContenderSpec]:
    """Return a contender that is named after its loop, as DESIGN §6 does: ``uvloop-protocol``."""
    return [replace(spec, name=f"{spec.loop}-{kind}") for spec in _on_both_loops("", module, verbs)]


_ALL: tuple[ContenderSpec, ...] = (
    *_on_both_loops("longshore", "longshore_socket", _STREAM, "longshore"),
    *_on_both_loops("longshore-read-into", "longshore_read_into", frozenset({"bulk_in"}), "longshore"),
    *_on_both_loops("longshore-no-poll", "longshore_no_poll", frozenset({"echo", "dial"}), "longshore"),
    ContenderSpec("c", None, "native", (), _BULK | {"echo", "dial"}, frozenset({"plain"})),
    *_raw("protocol", "asyncio_protocol", _PROTOCOL),
    *_raw("buffered", "asyncio_buffered", frozenset({"bulk_in"})),
    *_on_both_loops("asyncio-streams", "asyncio_streams", _STREAM),
    *_on_both_loops("anyio", "anyio_stream", _STREAM, "anyio"),
    ContenderSpec("trio", None, "trio_stream", ("trio",), _STREAM),
    ContenderSpec("blocking-ssl", None, "blocking_ssl", (), _BULK, frozenset({"tls"})),
    ContenderSpec("node", None, "node", ("!node",), _BULK | {"echo", "dial", "flights"}),
)


def contenders_for(*verbs: str) -> tuple[ContenderSpec, ...]:
    """Return everyone who can do one of the verbs, in the order they run."""
    return tuple(contender for contender in _ALL if contender.verbs & set(verbs))
