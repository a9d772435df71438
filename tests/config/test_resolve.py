"""From keys to ``WorkerConfig``."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from longshore.config.document import parse_document
from longshore.config.dotenv import parse_dotenv
from longshore.config.merge import merge
from longshore.config.model import (
    DevSettings,
    HyperdriveBinding,
    HyperdriveCaching,
    HyperdriveTls,
    NetworkRules,
    ServeSettings,
    WorkerConfig,
)
from longshore.config.report import Report
from longshore.config.resolve import Surroundings, resolve
from longshore.config.validate import validate

PROJECT = Path("/srv/My App")


def resolved(
    text: str, broken: frozenset[str] = frozenset(), environment: str | None = None, **around: Any
) -> tuple[WorkerConfig | None, Report]:
    document = parse_document(text, "longshore.toml")
    assert validate(document) == []
    report = Report(document)
    settings: dict[str, Any] = {
        "project_dir": PROJECT,
        "cwd": PROJECT,
        "is_dev": True,
        "is_file": {PROJECT / "src/entry.py", PROJECT / "other.py"}.__contains__,
        "file": PROJECT / "longshore.toml",
    }
    surroundings = Surroundings(**{**settings, **around})
    return resolve(merge(document, environment, report), surroundings, report, broken=broken), report


def config_of(text: str, **around: Any) -> WorkerConfig:
    config, report = resolved(text, **around)
    assert [str(problem) for problem in report.problems] == []
    assert config is not None
    return config


def test_an_empty_file_has_defaults() -> None:
    assert config_of("") == WorkerConfig(
        name="my-app",
        main="/srv/My App/src/entry.py",
        module_root="/srv/My App/src",
        project_dir="/srv/My App",
        file="/srv/My App/longshore.toml",
        watch=("/srv/My App",),
    )


EVERY_KEY = """
name = "hello"
main = "other.py"
compatibility_date = 2026-01-31
compatibility_flags = ["x"]
[vars]
A = "a"
B = { c = [1, true] }
[[hyperdrive]]
binding = "DB"
connection_string = "postgres://u:p@h/d"
mode = "session"
origin_connection_limit = 5
caching = { disabled = true, max_age = 1, stale_while_revalidate = 0.5 }
mtls = { sslmode = "verify-full", ca_certificate_id = "corp", mtls_certificate_id = "me" }
[triggers]
crons = ["*/5 * * * *"]
[dev]
ip = "0.0.0.0"
port = 0
[serve]
host = "::"
port = 80
workers = 4
drain_timeout_s = 5
boot_timeout_s = 1.5
disconnect_grace_s = 0.5
body_timeout_s = 7
log_format = "json"
log_requests = false
[network]
allow = ["public", "10.0.0.0/8"]
deny = ["192.0.2.1"]
"""


def test_every_key_has_its_place() -> None:
    assert config_of(EVERY_KEY, dotenv=parse_dotenv("S=1", ".dev.vars")) == WorkerConfig(
        name="hello",
        main="/srv/My App/other.py",
        module_root="/srv/My App",
        project_dir="/srv/My App",
        file="/srv/My App/longshore.toml",
        compatibility_date="2026-01-31",
        compatibility_flags=("x",),
        vars={"A": "a", "B": {"c": [1, True]}},
        secrets={"S": "1"},
        hyperdrive=(
            HyperdriveBinding(
                binding="DB",
                connection_string="postgres://u:p@h/d",
                mode="session",
                origin_connection_limit=5,
                caching=HyperdriveCaching(disabled=True, max_age=1, stale_while_revalidate=0.5),
                mtls=HyperdriveTls(sslmode="verify-full", ca_certificate_id="corp", mtls_certificate_id="me"),
            ),
        ),
        crons=("*/5 * * * *",),
        network=NetworkRules(allow=("public", "10.0.0.0/8"), deny=("192.0.2.1",)),
        dev=DevSettings(ip="0.0.0.0", port=0),
        serve=ServeSettings(
            host="::",
            port=80,
            workers=4,
            drain_timeout_s=5.0,
            boot_timeout_s=1.5,
            disconnect_grace_s=0.5,
            body_timeout_s=7.0,
            log_format="json",
            log_requests=False,
        ),
        watch=("/srv/My App",),
    )


def test_the_command_line_goes_before_the_file() -> None:
    config = config_of("[vars]\nA = 1\nB = 2", main="src/entry.py", vars={"A": "x"})
    assert (config.main, config.vars) == ("/srv/My App/src/entry.py", {"A": "x", "B": 2})


def test_a_main_module_of_the_command_line_is_told_without_a_place() -> None:
    _, report = resolved("main = 'other.py'", main="nothing.py")
    assert [str(problem) for problem in report.problems] == [
        "longshore.toml: 'nothing.py' does not exist: did you mean 'src/entry.py'?"
    ]


def test_a_secret_goes_before_a_variable() -> None:
    config = config_of("[vars]\nA = 1\nB = 2", dotenv=parse_dotenv("A=x", ".dev.vars"))
    assert (config.vars, config.secrets) == ({"B": 2}, {"A": "x"})


def test_declared_bindings_that_are_not_provided_are_known_by_name() -> None:
    config, report = resolved("[[kv_namespaces]]\nbinding = 'CACHE'\n[ai]\nbinding = 'AI'\n")
    assert config is not None
    assert config.unavailable == {
        "CACHE": "KV namespaces (kv_namespaces) are not provided by this version of Longshore",
        "AI": "Workers AI bindings (ai) are not provided by this version of Longshore",
    }
    assert [(notice.line, notice.key_path, notice.message) for notice in report.notices] == [
        (1, "kv_namespaces", "has no effect in this version of Longshore"),
        (3, "ai", "has no effect in this version of Longshore"),
    ]


NOTICES = [
    ("'$schema' = 'x'\nworkers_dev = true", []),
    ("[dev]\nport = 1\ninspector_port = 9229\nlocal_protocol = 'https'", ["dev.inspector_port", "dev.local_protocol"]),
    ("[build]\ncommand = 'make'", ["build.command"]),
    ("[build]\nwatch_dir = 'lib'", []),
    ("[placement]\nmode = 'smart'", ["placement"]),
]


@pytest.mark.parametrize(("text", "paths"), NOTICES)
def test_settings_without_effect_are_notices(text: str, paths: list[str]) -> None:
    _, report = resolved(text)
    assert [notice.key_path for notice in report.notices] == paths
    assert {notice.message for notice in report.notices} <= {"has no effect in this version of Longshore"}


@pytest.mark.parametrize(
    ("text", "is_minor"),
    [
        ("[placement]\nmode = 'smart'", True),
        ("[dev]\ninspector_port = 9229", True),
        ("[build]\ncommand = 'make'", False),
        ("[[kv_namespaces]]\nbinding = 'CACHE'", False),
        ("[triggers]\ncrons = ['0 9 * * 1']", False),
    ],
)
def test_a_setting_without_which_a_worker_can_do_the_same_is_minor(text: str, is_minor: bool) -> None:
    _, report = resolved(text)
    assert [notice.is_minor for notice in report.notices] == [is_minor]


def test_a_numbered_weekday_is_a_notice() -> None:
    _, report = resolved("[triggers]\ncrons = ['0 9 * * 1', '0 9 * * MON']")
    assert [(notice.key_path, notice.message) for notice in report.notices] == [
        (
            "triggers.crons[0]",
            "'0 9 * * 1' has a numbered weekday: 1 is Monday here and Sunday on Cloudflare, write MON or SUN",
        )
    ]


TAKEN = [
    (
        "[vars]\nDB = 1\n[[hyperdrive]]\nbinding = 'DB'\nconnection_string = 'postgres://u:p@h/d'",
        "longshore.toml:4: hyperdrive[0].binding: the name 'DB' is taken, vars.DB has it too: rename one",
    ),
    (
        "[ai]\nbinding = 'X'\n[[kv_namespaces]]\nbinding = 'X'",
        "longshore.toml:4: kv_namespaces[0].binding: the name 'X' is taken, ai.binding has it too: rename one",
    ),
    (
        "[ai]\nbinding = 'S'",
        "longshore.toml:2: ai.binding: the name 'S' is taken, a secret has it too: rename one",
    ),
]


@pytest.mark.parametrize(("text", "message"), TAKEN)
def test_a_name_can_have_one_meaning_only(text: str, message: str) -> None:
    config, report = resolved(text, dotenv=parse_dotenv("S=1", ".dev.vars"))
    assert config is None
    assert [str(problem) for problem in report.problems] == [message]


def test_nothing_is_said_twice_about_a_key_that_was_wrong() -> None:
    config, report = resolved("", frozenset({"main"}), is_file=lambda _: False)
    assert (config, report.problems) == (None, [])


@pytest.mark.parametrize(
    ("watch_dir", "folders"),
    [
        ("'lib'", []),
        ("'.'", []),
        ("'../shared'", ["/srv/shared"]),
        ("['lib', '/opt/x', 'a/../../y']", ["/opt/x", "/srv/y"]),
    ],
)
def test_folders_outside_of_the_project_are_watched_too(watch_dir: str, folders: list[str]) -> None:
    assert list(config_of(f"build.watch_dir = {watch_dir}").watch) == ["/srv/My App", *folders]


@pytest.mark.parametrize(
    ("folder", "name"), [("/", "worker"), ("/srv/é", "worker"), ("/srv/Ab_1", "ab-1"), ("/x/" + "a" * 80, "a" * 63)]
)
def test_a_worker_without_name_is_called_like_its_folder(folder: str, name: str) -> None:
    assert config_of("", project_dir=Path(folder), is_file=lambda _: True).name == name
