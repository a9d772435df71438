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


async def receive(socket: Socket) -> bytes:
    packet = b""
    async for chunk in socket.readable:
        packet += chunk
        if len(packet) > 4 and len(packet) == 4 + int.from_bytes(packet[:3], "little"):
            return packet[4:]
    raise EOFError("the server ended the connection")


async def main(address: str, user: str, password: str = "", ca: str | None = None) -> str:
    async with connect(address, secure_transport="starttls", tls=TlsOptions(ca=ca)) as plain:
        version, _, rest = (await receive(plain))[1:].partition(b"\0")
        await plain.writable.write(b"\x20\0\0\1" + SSL_REQUEST)  # length, number of the packet, packet
        async with plain.start_tls() as socket:
            hashed = sha1(password.encode()).digest()  # noqa: S324 - mysql_native_password is made of it
            salted = rest[4:12] + rest[31:43] + sha1(hashed).digest()  # noqa: S324 - the same
            answer = bytes(a ^ b for a, b in zip(hashed, sha1(salted).digest(), strict=True))  # noqa: S324
            login = user.encode() + (b"\0\x14" + answer if password else b"\0\0") + b"mysql_native_password\0"
            await socket.writable.write(bytes([32 + len(login), 0, 0, 2]) + SSL_REQUEST + login)
            if (result := await receive(socket))[0] != 0:
                raise RuntimeError(f"the server refused: {result!r}")
            return version.decode()


if __name__ == "__main__":
    print("logged in over TLS to", asyncio.run(main(*sys.argv[1:])))
