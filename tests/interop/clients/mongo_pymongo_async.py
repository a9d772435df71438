"""PyMongo, AsyncMongoClient."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pymongo import AsyncMongoClient

if TYPE_CHECKING:
    from tests.interop.target import Target


async def run(target: Target) -> str:
    """Insert a document and find it."""
    tls = {"tls": True, "tlsCAFile": target.ca_file} if target.is_tls else {}
    async with AsyncMongoClient(target.host, target.port, serverSelectionTimeoutMS=10_000, **tls) as client:
        ships = client.harbour.ships
        inserted = (await ships.insert_one({"name": "Ahoy"})).inserted_id
        found = await ships.find_one({"_id": inserted})
    assert found is not None
    assert found["name"] == "Ahoy"
    return f"{found['name']}"
