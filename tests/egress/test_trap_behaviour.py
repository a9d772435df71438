"""Sockets inside behave as they do outside: one table of behaviours, run on both sides and compared."""

from __future__ import annotations

from typing import Any

import pytest

from tests.egress import behaviours
from tests.egress.linux import needs_sandbox
from tests.egress.trap_rig import Rig, outside
from tests.egress.trap_servers import servers

pytestmark = [needs_sandbox, pytest.mark.slow]


@pytest.mark.parametrize("is_locked", [True, False], ids=["landlock", "no landlock"])
async def test_programs_see_the_same_inside_and_outside(is_locked: bool) -> None:
    async with servers() as ports:
        native = await outside(behaviours.run_all, ports)
        rig = Rig(is_locked=is_locked)
        inside: dict[str, Any] = await rig.run(behaviours.run_all, ports)
    assert list(inside) == [each.__name__ for each in behaviours.ALL]
    differences = {name: (native[name], seen) for name, seen in inside.items() if native[name] != seen}
    assert differences == {}
    assert not any("Error" in str(seen) for seen in native.values()), "the table itself is in order"
    assert {each.event for each in rig.records} == {"open", "fail", "refuse"}
    refused = [each.detail for each in rig.records if each.event == "refuse"]
    assert all(each.startswith("socket: ") for each in refused), "only what no system has is refused outright"
