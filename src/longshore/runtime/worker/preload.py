"""Imports all that a worker process needs, in the zygote, so that a fork begins to work at once.

Nothing here may start a thread, open a descriptor or make an event loop: a fork would inherit half of it.
"""

from __future__ import annotations

import importlib
import sys

from longshore.sandbox.seccomp import prepare_filter

__all__ = ["preload"]

_NEEDED = (
    "longshore",
    "longshore.workers",
    "longshore.compat.install",
    "longshore.runtime.worker.process",
    # Imported by those when they are first used.
    "encodings.idna",
    "httptools",
    "uvicorn.lifespan.off",
    "uvicorn.protocols.http.httptools_impl",
    "uvicorn.protocols.websockets.websockets_sansio_impl",
)
_FETCH = "longshore.workers._fetch_client"
_USEFUL = ("uvloop", "anyio._backends._asyncio", "longshore.workers._fetch_follow")


def preload() -> None:
    """Import it."""
    for name in _NEEDED:
        importlib.import_module(name)
    for name in _USEFUL:
        try:
            importlib.import_module(name)
        except ImportError:  # an extra that is not installed
            pass
    if sys.platform == "linux":
        prepare_filter()
    if _FETCH in sys.modules:
        sys.modules[_FETCH].tls_context()  # the first fetch() of a worker would read the authorities
