"""Fetch a page over HTTP/1.0: the server ends the connection, and that ends the page.

python examples/http_get.py 127.0.0.1:8000 /index.html [ca.pem, which means TLS]
"""

import asyncio
import sys

from longshore import SocketOptions, TlsOptions, connect


async def main(address: str, path: str = "/", ca: str | None = None) -> tuple[str, bytes]:
    options = SocketOptions(secure_transport="on", tls=TlsOptions(ca=ca)) if ca else None
    async with connect(address, options) as socket:
        await socket.writable.write(f"GET {path} HTTP/1.0\r\nHost: {address}\r\n\r\n")
        # A connection that is cut off raises here; it never looks like the end of the page.
        answer = b"".join([chunk async for chunk in socket.readable])
    head, _, body = answer.partition(b"\r\n\r\n")
    return head.decode().splitlines()[0], body


if __name__ == "__main__":
    status, page = asyncio.run(main(*sys.argv[1:]))
    print(status, page.decode(errors="replace"), sep="\n\n")
