"""Another thread changes a call while it is judged: what was judged is what happens, or nothing happens."""

from __future__ import annotations

import subprocess
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.egress.linux import needs_sandbox
from tests.escape.prison import Canary, prison
from tests.system import program

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.escape.prison import Prison

pytestmark = [needs_sandbox, pytest.mark.needs("gcc"), pytest.mark.timeout(120)]

SOURCE = Path(__file__).with_name("race.c")


@pytest.fixture(scope="module")
def friend() -> Iterator[Canary]:
    server = Canary()
    yield server
    server.close()


@pytest.fixture(scope="module")
def host(tmp_path_factory: pytest.TempPathFactory, friend: Canary) -> Iterator[Prison]:
    folder = tmp_path_factory.mktemp("prison")
    (folder / "bin").mkdir()
    subprocess.run([program("gcc"), "-O1", "-pthread", SOURCE, "-o", folder / "bin" / "race"], check=True)
    with prison(folder, [f"127.0.0.1:{friend.port}"], read=[str(folder / "bin")]) as running:
        yield running


# Together 10^5 tries. A port that is changed costs most: half of those tries connect.
@pytest.mark.slow
@pytest.mark.parametrize(
    ("mode", "tries", "won"),
    [
        ("port", 10_000, "EACCES"),
        # The kernel's word: it was let through for a Unix address and met another one. Landlock stops that.
        ("family", 40_000, "EACCES"),
        ("socket", 30_000, "EACCES"),
        # This one Landlock lets pass: a connection may be dissolved. What is left of it is of no use.
        ("unspec", 20_000, "connected"),
    ],
)
def test_no_race_leads_out(host: Prison, friend: Canary, mode: str, tries: int, won: str) -> None:
    host.mark()
    canary = Canary()
    try:
        race = str(host.folder / "bin" / "race")
        found = host.attempt("race", program=race, mode=mode, allowed=friend.port, denied=canary.port, tries=tries)
        assert canary.is_untouched
    finally:
        canary.close()
    assert found["escaped"] == 0
    assert found[won] > 0, "the other thread never won, so nothing was tried"
    if mode == "port":
        record = host.audited(event="deny", port=canary.port)
        assert record["address"] == f"127.0.0.1:{canary.port}"
    if mode == "unspec":
        assert found["dissolved"]
        host.audited(event="refuse", detail="MSG_FASTOPEN")
