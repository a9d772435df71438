"""A FastAPI application as a worker, unchanged; ``request.scope["env"]`` has the bindings."""

from typing import Annotated

import asyncpg
from fastapi import FastAPI, HTTPException, Path, Request
from pydantic import BaseModel

app = FastAPI()


class Customer(BaseModel):
    id: int
    name: str
    city: str


@app.get("/customers/{number}")
async def customer(request: Request, number: Annotated[int, Path(ge=1)]) -> Customer:
    db = await asyncpg.connect(request.scope["env"].DB.connection_string)
    try:
        row = await db.fetchrow("SELECT * FROM customers WHERE id = $1", number)
    finally:
        await db.close()
    if row is None:
        raise HTTPException(404, f"no customer {number}")
    return Customer(**row)
