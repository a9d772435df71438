"""Which pool a client means (PURE): a declared database, and what its target leaves open."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from longshore.pool.model import Database
    from longshore.pool.servers.target import Target

__all__ = ["Declared", "Wanted"]

_ANY = "*"


@dataclass(frozen=True, slots=True)
class Wanted:
    """One pool; equal to another when declared database, database behind it and account are."""

    name: str
    """Of the declared database."""
    upstream: tuple[str, str]
    """Database and account there."""
    database: str = field(compare=False)
    """As the client calls it."""
    user: str = field(compare=False)
    """Of the client."""
    declared: Database = field(compare=False)

    @property
    def target(self) -> Target:
        """Where it goes."""
        database, user = self.upstream
        return replace(self.declared.target, database=database, user=user)

    @property
    def is_own_account(self) -> bool:
        """Whether clients log in there as themselves."""
        return not self.declared.target.user


class Declared:
    """The databases of one configuration.

    Args:
        databases: as configured.
    """

    def __init__(self, databases: Sequence[Database]) -> None:
        self.databases: Mapping[str, Database] = {database.name: database for database in databases}

    def name(self, database: str) -> str:
        """Return under which name a database is configured: its own, or that of every other one."""
        return database if database in self.databases else _ANY

    def wanted(self, database: str, user: str) -> Wanted | None:
        """Return the pool for what a client calls a database; None: there is no such database."""
        found = self.databases.get(database) or self.databases.get(_ANY)
        if found is None or not database:
            return None
        target = found.target
        return Wanted(found.name, (target.database or database, target.user or user), database, user, found)

    def again(self, former: Wanted) -> Wanted | None:
        """Return what a pool of another configuration is in this one; None: nothing."""
        return self.wanted(former.database, former.user)

    def fixed(self) -> Iterator[Wanted]:
        """Return the pools that are known without any client."""
        for name, database in self.databases.items():
            if name != _ANY and database.target.user:
                wanted = self.wanted(name, database.target.user)
                assert wanted is not None
                yield wanted
