"""From a folder to ``WorkerConfig``."""

from __future__ import annotations

import contextlib
from pathlib import Path

import msgspec
import pytest

from longshore.config.errors import ConfigError
from longshore.config.load import CONFIG_FILES, Overrides, find_config, load_config
from longshore.config.model import WorkerConfig
from tests.config.projects import load, load_text, make_project, messages, notices

TEXTS = {
    "longshore.toml": "name = 'a'",
    "wrangler.toml": "name = 'b'",
    "wrangler.jsonc": '{"name": "c", /* d */}',
    "wrangler.json": '{"name": "d"}',
}


@pytest.mark.parametrize(("name", "worker"), list(zip(TEXTS, "abcd", strict=True)))
def test_every_kind_of_file_is_found(tmp_path: Path, name: str, worker: str) -> None:
    config = load(make_project(tmp_path, TEXTS[name], name))
    assert (config.name, config.file, config.notices) == (worker, str(tmp_path / name), ())
    assert (config.main, config.module_root) == (str(tmp_path / "src/entry.py"), str(tmp_path / "src"))


def test_ours_wins_over_others_beside_it_and_that_is_said(tmp_path: Path) -> None:
    make_project(tmp_path, TEXTS["longshore.toml"])
    make_project(tmp_path, TEXTS["wrangler.json"], "wrangler.json")
    config = load(make_project(tmp_path, TEXTS["wrangler.toml"], "wrangler.toml"))
    assert config.name == "a"
    assert notices(config) == ["None: longshore.toml: is used, wrangler.toml, wrangler.json beside it is not read"]


def test_a_file_above_is_found(tmp_path: Path) -> None:
    make_project(tmp_path, TEXTS["longshore.toml"])
    (tmp_path / "a/b").mkdir(parents=True)
    config = load(tmp_path / "a/b")
    assert (config.name, config.project_dir) == ("a", str(tmp_path))


@pytest.mark.parametrize("border", ["repository", "home"])
def test_the_search_ends_at_a_border(tmp_path: Path, border: str) -> None:
    make_project(tmp_path, TEXTS["longshore.toml"])
    inside = tmp_path / "inner" / "x"
    inside.mkdir(parents=True)
    if border == "repository":
        (tmp_path / "inner/.git").mkdir()
    home = {"HOME": str(tmp_path / "inner")} if border == "home" else {}
    where = f"{str(inside)!r} or a folder above it"
    hint = "make a project with 'longshore init my-worker', or name the main module, like 'longshore dev app.py'"
    assert messages(inside, variables=home) == [
        f"no longshore.toml, wrangler.toml, wrangler.jsonc or wrangler.json in {where}: {hint}"
    ]


def test_a_border_itself_is_searched(tmp_path: Path) -> None:
    make_project(tmp_path, TEXTS["longshore.toml"])
    (tmp_path / ".git").mkdir()
    (tmp_path / "x").mkdir()
    assert load(tmp_path / "x").name == "a"
    assert find_config(tmp_path / "x", home=tmp_path) == (tmp_path / "longshore.toml",)


def test_nothing_anywhere(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Path, "is_file", lambda _: False)
    assert find_config(Path("/a/b")) == ()


def test_a_module_that_is_there_is_suggested(tmp_path: Path) -> None:
    (tmp_path / ".git").mkdir()
    (tmp_path / "entry.py").write_text("")
    assert messages(tmp_path)[0].endswith(": name the main module, like 'longshore dev entry.py'")


def test_a_file_or_its_folder_can_be_named(tmp_path: Path) -> None:
    make_project(tmp_path / "p", TEXTS["longshore.toml"])
    make_project(tmp_path / "p", TEXTS["wrangler.toml"], "wrangler.toml")
    for path, name in (("p", "a"), ("q/../p/wrangler.toml", "b"), (str(tmp_path / "p/longshore.toml"), "a")):
        config = load_config(Path(path), cwd=tmp_path, is_dev=True, variables={})
        assert (config.name, config.project_dir) == (name, str(tmp_path / "p"))


def test_any_name_will_do_when_it_is_named(tmp_path: Path) -> None:
    make_project(tmp_path, "name = 'x'", "staging.toml")
    assert load_config(Path("staging.toml"), cwd=tmp_path, is_dev=True, variables={}).name == "x"


