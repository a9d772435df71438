"""Does the commands of the admin database (shell over ``Pools``)."""

from __future__ import annotations

import asyncio
from time import monotonic
from typing import TYPE_CHECKING, Final

from longshore.pool.admin.access import check
from longshore.pool.admin.averages import Averages
from longshore.pool.admin.clock import epoch_s
from longshore.pool.admin.commands import (
    AdminError,
    ClearCache,
    Command,
    Constant,
    Control,
    Harmless,
    KillClient,
    Reload,
    Set,
    Show,
    Shutdown,
    Transaction,
    Verb,
)
from longshore.pool.admin.host import ReloadFailed
from longshore.pool.admin.memory import memory_items
from longshore.pool.admin.rules import changed, rule_items
from longshore.pool.admin.session import Result
from longshore.pool.admin.shows import SHOWS, View, show
from longshore.pool.admin.values import Field, Type
from longshore.pool.cache.attach import clear_cache
from longshore.pool.failures import killed
from longshore.pool.inspection.inspect import snapshot

if TYPE_CHECKING:
    from collections.abc import Sequence

    from longshore.pool.admin.access import Rights
    from longshore.pool.admin.host import AdminHost
    from longshore.pool.pool import Pool
    from longshore.pool.pools import Pools

__all__ = ["Admin", "describe"]

_INT4_MAX: Final = 2**31 - 1


def describe(command: Command) -> Sequence[Field]:
    """Return the columns of what a command gives; none for one that gives no rows."""
    if isinstance(command, Show):
        return SHOWS[command.name].table.fields
    if isinstance(command, Constant):
        value = command.value
        is_small = isinstance(value, int) and abs(value) <= _INT4_MAX
        kind = Type.TEXT if isinstance(value, str) else Type.INT4 if is_small else Type.INT8
        return (Field(command.column, kind),)
    return ()


class Admin:
    """What all sessions of the admin database share.

    Args:
        pools: what it is about.
        host: the process around them.
    """

    def __init__(self, pools: Pools, host: AdminHost) -> None:
        self._pools = pools
        self._host = host
        self._averages = Averages(monotonic())

    async def execute(self, command: Command, rights: Rights) -> Result:
        """Do a command.

        Raises:
            AdminError: it cannot be done, or not by this user.

        Cancellation: a PAUSE that was waiting is taken back.
        """
        check(rights, command)
        match command:
            case Show(name):
                return Result("SHOW", show(name, self._view()))
            case Constant(value=value, tag=tag):
                return Result(tag, [(value,)])
            case Harmless(tag) | Transaction(tag):
                return Result(tag)
            case Control(verb, database):
                await self._control(verb, database)
                return Result(verb.value)
            case ClearCache(database):
                for pool in self._of(database):
                    if pool.shared.cache is not None:
                        await clear_cache(pool.shared.cache)
                return Result("CLEAR CACHE")
            case _:
                return self._order(command)

    def _order(self, command: KillClient | Set | Reload | Shutdown) -> Result:
        match command:
            case KillClient(client_id):
                return self._kill_client(client_id)
            case Set(key, value):
                self._pools.reload(changed(tuple(self._pools.databases.values()), key, value))
                return Result("SET")
            case Reload():
                return self._reload()
            case Shutdown(mode):
                self._host.shutdown(mode)
                return Result("SHUTDOWN")

    # -- looking ---------------------------------------------------------------------------------

    def _view(self) -> View:
        seen = snapshot(self._pools)
        return View(
            seen=seen,
            version=self._host.version,
            epoch_s=epoch_s(),
            counted=self._averages.count(seen.pools, monotonic()),
            config=[*self._host.config(), *rule_items(self._pools.databases.values())],
            users=self._host.users(),
            memory=memory_items(seen),
        )

    # -- changing --------------------------------------------------------------------------------

    def _reload(self) -> Result:
        try:
            self._host.reload()
        except ReloadFailed as exc:
            raise AdminError("F0000", f"the configuration was not reloaded: {exc}", "the old one is in force") from exc
        return Result("RELOAD")

    def _kill_client(self, client_id: int) -> Result:
        client = self._pools.clients.get(client_id)
        if client is None:
            raise AdminError("42704", f"there is no client {client_id}", "SHOW CLIENTS has their ids in the column id")
        client.end(killed())
        return Result("KILL CLIENT")

    async def _control(self, verb: Verb, database: str | None) -> None:
        pools, gate = self._of(database), self._pools.gate
        match verb:
            case Verb.PAUSE:
                await self._pause(database, pools)
            case Verb.RESUME:
                gate.resume(database)
                for pool in pools:
                    pool.resume()
            case Verb.RECONNECT:
                for pool in pools:
                    pool.close_idle()
            case Verb.DISABLE:
                gate.disabled.add(database or "")
            case Verb.ENABLE:
                gate.disabled.discard(database or "")
            case Verb.KILL:
                self._kill(database, pools)

    async def _pause(self, database: str | None, pools: Sequence[Pool]) -> None:
        """Pause, and wait for the connections in use; who gives up waiting takes his pause back."""
        fresh = [pool for pool in pools if not pool.state.is_paused]
        self._pools.gate.pause(database)
        for pool in fresh:
            pool.pause()
        try:
            await asyncio.gather(*(pool.wait_quiet() for pool in pools))
        except asyncio.CancelledError:
            if fresh or not pools:
                self._pools.gate.resume(database)
            for pool in fresh:
                pool.resume()
            raise
        if not all(pool.state.is_paused for pool in pools):
            raise AdminError("55000", "the pause was ended by a RESUME while this PAUSE waited")

    def _kill(self, database: str | None, pools: Sequence[Pool]) -> None:
        """Close everything at once. What comes later waits for RESUME, as after a PAUSE."""
        self._pools.gate.pause(database)
        for pool in pools:
            pool.pause()
        for client in list(self._pools.clients.values()):
            if client.pool in pools:
                client.end(killed())
        for pool in pools:
            pool.close_all()

    def _of(self, database: str | None) -> list[Pool]:
        """Return the pools of a database.

        Raises:
            AdminError: there is no such database.
        """
        found = list(self._pools.pools())
        if database is None:
            return found
        pools = [pool for pool in found if pool.name == database]
        if not pools and database not in self._pools.databases and "*" not in self._pools.databases:
            raise AdminError("3D000", f'database "{database}" does not exist', "SHOW DATABASES lists them")
        return pools
