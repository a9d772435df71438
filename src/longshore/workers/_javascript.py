"""``import_from_javascript()``: the two modules of Cloudflare's runtime that Python workers import from JavaScript."""

from __future__ import annotations

from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

from longshore.workers._context import wait_until
from longshore.workers._entrypoint import DurableObject, WorkerEntrypoint, WorkflowEntrypoint
from longshore.workers._env import env, with_env
from longshore.workers._javascript_promise import promised
from longshore.workers._javascript_sockets import JsSocket, connect

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

__all__ = ["import_from_javascript"]

ONLY = "Only 'cloudflare:workers' and 'cloudflare:sockets' are available in the global scope."
NO_JAVASCRIPT = "Longshore runs CPython and has no JavaScript, in handlers neither: use a Python package instead"


def import_from_javascript(module_name: str) -> Any:
    """Return the Python façade of a JavaScript module; it works anywhere, at module level too.

    Args:
        module_name: ``"cloudflare:sockets"`` or ``"cloudflare:workers"``.

    Raises:
        ImportError: any other name.
    """
    if module_name == "cloudflare:sockets":
        return _sockets
    if module_name == "cloudflare:workers":
        return _workers
    error = ImportError(f"Failed to import '{module_name}': {ONLY}", name=module_name)
    error.add_note(NO_JAVASCRIPT)
    raise error


_sockets = SimpleNamespace(connect=connect, Socket=JsSocket)


class _CloudflareWorkers:
    """``cloudflare:workers``; its classes are those of ``workers``."""

    DurableObject = DurableObject
    WorkerEntrypoint = WorkerEntrypoint
    WorkflowEntrypoint = WorkflowEntrypoint
    env = env
    waitUntil = staticmethod(wait_until)  # noqa: N815 - JavaScript's name

    @staticmethod
    def withEnv(values: Mapping[str, Any], function: Callable[[], Any]) -> Any:  # noqa: N802 - JavaScript's name
        """Call ``function`` with ``values`` as the whole ``env``, and return what it returns.

        Args:
            values: the bindings.
            function: plain or async; the whole of an async one sees ``values``.
        """
        with with_env(values):
            result = function()
            return promised(result) if hasattr(result, "send") else result


_workers = _CloudflareWorkers()