@pytest.mark.parametrize(
    ("path", "message"),
    [
        ("nowhere.toml", "nowhere.toml: cannot be read: No such file or directory"),
        (
            "entry.py",
            (
                "the file 'entry.py' is neither TOML nor JSON: a configuration file is called like longshore.toml,"
                " wrangler.toml, wrangler.jsonc, wrangler.json"
            ),
        ),
        ("large.toml", "large.toml: has more than 1048576 bytes"),
        ("latin.toml", "latin.toml:1: not UTF-8: byte 0xe9 at offset 2: save the file as UTF-8"),
    ],
)
def test_a_file_that_cannot_be_used(tmp_path: Path, path: str, message: str) -> None:
    (tmp_path / "large.toml").write_text("#" * (1 << 20) + "#")
    (tmp_path / "latin.toml").write_bytes(b"# \xe9")
    with pytest.raises(ConfigError) as caught:
        load_config(Path(path), cwd=tmp_path, is_dev=True, variables={})
    assert str(caught.value) == message


def test_a_folder_without_file(tmp_path: Path) -> None:
    with pytest.raises(ConfigError) as caught:
        load_config(tmp_path, cwd=tmp_path, is_dev=True, variables={})
    assert str(caught.value).startswith(
        f"no longshore.toml, wrangler.toml, wrangler.jsonc or wrangler.json in {str(tmp_path)!r}: "
    )


def test_a_module_alone_is_a_project(tmp_path: Path) -> None:
    (tmp_path / ".git").mkdir()
    (tmp_path / "app.py").write_text("")
    config = load(tmp_path, overrides=Overrides(main="app.py"))
    assert (config.main, config.project_dir, config.file) == (str(tmp_path / "app.py"), str(tmp_path), None)
    assert config.watch == (str(tmp_path),)
    elsewhere = tmp_path / "x"
    elsewhere.mkdir()
    (elsewhere / ".git").mkdir()
    config = load(elsewhere, overrides=Overrides(main=str(tmp_path / "app.py")))
    assert (config.main, config.project_dir) == (str(tmp_path / "app.py"), str(tmp_path))


def test_a_module_that_is_not_there(tmp_path: Path) -> None:
    (tmp_path / ".git").mkdir()
    with pytest.raises(ConfigError) as caught:
        load(tmp_path, overrides=Overrides(main="app.py"))
    assert str(caught.value) == "'app.py' does not exist: write the path from the configuration file's folder"


def test_everything_that_is_wrong_is_said_at_once(tmp_path: Path) -> None:
    text = "main = 'x.py'\nnam = 1\n[[hyperdrive]]\nbinding = 'DB'\n[serve]\nport = 'x'\n[env.b]\nmain = 1\n"
    make_project(tmp_path, text)
    (tmp_path / ".dev.vars").write_text("?")
    assert messages(tmp_path) == [
        "longshore.toml:2: nam: unknown key: did you mean 'name'?",
        "longshore.toml:6: serve.port: expected a whole number from 0 to 65535, found text, 'x'",
        "longshore.toml:8: env.b.main: expected text, found a whole number, 1",
        ".dev.vars:1: not of the form NAME=value: write a comment with '#' in front",
    ]
    (tmp_path / ".dev.vars").unlink()
    (tmp_path / "longshore.toml").write_text(text.replace("main = 1", ""))
    assert messages(tmp_path)[2:] == [
        "longshore.toml:1: main: 'x.py' does not exist: did you mean 'src/entry.py'?",
        (
            "longshore.toml:3: hyperdrive[0]: binding 'DB' has no connection string: set the environment variable"
            " LONGSHORE_HYPERDRIVE_DB, or the key connection_string"
        ),
    ]


def test_environments_that_are_no_tables_end_it_there(tmp_path: Path) -> None:
    make_project(tmp_path, "main = 1\nenv = []")
    assert messages(tmp_path) == [
        "longshore.toml:1: main: expected text, found a whole number, 1",
        "longshore.toml:2: env: expected a table, found a list: write [name] with one bracket",
    ]


def test_paths_in_messages_are_relative_to_where_the_command_runs(tmp_path: Path) -> None:
    make_project(tmp_path, "x = 1")
    (tmp_path / "src/deep").mkdir()
    assert messages(tmp_path / "src/deep") == [
        f"{tmp_path}/longshore.toml:1: x: unknown key: docs/reference/configuration.md lists all keys"
    ]
    (tmp_path / "outer").mkdir()
    make_project(tmp_path / "outer/inner", "x = 1")
    with pytest.raises(ConfigError, match=r"^outer/inner/longshore\.toml:1: x"):
        load_config(Path("outer/inner"), cwd=tmp_path, is_dev=True, variables={})


ENVIRONMENTS = "name = 'w'\n[env.dev.vars]\nA = 'dev'\n[env.production.vars]\nA = 'production'\n"


