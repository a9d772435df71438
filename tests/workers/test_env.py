"""``env``, ``patch_env()`` and how they are made from a configuration."""

from __future__ import annotations

import asyncio
import copy
import pickle
from typing import TYPE_CHECKING, Any

import pytest

from longshore.config.model import HyperdriveBinding, WorkerConfig
from longshore.errors import ArgumentTypeError, ArgumentValueError, UsageError
from longshore.sockets._connect import set_default_dialer
from longshore.workers._bindings import build_env
from longshore.workers._env import Env, env, install_env, patch_env, with_env
from longshore.workers._hyperdrive import Hyperdrive

if TYPE_CHECKING:
    from collections.abc import Iterator

    from longshore.proto.ipc.pool import DefineDatabase


def config(**fields: Any) -> WorkerConfig:
    """Return a configuration that declares ``fields``."""
    return WorkerConfig(name="w", main="/p/w.py", module_root="/p", project_dir="/p", **fields)


def test_bindings_are_attributes_and_items() -> None:
    made = build_env(config(vars={"HOST": "db", "PORT": 5432, "ON": True, "NONE": None}, secrets={"TOKEN": "t"}))
    assert (made.HOST, made.PORT, made.ON, made.NONE, made.TOKEN) == ("db", 5432, True, None, "t")
    assert made["HOST"] == "db"
    assert "HOST" in made
    assert "TOKENS" not in made
    assert sorted(made) == ["HOST", "NONE", "ON", "PORT", "TOKEN"]
    assert len(made) == 5
    assert hasattr(made, "HOST")
    assert getattr(made, "MISSING", "default") == "default"
    assert {"HOST", "TOKEN"} <= set(dir(made))
    assert build_env(config())


def test_json_values_are_python_with_attributes() -> None:
    given: dict[str, Any] = {"CONFIG": {"limits": {"cpu": 5}, "hosts": [{"name": "a"}], "items": 1}, "LIST": [1, [2]]}
    made = build_env(config(vars=given))
    assert given["CONFIG"] == made.CONFIG
    assert made.CONFIG.limits.cpu == 5
    assert made.CONFIG["hosts"][0].name == "a"
    assert made.CONFIG["items"] == 1
    assert callable(made.CONFIG.items)
    assert made.CONFIG.to_py() == made.CONFIG
    assert made.LIST.to_py()[1][0] == 2
    assert [isinstance(made.CONFIG, dict), isinstance(made.LIST, list)] == [True, True]
    with pytest.raises(AttributeError, match="no key 'port'; its keys are 'limits', 'hosts', 'items'"):
        _ = made.CONFIG.port
    limits: Any = made.CONFIG.limits
    limits.cpu = 6
    assert given["CONFIG"]["limits"]["cpu"] == 5
    del limits.cpu
    with pytest.raises(AttributeError, match="no key 'cpu'"):
        del limits.cpu


def test_a_secret_wins_over_a_variable() -> None:
    made = build_env(config(vars={"TOKEN": "public"}, secrets={"TOKEN": "secret"}))
    assert made.TOKEN == "secret"
    assert repr(made) == "<Env TOKEN=(hidden)>"


def test_a_missing_name_says_what_there_is() -> None:
    made = build_env(config(vars={"API_HOST": "h", "API_PORT": 1}, unavailable={"CACHE": "KV is not provided"}))
    for name, message in (
        ("API_HOSTS", "env.API_HOSTS is not declared; did you mean 'API_HOST' or 'API_PORT'?"),
        ("api_host", "env.api_host is not declared; did you mean 'API_HOST'? (declared: API_HOST, API_PORT)"),
        ("ZZZ", "env.ZZZ is not declared (declared: API_HOST, API_PORT)"),
        ("CACHE", "env.CACHE is declared, but not available: KV is not provided"),
    ):
        with pytest.raises(AttributeError) as by_attribute:
            getattr(made, name)
        assert str(by_attribute.value).startswith(message)
        with pytest.raises(KeyError) as by_item:
            made[name]
        assert by_item.value.args[0] == str(by_attribute.value)
    with pytest.raises(AttributeError, match=r"\(declared: nothing\)"):
        _ = Env().ANY


def test_it_cannot_be_changed() -> None:
    made = build_env(config(vars={"A": 1}))
    with pytest.raises(AttributeError, match=r"cannot set env\.A: env is read-only; .* patch_env\(A=\.\.\.\)"):
        made.A = 2
    with pytest.raises(AttributeError, match=r"cannot delete env\.A"):
        del made.A
    assert made.A == 1


