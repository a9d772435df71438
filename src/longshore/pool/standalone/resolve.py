"""From a ``pool.toml`` whose values are each right to ``PoolSettings`` (PURE; ``Material`` fetches what it names)."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Protocol, TypeVar

from longshore.pool.cache.model import CacheRules
from longshore.pool.cache.store_address import parse_store
from longshore.pool.model import Database, Mode
from longshore.pool.slots.model import Rules
from longshore.pool.standalone.listen import Listen, parse_listen
from longshore.pool.standalone.model import DEFAULT_LISTEN, AuthQuery, ClientTls, PoolSettings
from longshore.pool.standalone.resolve_target import resolve_target

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from longshore.config.positions import KeyPath
    from longshore.config.report import Report
    from longshore.pool.cache.store_address import StoreAddress
    from longshore.pool.standalone.shape import ClientTlsShape, DatabaseShape, PoolFile, PoolShape
    from longshore.proto.postgres.auth import Secret

__all__ = ["Material", "resolve", "resolve_database"]

ADMIN_DATABASES = frozenset({"longshore", "pgbouncer"})
"""Names that clients of the admin database use."""

T = TypeVar("T")


class Material(Protocol):
    """What a configuration names and does not hold. Everything raises ``ValueError`` with a sentence."""

    def path(self, name: str) -> Path:
        """Return where a file is; a relative path counts from the configuration file."""

    def read(self, name: str) -> bytes:
        """Return what a file holds."""

    def ca(self, name: str) -> bytes:
        """Return a CA bundle of the credential store, as PEM."""

    def identity(self, name: str) -> tuple[bytes, bytes]:
        """Return a certificate of the credential store: chain and private key, as PEM."""

    def secret(self, name: str) -> str:
        """Return a secret: an environment variable, else one of the credential store."""

    def users(self, name: str) -> dict[str, Secret]:
        """Return what a users file says; may raise ``ConfigError``."""


@dataclass(slots=True)
class Fetch:
    """Asks for material and reports what cannot be had, at the key that wants it."""

    material: Material
    report: Report
    failures: int = field(default=0)

    def __call__(self, path: KeyPath, ask: Callable[[], T]) -> T | None:
        """Return what ``ask`` returns; None when it fails."""
        try:
            return ask()
        except ValueError as exc:
            self.report.problem(path, str(exc))
            self.failures += 1
            return None

    def pem(self, base: KeyPath, name: str | None, file: str | None, key: str) -> bytes | None:
        """Return the certificates of an authority by the name in the store or of a file."""
        if name is not None and file is not None:
            self.report.problem((*base, f"{key}_file"), f"stands beside {key!r}", f"keep one of {key} and {key}_file")
            return None
        if name is not None:
            return self((*base, key), lambda: self.material.ca(name))
        return None if file is None else self((*base, f"{key}_file"), lambda: self.material.read(file))

    def identity(
        self, base: KeyPath, name: str | None, certificate: str | None, key: str | None
    ) -> tuple[bytes, bytes] | None:
        """Return a certificate with its key."""
        if name is not None:
            if certificate is not None or key is not None:
                what = "'certificate' names an entry of the store, which has its key"
                self.report.problem((*base, "certificate"), what, "keep it, or certificate_file and key_file")
            return self((*base, "certificate"), lambda: self.material.identity(name))
        if certificate is None:
            if key is not None:
                self.report.problem((*base, "key_file"), "stands without certificate_file")
            return None
        chain = self((*base, "certificate_file"), lambda: self.material.read(certificate))
        own = key or certificate  # one file may hold both
        private = self((*base, "key_file"), lambda: self.material.read(own))
        return None if chain is None or private is None else (chain, private)


def resolve(shape: PoolFile, material: Material, report: Report, file: Path) -> PoolSettings:
    """Return the settings; what is wrong goes to the report, and the result is of no use then."""
    pool, fetch = shape.pool, Fetch(material, report)
    databases = tuple(resolve_database(name, each, fetch) for name, each in shape.databases.items())
    if not shape.databases:
        report.problem(("databases",), "there is no database", "write [databases.shop] and its url")
    users_file = pool.users_file
    users = None if users_file is None else fetch(("pool", "users_file"), lambda: material.users(users_file))
    settings = PoolSettings(
        databases=tuple(each for each in databases if each is not None),
        database_users={
            name: frozenset(each.users) for name, each in shape.databases.items() if each.users is not None
        },
        listen=tuple(map(parse_listen, pool.listen)) if pool.listen is not None else (DEFAULT_LISTEN,),
        users=users,
        users_file=None if pool.users_file is None else material.path(pool.users_file),
        auth_query=_auth_query(shape, report),
        admin_users=frozenset(pool.admin_users),
        stats_users=frozenset(pool.stats_users),
        auth=pool.auth,
        max_clients=pool.max_clients or 10_000,
        max_clients_per_database=pool.max_clients_per_database,
        max_clients_per_user=pool.max_clients_per_user,
        login_timeout_s=pool.login_timeout_s or 60.0,
        metrics=None if pool.metrics is None else parse_listen(pool.metrics),
        is_json=pool.log == "json",
        tls=_client_tls(shape.tls, fetch),
        cache_store=_cache_store(pool, fetch),
        control=None if pool.control is None else material.path(pool.control),
        file=file,
    )
    _check_open(settings, pool, report)
    _notice(settings, report)
    return settings


def resolve_database(name: str, shape: DatabaseShape, fetch: Fetch) -> Database | None:
    """Return one database; None when something is wrong with it."""
    path: KeyPath = ("databases", name)
    if name in ADMIN_DATABASES:
        fetch.report.problem(path, f"{name!r} is the name of the admin database", "choose another one")
        return None
    target = resolve_target(name, shape, fetch, path)
    if target is None:
        return None
    rules = Rules()
    size, min_idle = shape.size or rules.size, shape.min_idle or 0
    if min_idle > size:
        fetch.report.problem((*path, "min_idle"), f"{min_idle} is more than size = {size}")
    cache = shape.cache
    defaults = CacheRules()
    return Database(
        name=name,
        target=target,
        mode=Mode(shape.mode or "transaction"),
        rules=Rules(
            size=size,
            min_idle=min_idle,
            max_waiting=rules.max_waiting if shape.max_waiting is None else shape.max_waiting,
            wait_timeout_s=shape.wait_timeout_s or rules.wait_timeout_s,
            idle_timeout_s=shape.idle_timeout_s or rules.idle_timeout_s,
            lifetime_s=shape.lifetime_s or rules.lifetime_s,
        ),
        cache=defaults
        if cache is None
        else CacheRules(
            is_enabled=cache.enabled and not cache.on_request,
            is_on_request=cache.enabled and cache.on_request,
            max_age_s=cache.max_age_s or defaults.max_age_s,
            stale_while_revalidate_s=defaults.stale_while_revalidate_s
            if cache.stale_while_revalidate_s is None
            else cache.stale_while_revalidate_s,
            max_result_bytes=cache.max_result_bytes or defaults.max_result_bytes,
        ),
    )


def _cache_store(pool: PoolShape, fetch: Fetch) -> StoreAddress | None:
    url, secret = pool.cache_store, pool.cache_store_secret
    path: KeyPath = ("pool", "cache_store_secret")
    if url is None:
        if secret is not None:
            fetch.report.problem(path, "stands without cache_store")
        return None
    password = None if secret is None else fetch(path, lambda: fetch.material.secret(secret))
    return fetch(("pool", "cache_store"), lambda: parse_store(url, password))


def _auth_query(shape: PoolFile, report: Report) -> AuthQuery | None:
    query, database = shape.pool.auth_query, shape.pool.auth_database
    if query is None and database is None:
        return None
    path: KeyPath = ("pool", "auth_query")
    if query is not None and "$1" not in query:
        report.problem(path, "has no $1, which stands for the user's name", "write '… WHERE usename = $1'")
    if database is None:
        named = [name for name in shape.databases if name != "*"]
        if len(named) != 1:
            report.problem(path, "does not say where it is asked", "add auth_database, one of [databases]")
            return None
        database = named[0]
    target = shape.databases.get(database)
    if target is None:
        report.problem(("pool", "auth_database"), f"there is no [databases.{database}]")
    elif target.url is None and target.user is None:
        report.problem(("pool", "auth_database"), f"[databases.{database}] has no account of its own that could ask")
    return AuthQuery(query=query or "", database=database)


def _client_tls(shape: ClientTlsShape | None, fetch: Fetch) -> ClientTls | None:
    if shape is None or shape.mode == "disable":
        return None
    path: KeyPath = ("tls",)
    identity = fetch.identity(path, shape.certificate, shape.certificate_file, shape.key_file)
    if identity is None:
        if not fetch.failures:
            hint = "add certificate_file and key_file, or certificate: a name in the credential store"
            fetch.report.problem(path, "has no certificate", hint)
        return None
    client_ca = fetch.pem(path, shape.client_ca, shape.client_ca_file, "client_ca")
    mode = shape.mode or "prefer"
    if mode == "verify-ca" and shape.client_ca is None and shape.client_ca_file is None:
        fetch.report.problem((*path, "mode"), "'verify-ca' needs client_ca or client_ca_file")
    return ClientTls(
        mode=mode,
        certificate=identity[0],
        key=identity[1],
        client_ca=client_ca,
        minimum_version=shape.minimum_version or "TLSv1.2",
    )


def _check_open(settings: PoolSettings, pool: PoolShape, report: Report) -> None:
    """Refuse to be open to other machines without a password."""
    remote = next((index for index, each in enumerate(settings.listen) if not each.is_local), None)
    is_open = pool.users_file is None and pool.auth_query is None and pool.auth_database is None
    if pool.auth == "cert" and (settings.tls is None or settings.tls.client_ca is None):
        report.problem(("pool", "auth"), "'cert' needs [tls] with client_ca or client_ca_file")
    if is_open and pool.auth not in (None, "trust", "cert"):
        report.problem(("pool", "auth"), "there is no list of users", "add users_file or auth_query to [pool]")
    if pool.auth == "trust" and remote is not None:
        message = f"'trust' lets everybody in, and {settings.listen[remote]} can be reached from other machines"
        report.problem(("pool", "auth"), message, "use users_file or auth_query with another method")
        return
    if is_open and remote is not None:
        message = (
            f"{settings.listen[remote]} can be reached from other machines, and nobody would be asked for a password"
        )
        report.problem(("pool", "listen", remote), message, "add users_file or auth_query to [pool]")


def _notice(settings: PoolSettings, report: Report) -> None:
    for name in sorted(settings.admin_users | settings.stats_users):
        if settings.users is not None and settings.auth_query is None and name not in settings.users:
            report.notice(("pool", "admin_users"), f"{name!r} is not in the users file, so nobody can log in as it")
    for each in settings.listen:
        if not each.is_local and settings.tls is None and isinstance(each, Listen):
            report.notice(("pool", "listen"), f"{each} is reached without TLS: queries and results can be read")
            break
