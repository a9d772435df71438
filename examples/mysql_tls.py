"""Log in to MySQL or MariaDB over TLS: their greeting, SSLRequest, then TLS and HandshakeResponse41.

python examples/mysql_tls.py 127.0.0.1:3306 USER PASSWORD [ca.pem]
"""

import asyncio
import hashlib
import struct
import sys

from longshore import Socket, TlsOptions, connect

CAPABILITIES = 0x88A01  # LONG_PASSWORD, PROTOCOL_41, SSL, SECURE_CONNECTION, PLUGIN_AUTH
SSL_REQUEST = struct.pack("<IIB23x", CAPABILITIES, 1 << 24, 45)  # HandshakeResponse41 begins with it again
PLUGIN = b"mysql_native_password\0"


async def receive(socket: Socket) -> tuple[int, bytes]:
    data = b""
    while len(data) < 4 or len(data) < 4 + int.from_bytes(data[:3], "little"):
        data += (chunk := await socket.readable.read())
        if not chunk:
            raise EOFError("the server ended the connection")
    return data[3], data[4:]


async def send(socket: Socket, number: int, payload: bytes) -> None:
    await socket.writable.write(len(payload).to_bytes(3, "little") + bytes([number]) + payload)


def sha1(data: bytes) -> bytes:
    return hashlib.sha1(data).digest()  # noqa: S324 - what mysql_native_password is made of


def scramble(password: str, salt: bytes) -> bytes:
    hashed = sha1(password.encode())
    mask = sha1(salt + sha1(hashed))
    return bytes(a ^ b for a, b in zip(hashed, mask, strict=True)) if password else b""


async def main(address: str, user: str, password: str, ca: str | None = None) -> str:
    async with connect(address, secure_transport="starttls", tls=TlsOptions(ca=ca)) as plain:
        _, greeting = await receive(plain)
        version, _, rest = greeting[1:].partition(b"\0")  # 4 thread id, 8 salt, 19 flags, 12 salt, 0, plugin
        await send(plain, 1, SSL_REQUEST)
        async with plain.start_tls() as socket:
            answer = scramble(password, rest[4:12] + rest[31:43])
            login = user.encode() + b"\0" + bytes([len(answer)]) + answer + PLUGIN
            await send(socket, 2, SSL_REQUEST + login)
            number, result = await receive(socket)
            if result.startswith(b"\xfe" + PLUGIN):  # AuthSwitchRequest: the same with another salt
                await send(socket, number + 1, scramble(password, result[1 + len(PLUGIN) : -1]))
                number, result = await receive(socket)
            if result[0] != 0:
                raise RuntimeError(f"refused: {result!r}")
            await send(socket, 0, b"\x01")  # COM_QUIT
            return version.decode()


if __name__ == "__main__":
    print("logged in over TLS to", asyncio.run(main(*sys.argv[1:])))
