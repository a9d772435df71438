"""What a worker may know of a database."""

from __future__ import annotations

import pytest

from longshore.config.connection_string import parse_connection_string
from longshore.config.databases import private_binding
from longshore.config.model import HyperdriveBinding, HyperdriveTls

URL = "postgres://ann:s%40fe@db.internal:6000/my%20shop"


def private(query: str) -> str:
    binding = HyperdriveBinding(
        binding="DB", connection_string=f"{URL}?{query}", mtls=HyperdriveTls(ca_certificate_id="corp")
    )
    made = private_binding(binding, "db.binding.longshore.internal", 5432, password="t/k")
    assert (made.binding, made.is_private, made.mtls) == ("DB", True, HyperdriveTls())
    return made.connection_string


def test_account_and_database_stay_and_the_rest_is_the_pools() -> None:
    text = private("")
    assert text == "postgres://ann:t%2Fk@db.binding.longshore.internal:5432/my%20shop?sslmode=disable"
    assert parse_connection_string(text).password == "t/k"


@pytest.mark.parametrize(
    "parameter",
    [
        "sslmode=require",
        "sslrootcert=/x",
        "sslpassword=s3cret",
        "SSLKEY=/x",
        "password=s3cret",
        "passfile=/x",
        "host=10.0.0.1",
        "hostaddr=10.0.0.1",
        "port=1",
        "target_session_attrs=primary",
        "channel_binding=require",
        "my_secret=x",
        "api_token=x",
        "service=x",
    ],
)
def test_what_says_how_to_reach_the_server_stays_with_the_host(parameter: str) -> None:
    assert private(f"application_name=a&{parameter}&options=-c%20x%3D1").endswith(
        "?sslmode=disable&application_name=a&options=-c%20x%3D1"
    )


def test_an_ipv6_address_has_brackets_and_another_user_can_log_in() -> None:
    binding = HyperdriveBinding(binding="DB", connection_string=URL)
    made = private_binding(binding, "::1", 7, user="longshore_ab", password="t")
    assert made.connection_string == "postgres://longshore_ab:t@[::1]:7/my%20shop?sslmode=disable"


@pytest.mark.parametrize(
    ("url", "is_pooled"),
    [("postgres://u:p@h/d", True), ("PostgreSQL://u:p@h/d", True), ("mysql://u:p@h/d", False), ("", False)],
)
def test_what_the_pool_serves(url: str, is_pooled: bool) -> None:
    assert HyperdriveBinding(binding="DB", connection_string=url).is_pooled is is_pooled