def test_no_secret_is_shown() -> None:
    url = "postgres://user:hunter2@db.example/customers?token=hunter2"
    made = build_env(
        config(
            vars={"NAME": "n"},
            secrets={"TOKEN": "hunter2"},
            hyperdrive=(HyperdriveBinding(binding="DB", connection_string=url),),
        )
    )
    shown = f"{made!r} {made} {made.DB!r} {dir(made)}"
    assert "hunter2" not in shown
    assert "NAME='n'" in shown
    assert "TOKEN=(hidden)" in shown
    assert "<Hyperdrive DB: postgres://user:(hidden)@db.example:5432/customers" in shown


def test_it_has_no_names_of_its_own() -> None:
    """Every public attribute is a binding."""
    names = ("get", "keys", "items", "values", "pop", "copy", "update")
    made = build_env(config(vars=dict.fromkeys(names, "mine")))
    assert all(getattr(made, name) == "mine" for name in names)
    assert [name for name in dir(Env()) if not name.startswith("_")] == []


def test_it_is_copied_as_itself_and_not_pickled() -> None:
    made = build_env(config(vars={"A": 1}))
    assert copy.copy(made) is made
    assert copy.deepcopy({"env": made})["env"] is made
    with pytest.raises(TypeError, match="cannot pickle an env"):
        pickle.dumps(made)


def test_the_global_env_is_found_when_it_is_asked_for() -> None:
    with pytest.raises(AttributeError, match=r"env\.A is not known: no worker is running"):
        _ = env.A
    assert repr(env) == "<env>"
    assert list(env) == []
    former = install_env(build_env(config(vars={"A": 1}, secrets={"S": "x"}, unavailable={"K": "why"})))
    try:
        assert env.A == env["A"] == 1
        assert list(env) == ["A", "S"]
        assert repr(env) == "<env A=1, S=(hidden)>"
        with pytest.raises(AttributeError, match=r"env\.K is declared, but not available: why"):
            _ = env.K
    finally:
        assert install_env(former) is not None
    with pytest.raises(AttributeError, match="no worker is running"):
        _ = env.A


def test_patch_env_holds_for_a_block() -> None:
    made = build_env(config(vars={"A": 1, "B": 2}))
    with patch_env({"A": 10}, C={"x": 1}):
        assert (made.A, made.B, made.C.x) == (10, 2, 1)
        assert (env.A, env.C.x) == (10, 1)
        assert sorted(made) == ["A", "B", "C"]
        with patch_env([("A", 11)], B=12):
            assert (made.A, made.B, made.C.x) == (11, 12, 1)
        assert (made.A, made.B) == (10, 2)
        with pytest.raises(AttributeError, match=r"env\.D is not declared \(declared: A, B, C\)"):
            _ = made.D
    assert made.A == 1
    assert not hasattr(made, "C")
    with pytest.raises(RuntimeError), patch_env(A=3):
        raise RuntimeError
    assert made.A == 1


def test_keywords_win_over_the_mapping() -> None:
    with patch_env({"A": 1}, A=2):
        assert env.A == 2


def test_with_env_replaces_everything() -> None:
    made = build_env(config(vars={"A": 1, "B": 2}))
    with with_env({"A": 3}):
        assert list(made) == ["A"]
        assert made.A == 3
        assert not hasattr(made, "B")
        with patch_env(C=1):
            assert sorted(made) == ["A", "C"]
            assert not hasattr(made, "B")
    assert made.B == 2


async def test_a_patch_is_seen_by_the_tasks_of_its_block_and_by_no_other() -> None:
    made = build_env(config(vars={"A": 1}))
    seen: list[int] = []
    is_patched, is_read = asyncio.Event(), asyncio.Event()

    async def other() -> None:
        await is_patched.wait()
        seen.append(made.A)
        is_read.set()

    async def inside() -> int:
        return int(made.A)

    task = asyncio.ensure_future(other())
    await asyncio.sleep(0)
    with patch_env(A=2):
        is_patched.set()
        assert await asyncio.ensure_future(inside()) == 2
        await is_read.wait()
    await task
    assert seen == [1]


def test_hyperdrive_takes_the_url_apart() -> None:
    url = "postgresql://us%65r:p%40ss%2Fword%25@[2001:DB8::1]:6432/my%20db?sslmode=require"
    database = Hyperdrive(url)
    assert database.connection_string == database.connectionString == url
    assert (database.host, database.port) == ("2001:db8::1", 6432)
    assert (database.user, database.password, database.database) == ("user", "p@ss/word%", "my db")
    assert Hyperdrive("postgres://u:p@h/d").port == 5432
    assert Hyperdrive("mysql://u:p@h/d").port == 3306
    assert Hyperdrive("mysql://u:@h/d").password == ""


