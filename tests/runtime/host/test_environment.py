"""Which variables a worker may see."""

from __future__ import annotations

import pytest

from longshore.runtime.host.environment import as_json, harmless

SECRETS = {
    "LONGSHORE_STORE_KEY": "k",
    "LONGSHORE_HYPERDRIVE_DB": "postgres://u:p@h/d",
    "DATABASE_URL": "postgres://u:p@h/d",
    "AWS_SECRET_ACCESS_KEY": "k",
    "PGPASSWORD": "p",
    "SSH_AUTH_SOCK": "/run/agent",
    "GITHUB_TOKEN": "t",
    "LC": "x",
    "": "x",
}
HARMLESS = {"PATH": "/bin", "HOME": "/root", "LANG": "C", "LC_ALL": "C", "TZ": "UTC", "PYTHONPATH": "/x", "TERM": "vt"}


def test_what_may_hold_a_secret_is_left_out() -> None:
    assert harmless({**SECRETS, **HARMLESS}) == HARMLESS


def test_the_operator_grants_by_name() -> None:
    assert harmless({**SECRETS, **HARMLESS}, ("PGPASSWORD", "NOT_SET")) == {**HARMLESS, "PGPASSWORD": "p"}


@pytest.mark.parametrize("value", [b"\xff".decode("utf-8", "surrogateescape"), "\ud800"])
def test_what_is_no_text_cannot_travel(value: str) -> None:
    assert as_json({"A": value, value: "b", "C": "é𝄞"}) == {"C": "é𝄞"}
