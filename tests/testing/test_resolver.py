"""``StaticResolver``: a table of names."""

from __future__ import annotations

import asyncio
from ipaddress import ip_address
from typing import TYPE_CHECKING

import pytest

from longshore.errors import ArgumentValueError, ResolveError
from longshore.testing import StaticResolver

if TYPE_CHECKING:
    from collections.abc import Sequence

    from longshore.abc import Resolver


async def test_addresses_come_in_the_order_given() -> None:
    resolver: Resolver = StaticResolver({"Db.Example": ["2001:db8::1", "192.0.2.1"]})
    expected = (ip_address("2001:db8::1"), ip_address("192.0.2.1"))
    assert await resolver.resolve("db.example", 5432) == expected
    assert await resolver.resolve("DB.EXAMPLE", 5432) == expected


async def test_an_unknown_name_is_an_error_that_names_the_known_ones() -> None:
    resolver = StaticResolver({"a.example": ["192.0.2.1"], "b.example": ["192.0.2.2"]})
    with pytest.raises(ResolveError, match=r"cannot resolve 'c.example': .*: a.example, b.example") as caught:
        await resolver.resolve("c.example", 80)
    assert (caught.value.address, caught.value.during) == ("c.example", "resolve")


async def test_a_name_may_fail_with_any_error() -> None:
    error = ResolveError("the name service does not answer")
    resolver = StaticResolver({"gone.example": error})
    with pytest.raises(ResolveError) as caught:
        await resolver.resolve("gone.example", 80)
    assert caught.value is error


async def test_answers_wait_for_the_gate() -> None:
    gate = asyncio.Event()
    resolver = StaticResolver({"slow.example": ["192.0.2.1"]}, gate=gate)
    asking = asyncio.create_task(resolver.resolve("slow.example", 80))
    for _ in range(5):
        await asyncio.sleep(0)
    assert not asking.done()
    assert resolver.queries == (("slow.example", 80),)
    gate.set()
    assert await asking == (ip_address("192.0.2.1"),)


async def test_a_cancelled_query_does_not_matter_to_the_next() -> None:
    gate = asyncio.Event()
    resolver = StaticResolver({"slow.example": ["192.0.2.1"]}, gate=gate)
    asking = asyncio.create_task(resolver.resolve("slow.example", 80))
    await asyncio.sleep(0)
    asking.cancel()
    with pytest.raises(asyncio.CancelledError):
        await asking
    gate.set()
    assert await resolver.resolve("slow.example", 80)


@pytest.mark.parametrize("answer", [[], "192.0.2.1", ["192.0.2.300"], ["localhost"]])
def test_a_wrong_table_is_refused_at_once(answer: Sequence[str]) -> None:
    with pytest.raises(ArgumentValueError, match=r"hosts\['a.example'\] is"):
        StaticResolver({"a.example": answer})
