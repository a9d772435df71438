"""Say hello to an IRC server (RFC 2812): register, answer its pings, read the welcome, leave.

python examples/irc_hello.py 127.0.0.1:6667 [ca.pem, which means TLS]
"""

import asyncio
import sys
from collections.abc import AsyncIterator

from longshore import Socket, SocketOptions, TlsOptions, connect


async def lines(socket: Socket) -> AsyncIterator[str]:
    rest = b""
    async for chunk in socket.readable:
        *complete, rest = (rest + chunk).split(b"\r\n")
        for line in complete:
            yield line.decode(errors="replace")


async def main(address: str, ca: str | None = None, nick: str = "longshore") -> dict[str, str]:
    numerics: dict[str, str] = {}
    options = SocketOptions(secure_transport="on", tls=TlsOptions(ca=ca)) if ca else None
    async with connect(address, options) as socket:
        await socket.writable.write(f"NICK {nick}\r\nUSER {nick} 0 * :an example\r\n")
        async for line in lines(socket):
            _, command, rest = (line if line.startswith(":") else f": {line}").split(" ", 2)
            if command == "PING":
                await socket.writable.write(f"PONG {rest}\r\n")
            elif command == "376" or command == "422":  # end of, or no message of the day: registered
                await socket.writable.write("QUIT :bye\r\n")
            numerics.setdefault(command, rest)
    return numerics


if __name__ == "__main__":
    numerics = asyncio.run(main(*sys.argv[1:]))
    print(numerics["001"], numerics.get("376", numerics.get("422")), numerics["ERROR"], sep="\n")
