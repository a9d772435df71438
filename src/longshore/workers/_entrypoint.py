"""``WorkerEntrypoint`` and the two classes beside it that exist as names only."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from typing import Self

    from longshore.workers._context import Context

__all__ = ["DurableObject", "WorkerEntrypoint", "WorkflowEntrypoint"]


class WorkerEntrypoint:
    """Base class of a worker: its subclass ``Default`` in the main module answers requests.

    An instance is made for each request or event. What is to live longer belongs into a global of the module or into an
    attribute of the class. ``ctx`` and ``env`` are there even in a subclass whose ``__init__`` does not call this one.

    Args:
        ctx: the request; for ``wait_until``.
        env: the bindings.
    """

    ctx: Context
    env: Any

    def __new__(cls, ctx: Any = None, env: Any = None, *_args: object, **_kwargs: object) -> Self:
        """Set ``ctx`` and ``env``, so that no ``__init__`` of a subclass has to."""
        self = super().__new__(cls)
        self.ctx = ctx
        self.env = env
        return self

    def __init__(self, ctx: Context, env: Any) -> None:
        pass


class DurableObject:
    """Base class of Cloudflare's Durable Objects. This runtime has none: an instance cannot be made.

    Raises:
        NotImplementedError: always.
    """

    def __init__(self, ctx: Any, env: Any) -> None:
        raise NotImplementedError(refusal(type(self), DurableObject))


class WorkflowEntrypoint:
    """Base class of Cloudflare's Workflows. This runtime has none: an instance cannot be made.

    Raises:
        NotImplementedError: always.
    """

    def __init__(self, ctx: Any, env: Any) -> None:
        raise NotImplementedError(refusal(type(self), WorkflowEntrypoint))


def refusal(cls: type, base: type[DurableObject | WorkflowEntrypoint]) -> str:
    """Return the text that says that ``cls`` cannot be run here."""
    thing = "Durable Objects" if base is DurableObject else "Workflows"
    return (
        f"class {cls.__name__} derives from {base.__name__}: this runtime does not provide {thing}; "
        "derive from WorkerEntrypoint, and keep state in a database"
    )
