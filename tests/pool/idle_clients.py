"""How much memory an idle client costs: ``python -m tests.pool.idle_clients [COUNT]``.

The pool is a process of its own, with a PostgreSQL behind it; this process is the clients. The figure is the growth of
the pool's resident memory from its first client to its last, for each client.
"""

from __future__ import annotations

import asyncio
import resource
import subprocess
import sys
from pathlib import Path

from longshore.proto.postgres import messages as m
from longshore.proto.postgres.constants import PROTOCOL_3_0
from longshore.proto.postgres.serialize import serialize, serialize_startup
from tests.server_process import HOST, free_port
from tests.suites import pool_process
from tests.suites.run import database

_AT_ONCE = 100
_WARM_UP = 50


async def main(count: int) -> None:
    """Measure and print."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(hard, count + 1000), hard))
    port = free_port()
    with database() as upstream:
        words = [sys.executable, str(Path(pool_process.__file__)), str(upstream), str(port), "10"]
        process = subprocess.Popen(words, stdout=subprocess.DEVNULL)
        try:
            await _wait(port)
            await asyncio.gather(*(_client(port) for _ in range(_WARM_UP)))
            before = _resident_bytes(process.pid)
            more = count - _WARM_UP
            for first in range(0, more, _AT_ONCE):
                await asyncio.gather(*(_client(port) for _ in range(min(_AT_ONCE, more - first))))
            grown = _resident_bytes(process.pid) - before
            sys.stdout.write(f"{count} idle clients: {grown / more:,.0f} bytes each, {grown / 1e6:.1f} MB in all\n")
        finally:
            process.kill()
            process.wait()


_open: list[asyncio.StreamWriter] = []


async def _client(port: int) -> None:
    reader, writer = await asyncio.open_connection(HOST, port)
    pairs = ((b"user", b"postgres"), (b"database", b"postgres"))
    writer.write(serialize_startup(m.StartupMessage(pairs, PROTOCOL_3_0)))
    await reader.readuntil(b"Z\0\0\0\x05I")
    writer.write(serialize(m.Query(b"SELECT 1")))
    await reader.readuntil(b"Z\0\0\0\x05I")
    _open.append(writer)


async def _wait(port: int) -> None:
    async with asyncio.timeout(30):
        while True:
            try:
                _, writer = await asyncio.open_connection(HOST, port)
            except OSError:
                await asyncio.sleep(0.05)
            else:
                writer.close()
                return


def _resident_bytes(pid: int) -> int:
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return next(int(line.split()[1]) * 1024 for line in lines if line.startswith("VmRSS"))


if __name__ == "__main__":
    asyncio.run(main(int((sys.argv[1:] or ["10000"])[0])))
