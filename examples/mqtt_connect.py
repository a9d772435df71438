"""Talk MQTT 3.1.1: connect, subscribe to a topic, publish to it, and receive the message back.

python examples/mqtt_connect.py 127.0.0.1:1883 [ca.pem, which means TLS]
"""

import asyncio
import sys

from longshore import Socket, SocketOptions, TlsOptions, connect


def text(value: str) -> bytes:
    return len(value).to_bytes(2) + value.encode()


def packet(kind: int, body: bytes) -> bytes:
    return bytes([kind, len(body)]) + body  # one byte of length: bodies here are shorter than 128 bytes


async def exactly(socket: Socket, count: int) -> bytes:
    data = b""
    while len(data) < count:
        data += (chunk := await socket.readable.read(count - len(data)))
        if not chunk:
            raise EOFError("the broker ended the connection")
    return data


async def receive(socket: Socket, kind: int) -> bytes:
    head = await exactly(socket, 2)
    assert head[0] == kind, f"packet {head[0]:#x} instead of {kind:#x}"
    return await exactly(socket, head[1])


async def main(address: str, ca: str | None = None, message: str = "ahoy") -> tuple[int, str, str]:
    options = SocketOptions(secure_transport="on", tls=TlsOptions(ca=ca)) if ca else None
    async with connect(address, options) as socket:
        await socket.writable.write(packet(0x10, text("MQTT") + b"\x04\x02\x00\x3c" + text("longshore")))
        code = (await receive(socket, 0x20))[1]  # CONNACK
        await socket.writable.write(packet(0x82, b"\x00\x01" + text("harbour") + b"\x00"))
        await receive(socket, 0x90)  # SUBACK
        await socket.writable.write(packet(0x30, text("harbour") + message.encode()))
        echoed = await receive(socket, 0x30)
        await socket.writable.write(packet(0xE0, b""))  # DISCONNECT
        return code, echoed[2:9].decode(), echoed[9:].decode()


if __name__ == "__main__":
    print("CONNACK {}, then on {}: {}".format(*asyncio.run(main(*sys.argv[1:]))))
