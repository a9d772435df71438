"""End one direction and go on with the other: say everything, then hear the echo of it to the end.

python examples/echo_half_open.py 127.0.0.1:7 'some words' [ca.pem, which means TLS]
"""

import asyncio
import sys

from longshore import SocketOptions, TlsOptions, connect


async def main(address: str, words: str = "all hands", ca: str | None = None) -> str:
    options = SocketOptions(secure_transport="on", tls=TlsOptions(ca=ca)) if ca else None
    async with connect(address, options, allow_half_open=True) as socket:
        await socket.writable.write(words)
        await socket.writable.close()  # FIN, and under TLS close_notify: the server sees the end of our words
        return b"".join([chunk async for chunk in socket.readable]).decode()


if __name__ == "__main__":
    print(asyncio.run(main(*sys.argv[1:])))
