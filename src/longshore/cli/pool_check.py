"""``longshore pool --check``: is the configuration right, and do the databases answer?"""

from __future__ import annotations

import asyncio
import os
from typing import TYPE_CHECKING

from rich.text import Text

from longshore.cli.exit_codes import FAILED, OK
from longshore.cli.pool import loader
from longshore.cli.pool_banner import target_words
from longshore.cli.words import printable
from longshore.pool.standalone.checking import ask_all, ask_store, crowded

if TYPE_CHECKING:
    from rich.console import Console

    from longshore.cli.pool import Asked
    from longshore.pool.cache.store_address import StoreAddress
    from longshore.pool.standalone.checking import Answer

__all__ = ["check_pool"]


def check_pool(asked: Asked, console: Console) -> int:
    """Print what is found; return the exit code: 1 when a database does not answer.

    Raises:
        CommandFailed: the command line is wrong.
        ConfigError: the configuration is wrong.
    """
    load, _ = loader(asked, dict(os.environ))
    settings = load()
    where = f"{settings.file} is right" if settings.file is not None else "the command line is right"
    console.print(Text(f"{where}: {len(settings.databases)} database{'s' if len(settings.databases) != 1 else ''}"))
    for notice in settings.notices:
        console.print(Text.assemble(("notice  ", "yellow"), printable(f"{notice.key_path} {notice.message}")))
    answers = asyncio.run(ask_all(settings.databases))
    for each in answers:
        console.print(_line(each))
    store_problem = ""
    if settings.cache_store is not None:
        store_problem = asyncio.run(ask_store(settings.cache_store))
        console.print(_store_line(settings.cache_store, store_problem))
    for sentence in crowded(answers):
        console.print(Text.assemble(("warning ", "bold yellow"), printable(sentence)))
    is_failed = store_problem or any(each.problem and not each.is_skipped for each in answers)
    return FAILED if is_failed else OK


def _store_line(address: StoreAddress, problem: str) -> Text:
    if problem:
        return Text.assemble(("failed  ", "bold red"), printable(f"cache_store  {address}: {problem}"))
    return Text.assemble(("ok      ", "green"), printable(f"cache_store  {address}"))


def _line(answer: Answer) -> Text:
    name = f"{answer.database.name}  {target_words(answer.database)}"
    if answer.is_skipped:
        return Text.assemble(("skipped ", "dim"), printable(f"{name}: {answer.problem}"))
    if answer.problem:
        return Text.assemble(("failed  ", "bold red"), printable(f"{name}: {answer.problem}"))
    facts = [
        f"PostgreSQL {answer.version}",
        "standby" if answer.is_standby else "primary",
        answer.tls or "not encrypted",
        f"{answer.in_use} of {answer.max_connections} connections in use",
        f"size {answer.database.rules.size}",
    ]
    return Text.assemble(("ok      ", "green"), printable(f"{name}: {', '.join(facts)}"))
