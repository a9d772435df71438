"""A small Gopher server (RFC 1436) for ``gopher.py``: it prints its address and serves until it is ended.

python examples/_gopher_server.py [PORT]
"""

from __future__ import annotations

import asyncio
import contextlib
import sys

HOST = "127.0.0.1"
LONGEST_SELECTOR_BYTES = 255
PATIENCE_S = 10.0

ABOUT = """\
A Worker asks, a gopher digs:
one line goes down the hole, one page comes up,
and the end of the connection is the end of the page.
"""

MENU = (
    "iWelcome to the Longshore burrow",
    "i",
    "0About this server\t/about.txt",
    "1The same menu again\t/",
)


def menu(host: str, port: int) -> str:
    """Return the menu; every item names the server it is on."""
    items = (item if "\t" in item else item + "\t" for item in MENU)
    return "".join(f"{item}\t{host}\t{port}\r\n" for item in items) + ".\r\n"


def page(selector: str, host: str, port: int) -> str:
    """Return what is behind a selector."""
    if selector in {"", "/"}:
        return menu(host, port)
    if selector == "/about.txt":
        return ABOUT.replace("\n", "\r\n") + ".\r\n"
    return f"3Nothing is buried at {selector!r}\t\t{host}\t{port}\r\n.\r\n"


async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Read a selector, send its page, end the connection; a client that breaks off is its own problem."""
    with contextlib.suppress(OSError, ValueError, TimeoutError):
        async with asyncio.timeout(PATIENCE_S):
            line = await reader.readline()
            host, port = writer.get_extra_info("sockname")[:2]
            writer.write(page(line.decode(errors="replace").strip(), host, port).encode())
            await writer.drain()
    writer.close()


async def main(port: str = "0") -> None:
    server = await asyncio.start_server(answer, HOST, int(port), limit=LONGEST_SELECTOR_BYTES)
    host, bound = server.sockets[0].getsockname()
    print(f"{host}:{bound}", flush=True)
    await server.serve_forever()


if __name__ == "__main__":
    with contextlib.suppress(KeyboardInterrupt):
        asyncio.run(main(*sys.argv[1:]))
