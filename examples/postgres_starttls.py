"""Query PostgreSQL through its own STARTTLS: SSLRequest in clear, ``S`` back, then TLS and the protocol.

python examples/postgres_starttls.py 127.0.0.1:5432 'SELECT version()' [ca.pem]
"""

import asyncio
import struct
import sys
from collections.abc import Iterator

from longshore import TlsOptions, connect

SSL_REQUEST = struct.pack("!ii", 8, 80877103)
PARAMETERS = b"user\0postgres\0database\0postgres\0\0"
STARTUP_MESSAGE = struct.pack("!ii", 8 + len(PARAMETERS), 196608) + PARAMETERS  # protocol 3.0
TERMINATE = b"X\0\0\0\4"


def values(row: bytes) -> Iterator[str]:
    """Yield the columns of a DataRow: int16 count, then int32 length and text of each; NULL is -1 long."""
    rest = row[2:]
    while rest:
        size = max(0, int.from_bytes(rest[:4], signed=True))
        yield rest[4 : 4 + size].decode()
        rest = rest[4 + size :]


async def main(address: str, sql: str = "SELECT 1", ca: str | None = None) -> list[list[str]]:
    async with connect(address, secure_transport="starttls", tls=TlsOptions(ca=ca)) as plain:
        await plain.writable.write(SSL_REQUEST)
        if await plain.readable.read(1) != b"S":
            raise RuntimeError("the server has no TLS")
        async with plain.start_tls() as socket:  # all of this leaves right behind the handshake
            query = struct.pack("!ci", b"Q", 5 + len(sql.encode())) + sql.encode() + b"\0"
            await socket.writable.write(STARTUP_MESSAGE + query + TERMINATE)
            data = b"".join([chunk async for chunk in socket.readable])
    rows = []
    while data:
        kind, size = struct.unpack_from("!ci", data)
        body, data = data[5 : 1 + size], data[1 + size :]
        if kind == b"E" or (kind == b"R" and body != bytes(4)):
            raise RuntimeError(f"refused, or it wants a password: {body!r}")
        if kind == b"D":
            rows.append(list(values(body)))
    return rows


if __name__ == "__main__":
    print(*asyncio.run(main(*sys.argv[1:])), sep="\n")
