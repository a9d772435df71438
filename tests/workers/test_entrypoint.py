"""``WorkerEntrypoint`` and ``handler``, used by hand."""

from __future__ import annotations

from typing import Any

import pytest

from longshore.workers import DurableObject, WorkerEntrypoint, WorkflowEntrypoint, handler


def test_entrypoint_made_by_hand() -> None:
    class Default(WorkerEntrypoint):
        pass

    ctx: Any = object()
    one = Default(ctx, "env")
    assert (one.ctx, one.env) == (ctx, "env")


def test_init_of_a_subclass_need_not_call_super() -> None:
    class Default(WorkerEntrypoint):
        def __init__(self, ctx: Any, env: Any) -> None:
            self.seen = (self.ctx, self.env)

    made: Any = Default("ctx", "env")
    assert made.seen == ("ctx", "env")


def test_subclass_with_another_constructor() -> None:
    class Default(WorkerEntrypoint):
        def __init__(self, ctx: Any, env: Any, *, more: int = 1) -> None:
            super().__init__(ctx, env)
            self.more = more

    assert Default("ctx", "env", more=2).more == 2


@pytest.mark.parametrize(("base", "thing"), [(DurableObject, "Durable Objects"), (WorkflowEntrypoint, "Workflows")])
def test_what_this_runtime_does_not_provide(base: Any, thing: str) -> None:
    class Counter(base):  # type: ignore[misc] # a parameter
        pass

    with pytest.raises(NotImplementedError, match=f"class Counter derives from {base.__name__}.*{thing}"):
        Counter(None, None)


def test_handler_leaves_the_function_as_it_is() -> None:
    def on_fetch(request: object) -> None: ...

    assert handler(on_fetch) is on_fetch