@pytest.mark.parametrize(
    ("is_dev", "environment", "variables", "chosen"),
    [
        (True, None, {}, "dev"),
        (False, None, {}, None),
        (True, "production", {}, "production"),
        (False, None, {"CLOUDFLARE_ENV": "production"}, "production"),
        (False, "dev", {"CLOUDFLARE_ENV": "production"}, "dev"),
        (False, None, {"CLOUDFLARE_ENV": ""}, None),
    ],
)
def test_the_environment_in_force(
    tmp_path: Path, is_dev: bool, environment: str | None, variables: dict[str, str], chosen: str | None
) -> None:
    config = load(make_project(tmp_path, ENVIRONMENTS), is_dev=is_dev, environment=environment, variables=variables)
    assert config.environment == chosen
    assert config.vars.get("A") == chosen
    assert config.name == (f"w-{chosen}" if chosen else "w")
    said = ["2: env.dev: is in force: this is 'longshore dev', and no environment was named"]
    assert notices(config) == (said if is_dev and environment is None else [])


def test_an_environment_of_a_variable_that_is_not_there(tmp_path: Path) -> None:
    make_project(tmp_path, ENVIRONMENTS)
    assert messages(tmp_path, variables={"CLOUDFLARE_ENV": "x"}) == [
        "longshore.toml:2: env: no environment 'x' (from CLOUDFLARE_ENV): this file has 'dev', 'production'"
    ]


FILES = {
    ".dev.vars": "A=dev.vars",
    ".dev.vars.p": "A=dev.vars.p",
    ".env": "A=env\nB=env\nC=env\nD=env",
    ".env.local": "A=env.local\nB=env.local\nC=env.local",
    ".env.p": "A=env.p\nB=env.p\nD=env.p",
    ".env.p.local": "A=env.p.local",
}


@pytest.mark.parametrize(
    ("files", "environment", "secrets"),
    [
        (FILES, "p", {"A": "dev.vars.p"}),
        (FILES, "q", {"A": "dev.vars"}),
        (FILES, None, {"A": "dev.vars"}),
        (
            [".env", ".env.local", ".env.p", ".env.p.local"],
            None,
            {"A": "env.local", "B": "env.local", "C": "env.local", "D": "env"},
        ),
        (
            [".env", ".env.local", ".env.p", ".env.p.local"],
            "p",
            {"A": "env.p.local", "B": "env.local", "C": "env.local", "D": "env.p"},
        ),
        ([".env.p"], None, {}),
        ([], None, {}),
    ],
)
def test_the_files_that_secrets_come_from(
    tmp_path: Path, files: list[str], environment: str | None, secrets: dict[str, str]
) -> None:
    make_project(tmp_path, "[env.p]\n[env.q]\n")
    for name in files:
        (tmp_path / name).write_text(FILES[name])
    assert load(tmp_path, environment=environment).secrets == secrets
    assert load(tmp_path, environment=environment, is_dev=False).secrets == {}


def test_an_empty_file_gives_nothing_to_say(tmp_path: Path) -> None:
    assert load(make_project(tmp_path, "", __dev__vars="# nothing yet\n")).notices == ()


def test_the_files_read_are_named_and_their_values_are_not(tmp_path: Path) -> None:
    config = load(make_project(tmp_path, "", __dev__vars="B=s3cret\nA=s3cret"))
    assert notices(config) == ["None: .dev.vars: gives the secrets A, B"]


def test_serving_says_that_dev_vars_are_not_read(tmp_path: Path) -> None:
    config = load(make_project(tmp_path, "", __dev__vars="A=1"), is_dev=False)
    assert notices(config) == [
        (
            "None: .dev.vars: is not read by 'longshore serve': list the names in secrets.required and set"
            " them in the environment"
        )
    ]


@pytest.mark.parametrize("is_dev", [True, False])
def test_files_of_the_command_line_go_before_all_others(tmp_path: Path, is_dev: bool) -> None:
    make_project(tmp_path, "", __dev__vars="A=1", one="A=one\nB=one", two="A=two")
    overrides = Overrides(env_files=(Path("one"), tmp_path / "two"))
    config = load(tmp_path, is_dev=is_dev, overrides=overrides)
    assert config.secrets == {"A": "two", "B": "one"}
    with pytest.raises(ConfigError, match=r"^three: cannot be read: No such file or directory$"):
        load(tmp_path, is_dev=is_dev, overrides=Overrides(env_files=(Path("three"),)))


def test_what_other_tools_would_expand_is_a_notice(tmp_path: Path) -> None:
    config = load(make_project(tmp_path, "", __env="A=${HOME}/x\nB=5$\nC=$HOME"))
    assert config.secrets["A"] == "${HOME}/x"
    assert notices(config)[1:] == [
        "None: .env:1: A has a '$', which stands for itself here",
        "None: .env:3: C has a '$', which stands for itself here",
    ]


