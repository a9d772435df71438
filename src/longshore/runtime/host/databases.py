"""What a worker, the egress process and the pool process each know of the databases of ``[[hyperdrive]]``.

The worker gets the pool's address and a token, the egress process the names of the bindings, and the pool process the
account: the database's password is in its memory and in the host's, and nowhere else.
"""

from __future__ import annotations

import secrets
import socket
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

import msgspec

from longshore.config.databases import private_binding
from longshore.config.model import HyperdriveBinding
from longshore.core.private_names import private_name
from longshore.proto.ipc.pool import AddDatabases, PooledDatabase

if TYPE_CHECKING:
    from longshore.config.model import WorkerConfig
    from longshore.credentials.store import CredentialStore

__all__ = ["WorkerDatabases", "known_to_egress", "pooled"]

PORT: Final = 5432
"""Of every private name."""
_TOKEN_BYTES: Final = 32


@dataclass(slots=True)
class WorkerDatabases:
    """The databases of one worker process that the pool serves."""

    message: AddDatabases
    listeners: list[socket.socket] = field(default_factory=list)
    """Where the worker's drivers connect to when they cannot be led to the pool; one for each database, or none."""

    @classmethod
    def of(
        cls, config: WorkerConfig, worker_id: int, credentials: CredentialStore, *, has_traps: bool
    ) -> WorkerDatabases | None:
        """Return the databases of a new worker process; None when it has none.

        Args:
            config: the worker.
            worker_id: counts all workers of the host.
            credentials: the store.
            has_traps: whether its drivers are led to the pool by a private name.

        Raises:
            CredentialError: a credential is missing or cannot be used.
            OSError: there are too many open files.
        """
        databases = pooled(config, credentials)
        if not databases:
            return None
        token = secrets.token_urlsafe(_TOKEN_BYTES)
        message = AddDatabases(
            worker_id=worker_id,
            worker=config.name,
            token=token,
            rules=msgspec.json.encode(config.network).decode(),
            databases=databases,
        )
        made = cls(message)
        try:
            for _ in () if has_traps else databases:
                made.listeners.append(socket.create_server(("127.0.0.1", 0)))
        except BaseException:
            made.close()
            raise
        return made

    def for_worker(self, config: WorkerConfig) -> WorkerConfig:
        """Return the configuration as the worker process gets it."""
        names = [each.binding for each in self.message.databases]
        return msgspec.structs.replace(
            config,
            hyperdrive=tuple(
                self._private(each, names.index(each.binding)) if each.is_pooled else each for each in config.hyperdrive
            ),
        )

    def _private(self, binding: HyperdriveBinding, index: int) -> HyperdriveBinding:
        if self.listeners:
            host, port = self.listeners[index].getsockname()[:2]
        else:
            host, port = private_name(binding.binding), PORT
        return private_binding(binding, host, port, password=self.message.token)

    def close(self) -> None:
        """Close the listeners. Idempotent."""
        for each in self.listeners:
            each.close()
        self.listeners.clear()


def pooled(config: WorkerConfig, credentials: CredentialStore) -> tuple[PooledDatabase, ...]:
    """Return what the pool needs to know of each database of a worker.

    Raises:
        CredentialError: a credential is missing or cannot be used.
    """
    return tuple(_pooled(each, credentials) for each in config.hyperdrive if each.is_pooled)


def _pooled(binding: HyperdriveBinding, credentials: CredentialStore) -> PooledDatabase:
    tls, caching = binding.mtls, binding.caching
    identity = None if tls.mtls_certificate_id is None else credentials.client_certificate(tls.mtls_certificate_id)
    return PooledDatabase(
        binding=binding.binding,
        connection_string=binding.connection_string,
        mode=binding.mode,
        origin_connection_limit=binding.origin_connection_limit,
        is_cached=not caching.disabled,
        max_age_s=caching.max_age,
        stale_while_revalidate_s=caching.stale_while_revalidate,
        sslmode=tls.sslmode,
        ca=None if tls.ca_certificate_id is None else credentials.ca_bundle(tls.ca_certificate_id),
        certificate=None if identity is None else identity.chain,
        key=None if identity is None else identity.private_key,
    )


def known_to_egress(config: WorkerConfig) -> tuple[HyperdriveBinding, ...]:
    """Return what the egress process needs to know: whose connections go to the pool."""
    return tuple(
        HyperdriveBinding(binding=each.binding, connection_string="", is_private=True)
        for each in config.hyperdrive
        if each.is_pooled
    )
