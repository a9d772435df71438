"""requests on gevent, everything patched."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tests.interop.target import Target


def run(target: Target) -> str:
    """Get the page twice at the same time."""
    from gevent import monkey  # noqa: PLC0415 - before everything that it patches

    monkey.patch_all()
    from gevent.pool import Pool  # noqa: PLC0415

    from tests.interop.clients.http_requests import run as get  # noqa: PLC0415

    return f"{Pool(2).map(get, [target, target])[0]}"
