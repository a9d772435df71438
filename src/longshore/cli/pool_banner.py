"""What ``longshore pool`` says of itself before the first client comes."""

from __future__ import annotations

from importlib.metadata import version
from typing import TYPE_CHECKING

from rich.table import Table
from rich.text import Text

from longshore.cli.words import printable

if TYPE_CHECKING:
    from collections.abc import Iterator

    from rich.console import Console

    from longshore.pool.model import Database
    from longshore.pool.standalone.model import PoolSettings

__all__ = ["print_banner", "target_words"]


def print_banner(settings: PoolSettings, console: Console, loop_name: str) -> None:
    """Print the head of the log.

    Args:
        settings: in force.
        console: where to.
        loop_name: which event loop, and whether its parts are compiled.
    """
    where = f"  {settings.file}" if settings.file is not None else ""
    console.print(
        Text.assemble(("longshore pool", "bold cyan"), f" {version('longshore')}  ", (loop_name, "dim"), where)
    )
    console.print()
    console.print(_databases(settings))
    console.print()
    for name, words in _facts(settings):
        console.print(Text.assemble((f"{name:<9}", "bold"), printable(words)))
    for notice in settings.notices:
        console.print(Text.assemble(("Notice   ", "bold yellow"), printable(f"{notice.key_path} {notice.message}")))
    console.print()


def target_words(database: Database) -> str:
    """Return where a database is and who logs in, without the password."""
    target = database.target
    where = target.unix_path or f"{target.host}:{target.port}"
    more = f" +{len(target.more_hosts)}" if target.more_hosts else ""
    return f"{target.user or 'the client'}@{where}{more}/{target.database or 'the same'}"


def _databases(settings: PoolSettings) -> Table:
    table = Table(box=None, pad_edge=False, header_style="bold")
    for heading in ("Database", "Server", "Mode", "Size", "TLS", "Cache", "Users"):
        table.add_column(heading, overflow="fold")
    for each in settings.databases:
        users = settings.database_users.get(each.name)
        cells = (
            each.name,
            target_words(each),
            each.mode.value,
            str(each.rules.size),
            each.target.tls.mode.value,
            _cache(each),
            "all" if users is None else ", ".join(sorted(users)),
        )
        table.add_row(*(Text(printable(cell)) for cell in cells))
    return table


def _cache(database: Database) -> str:
    rules = database.cache
    return f"{rules.max_age_s:g} s + {rules.stale_while_revalidate_s:g} s" if rules.is_enabled else "off"


def _facts(settings: PoolSettings) -> Iterator[tuple[str, str]]:
    yield "Listens", ", ".join(map(str, settings.listen))
    tls = settings.tls
    yield "TLS", "off" if tls is None else f"{tls.mode}, {tls.minimum_version} or newer"
    yield "Logins", _logins(settings)
    admins = ", ".join(sorted(settings.admin_users)) or "nobody"
    yield "Admin", f"database 'longshore', for {admins}"
    if settings.cache_store is not None:
        yield "Cache", f"in {settings.cache_store}, shared by all pools that use it"
    if settings.metrics is not None:
        yield "Metrics", f"http://{settings.metrics}/metrics"
    if settings.control is not None:
        yield "Control", f"{settings.control} (for --replace)"


def _logins(settings: PoolSettings) -> str:
    if settings.is_open:
        accounts = sorted({each.target.user or "the one it names" for each in settings.databases})
        return (
            "no password is asked for: every client of this machine may come in,"
            f" and works as the database's account ({', '.join(accounts)})"
        )
    parts = []
    if settings.users is not None:
        count = len(settings.users)
        parts.append(f"{count} user{'' if count == 1 else 's'} of {settings.users_file}")
    if settings.auth_query is not None:
        parts.append(f"the users that auth_query finds in {settings.auth_query.database!r}")
    return ", and ".join(parts)