def test_variables_of_the_command_line(tmp_path: Path) -> None:
    config = load(make_project(tmp_path, "vars.A = 1"), overrides=Overrides(vars={"B": "2"}))
    assert config.vars == {"A": 1, "B": "2"}


WRANGLER = """
// what create-cloudflare writes for Python, and more
{
  "$schema": "node_modules/wrangler/config-schema.json",
  "name": "my-worker",
  "main": "src/entry.py",
  "compatibility_date": "2026-10-01",
  "compatibility_flags": ["python_workers"],
  "observability": { "enabled": true },
  "vars": { "GREETING": "hello", "LIST": [1, 2] },
  "hyperdrive": [
    { "binding": "DB", "id": "0123", "localConnectionString": "postgres://u:p@127.0.0.1:5432/db" },
  ],
  "r2_buckets": [{ "binding": "FILES", "bucket_name": "files" }],
  "triggers": { "crons": ["0 * * * *"] },
  "rules": [{ "type": "Text", "globs": ["**/*.html"] }],
  "python_modules": { "exclude": ["**/*.pyc"] },
  "dev": { "port": 8000, "ip": "0.0.0.0" },
  "env": { "staging": { "vars": { "GREETING": "hi" }, "routes": ["staging.example/*"] } },
}
"""


def test_a_file_of_wranglers_is_read_as_it_is(tmp_path: Path) -> None:
    config = load(make_project(tmp_path, WRANGLER, "wrangler.jsonc"))
    assert (config.name, config.vars, config.dev.port) == ("my-worker", {"GREETING": "hello", "LIST": [1, 2]}, 8000)
    assert [each.binding for each in config.hyperdrive] == ["DB"]
    assert config.unavailable == {"FILES": "R2 buckets (r2_buckets) are not provided by this version of Longshore"}
    assert notices(config) == [
        "9: observability: has no effect in this version of Longshore",
        "14: r2_buckets: has no effect in this version of Longshore",
    ]
    staging = load(tmp_path, environment="staging")
    assert (staging.name, staging.vars, staging.hyperdrive) == ("my-worker-staging", {"GREETING": "hi"}, ())
    assert [notice.key_path for notice in staging.notices] == [
        "observability",
        "vars.LIST",
        "hyperdrive",
        "r2_buckets",
        "env.staging.routes",
    ]


def test_a_configuration_travels_as_json(tmp_path: Path) -> None:
    config = load(make_project(tmp_path, WRANGLER, "wrangler.jsonc", __dev__vars="S='é\n'"))
    assert msgspec.json.decode(msgspec.json.encode(config), type=WorkerConfig) == config


FUZZED = """
name = "x"
[vars]
A = { b = [1, "2"] }
[[hyperdrive]]
binding = "DB"
connection_string = "postgres://u:p@h/d"
[triggers]
crons = ["*/5 * * * *"]
[network]
allow = ["public", "10.0.0.0/8"]
[env.dev.serve]
port = 1
"""


@pytest.mark.parametrize(("name", "text"), [("longshore.toml", FUZZED), ("wrangler.jsonc", WRANGLER)])
def test_a_cut_or_damaged_file_is_never_anything_but_a_config_error(tmp_path: Path, name: str, text: str) -> None:
    make_project(tmp_path, text, name)
    data = text.encode()
    for index in range(len(data)):
        for damaged in (data[:index], data[:index] + b"\xff" + data[index:], data[:index] + data[index + 1 :]):
            (tmp_path / name).write_bytes(damaged)
            with contextlib.suppress(ConfigError):
                load(tmp_path, is_dev=bool(index % 2))


def test_every_name_is_tested() -> None:
    assert list(TEXTS) == list(CONFIG_FILES)


def test_defaults_without_a_word(tmp_path: Path) -> None:
    config = load_text(tmp_path, "")
    assert (config.dev.ip, config.dev.port, config.network.allow) == ("localhost", 8787, ("public",))


def test_a_home_folder_as_project_is_noticed(tmp_path: Path) -> None:
    project = make_project(tmp_path, "")
    found = notices(load(project, variables={"HOME": str(tmp_path)}))
    assert any("is your home folder" in notice for notice in found)
    assert not any("home folder" in notice for notice in notices(load(project, variables={"HOME": "/home/ada"})))


@pytest.mark.parametrize("isolation", ["auto", "required", "off"])
def test_the_command_line_says_how_far_a_worker_is_shut_in(tmp_path: Path, isolation: str) -> None:
    project = make_project(tmp_path, "isolation = 'required'\n[sandbox]\nprocesses = 9\n")
    config = load(project, overrides=Overrides(isolation=isolation))
    assert (config.sandbox.isolation, config.sandbox.processes) == (isolation, 9)
    assert load(project).sandbox.isolation == "required"
