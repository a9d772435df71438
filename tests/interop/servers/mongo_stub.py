"""So much of MongoDB's wire protocol that clients connect, insert and find: Debian has no MongoDB.

``python -m tests.interop.servers.mongo_stub PORT TLS_PORT CHAIN PRIVATE_KEY``. Documents live in memory.
"""

from __future__ import annotations

import asyncio
import ssl
import struct
import sys
from itertools import count
from typing import Any

import bson

HOST = "127.0.0.1"

HEADER = struct.Struct("<iiii")
OP_REPLY, OP_QUERY, OP_MSG = 1, 2004, 2013

HELLO: dict[str, Any] = {
    "ok": 1.0,
    "ismaster": True,
    "isWritablePrimary": True,
    "maxBsonObjectSize": 16 * 1024 * 1024,
    "maxMessageSizeBytes": 48_000_000,
    "maxWriteBatchSize": 100_000,
    "minWireVersion": 0,
    "maxWireVersion": 21,
    "readOnly": False,
}

documents: dict[Any, dict[str, Any]] = {}
numbers = count(1)


def answer(command: dict[str, Any]) -> dict[str, Any]:
    """Return what a server says to a command."""
    match next(iter(command)):
        case "hello" | "ismaster" | "isMaster":
            return HELLO
        case "insert":
            documents.update({document["_id"]: document for document in command["documents"]})
            return {"ok": 1.0, "n": len(command["documents"])}
        case "find":
            found = documents.get(command["filter"]["_id"])
            batch = [] if found is None else [found]
            name = f"{command['$db']}.{command['find']}"
            return {"ok": 1.0, "cursor": {"id": bson.Int64(0), "ns": name, "firstBatch": batch}}
        case _:  # ping, endSessions
            return {"ok": 1.0}


def command_of(body: bytes) -> dict[str, Any]:
    """Return the command in an ``OP_MSG``: its document, with the sequences that stand beside it."""
    command: dict[str, Any] = {}
    at = 4  # behind the flags
    while at < len(body):
        kind, at = body[at], at + 1
        (size,) = struct.unpack_from("<i", body, at)
        if kind == 0:
            command.update(bson.decode(body[at : at + size]))
        else:
            name, _, sequence = body[at + 4 : at + size].partition(b"\0")
            command[name.decode()] = bson.decode_all(sequence)
        at += size
    return command


def reply(opcode: int, body: bytes) -> tuple[int, bytes]:
    """Return the answer to a message, and what kind it is."""
    if opcode == OP_QUERY:  # how the first hello comes
        query = body[body.index(b"\0", 4) + 9 :]
        said = answer(bson.decode(query))
        return OP_REPLY, struct.pack("<iqii", 8, 0, 0, 1) + bson.encode(said)
    return OP_MSG, b"\0\0\0\0\0" + bson.encode(answer(command_of(body)))


async def serve_client(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Answer until the client leaves."""
    try:
        while True:
            size, request, _, opcode = HEADER.unpack(await reader.readexactly(HEADER.size))
            kind, said = reply(opcode, await reader.readexactly(size - HEADER.size))
            writer.write(HEADER.pack(HEADER.size + len(said), next(numbers), request, kind) + said)
            await writer.drain()
    except (asyncio.IncompleteReadError, ConnectionError):
        pass
    finally:
        writer.close()


async def serve(port: int, tls_port: int, context: ssl.SSLContext) -> None:
    """Serve until the process is ended."""
    async with (
        await asyncio.start_server(serve_client, HOST, tls_port, ssl=context),
        await asyncio.start_server(serve_client, HOST, port) as server,
    ):
        await server.serve_forever()


if __name__ == "__main__":
    tls = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    tls.load_cert_chain(sys.argv[3], sys.argv[4])
    asyncio.run(serve(int(sys.argv[1]), int(sys.argv[2]), tls))
