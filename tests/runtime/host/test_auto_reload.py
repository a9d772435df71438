"""Changed files become reloads; a changed configuration is loaded first."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

from longshore.aio.tasks import spawn
from longshore.config.model import WorkerConfig
from longshore.runtime.host.auto_reload import AutoReload
from longshore.runtime.host.events import ConfigRejected, ConfigReloaded

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable
    from pathlib import Path

    from longshore.runtime.host.events import HostEvent

Reload = tuple[WorkerConfig | None, tuple[str, ...]]


def config_of(folder: Path, name: str = "w", **fields: Any) -> WorkerConfig:
    root = str(folder)
    fields = {"watch": (root,), "file": f"{root}/longshore.toml", **fields}
    return WorkerConfig(name=name, main=f"{root}/entry.py", module_root=root, project_dir=root, **fields)


@asynccontextmanager
async def watching(
    config: WorkerConfig, load: Callable[[], WorkerConfig] | None, events: list[HostEvent]
) -> AsyncIterator[asyncio.Queue[Reload]]:
    reloads: asyncio.Queue[Reload] = asyncio.Queue()
    reload = AutoReload(config, load, lambda *reload: reloads.put_nowait(reload), events.append)
    task = spawn(reload.run(), name="auto reload")
    for _ in range(3):  # until the files have been looked at
        await asyncio.sleep(0)
    try:
        yield reloads
    finally:
        task.cancel()
        await asyncio.wait([task])


async def test_code_reloads_without_loading_the_configuration(tmp_path: Path) -> None:
    events: list[HostEvent] = []
    async with watching(config_of(tmp_path), None, events) as reloads:
        (tmp_path / "entry.py").write_text("1")
        assert await reloads.get() == (None, (str(tmp_path / "entry.py"),))
    assert events == []


async def test_a_changed_configuration_is_loaded(tmp_path: Path) -> None:
    events: list[HostEvent] = []
    new = config_of(tmp_path, "new")
    async with watching(config_of(tmp_path), lambda: new, events) as reloads:
        (tmp_path / ".dev.vars").write_text("A=1")
        assert await reloads.get() == (new, (str(tmp_path / ".dev.vars"),))
    assert events == [ConfigReloaded(new)]


async def test_a_wrong_configuration_is_told_and_reloads_nothing(tmp_path: Path) -> None:
    events: list[HostEvent] = []
    wrong = ValueError("no such key")

    def load() -> WorkerConfig:
        raise wrong

    async with watching(config_of(tmp_path), load, events) as reloads:
        (tmp_path / "longshore.toml").write_text("x")
        while not events:
            await asyncio.sleep(0.005)
        assert events == [ConfigRejected(wrong)]
        assert reloads.empty()
        (tmp_path / "entry.py").write_text("1")
        assert await reloads.get() == (None, (str(tmp_path / "entry.py"),)), "code goes on to be reloaded"


async def test_other_folders_of_a_new_configuration_are_watched(tmp_path: Path) -> None:
    first, second = tmp_path / "first", tmp_path / "second"
    first.mkdir()
    second.mkdir()
    new = config_of(first, watch=(str(first), str(second)))
    async with watching(config_of(first), lambda: new, []) as reloads:
        (first / "longshore.toml").write_text("x")
        assert await reloads.get() == (new, (str(first / "longshore.toml"),))
        for _ in range(3):
            await asyncio.sleep(0)
        number, told = 0, None
        while told is None:  # the new watch begins a moment after the reload
            number += 1
            (second / "entry.py").write_text(str(number))
            try:
                async with asyncio.timeout(0.2):
                    told = await reloads.get()
            except TimeoutError:
                continue
        assert told == (None, (str(second / "entry.py"),))


async def test_asked_for_it_reloads_with_what_is_on_disk(tmp_path: Path) -> None:
    events: list[HostEvent] = []
    reloads: list[Reload] = []
    new, wrong = config_of(tmp_path, "new"), ValueError("no such key")
    results: list[WorkerConfig | Exception] = [new, wrong]

    def load() -> WorkerConfig:
        if isinstance(result := results.pop(0), Exception):
            raise result
        return result

    auto = AutoReload(config_of(tmp_path), load, lambda *reload: reloads.append(reload), events.append)
    auto.ask()
    auto.ask()
    assert reloads == [(new, ())]
    assert events == [ConfigReloaded(new), ConfigRejected(wrong)]
    AutoReload(new, None, lambda *reload: reloads.append(reload), events.append).ask()
    assert reloads[-1] == (None, ())


async def test_nothing_to_watch_ends(tmp_path: Path) -> None:
    config = config_of(tmp_path / "missing")
    await AutoReload(config, None, lambda *_: None, lambda _: None).run()
