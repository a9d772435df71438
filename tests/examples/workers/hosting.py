"""Run an example worker as its reader would run it, but with the tests' servers as its bindings."""

from __future__ import annotations

import sys
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from longshore.testing.worker import Worker, run_worker
from tests.server_process import HOST, free_port, running, says

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from contextlib import AbstractContextManager

    import httpx

__all__ = ["CUSTOMERS", "EXAMPLES", "at_once", "example", "served"]

EXAMPLES = Path(__file__).parents[3] / "examples" / "workers"

CUSTOMERS = [
    {"id": 1, "name": "Ann", "city": "Aberdeen"},
    {"id": 2, "name": "Bjørn", "city": "Bergen"},
    {"id": 3, "name": "Chloé", "city": "Concarneau"},
]

CLIENTS = 8


def example(name: str, **bindings: object) -> AbstractContextManager[Worker]:
    """Return the worker ``examples/workers/<name>``, running."""
    return run_worker(EXAMPLES / name, bindings=bindings)


@contextmanager
def served(name: str, directory: Path, **databases: str) -> Iterator[str]:
    """Run the example with ``longshore serve``, in a process of its own, and yield its URL.

    Args:
        name: of the example.
        directory: gets the log.
        **databases: the bindings, by connection string.
    """
    port = free_port()
    variables = [f"LONGSHORE_HYPERDRIVE_{binding}={url}" for binding, url in databases.items()]
    program = [
        sys.executable,
        "-m",
        "longshore",
        "serve",
        "--port",
        port,
        "--config",
        EXAMPLES / name / "longshore.toml",
    ]
    is_ready = partial(says, port, b"HTTP/1.1 ", after=b"GET / HTTP/1.0\r\n\r\n")
    with running(["env", *variables, *program], is_ready, user=None, directory=directory):
        yield f"http://{HOST}:{port}"


def at_once(ask: Callable[[], httpx.Response], times: int = CLIENTS) -> list[httpx.Response]:
    """Return the answers to requests that are made at the same time."""
    with ThreadPoolExecutor(times) as threads:
        return [future.result() for future in [threads.submit(ask) for _ in range(times)]]
