"""Query PostgreSQL through its own STARTTLS: SSLRequest in clear, ``S`` back, then TLS and the protocol.

python examples/postgres_starttls.py 127.0.0.1:5432 'SELECT version()' [ca.pem]
"""

import asyncio
import struct
import sys

from longshore import TlsOptions, connect


def message(kind: bytes, body: bytes = b"") -> bytes:
    return kind + struct.pack("!i", 4 + len(body)) + body


SSL_REQUEST = message(b"", struct.pack("!i", 80877103))
STARTUP_MESSAGE = message(b"", b"\0\3\0\0" + b"user\0postgres\0database\0postgres\0\0")  # protocol 3.0


async def main(address: str, sql: str = "SELECT 1", ca: str | None = None) -> list[str]:
    async with connect(address, secure_transport="starttls", tls=TlsOptions(ca=ca)) as plain:
        await plain.writable.write(SSL_REQUEST)
        if await plain.readable.read(1) != b"S":
            raise RuntimeError("the server has no TLS")
        async with plain.start_tls() as socket:  # what is written now leaves right behind the handshake
            await socket.writable.write(STARTUP_MESSAGE + message(b"Q", sql.encode() + b"\0") + message(b"X"))
            data = b"".join([chunk async for chunk in socket.readable])
    values = []
    while data:
        kind, length = struct.unpack_from("!ci", data)
        body, data = data[5 : 1 + length], data[1 + length :]
        if kind == b"E" or (kind == b"R" and body != bytes(4)):
            raise RuntimeError(f"it refused, or wants a password: {body!r}")
        if kind == b"D":  # DataRow: int16 columns, then int32 length and text of the first one
            values.append(body[6 : 6 + int.from_bytes(body[2:6])].decode())
    return values


if __name__ == "__main__":
    print(*asyncio.run(main(*sys.argv[1:])), sep="\n")
