"""Database URLs."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from longshore.config.connection_string import (
    ConnectionString,
    ConnectionStringError,
    parse_connection_string,
)

FORM = "write 'postgres://user:password@host:5432/database'"

GOOD = [
    ("postgres://u:p@h/d", ConnectionString("postgres", "h", 5432, "u", "p", "d", "")),
    ("PostgreSQL://u:p@H:6000/d", ConnectionString("postgresql", "h", 6000, "u", "p", "d", "")),
    ("mysql://u:@127.0.0.1/d", ConnectionString("mysql", "127.0.0.1", 3306, "u", "", "d", "")),
    (
        "postgres://u:p@[::1]:1/d?sslmode=require",
        ConnectionString("postgres", "::1", 1, "u", "p", "d", "sslmode=require"),
    ),
    ("postgres://u:p@[::1]/d", ConnectionString("postgres", "::1", 5432, "u", "p", "d", "")),
    ("postgres://u%40x:%3A%2F%C3%A9@h/d%20e", ConnectionString("postgres", "h", 5432, "u@x", ":/é", "d e", "")),
    ("postgres://u:a:b@h/d", ConnectionString("postgres", "h", 5432, "u", "a:b", "d", "")),
    ("postgres://u:a@b@h/d", ConnectionString("postgres", "h", 5432, "u", "a@b", "d", "")),
]


@pytest.mark.parametrize(("text", "parts"), GOOD)
def test_the_parts_of_a_url(text: str, parts: ConnectionString) -> None:
    assert parse_connection_string(text) == parts


BAD = [
    ("", f"no URL with a scheme: {FORM}"),
    ("localhost/db", f"no URL with a scheme: {FORM}"),
    ("http://u:p@h/d", "scheme 'http' is not known: write 'postgres', 'postgresql' or 'mysql'"),
    ("postgres://", f"has no user and no password and no host and no database: {FORM}"),
    ("postgres://h/d", f"has no user and no password: {FORM}"),
    ("postgres://u@h/d", f"has no password: {FORM} ('user:@host' says that there is no password)"),
    ("postgres://:s3cret@h/d", f"has no user: {FORM}"),
    ("postgres://u:s3cret@/d", f"has no host: {FORM}"),
    ("postgres://u:s3cret@:5432/d", f"has no host: {FORM}"),
    ("postgres://u:s3cret@h", f"has no database: {FORM}"),
    ("postgres://u:s3cret@h/", f"has no database: {FORM}"),
    (
        "postgres://u:s3cret@h:x/d",
        "has a wrong host or port: host has port 'x': a port is written in ASCII digits only",
    ),
    ("postgres://u:s3cret@h:0/d", "has a wrong host or port: host has port 0: a port is a number from 1 to 65535"),
    (
        "postgres://u:s3cret@h_ü/d",
        "has a wrong host or port: host has hostname 'h_ü': write an internationalised name in its ASCII form (xn--…)",
    ),
    ("postgres://u:s3/cret@h/d", "has '/' or '?' before an '@': write them as '%2F' and '%3F', and '@' as '%40'"),
    ("postgres://u:s3?cret@h/d", "has '/' or '?' before an '@': write them as '%2F' and '%3F', and '@' as '%40'"),
    ("postgres://u:s3@c/ret@h/d", "has '/' or '?' before an '@': write them as '%2F' and '%3F', and '@' as '%40'"),
    ("postgres://u:s3#cret@h/d", "has a space, a control character or '#': write it as '%20' or '%23'"),
    ("postgres://u:s3 cret@h/d", "has a space, a control character or '#': write it as '%20' or '%23'"),
    ("postgres://u:s3\ncret@h/d", "has a space, a control character or '#': write it as '%20' or '%23'"),
    ("postgres://u:s3%cret@h/d", "has a '%' in its password that escapes nothing: write '%25'"),
    ("postgres://u:s3%ffcret@h/d", "has escapes in its password that are not UTF-8"),
]


@pytest.mark.parametrize(("text", "message"), BAD)
def test_what_is_wrong_is_said_without_the_password(text: str, message: str) -> None:
    with pytest.raises(ConnectionStringError) as caught:
        parse_connection_string(text)
    assert str(caught.value) == message
    assert "s3" not in message


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("postgres://u:p@h/d", "postgres://u:(hidden)@h:5432/d"),
        ("mysql://u:p@[::1]/d?ssl=1&password=x&", "mysql://u:(hidden)@[::1]:3306/d?ssl=…&password=…"),
    ],
)
def test_a_url_for_the_eye_has_no_password(text: str, shown: str) -> None:
    assert parse_connection_string(text).without_password == shown


@given(st.text(st.sampled_from("postgres:/@u%4[]?#&= é\n"), max_size=30))
def test_nothing_else_is_raised_whatever_the_text(text: str) -> None:
    for url in (text, f"postgres://{text}", f"mysql://u:p@{text}"):
        try:
            parse_connection_string(url)
        except ConnectionStringError:
            pass
