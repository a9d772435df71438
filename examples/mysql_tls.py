"""Log in to MySQL or MariaDB over TLS: their greeting, SSLRequest, then TLS and HandshakeResponse41.

    python examples/mysql_tls.py 127.0.0.1:3306 USER PASSWORD [ca.pem]
"""

import asyncio
import struct
import sys
from hashlib import sha1

from longshore import Socket, TlsOptions, connect

CAPABILITIES = 0x88A01  # LONG_PASSWORD, PROTOCOL_41, SSL, SECURE_CONNECTION, PLUGIN_AUTH
SSL_REQUEST = struct.pack("<IIB23x", CAPABILITIES, 1 << 24, 45)  # HandshakeResponse41 begins with it again
PLUGIN = b"mysql_native_password\0"


async def receive(socket: Socket) -> bytes:
    packet = b""
    while len(packet) < 4 or len(packet) < 4 + int.from_bytes(packet[:3], "little"):
        packet += await socket.readable.read() or b"\0\0\0\0\xffended by the server"
    return packet[4:]


async def send(socket: Socket, number: int, payload: bytes) -> None:
    await socket.writable.write(len(payload).to_bytes(3, "little") + bytes([number]) + payload)
