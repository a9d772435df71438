"""Fetch a page over Gopher (RFC 1436): one line goes out, a page comes in, end-of-file ends it.

python examples/gopher.py [127.0.0.1:70 /about.txt]    # without an address it starts _gopher_server.py
"""

import asyncio
import subprocess
import sys

from longshore import connect


async def main(address: str, selector: str = "/") -> str:
    async with connect(address) as socket:  # returns at once, and the next line need not wait for it
        await socket.writable.write(f"{selector}\r\n")
        info = await socket.opened
        print(f"connected   to {info.remote_address} in {(info.timings.tcp_s or 0) * 1000:.1f} ms")
        page = b"".join([chunk async for chunk in socket.readable]).decode()
    print(f"received    {len(page)} bytes for {selector!r}, ended by the server without an error\n")
    return page


def shown(line: str) -> str:
    text, *places = line.split("\t")
    return f"    {text[1:]:<28}{places[0]}".rstrip() if places else f"    {line}"


def demo() -> str:
    command = [sys.executable, __file__.replace("gopher.py", "_gopher_server.py")]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as server:
        try:
            address = server.stdout.readline().strip() if server.stdout else ""
            print(f"started     a Gopher server at {address}, process {server.pid}")
            return asyncio.run(main(address))
        finally:
            server.terminate()


if __name__ == "__main__":
    page = asyncio.run(main(*sys.argv[1:])) if sys.argv[1:] else demo()
    print("\n".join(shown(line) for line in page.splitlines() if line != "."))
