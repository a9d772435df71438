"""What a client is told that is let in, and the session that it gets (shell)."""

from __future__ import annotations

import os
from functools import lru_cache
from typing import TYPE_CHECKING

from longshore.pool.clients.connection import ClientConnection, ClientLogin
from longshore.pool.session.engine import READY_IDLE
from longshore.proto.postgres.backend_messages import AuthenticationOk, BackendKeyData, ParameterStatus
from longshore.proto.postgres.constants import PROTOCOL_3_2
from longshore.proto.postgres.serialize import serialize

if TYPE_CHECKING:
    import asyncio

    from longshore.pool.clients.door import ClientDoor
    from longshore.pool.pool import Pool
    from longshore.pool.session.engine import SessionEngine

__all__ = ["let_in"]

_PID_BASE = 0x40000000
_PID_MASK = _PID_BASE - 1
"""A process id has 32 bits, and session ids have no end; two clients of one process id differ in the secret."""
_SECRET_BYTES, _SHORT_SECRET_BYTES = 32, 4
"""Of a cancel key; protocol 3.0 has no room for more than four."""
_GREETINGS = 256


def let_in(
    transport: asyncio.Transport,
    door: ClientDoor,
    pool: Pool,
    engine: SessionEngine,
    *,
    user: str,
    database: str,
    version: int,
) -> ClientConnection:
    """Tell a client that it is in, and return its connection, which has yet to ``take_over``.

    Args:
        transport: of the client.
        door: where it came.
        pool: what it uses.
        engine: its session.
        user: who it is.
        database: as it named it.
        version: of the protocol.
    """
    secret = os.urandom(_SECRET_BYTES if version >= PROTOCOL_3_2 else _SHORT_SECRET_BYTES)
    key = (_PID_BASE | (engine.session_id & _PID_MASK), secret)
    engine.pid = key[0]
    engine.tenant = door.tenant
    engine.join_cache()  # it may have been switched on during the login
    greeting = _greeting(tuple(engine.parameters.items()))
    transport.write(b"".join((greeting, serialize(BackendKeyData(*key)), READY_IDLE)))
    login = ClientLogin(session_id=engine.session_id, user=user, database=database, key=key, tenant=door.tenant)
    client = ClientConnection(transport, login, pool, engine, door.pools.remove_client)
    pool.statistics.logins += 1
    door.pools.add_client(client)
    door.on_login(client)
    return client


@lru_cache(maxsize=_GREETINGS)
def _greeting(parameters: tuple[tuple[bytes, bytes], ...]) -> bytes:
    """Return AuthenticationOk and what is reported of parameters: the same for most clients of a pool."""
    told = (serialize(ParameterStatus(name, value)) for name, value in parameters)
    return b"".join((serialize(AuthenticationOk()), *told))
