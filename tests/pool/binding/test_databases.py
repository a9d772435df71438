"""From a binding to a database of the pool."""

from __future__ import annotations

from typing import Any

import pytest

from longshore.pool.binding.databases import declared_database, defined_database
from longshore.pool.model import Mode
from longshore.pool.servers.target import TlsMode
from longshore.proto.ipc.pool import DefineDatabase, PooledDatabase

URL = "postgres://ann:s%40fe@db.internal:6000/shop"


def declared(query: str = "", **fields: Any) -> PooledDatabase:
    return PooledDatabase(binding="DB", connection_string=f"{URL}?{query}", **fields)


def test_everything_has_its_place() -> None:
    found = declared_database(
        declared(
            "sslnegotiation=direct&target_session_attrs=read-write&connect_timeout=3&application_name=x",
            mode="session",
            origin_connection_limit=7,
            is_cached=False,
            max_age_s=1.0,
            stale_while_revalidate_s=2.0,
            sslmode="verify-full",
            ca="CA",
            certificate="CERT",
            key="KEY",
        )
    )
    target, tls = found.target, found.target.tls
    assert (target.host, target.port, target.user, target.password, target.database) == (
        "db.internal",
        6000,
        "ann",
        "s@fe",
        "shop",
    )
    assert (tls.mode, tls.is_direct, tls.ca, tls.certificate, tls.key) == (
        TlsMode.VERIFY_FULL,
        True,
        b"CA",
        b"CERT",
        b"KEY",
    )
    assert (target.is_primary_wanted, target.connect_timeout_s) == (True, 3.0)
    assert (found.mode, found.rules.size) == (Mode.SESSION, 7)
    assert (found.cache.is_enabled, found.cache.max_age_s, found.cache.stale_while_revalidate_s) == (False, 1.0, 2.0)


def test_what_is_equal_is_shared() -> None:
    assert len({declared_database(declared()), declared_database(declared())}) == 1
    assert len({declared_database(declared()), declared_database(declared(mode="session"))}) == 2


@pytest.mark.parametrize(
    ("query", "mode"),
    [("", TlsMode.PREFER), ("sslmode=require", TlsMode.REQUIRE), ("%73slmode=verify-ca", TlsMode.VERIFY_CA)],
)
def test_the_url_says_how_to_encrypt(query: str, mode: TlsMode) -> None:
    assert declared_database(declared(query)).target.tls.mode is mode


@pytest.mark.parametrize(
    ("url", "match"),
    [
        ("mysql://u:s3cret@h/d", "MySQL"),
        ("postgres://u:s3cret@h/d?sslmode=yes", "sslmode='yes': write one of disable"),
        ("postgres://u:s3cret@h/d?sslmod=require", "unknown parameter 'sslmod': did you mean 'sslmode'"),
        ("postgres://u:s3cret@h/d?sslrootcert=/ca.pem", "sslrootcert=…, a file: put it into the credential store"),
        ("postgres://u:s3cret@h/d?sslkey=/k.pem", "sslkey=…, a file"),
        ("postgres://u:s3cret@h/d?connect_timeout=0", "connect_timeout"),
        ("postgres://u:s3cret@h/d?host=/run/postgresql", "one host"),
        ("postgres://u:s3cret@h/d?hostaddr=10.0.0.1", "unknown parameter 'hostaddr'"),
        ("postgres://u:s3cret@h,h2/d", "one host"),
        ("nonsense", "no URL"),
        ("postgres://u:s3cret@h:x/d", "wrong host or port"),
    ],
)
def test_what_is_wrong_is_said_without_the_password(url: str, match: str) -> None:
    with pytest.raises(ValueError, match=match) as caught:
        declared_database(PooledDatabase(binding="DB", connection_string=url))
    assert "s3cret" not in str(caught.value)


def test_a_worker_chooses_the_place_and_how_many() -> None:
    binding = declared(ca="CA", certificate="CERT", key="KEY", sslmode="verify-full", max_age_s=9.0)
    said = DefineDatabase(binding="DB", handle="x", connection_string="postgres://u:p@10.0.0.1/t?sslmode=disable")
    found = defined_database(said, binding)
    assert (found.target.host, found.target.database, found.rules.size) == ("10.0.0.1", "t", 20)
    assert (found.target.tls.mode, found.target.tls.ca) == (TlsMode.DISABLE, b"CA")
    assert (found.target.tls.certificate, found.target.tls.key) == (None, None), (
        "not to be shown to whom a worker likes"
    )
    assert (found.cache.is_enabled, found.cache.max_age_s) == (True, 9.0)


@pytest.mark.parametrize("count", [-1, 101])
def test_a_worker_cannot_have_any_number_of_connections(count: int) -> None:
    said = DefineDatabase(binding="DB", handle="x", connection_string=URL, max_connections=count)
    with pytest.raises(ValueError, match="from 1 to 100 are possible"):
        defined_database(said, declared())


def test_a_worker_cannot_turn_the_cache_on() -> None:
    said = DefineDatabase(binding="DB", handle="x", connection_string=URL, is_cached=True)
    assert not defined_database(said, declared(is_cached=False)).cache.is_enabled
