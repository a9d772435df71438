"""PostgreSQL with every usual driver: request 1, request 2, and eight at once."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

import httpx
import pytest

from tests.examples.workers.hosting import CUSTOMERS, at_once, example, served

if TYPE_CHECKING:
    from pathlib import Path

PAGES = {
    "postgres_asyncpg": "/",
    "postgres_pg8000": "/",
    "postgres_psycopg": "/",
    "postgres_psycopg, blocking": "/sync",
    "postgres_sqlalchemy": "/",
}


@pytest.mark.parametrize("case", PAGES)
def test_every_request_gets_the_rows(case: str, postgres_url: str) -> None:
    with example(case.partition(",")[0], DB=postgres_url) as worker:
        ask = partial(worker.http.get, PAGES[case])
        for response in [ask(), ask(), *at_once(ask)]:
            assert response.status_code == 200, response.text
            assert response.json() == CUSTOMERS
        worker.wait_until_done()


@pytest.mark.parametrize("name", ["postgres_pool", "postgres_psycopg", "postgres_sqlalchemy"])
def test_it_works_in_a_forked_process_as_in_production(name: str, postgres_url: str, tmp_path: Path) -> None:
    with served(name, tmp_path, DB=postgres_url) as url:
        responses = [httpx.get(url), httpx.get(url), *at_once(partial(httpx.get, url))]
        assert [response.status_code for response in responses] == [200] * len(responses)


def test_a_pool_in_a_global_serves_every_request(postgres_url: str) -> None:
    def ask() -> httpx.Response:
        return worker.http.get("/")

    with example("postgres_pool", DB=postgres_url) as worker:
        first, second = ask().json(), ask().json()
        assert first == second == {"customers": len(CUSTOMERS), "backend": first["backend"]}
        backends = {response.json()["backend"] for response in at_once(ask)}
        assert first["backend"] in backends
        assert len(backends) <= 10


def test_a_pool_that_many_ask_for_first_is_made_once(postgres_url: str) -> None:
    with example("postgres_pool", DB=postgres_url) as worker:
        responses = at_once(partial(worker.http.get, "/"))
        assert [response.status_code for response in responses] == [200] * len(responses)
