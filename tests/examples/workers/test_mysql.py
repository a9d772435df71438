"""MySQL with both usual drivers, over TLS."""

from __future__ import annotations

from functools import partial

import pytest

from tests.examples.workers.hosting import CUSTOMERS, at_once, example


@pytest.mark.parametrize("name", ["mysql_aiomysql", "mysql_pymysql"])
def test_every_request_gets_the_rows(name: str, mysql_url: str) -> None:
    with example(name, DB=mysql_url) as worker:
        ask = partial(worker.http.get, "/")
        for response in [ask(), ask(), *at_once(ask)]:
            assert response.status_code == 200, response.text
            assert response.json() == CUSTOMERS
