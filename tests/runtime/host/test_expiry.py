"""Certificates that come near their end while a host runs."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from longshore.config.model import TlsSettings, WorkerConfig
from longshore.credentials.store import CredentialStore
from longshore.runtime.host.expiry import ExpiryWatch

if TYPE_CHECKING:
    from pathlib import Path

    from longshore.config.model import Notice

NOON = datetime(2026, 2, 27, 12, 0, tzinfo=UTC)


def config(*ca: str) -> WorkerConfig:
    return WorkerConfig(name="w", main="/p/entry.py", module_root="/p", project_dir="/p", tls=TlsSettings(ca=ca))


async def test_what_is_missing_is_told_at_once_and_each_time_again(tmp_path: Path) -> None:
    told: asyncio.Queue[Notice] = asyncio.Queue()
    now = NOON

    def clock() -> datetime:
        nonlocal now
        now += timedelta(days=1)
        return now

    watch = ExpiryWatch(CredentialStore(tmp_path), told.put_nowait, clock=clock, every_s=0.001)
    watch.watch(config("partner"), is_told=False)
    assert told.get_nowait().key_path == "tls.ca[0]"
    for _ in range(2):
        assert "partner" in (await told.get()).message
    watch.watch(config("other"), is_told=True)
    assert told.empty()
    assert "other" in (await told.get()).message
    watch.close()


async def test_nothing_is_told_of_a_configuration_without_certificates(tmp_path: Path) -> None:
    told: list[Notice] = []
    watch = ExpiryWatch(CredentialStore(tmp_path), told.append)
    watch.watch(config(), is_told=False)
    watch.close()
    watch.close()
    assert told == []
