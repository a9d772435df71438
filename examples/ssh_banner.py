"""Greet an SSH server (RFC 4253): exchange banners, then read which key exchanges it offers.

python examples/ssh_banner.py 127.0.0.1:22
"""

import asyncio
import sys

from longshore import Socket, connect

SSH_MSG_KEXINIT = 20


async def more(socket: Socket) -> bytes:
    if not (data := await socket.readable.read()):
        raise EOFError("the server ended the connection in the middle")
    return data


async def main(address: str) -> tuple[str, list[str]]:
    async with connect(address) as socket:
        await socket.writable.write("SSH-2.0-longshore\r\n")
        data = await more(socket)
        while b"\r\n" not in data:
            data += await more(socket)
        banner, _, packet = data.partition(b"\r\n")

        # uint32 length, byte padding, byte message, 16 bytes cookie, uint32 size, names with commas (§7.1)
        while len(packet) < 26 or len(packet) < 4 + int.from_bytes(packet[:4]):
            packet += await more(socket)
        assert packet[5] == SSH_MSG_KEXINIT, f"message {packet[5]}"
        size = int.from_bytes(packet[22:26])
        return banner.decode(), packet[26 : 26 + size].decode().split(",")


if __name__ == "__main__":
    server, algorithms = asyncio.run(main(*sys.argv[1:]))
    print(server, *algorithms, sep="\n  ")
