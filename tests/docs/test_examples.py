"""Every Python block of the documentation is run, on both loops, and its output compared.

Names such as ``echo.example:7`` lead to the servers of ``tests/docs/network.py``; the working directory holds the
files that examples name (``corp-ca.pem``, ``client.pem``, ``client.key``); the system's trust is the tests' authority.
An example must leave nothing behind: no task, no open socket, no warning.
"""

from __future__ import annotations

import ast
import asyncio
import inspect
import re
from typing import TYPE_CHECKING, Any, TypeVar

import pytest

from longshore import DirectDialer, EgressPolicy, set_default_dialer
from longshore.compat.install import install
from longshore.net.resolve import SystemResolver
from longshore.net.tls_context import _cached_context
from longshore.testing import RoutedDialer
from tests.docs.snippets import LANGUAGES, ROOT, Block, blocks_of, documents, matches, plain_examples
from tools.devkit import cli, lint

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Coroutine, Iterator
    from pathlib import Path

    RunInLoop = Callable[[Callable[[], Awaitable[None]]], None]

T = TypeVar("T")

DEV_COMMAND = re.compile(r"\./dev ([a-z][a-z-]*)((?: [a-z]+)*)")
LINK = re.compile(r"(?<!!)\[[^\]]*\]\(([^)#\s]+)(?:#[^)]*)?\)")


def compiled(block: Block) -> Any:
    """Return the block's code object, with the line numbers of its page."""
    source = "\n" * block.line + block.code
    return compile(source, str(block.path), "exec", ast.PyCF_ALLOW_TOP_LEVEL_AWAIT, dont_inherit=True)


@pytest.fixture
def offline(
    docs_network: dict[str, str], docs_files: Path, monkeypatch: pytest.MonkeyPatch, run_in_loop: RunInLoop
) -> Iterator[None]:
    """Let the examples' names lead to the loopback, and no other name anywhere."""

    async def refuse(_: object, host: str, port: int) -> Any:
        raise AssertionError(f"the example asked the system's resolver for {host}:{port}")

    def run(main: Coroutine[Any, Any, T]) -> T:
        results: list[T] = []

        async def body() -> None:
            results.append(await main)

        run_in_loop(body)
        return results[0]

    install()  # the reference of the SDK writes `from workers import …`
    monkeypatch.setattr(SystemResolver, "resolve", refuse)
    monkeypatch.setattr(asyncio, "run", run)
    monkeypatch.setenv("SSL_CERT_FILE", str(docs_files / "ca.pem"))
    monkeypatch.chdir(docs_files)
    _cached_context.cache_clear()
    loopback_only = DirectDialer(policy=EgressPolicy(allow=["local"]))
    former = set_default_dialer(RoutedDialer(docs_network, loopback_only, pass_through=True))
    yield
    set_default_dialer(former)
    _cached_context.cache_clear()


@pytest.mark.usefixtures("offline")
@pytest.mark.parametrize("block", plain_examples(), ids=lambda block: block.id)
def test_example_runs(block: Block, run_in_loop: RunInLoop, capsys: pytest.CaptureFixture[str]) -> None:
    code = compiled(block)
    namespace: dict[str, Any] = {"__name__": "__main__"}
    if code.co_flags & inspect.CO_COROUTINE:
        run_in_loop(lambda: eval(code, namespace))
    else:
        exec(code, namespace)
    printed = capsys.readouterr().out
    if block.output is not None:
        assert matches(block.output, printed), f"{block.id} printed\n{printed}\nbut the page says\n{block.output}"


@pytest.mark.parametrize("path", documents(), ids=lambda path: str(path.relative_to(ROOT)))
def test_every_block_says_its_language(path: Path) -> None:
    for block in blocks_of(path):
        assert block.info in LANGUAGES, f"{block.id}: {block.info!r} is none of {sorted(LANGUAGES)}"


@pytest.mark.parametrize("path", documents(), ids=lambda path: str(path.relative_to(ROOT)))
def test_dev_commands_exist(path: Path) -> None:
    for name, words in DEV_COMMAND.findall(path.read_text(encoding="utf-8")):
        assert name in cli.COMMANDS, f"./dev {name} does not exist"
        if name == "lint":
            assert set(words.split()) <= set(lint.STEPS), f"./dev lint{words} does not exist"


@pytest.mark.parametrize("path", sorted(ROOT.glob("*.md")), ids=lambda path: path.name)
def test_links_of_the_pages_at_the_root_lead_somewhere(path: Path) -> None:
    for target in LINK.findall(path.read_text(encoding="utf-8")):
        assert "://" in target or (ROOT / target).exists(), f"{path.name} links to {target}, which does not exist"
