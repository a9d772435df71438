"""Opens the connections of one pool, and cancels what they do (shell)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from longshore.pool.servers.cancel import send_cancel
from longshore.pool.servers.dialing import DIRECT
from longshore.pool.servers.key_cache import KeyCache
from longshore.pool.servers.login import open_server
from longshore.pool.servers.login_failed import LoginFailed

if TYPE_CHECKING:
    from collections.abc import Callable

    from longshore.pool.servers.connection import ServerConnection
    from longshore.pool.servers.dialing import ServerDialer
    from longshore.pool.servers.login import LoginSecret
    from longshore.pool.servers.target import Target
    from longshore.pool.statistics import Statistics

__all__ = ["Opener"]


class Opener:
    """Where the connections of a pool go, and with what account.

    Args:
        target: where to, and as whom.
        statistics: of the pool.
        dialer: opens the connections.
        keys: of SCRAM.
    """

    def __init__(
        self, target: Target, statistics: Statistics, *, dialer: ServerDialer = DIRECT, keys: KeyCache | None = None
    ) -> None:
        self.target = target
        self.secret: LoginSecret = None
        """With what to log in when the target has no password: what its client has proved to know."""
        self.is_own_account = True
        """Whether clients log in upstream as themselves; otherwise it is not their password that is wrong."""
        self._statistics = statistics
        self._dialer = dialer
        self._keys = keys or KeyCache()

    def learn(self, secret: LoginSecret) -> None:
        """Take with what a client that was let in could log in to the database itself."""
        if secret is not None and self.is_own_account:
            self.secret = secret

    async def open(self, server_id: int, on_lost: Callable[[ServerConnection], None]) -> ServerConnection:
        """Connect and log in.

        Raises:
            LoginFailed: that was not possible.

        Cancellation: closes the connection.
        """
        try:
            server = await open_server(
                server_id, self.target, on_lost, secret=self.secret, keys=self._keys, dialer=self._dialer
            )
        except LoginFailed as exc:
            self._statistics.server_login_failures += 1
            if self.is_own_account or exc.error is None:
                raise
            raise exc.of_fixed_account() from exc
        self._statistics.server_logins += 1
        return server

    async def cancel(self, server: ServerConnection) -> bool:
        """Cancel what a connection does; return whether nothing that comes later can be hit.

        Cancellation: the request may be on its way.
        """
        self._statistics.cancels += 1
        return await send_cancel(server, self._dialer)
