"""Which files count, and that their changes are seen."""

from __future__ import annotations

import asyncio
import os
from contextlib import aclosing
from typing import TYPE_CHECKING

import pytest

from longshore.runtime.host.watch import is_config, is_relevant, watch_files

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator
    from pathlib import Path

CONFIGURATION = [
    "longshore.toml",
    "wrangler.jsonc",
    "pyproject.toml",
    ".dev.vars",
    ".dev.vars.staging",
    ".env",
]
RELEVANT = [*CONFIGURATION, "entry.py", "index.html", "all.sql"]
IRRELEVANT = [
    "entry.cpython-311.pyc",
    ".#entry.py",
    "#entry.py#",
    "entry.py~",
    ".entry.py.swp",
    "4913",
    "entry.py___jb_tmp___",
    ".entry.py.a1b2c3",
    "longshore.toml~",
    ".dev.vars.swp",
    "state.json",
    "db.sqlite3",
    "server.log",
    "",
]


@pytest.mark.parametrize("name", RELEVANT)
def test_relevant(name: str) -> None:
    assert is_relevant(name)
    assert is_config(name) == (name in CONFIGURATION)


@pytest.mark.parametrize("name", IRRELEVANT)
def test_irrelevant(name: str) -> None:
    assert not is_relevant(name)
    assert not is_config(name)


async def watching(bursts: AsyncGenerator[tuple[str, ...], None]) -> asyncio.Task[tuple[str, ...]]:
    """Ask for a burst: the state of the files at the first step of that is what changes are measured against."""
    task = asyncio.create_task(anext(bursts))
    await asyncio.sleep(0)
    return task


async def collect(
    bursts: AsyncGenerator[tuple[str, ...], None], following: asyncio.Task[tuple[str, ...]], *paths: Path
) -> None:
    """Wait until these paths, and no others, have been told."""
    wanted = {str(path) for path in paths}
    seen = set(await following)
    while seen < wanted:
        seen |= set(await anext(bursts))
    assert seen == wanted


async def test_saved_files_are_told(tmp_path: Path) -> None:
    (tmp_path / "a.py").write_text("1")
    async with aclosing(watch_files([str(tmp_path), str(tmp_path / "missing")])) as bursts:
        following = await watching(bursts)
        for name in ("a.py", "b.py", "ignored.log"):
            (tmp_path / name).write_text("2")
        await collect(bursts, following, tmp_path / "a.py", tmp_path / "b.py")


async def test_an_atomic_save_is_told(tmp_path: Path) -> None:
    target = tmp_path / "entry.py"
    target.write_text("1")
    async with aclosing(watch_files([str(tmp_path)])) as bursts:
        following = await watching(bursts)
        temporary = tmp_path / ".entry.py.a1b2"
        temporary.write_text("2")
        temporary.replace(target)
        assert await following == (str(target),)


async def test_a_removed_file_is_told(tmp_path: Path) -> None:
    target = tmp_path / "entry.py"
    target.write_text("1")
    async with aclosing(watch_files([str(tmp_path)])) as bursts:
        following = await watching(bursts)
        target.unlink()
        assert await following == (str(target),)


async def test_files_below_are_told(tmp_path: Path) -> None:
    folder = tmp_path / "a" / "b"
    folder.mkdir(parents=True)
    async with aclosing(watch_files([str(tmp_path)])) as bursts:
        following = await watching(bursts)
        (folder / "entry.py").write_text("1")
        assert await following == (str(folder / "entry.py"),)


@pytest.mark.parametrize("name", [".venv", "node_modules", "__pycache__", "env", ".git"])
async def test_files_of_others_are_not_told(tmp_path: Path, name: str) -> None:
    folder = tmp_path / name
    folder.mkdir()
    (folder / "pyvenv.cfg" if name == "env" else folder / "x").touch()
    async with aclosing(watch_files([str(tmp_path)])) as bursts:
        following = await watching(bursts)
        (folder / "module.py").write_text("1")
        (tmp_path / "own.py").write_text("1")
        assert await following == (str(tmp_path / "own.py"),)


async def test_files_in_a_new_folder_are_told(tmp_path: Path) -> None:
    async with aclosing(watch_files([str(tmp_path)])) as bursts:
        following = await watching(bursts)
        first, second = tmp_path / "new" / "first.py", tmp_path / "new" / "second.py"
        first.parent.mkdir()
        first.write_text("1")
        await collect(bursts, following, first)
        following = await watching(bursts)
        second.write_text("1")
        assert await following == (str(second),)


async def test_what_changes_between_two_bursts_is_told_by_the_next(tmp_path: Path) -> None:
    async with aclosing(watch_files([str(tmp_path)])) as bursts:
        following = await watching(bursts)
        (tmp_path / "a.py").write_text("1")
        await collect(bursts, following, tmp_path / "a.py")
        (tmp_path / "b.py").write_text("1")
        os.utime(tmp_path / "a.py", (1, 1))
        await collect(bursts, await watching(bursts), tmp_path / "a.py", tmp_path / "b.py")


async def test_a_configuration_file_elsewhere_is_watched_too(tmp_path: Path) -> None:
    project, elsewhere = tmp_path / "project", tmp_path / "elsewhere"
    project.mkdir()
    elsewhere.mkdir()
    file = elsewhere / "my.conf"
    async with aclosing(watch_files([str(project)], str(file))) as bursts:
        following = await watching(bursts)
        (elsewhere / "unrelated.py").write_text("1")
        file.write_text("1")
        assert await following == (str(file),)


async def test_nothing_to_watch_ends(tmp_path: Path) -> None:
    assert [burst async for burst in watch_files([str(tmp_path / "missing")])] == []


async def test_cancellation_ends_the_watch(tmp_path: Path) -> None:
    async with aclosing(watch_files([str(tmp_path)])) as bursts:
        following = await watching(bursts)
        following.cancel()
        with pytest.raises(asyncio.CancelledError):
            await following
