"""``pool.toml``: what it may hold, what is said about what is wrong, and what comes out."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from longshore.config.errors import ConfigError
from longshore.pool.model import Mode
from longshore.pool.servers.target import TlsMode
from longshore.pool.servers.target_url import parse_target_url
from longshore.pool.standalone.example import example_text
from longshore.pool.standalone.from_url import UrlOptions, parse_cache_rules, settings_of_url
from longshore.pool.standalone.listen import Listen, parse_listen
from longshore.pool.standalone.load import Files, load_pool
from longshore.proto.postgres.scram import make_verifier

if TYPE_CHECKING:
    from pathlib import Path

    from longshore.pool.standalone.model import PoolSettings
    from tests.certificates import CertificateFiles

SHOP = '[databases.shop]\nurl = "postgres://app:s3cret@db.internal/shop"\n'
VERIFIER = str(make_verifier(b"hush", salt=b"0123456789abcdef"))


def load(folder: Path, text: str, **variables: str) -> PoolSettings:
    """Load a file with this text."""
    file = folder / "pool.toml"
    file.write_text(text)
    return load_pool(file, {"LONGSHORE_STORE": str(folder / "store"), **variables})


def problems(folder: Path, text: str, **variables: str) -> list[str]:
    """Return what is said about a file, without its folder."""
    with pytest.raises(ConfigError) as raised:
        load(folder, text, **variables)
    assert "s3cret" not in str(raised.value)
    return [str(each).replace(f"{folder}/", "") for each in raised.value.problems]


def test_the_least_that_is_needed(tmp_path: Path) -> None:
    settings = load(tmp_path, SHOP)
    assert settings.listen == (Listen("127.0.0.1", 6432),)
    assert settings.is_open
    (shop,) = settings.databases
    assert (shop.name, shop.target.host, shop.target.port) == ("shop", "db.internal", 5432)
    assert (shop.target.user, shop.target.password, shop.target.database) == ("app", "s3cret", "shop")
    assert (shop.mode, shop.rules.size, shop.cache.is_enabled) == (Mode.TRANSACTION, 20, False)
    assert "s3cret" not in repr(settings)


def test_the_example_is_right(tmp_path: Path) -> None:
    assert load(tmp_path, example_text()).databases[0].name == "shop"


def test_every_key_of_the_example_is_known(tmp_path: Path) -> None:
    """What is commented out is right too, as far as it names no file."""
    lines = []
    for line in example_text().splitlines():
        plain = line.removeprefix("# ")
        is_key = line.startswith("# ") and " = " in plain and plain.split(" = ")[0].isidentifier()
        is_key = is_key and not any(each in plain for each in ("_file", "password_secret", "host =", "target_session"))
        is_key = is_key and plain.split(" = ")[0] not in ("port", "more_hosts", "database", "user", "minimum_version")
        lines.append(plain if is_key and not plain.startswith('mode = "require') else line)
    text = "\n".join(lines).replace("cache = {", "cache = {", 1)
    settings = load(tmp_path, text, CACHE_PASSWORD="hidden")
    assert settings.max_clients == 10_000
    assert settings.admin_users == {"postgres"}
    assert settings.auth_query is not None
    assert settings.databases[0].cache.is_enabled
    assert settings.databases[0].rules.lifetime_s == 3600
    assert settings.database_users == {"shop": {"ann", "ben"}}


def test_a_database_in_parts(tmp_path: Path) -> None:
    text = """
    [databases.shop]
    host = "db1.internal"
    port = 5433
    more_hosts = ["db2.internal:5434"]
    target_session = "read-write"
    database = "store"
    user = "app"
    password_secret = "SHOP_PASSWORD"
    application_name = "pool-1"
    connect_timeout_s = 3
    mode = "session"
    size = 7
    min_idle = 2
    wait_timeout_s = 4.5
    tls = { mode = "verify-full" }
    cache = { max_age_s = 5, stale_while_revalidate_s = 0 }
    """
    (shop,) = load(tmp_path, text, SHOP_PASSWORD="s3cret").databases
    target = shop.target
    assert target.places == (("db1.internal", 5433), ("db2.internal", 5434))
    assert (target.is_primary_wanted, target.password, target.database) == (True, "s3cret", "store")
    assert (target.application_name, target.connect_timeout_s, target.tls.mode) == ("pool-1", 3, TlsMode.VERIFY_FULL)
    assert (shop.mode, shop.rules.size, shop.rules.min_idle, shop.rules.wait_timeout_s) == (Mode.SESSION, 7, 2, 4.5)
    assert (shop.cache.is_enabled, shop.cache.max_age_s, shop.cache.stale_while_revalidate_s) == (True, 5, 0)


def test_a_secret_of_the_store(tmp_path: Path) -> None:
    text = '[databases.shop]\nhost = "h"\nuser = "u"\npassword_secret = "SHOP_PASSWORD"\n'
    (said,) = problems(tmp_path, text)
    assert "run 'longshore secret put SHOP_PASSWORD'" in said
    from longshore.credentials.store import open_store  # noqa: PLC0415

    open_store({"LONGSHORE_STORE": str(tmp_path / "store")}).put_secret("SHOP_PASSWORD", "of the store")
    assert load(tmp_path, text).databases[0].target.password == "of the store"


def test_a_wildcard_leaves_database_and_account_to_the_client(tmp_path: Path) -> None:
    (any_of_them,) = load(tmp_path, '[databases."*"]\nhost = "/run/postgresql"\n').databases
    target = any_of_them.target
    assert (target.user, target.database, target.unix_path) == ("", "", "/run/postgresql/.s.PGSQL.5432")


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "databases: there is no database"),
        (f"[pool]\nlisten = ['0.0.0.0:6432']\n{SHOP}", "nobody would be asked for a password"),
        (f"[pool]\nlisten = ['*:6432']\n{SHOP}", "add users_file or auth_query"),
        (f"[pool]\nlisten = ['::1:6432']\n{SHOP}", "an IPv6 address without brackets"),
        (f"[pool]\nlisten = ['localhost']\n{SHOP}", "no place to listen at"),
        (f"[pool]\nlisten = ['unix:run']\n{SHOP}", "no absolute path"),
        (f"[pool]\nlisen = []\n{SHOP}", "pool.toml:2: pool.lisen: unknown key: did you mean 'listen'?"),
        (f"[pool]\nusers_file = 'none.txt'\n{SHOP}", "cannot be read: No such file"),
        (f"[pool]\nauth_query = 'SELECT 1'\n{SHOP}", "pool.auth_query: has no $1"),
        (f"[pool]\nauth_database = 'other'\n{SHOP}", "pool.auth_database: there is no [databases.other]"),
        (f"[pool]\nauth = 'md5'\n{SHOP}", "pool.auth: there is no list of users"),
        (f"[pool]\nauth = 'cert'\n{SHOP}", "needs [tls] with client_ca"),
        (f"{SHOP}lifetime_s = 0.1\n", "pool.toml:3: databases.shop.lifetime_s: expected"),
        (f"[pool]\nusers_file = '.'\n{SHOP}", "cannot be read: Is a directory"),
        (f"{SHOP}size = 0\n", "pool.toml:3: databases.shop.size: expected a whole number from 1"),
        (f"{SHOP}size = 2\nmin_idle = 3\n", "databases.shop.min_idle: 3 is more than size = 2"),
        (f"{SHOP}mode = 'transactions'\n", "did you mean 'transaction'?"),
        (f"{SHOP}host = 'h'\n", "databases.shop.host: stands beside 'url'"),
        (f"{SHOP}password = 'x'\n", "has more than one password"),
        (f"{SHOP}cache = {{ max_age = 5 }}\n", "did you mean 'max_age_s'?"),
        (f"{SHOP}tls = {{ mode = 'on' }}\n", "expected 'disable' or 'prefer'"),
        (f"{SHOP}tls = {{ ca_file = 'none.pem' }}\n", "'none.pem' cannot be read"),
        (f"{SHOP}tls = {{ ca = 'none' }}\n", "there is no CA bundle 'none'"),
        (f"{SHOP}tls = {{ is_direct = true }}\n", "needs mode = 'require' or more"),
        (f"{SHOP}[tls]\n", "tls: has no certificate"),
        (f"{SHOP}[tls]\nkey_file = 'k'\n", "tls.key_file: stands without certificate_file"),
        ("[databases.shop]\nuser = 'u'\n", "has neither url nor host"),
        ("[databases.shop]\nurl = 'mysql://a:b@c/d'\n", "is one of MySQL"),
        ("[databases.shop]\nurl = 'postgres://a:s3cret@h/d?ssl_mode=require'\n", "did you mean 'sslmode'?"),
        ("[databases.shop]\nurl = 'postgres://a:s3cret@h/d?sslmode=yes'\n", "write one of disable, prefer"),
        ("[databases.longshore]\nhost = 'h'\n", "the name of the admin database"),
        ("[databases.shop]\nhost = 'h'\npassword = 'x'\n", "has a password and no user"),
        ("databases = 3\n", "expected a table"),
        ("[pool\n", "not valid TOML"),
    ],
)
def test_what_is_wrong_is_said_with_its_place(tmp_path: Path, text: str, said: str) -> None:
    found = problems(tmp_path, text)
    assert any(said in each.replace(f"{tmp_path}/", "") for each in found), found


def test_users_of_a_file(tmp_path: Path) -> None:
    users = tmp_path / "users.txt"
    users.write_text(f'; who may come\n"ann" "{VERIFIER}"\n"o""hara" "md5{"0" * 32}"\n')
    users.chmod(0o600)
    settings = load(tmp_path, f"[pool]\nlisten = ['0.0.0.0:6432']\nusers_file = 'users.txt'\n{SHOP}")
    assert settings.users is not None
    assert set(settings.users) == {"ann", 'o"hara'}
    assert not settings.is_open
    assert [each.message for each in settings.notices] == [
        "0.0.0.0:6432 is reached without TLS: queries and results can be read"
    ]


def test_a_users_file_that_everybody_can_read_is_refused(tmp_path: Path) -> None:
    users = tmp_path / "users.txt"
    users.write_text('"ann" "s3cret"\n')
    users.chmod(0o644)
    (said,) = problems(tmp_path, f"[pool]\nusers_file = 'users.txt'\n{SHOP}")
    assert "can be read by everybody: run 'chmod 640" in said


def test_a_wrong_line_of_a_users_file_has_its_place(tmp_path: Path) -> None:
    users = tmp_path / "users.txt"
    users.write_text('"ann" "s3cret"\nben s3cret\n')
    users.chmod(0o600)
    (said,) = problems(tmp_path, f"[pool]\nusers_file = 'users.txt'\n{SHOP}")
    assert said.startswith("users.txt:2: is no user")


def test_tls_towards_clients(tmp_path: Path, server_cert_files: CertificateFiles) -> None:
    pair = f"certificate_file = '{server_cert_files.chain}'\nkey_file = '{server_cert_files.private_key}'\n"
    settings = load(tmp_path, f"{SHOP}[tls]\nmode = 'require'\nminimum_version = 'TLSv1.3'\n{pair}")
    assert settings.tls is not None
    assert (settings.tls.mode, settings.tls.minimum_version) == ("require", "TLSv1.3")
    (tmp_path / "other.key").write_text("no key")
    wrong = f"certificate_file = '{server_cert_files.chain}'\nkey_file = 'other.key'\n"
    (said,) = problems(tmp_path, f"{SHOP}[tls]\n{wrong}")
    assert "TLS towards clients is not possible" in said


def test_a_listed_place_is_read() -> None:
    assert parse_listen("[::1]:6432") == Listen("::1", 6432)
    assert str(parse_listen("[::1]:6432")) == "[::1]:6432"
    assert parse_listen("*:0") == Listen("0.0.0.0", 0)
    assert str(parse_listen("unix:/run/p")) == "unix:/run/p"
    local = ["127.0.0.1:1", "localhost:1", "[::1]:1", "unix:/p", "127.9.9.9:1"]
    assert all(parse_listen(each).is_local for each in local)
    assert not any(parse_listen(each).is_local for each in ["0.0.0.0:1", "10.0.0.1:1", "db.internal:1", "[::]:1"])
    for wrong in ("", ":1", "h", "h:", "h:65536", "h:1.5", "h:-1", "h:٣", f"unix:/{'x' * 200}", "unix:/a/"):
        with pytest.raises(ValueError, match=r"is no|longer"):
            parse_listen(wrong)


def test_a_url_as_libpq_has_it() -> None:
    found = parse_target_url("postgresql://u@h1,h2:6,[::1]:7/d?sslmode=require&target_session_attrs=primary")
    assert (found.host, found.port, found.more_hosts) == ("h1", 5432, (("h2", 6), ("::1", 7)))
    assert (found.user, found.password, found.database, found.is_primary_wanted) == ("u", "", "d", True)
    assert parse_target_url("postgres://u:p%40@/d?host=/run/postgresql").host == "/run/postgresql"
    for wrong in ("postgres://h/d", "postgres://u:s3cret@h", "http://u:p@h/d", "postgres://u:s3cret@h:99999/d"):
        with pytest.raises(ValueError, match="the URL") as raised:
            parse_target_url(wrong)
        assert "s3cret" not in str(raised.value)


def test_settings_of_a_url_alone(tmp_path: Path) -> None:
    files = Files(tmp_path, {})
    options = UrlOptions(mode="session", size=3, cache="max_age=5,swr=2.5")
    settings = settings_of_url("postgres://app:s3cret@db/shop", options, files)
    (shop,) = settings.databases
    assert (shop.name, shop.mode, shop.rules.size) == ("shop", Mode.SESSION, 3)
    assert (shop.cache.max_age_s, shop.cache.stale_while_revalidate_s, shop.cache.is_enabled) == (5, 2.5, True)
    assert settings.is_open
    with pytest.raises(ValueError, match="nobody would be asked for a password"):
        settings_of_url("postgres://app:s3cret@db/shop", UrlOptions(listen=("0.0.0.0:1",)), files)
    with pytest.raises(ConfigError, match=r"none\.pem"):
        settings_of_url("postgres://app:s3cret@db/shop?sslrootcert=none.pem", UrlOptions(), files)


def test_rules_of_the_cache_on_the_command_line() -> None:
    assert parse_cache_rules("on").is_enabled
    assert parse_cache_rules("swr=0").stale_while_revalidate_s == 0
    for wrong, said in (("max_ag=3", "did you mean 'max_age'"), ("max_age", "no number"), ("max_age=0", "no number")):
        with pytest.raises(ValueError, match=said):
            parse_cache_rules(wrong)


def test_a_store_of_the_read_cache(tmp_path: Path) -> None:
    lines = '[pool]\ncache_store = "redis://u@cache:6379/1"\ncache_store_secret = "CACHE_PASSWORD"\n'
    database = '[databases.shop]\nurl = "postgres://u:p@h/shop"\n'
    store = load(tmp_path, lines + database, CACHE_PASSWORD="hidden").cache_store
    assert store is not None
    assert (store.name, store.password) == ("redis://cache:6379/1", "hidden")
    assert "hidden" not in repr(store)
    (missing,) = problems(tmp_path, lines + database)
    assert "CACHE_PASSWORD" in missing
    (alone,) = problems(tmp_path, '[pool]\ncache_store_secret = "X"\n' + database)
    assert "without cache_store" in alone
