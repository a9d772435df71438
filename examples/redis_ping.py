"""Ask a Redis server (RESP): three commands leave in one segment, the answers are read to the end.

python examples/redis_ping.py 127.0.0.1:6379 [ca.pem, which means TLS]
"""

import asyncio
import sys

from longshore import SocketOptions, TlsOptions, connect


async def main(address: str, ca: str | None = None) -> tuple[str, dict[str, str]]:
    options = SocketOptions(secure_transport="on", tls=TlsOptions(ca=ca)) if ca else None
    async with connect(address, options) as socket:
        await socket.writable.write("PING\r\nINFO server\r\nQUIT\r\n")
        answers = b"".join([chunk async for chunk in socket.readable]).decode()
    pong, _, info = answers.partition("\r\n")
    return pong, dict(line.split(":", 1) for line in info.splitlines() if ":" in line)


if __name__ == "__main__":
    pong, info = asyncio.run(main(*sys.argv[1:]))
    print(f"{pong} from Redis {info['redis_version']}, process {info['process_id']}")
