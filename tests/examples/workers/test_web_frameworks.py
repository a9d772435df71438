"""FastAPI and Flask as workers, in this process; Django, whose settings are a process's, in processes of their own."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

import httpx

from tests.examples.workers.hosting import CUSTOMERS, at_once, example, served

if TYPE_CHECKING:
    from pathlib import Path


def test_fastapi_answers_from_the_database(postgres_url: str) -> None:
    with example("asgi_fastapi", DB=postgres_url) as worker:
        assert worker.handlers == ("asgi",)
        ask = partial(worker.http.get, "/customers/2")
        for response in [ask(), ask(), *at_once(ask)]:
            assert response.json() == CUSTOMERS[1]
        assert worker.http.get("/customers/99").json() == {"detail": "no customer 99"}
        assert worker.http.get("/customers/none").status_code == 422
        assert worker.http.get("/openapi.json").json()["info"]["title"] == "FastAPI"


def test_flask_has_the_bindings_and_reads_bodies() -> None:
    with example("wsgi_flask", SHOP="the harbour shop") as worker:
        assert worker.handlers == ("wsgi",)
        ask = partial(worker.http.get, "/")
        for response in [ask(), ask(), *at_once(ask)]:
            assert response.text == "Welcome to the harbour shop\n"
        assert worker.http.post("/sum", json=[1, 2, 3]).json() == {"sum": 6}
        assert worker.http.get("/sum").status_code == 405


def test_django_serves_its_views(tmp_path: Path) -> None:
    with served("wsgi_django", tmp_path) as url, httpx.Client(base_url=url) as client:
        ask = partial(client.get, "/")
        for response in [ask(), ask(), *at_once(ask)]:
            assert response.text == "Welcome to the Longshore shop\n"
        expected = {"method": "POST", "query": {"a": "1"}, "bytes": 100_000}
        assert client.post("/echo", params={"a": 1}, content=bytes(100_000)).json() == expected


def test_djangos_orm_asks_the_database(tmp_path: Path, postgres_url: str) -> None:
    with served("postgres_django", tmp_path, DB=postgres_url) as url, httpx.Client(base_url=url) as client:
        ask = partial(client.get, "/")
        for response in [ask(), ask(), *at_once(ask)]:
            assert response.json() == CUSTOMERS
