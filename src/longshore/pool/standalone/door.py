"""How clients are let in, and the cancel requests that come (shell)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from longshore.pool.admin.access import Access
from longshore.pool.admin.connection import AdminDoor
from longshore.pool.clients.auth_query import DEFAULT_QUERY, AuthQuery
from longshore.pool.clients.authentication import Authentication, ClientMethod
from longshore.pool.clients.limits import ClientLimits
from longshore.pool.clients.start import ClientDoor, ClientStart
from longshore.pool.clients.tls import ClientTls, ClientTlsMode, make_client_tls
from longshore.pool.standalone.admin_host import ProcessAdminHost

if TYPE_CHECKING:
    import asyncio
    from collections.abc import Callable

    from longshore.pool.standalone import model
    from longshore.pool.standalone.link import CancelLink
    from longshore.pool.standalone.process import PoolProcess

__all__ = ["Door", "encryption"]


def encryption(tls: model.ClientTls | None) -> ClientTls | None:
    """Return what clients are encrypted with.

    Raises:
        ValueError: a certificate or the key cannot be used.
    """
    if tls is None:
        return None
    return make_client_tls(
        tls.certificate,
        tls.key,
        mode=ClientTlsMode(tls.mode),
        client_ca=tls.client_ca,
        minimum_version=tls.minimum_version,
    )


class Door:
    """The door of a process; made when its pools are there.

    Args:
        process: whose.
    """

    def __init__(self, process: PoolProcess) -> None:
        self._process = process
        self._admin = AdminDoor(process.pools, ProcessAdminHost(process), self._access())
        self._door = self._make()

    def start_of_client(self) -> asyncio.Protocol:
        """Return the protocol of a new connection."""
        return ClientStart(self._door)

    def reload(self) -> None:
        """Let in by the present configuration."""
        self._admin.access = self._access()
        self._door = self._make()

    async def aclose(self) -> None:
        """End the sessions of the admin database, which are no clients of a pool.

        Cancellation: safe.
        """
        await self._admin.aclose()

    def cancel(self, pid: int, secret: bytes, on_done: Callable[[], None], source: CancelLink | None = None) -> None:
        """Cancel what a client does, here or in the process before or behind us; ``on_done`` is called in any case.

        Args:
            pid: that the client was told.
            secret: the same.
            on_done: nothing that the client does from now on can be hit.
            source: the request came through this link, and does not go back.
        """
        client = self._process.pools.cancels.get((pid, secret))
        if client is not None:
            client.cancel(on_done)
            return
        links = (self._process.predecessor.link, self._process.control.link)
        others = [link for link in links if link is not None and link is not source]
        if not others:
            on_done()
            return
        answered = _After(len(others), on_done)
        for link in others:
            link.forward(pid, secret, answered)

    def _access(self) -> Access:
        settings = self._process.settings
        return Access(settings.admin_users, settings.stats_users)

    def _make(self) -> ClientDoor:
        process, settings = self._process, self._process.settings
        pools, asked = process.pools, settings.auth_query
        pools.limits = ClientLimits(
            clients=settings.max_clients,
            per_database=settings.max_clients_per_database,
            per_user=settings.max_clients_per_user,
        )
        source = None if asked is None else AuthQuery(pools, asked.database, asked.query or DEFAULT_QUERY)
        return ClientDoor(
            pools=pools,
            authentication=Authentication(
                users=settings.users,
                source=source,
                method=_method(settings),
                database_users=settings.database_users,
                keys=pools.keys,
            ),
            tls=encryption(settings.tls),
            admin=self._admin,
            login_timeout_s=settings.login_timeout_s,
            on_login=process.watch.logged_in,
            on_refused=process.watch.refused,
            on_foreign_cancel=self.cancel,
        )


def _method(settings: model.PoolSettings) -> ClientMethod | None:
    is_chosen = settings.auth is not None and not (settings.auth == "auto" and settings.is_open)
    return ClientMethod(settings.auth) if is_chosen else None


class _After:
    """Calls something when it was called so many times."""

    def __init__(self, times: int, then: Callable[[], None]) -> None:
        self._times = times
        self._then = then

    def __call__(self) -> None:
        self._times -= 1
        if self._times == 0:
            self._then()