@pytest.mark.parametrize(
    "url",
    [
        "",
        "http://u:hunter2@h/d",
        "postgres://u:hunter2@h",
        "postgres://u:hunter2@/d",
        "postgres://:hunter2@h/d",
        "postgres://u:hunter2@h:0/d",
        "postgres://u:hunter2@h:1x/d",
        "postgres://u:hunter2%@h/d",
        "postgres://u:hunter2%ff@h/d",
        "postgres://u:hun ter2@h/d",
        "postgres://u:hunter2#@h/d",
    ],
)
def test_a_wrong_url_of_a_database_is_refused_without_its_password(url: str) -> None:
    with pytest.raises(ArgumentValueError, match=r"^connection string of 'DB' ") as caught:
        Hyperdrive(url, name="DB")
    assert "hunter2" not in str(caught.value)
    assert "ter2" not in str(caught.value)


async def test_hyperdrive_connects() -> None:
    async def greet(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"welcome")
        writer.close()
        await writer.wait_closed()

    async with await asyncio.start_server(greet, "127.0.0.1", 0) as server:
        port = server.sockets[0].getsockname()[1]
        database = Hyperdrive(f"postgres://u:p@127.0.0.1:{port}/d")
        async with database.connect(allow_half_open=True) as socket:
            assert await socket.readable.read() == b"welcome"


class DefiningDialer:
    """Takes what ``get()`` says."""

    def __init__(self) -> None:
        self.said: list[DefineDatabase] = []
        self.define_database = self.said.append


TENANT = "postgres://ann:pw@tenant-a.db/shop?application_name=x&sslmode=require"


@pytest.fixture
def defining() -> Iterator[DefiningDialer]:
    dialer = DefiningDialer()
    former = set_default_dialer(dialer)  # type: ignore[arg-type]  # nothing is dialed
    yield dialer
    set_default_dialer(former)


def pooled() -> Hyperdrive:
    return Hyperdrive("postgres://u:token@db.binding.longshore.internal:5432/d", name="DB", is_private=True)


def test_a_database_named_at_run_time_has_the_same_shape(defining: DefiningDialer) -> None:
    found = pooled().get(connection_string=TENANT)
    (said,) = defining.said
    assert (said.binding, said.connection_string, said.is_cached, said.max_connections) == ("DB", TENANT, True, 0)
    assert said.handle.startswith("longshore_")
    assert (found.host, found.port, found.user) == ("db.binding.longshore.internal", 5432, said.handle)
    assert (found.password, found.database) == ("token", "shop")
    assert found.connection_string.endswith("/shop?sslmode=disable&application_name=x")
    assert "pw" not in found.connection_string
    assert found.getHyperdriveConnectionString() == found.connectionString == found.connection_string


def test_what_is_equal_has_one_name_in_either_spelling(defining: DefiningDialer) -> None:
    first = pooled().get(
        {"connectionString": TENANT, "maxConnections": 3, "cachingEnabled": False, "targetRegion": "x"}
    )
    again = pooled().get(connection_string=TENANT, max_connections=3, caching_enabled=False)
    other = pooled().get(connection_string=TENANT, max_connections=4, caching_enabled=False)
    elsewhere = Hyperdrive("postgres://u:another@h/d", name="DB", is_private=True).get(
        connection_string=TENANT, max_connections=3, caching_enabled=False
    )
    assert first.user == again.user
    assert len({first.user, other.user, elsewhere.user}) == 3, "nobody can guess the name of another process"
    assert [each.max_connections for each in defining.said] == [3, 3, 4, 3]


@pytest.mark.parametrize(
    ("options", "error", "match"),
    [
        ({}, ArgumentTypeError, "connection_string of env.DB.get"),
        ({"connection_string": "postgres://u:hunter2@/d"}, ArgumentValueError, "has no host"),
        ({"connection_string": "mysql://u:hunter2@h/d"}, ArgumentValueError, "MySQL"),
        ({"connection_string": TENANT, "max_connections": 0}, ArgumentValueError, "from 1"),
        ({"connection_string": TENANT, "maxConnections": True}, ArgumentValueError, "from 1"),
        ({"connection_string": TENANT, "caching_enabled": "no"}, ArgumentTypeError, "True or False"),
        ({"connection_string": TENANT, "mtlsCertificateId": "x"}, ArgumentValueError, "not for the worker"),
        ({"connection_string": TENANT, "pool": 1}, ArgumentTypeError, "no option 'pool'"),
    ],
)
def test_wrong_options_of_get(
    defining: DefiningDialer, options: dict[str, object], error: type[Exception], match: str
) -> None:
    with pytest.raises(error, match=match) as caught:
        pooled().get(options)
    assert "hunter2" not in str(caught.value)
    assert defining.said == []


def test_get_needs_a_pool() -> None:
    with pytest.raises(UsageError, match="for PostgreSQL"):
        Hyperdrive("mysql://u:p@h/d", name="DB").get(connection_string=TENANT)
