"""What a contender is asked to do and what it answers (values only, shared by every contender)."""

from __future__ import annotations

import ssl
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass

__all__ = [
    "CHUNK_BYTES",
    "HOST",
    "MESSAGE",
    "WARM_UP_SOCKETS",
    "AsyncVerb",
    "Contender",
    "Job",
    "Reading",
    "Verb",
]

HOST = "127.0.0.1"
"""A literal, so that no contender pays for name resolution."""
MESSAGE = b"x" * 64
"""What ``echo`` sends."""
CHUNK_BYTES = 256 * 1024
"""What ``bulk`` reads and writes at once, in every contender and in the servers."""

WARM_UP_SOCKETS = 32
"""What ``idle`` opens before it weighs: imports, caches and the first arenas are then paid for."""

Reading = Mapping[str, float]
"""``{"seconds": …, "cpu_seconds": …}``, ``{"bytes": …}`` or ``{"flights": …, "segments": …}``."""


@dataclass(frozen=True, slots=True)
class Job:
    """One measurement: the verb names the function, the rest are its arguments."""

    verb: str
    port: int
    count: int = 1
    """Round trips, bytes, connections or sockets."""
    ca: str | None = None
    """PEM file of the authority to trust; None for a plain connection."""
    mode: str = "plain"
    """``plain``, ``tls`` or ``starttls``; only ``flights`` looks at it."""

    @staticmethod
    def chunk() -> bytes:
        """Return a piece to send; of real memory, as pages never written to are all the one zero page."""
        return b"x" * CHUNK_BYTES

    @property
    def warm_up(self) -> int:
        """How much of the work is done before the clock starts: a twentieth."""
        return self.count // 20

    def context(self) -> ssl.SSLContext:
        """Return a verifying client context, made before the clock starts."""
        return ssl.create_default_context(cafile=self.ca)

    def context_or_none(self) -> ssl.SSLContext | None:
        """Return the context of a TLS job, None for a plain one."""
        return self.context() if self.ca else None


Verb = Callable[[Job], Reading]
AsyncVerb = Callable[[Job], Awaitable[Reading]]


@dataclass(frozen=True, slots=True)
class Contender:
    """A module's door: its verbs, and how it runs one on a loop (``asyncio``, ``uvloop`` or none)."""

    run: Callable[[Callable[[Job], Awaitable[Reading] | Reading], Job, str | None], Reading]
    verbs: Mapping[str, Callable[[Job], Awaitable[Reading] | Reading]]
    close: Callable[[], object] = lambda: None
    """Called when all jobs are done; ends what they share."""
