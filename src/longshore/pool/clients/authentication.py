"""Who may log in, and how he proves who he is (shell: it keeps keys and random secrets).

Secrets come from a mapping (a users file) and, for whom that does not list, from a ``SecretSource`` (``AuthQuery``).
With neither, every client of this machine is let in as whom it says it is.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

from longshore.pool.clients.method import ClientMethod
from longshore.pool.servers.key_cache import KeyCache
from longshore.proto.postgres.auth import AuthMethod, PlainPassword
from longshore.proto.postgres.auth_server import default_method
from longshore.proto.postgres.scram import DEFAULT_ITERATIONS, mock_verifier

if TYPE_CHECKING:
    from collections.abc import Mapping

    from longshore.proto.postgres.auth import Secret

__all__ = ["Authentication", "ClientMethod", "SecretSource"]


_METHODS = {
    ClientMethod.TRUST: AuthMethod.TRUST,
    ClientMethod.CERT: AuthMethod.TRUST,
    ClientMethod.PASSWORD: AuthMethod.PASSWORD,
    ClientMethod.MD5: AuthMethod.MD5,
    ClientMethod.SCRAM_SHA_256: AuthMethod.SCRAM_SHA_256,
}


class SecretSource(Protocol):
    """Knows secrets that may change at any time."""

    def cached(self, user: str) -> tuple[Secret | None] | None:
        """Return what is known at once, in a tuple; None: ask ``find``."""

    async def find(self, user: str) -> Secret | None:
        """Return the secret of a user; None: there is no such user.

        Raises:
            PoolRefused: it cannot be found out now.

        Cancellation: safe.
        """

    def forget(self, user: str) -> None:
        """Do not rely on what was found: a login has failed with it."""


class Authentication:
    """The rules of one configuration.

    Args:
        users: secrets by user.
        source: asked for users that ``users`` does not have.
        method: how clients are asked.
        database_users: who may use a database; everyone where it is not named.
        allows_plain_password: ask for passwords in clear text on connections that are not encrypted.
        keys: of SCRAM.
    """

    def __init__(
        self,
        *,
        users: Mapping[str, Secret] | None = None,
        source: SecretSource | None = None,
        method: ClientMethod | None = None,
        database_users: Mapping[str, frozenset[str]] | None = None,
        allows_plain_password: bool = False,
        keys: KeyCache | None = None,
    ) -> None:
        is_open = users is None and source is None
        self.method = method or (ClientMethod.TRUST if is_open else ClientMethod.AUTO)
        self.source = source
        self.allows_plain_password = allows_plain_password
        self.keys = keys or KeyCache()
        self._users = users
        self._database_users = database_users or {}

    def listed(self, user: str) -> Secret | None:
        """Return the secret of a user in ``users``; None: there is none, and an empty password is none either.

        PgBouncer's ``"name" ""`` names a user who cannot log in with a password, and PostgreSQL has no empty ones.
        """
        secret = None if self._users is None else self._users.get(user)
        return None if isinstance(secret, PlainPassword) and not secret.password else secret

    def is_listed(self, user: str) -> bool:
        """Return whether somebody may come in without a secret of his: by trust or by certificate."""
        return self._users is None or user in self._users or self.source is not None

    def may_use(self, user: str, database: str) -> bool:
        """Return whether a user may use a database."""
        allowed = self._database_users.get(database)
        return allowed is None or user in allowed

    def wire_method(self, secret: Secret | None) -> AuthMethod:
        """Return what a client is asked for."""
        return _METHODS.get(self.method) or default_method(secret)

    def salt_of(self, user: bytes) -> tuple[bytes, int]:
        """Return salt and iterations for a user whose password we have: as those of one who does not exist."""
        mock = mock_verifier(user, self.keys.mock_secret)
        return mock.salt, DEFAULT_ITERATIONS

    async def prepared(self, user: bytes, secret: Secret | None) -> Secret | None:
        """Return the secret in a form that takes no time to compare with what a client of SCRAM sends.

        Cancellation: safe.
        """
        if isinstance(secret, PlainPassword):
            return (await self.keys.derive(secret.password, *self.salt_of(user))).verifier
        return secret
