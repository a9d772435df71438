"""The users file: PgBouncer's ``userlist.txt``."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from longshore.config.errors import ConfigError
from longshore.pool.standalone.users_file import parse_users, user_line, with_user, without_user
from longshore.proto.postgres.auth import Md5Hash, PlainPassword

NAMES = st.text(st.characters(codec="utf-8", exclude_characters="\n\0"), min_size=1, max_size=20)


@given(NAMES, NAMES)
def test_what_is_written_is_read(name: str, password: str) -> None:
    found = parse_users(user_line(name, f"pw {password}"), "f")
    assert found == {name: PlainPassword(f"pw {password}".encode())}


@given(st.dictionaries(NAMES, NAMES, max_size=5), NAMES)
def test_a_user_is_added_changed_and_removed(users: dict[str, str], name: str) -> None:
    text = "; a comment\n" + "".join(user_line(each, f"pw {secret}") + "\n" for each, secret in users.items())
    more = with_user(text, name, "new one")
    assert parse_users(more, "f") == {**parse_users(text, "f"), name: PlainPassword(b"new one")}
    less = without_user(more, name)
    assert less is not None
    assert parse_users(less, "f") == {key: value for key, value in parse_users(text, "f").items() if key != name}
    assert less.startswith("; a comment\n")
    assert without_user(less, name) is None


def test_kinds_of_secrets_and_comments() -> None:
    text = f'# one\n\n  "a" "md5{"f" * 32}" what pgbouncer ignores\n"b" ""\n; end'
    assert parse_users(text, "f") == {"a": Md5Hash(b"md5" + b"f" * 32), "b": PlainPassword(b"")}


@pytest.mark.parametrize("line", ['"a"', 'a "b"', '"" "b"', '"a" "b', '"a""b"', "a b"])
def test_a_wrong_line_is_refused_without_showing_it(line: str) -> None:
    with pytest.raises(ConfigError) as raised:
        parse_users(f'"x" "y"\n{line}\n', "users.txt")
    assert "users.txt:2" in str(raised.value)


def test_a_user_who_stands_twice_is_refused() -> None:
    with pytest.raises(ConfigError, match="stands twice"):
        parse_users('"a" "1"\n"a" "2"\n', "f")


@given(st.text(max_size=60))
def test_no_text_breaks_it(text: str) -> None:
    try:
        parse_users(text, "f")
    except ConfigError:
        pass
