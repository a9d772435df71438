"""The settings of ``longshore pool URL``: one database, no file (PURE; ``Material`` fetches what the URL names)."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final

from longshore.config.document import Document
from longshore.config.errors import ConfigError
from longshore.config.positions import Positions
from longshore.config.report import Report
from longshore.config.validate import nearest
from longshore.pool.cache.model import CacheRules
from longshore.pool.cache.store_address import parse_store
from longshore.pool.model import Database, Mode
from longshore.pool.servers.target_url import parse_target_url
from longshore.pool.slots.model import Rules
from longshore.pool.standalone.listen import parse_listen
from longshore.pool.standalone.model import DEFAULT_LISTEN, PoolSettings
from longshore.pool.standalone.resolve import ADMIN_DATABASES, Fetch
from longshore.pool.standalone.resolve_target import target_of_url

if TYPE_CHECKING:
    from collections.abc import Sequence

    from longshore.pool.cache.store_address import StoreAddress
    from longshore.pool.standalone.resolve import Material

__all__ = ["UrlOptions", "parse_cache_rules", "settings_of_url"]

_RULES: Final = {"max_age": "max_age_s", "swr": "stale_while_revalidate_s"}
_MAX_S: Final = 3600.0
_NUMBER: Final = re.compile(r"\d{1,6}(\.\d{1,6})?")


@dataclass(frozen=True, slots=True, kw_only=True)
class UrlOptions:
    """What the command line says beside the URL."""

    listen: Sequence[str] = ()
    mode: str = "transaction"
    size: int | None = None
    cache: str | None = None
    """``"on"``, or rules like ``max_age=60,swr=15``."""
    cache_store: str | None = None
    users_file: str | None = None
    metrics: str | None = None


def settings_of_url(url: str, options: UrlOptions, material: Material) -> PoolSettings:
    """Return the settings.

    Raises:
        ValueError: the URL or an option is wrong, or it would be open to other machines.
        ConfigError: a file that is named is wrong.
    """
    parsed = parse_target_url(url)
    report = Report(Document("", (), {}, Positions()))
    target = target_of_url(parsed, Fetch(material, report), ())
    if report.problems:
        raise ConfigError([replace(each, file=None) for each in report.problems])
    if parsed.database in ADMIN_DATABASES:
        raise ValueError(f"{parsed.database!r} is the name of the admin database: give it another one in a pool.toml")
    listen = tuple(map(parse_listen, options.listen)) or (DEFAULT_LISTEN,)
    users = None if options.users_file is None else material.users(options.users_file)
    if users is None and (remote := next((each for each in listen if not each.is_local), None)) is not None:
        raise ValueError(
            f"{remote} can be reached from other machines, and nobody would be asked for a password:"
            " add --users-file (see 'longshore pool users add'), or use a pool.toml"
        )
    database = Database(
        name=parsed.database,
        target=target,
        mode=Mode(options.mode),
        rules=Rules(size=options.size) if options.size is not None else Rules(),
        cache=CacheRules() if options.cache is None else parse_cache_rules(options.cache),
    )
    store = None if options.cache_store is None else _store(options)
    own = frozenset({parsed.user})
    return PoolSettings(
        databases=(database,),
        listen=listen,
        users=users,
        users_file=None if options.users_file is None else material.path(options.users_file),
        # Whoever is on this machine may look; with a users file, who has the account's name may do all.
        admin_users=own,
        cache_store=store,
        metrics=None if options.metrics is None else parse_listen(options.metrics),
    )


def _store(options: UrlOptions) -> StoreAddress:
    if options.cache is None:
        raise ValueError("--cache-store says where results are kept: add --cache")
    try:
        return parse_store(options.cache_store or "")
    except ValueError as exc:
        raise ValueError(f"--cache-store {exc}") from None


def parse_cache_rules(text: str) -> CacheRules:
    """Return what ``on`` or ``max_age=60,swr=15`` means.

    Raises:
        ValueError: it is neither.
    """
    values: dict[str, float] = {}
    for part in text.split(",") if text != "on" else ():
        name, equals, value = part.strip().partition("=")
        if name not in _RULES:
            near = nearest(name, _RULES)
            hint = f"did you mean {near!r}?" if near else "write --cache max_age=60,swr=15"
            raise ValueError(f"{name[:40]!r} is no rule of the cache: {hint}")
        if (
            not equals
            or not _NUMBER.fullmatch(value)
            or not float(value) <= _MAX_S
            or (name == "max_age" and not float(value))
        ):
            raise ValueError(
                f"{part[:40]!r} has no number of seconds up to {_MAX_S:g}: write --cache max_age=60,swr=15"
            )
        values[_RULES[name]] = float(value)
    return CacheRules(is_enabled=True, **values)  # type: ignore[arg-type]  # the names are those of its fields
