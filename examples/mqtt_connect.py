"""Talk MQTT 3.1.1: connect, subscribe to a topic, publish to it, and receive the message back.

python examples/mqtt_connect.py 127.0.0.1:1883 [ca.pem, which means TLS]
"""

import asyncio
import sys

from longshore import Socket, SocketOptions, TlsOptions, connect

CONNECT = b"\x10\x15\0\4MQTT\4\2\0\x3c\0\x09longshore"  # level 4, clean session, keep alive 60 s, client id
SUBSCRIBE = b"\x82\x0c\0\1\0\7harbour\0"  # packet 1: topic, at most once
TOPIC = b"\0\7harbour"
DISCONNECT = b"\xe0\0"


async def receive(socket: Socket, kind: int) -> bytes:
    packet = b""
    while len(packet) < 2 or len(packet) < 2 + packet[1]:  # one byte of length: up to 127
        packet += (byte := await socket.readable.read(1))
        if not byte or packet[0] != kind:
            raise RuntimeError(f"{packet!r} came instead of packet {kind:#x}")
    return packet[2:]


async def main(address: str, ca: str | None = None, message: str = "ahoy") -> tuple[int, str]:
    options = SocketOptions(secure_transport="on", tls=TlsOptions(ca=ca)) if ca else None
    async with connect(address, options) as socket:
        await socket.writable.write(CONNECT + SUBSCRIBE)  # queued: they leave as soon as the connection is up
        code = (await receive(socket, 0x20))[1]  # CONNACK
        await receive(socket, 0x90)  # SUBACK
        publish = TOPIC + message.encode()
        await socket.writable.write(bytes([0x30, len(publish)]) + publish)
        echoed = await receive(socket, 0x30)
        await socket.writable.write(DISCONNECT)
        return code, echoed.removeprefix(TOPIC).decode()


if __name__ == "__main__":
    print("CONNACK {}, then: {}".format(*asyncio.run(main(*sys.argv[1:]))))
