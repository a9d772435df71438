"""Tests of how outbound connections of workers are told."""

from __future__ import annotations

import io

import pytest

from longshore.cli.egress_words import Allowing, advice, audited_line, destination
from longshore.cli.levels import level_of, name_of
from longshore.cli.render_dev import DevRenderer
from longshore.cli.render_json import json_object
from longshore.cli.render_text import text_lines
from longshore.cli.serve import LogSink
from longshore.config.model import HyperdriveBinding, NetworkRules, WorkerConfig
from longshore.policy import EgressPolicy
from longshore.proto.ipc.egress import AuditRecord
from longshore.runtime.host.events import Audited, ConfigReloaded, ReloadStarted
from tests.cli.test_render_json import NOW


def record(event: str, **fields: object) -> AuditRecord:
    """Return a record of a driver's connection."""
    known: dict[str, object] = {"worker": "shop", "worker_id": 3, "name": "db.internal", "port": 5432, "via": "socket"}
    return AuditRecord(event=event, **(known | fields))  # type: ignore[arg-type]  # the fields are the tests' own


def denied(name: str, port: int, address: str = "", rule: str = "default: not allowed by 'public'") -> AuditRecord:
    """Return a denial."""
    return record("deny", name=name, port=port, address=address, rule=rule, outcome="blocked by policy")


OPEN = record("open", address="10.0.0.5:5432", outcome="connected", tcp_s=0.004)
CLOSE = record("close", outcome="closed", duration_s=1.5, bytes_sent=12, bytes_received=3400)
FAIL = record("fail", outcome="refused", address="10.0.0.5:5432", rule="private")
DENY = denied("db.internal", 5432, "10.0.0.5:5432")
LIMIT = record("limit", outcome="limit open_sockets of 5 reached", detail="the limit is reached", request_id="01-17")
REFUSE = record("refuse", name="", port=0, outcome="not permitted", detail="listen: a socket of the host")

LINES = [
    (OPEN, "debug", "db.internal:5432: connected 10.0.0.5:5432  tcp 4ms"),
    (CLOSE, "debug", "db.internal:5432: closed after 1.5s, sent 12 B, received 3.4 kB"),
    (FAIL, "warning", "db.internal:5432: refused (private)"),
    (DENY, "warning", "db.internal:5432: blocked by policy: not allowed by 'public'"),
    (
        denied("db.internal", 5432, "10.0.0.5:5432", "10.0.0.0/8"),
        "warning",
        "db.internal:5432: blocked by policy: '10.0.0.0/8' of deny",
    ),
    (
        record("deny", rule="default: loop detected, the worker's own address", outcome="loop detected"),
        "warning",
        "db.internal:5432: loop detected: the worker's own address",
    ),
    (LIMIT, "warning", "db.internal:5432: the limit is reached"),
    (REFUSE, "warning", "it tried what no worker may do: listen: a socket of the host"),
]


@pytest.mark.parametrize(("record", "level", "line"), LINES)
def test_a_record_is_a_line(record: AuditRecord, level: str, line: str) -> None:
    assert audited_line(record) == line
    assert level_of(Audited(record)) == level
    assert name_of(Audited(record)) == f"egress_{record.event}"


def test_what_connect_tells_itself_is_not_told_twice() -> None:
    mine = record("fail", via="connect()", outcome="refused")
    assert level_of(Audited(mine)) == "debug"
    assert DevRenderer().render(Audited(mine)) == []


@pytest.mark.parametrize(
    ("name", "port", "address", "rule"),
    [
        ("10.0.0.5", 5432, "10.0.0.5:5432", "10.0.0.5:5432"),
        ("::1", 80, "[::1]:80", "[::1]:80"),
        ("localhost", 5432, "127.0.0.1:5432", "localhost:5432"),
        ("db.internal", 5432, "10.0.0.5:5432", "db.internal:5432"),
        ("db.example.com", 5432, "10.0.0.5:5432", "10.0.0.5:5432"),
        ("mail.example.com", 25, "", "mail.example.com:25"),
        ("www.example.com", 443, "", "www.example.com:443"),
        ("looked.up.only", 0, "", "looked.up.only"),
    ],
)
def test_the_advice_is_a_rule_that_does_it(name: str, port: int, address: str, rule: str) -> None:
    expected = f'To allow it, write in [network] of longshore.toml:  allow = ["public", "{rule}"]'
    assert advice(denied(name, port, address)) == expected
    EgressPolicy(allow=(rule,))


@pytest.mark.parametrize(
    ("allowing", "words"),
    [
        (
            Allowing("longshore.toml", "dev", ("public", "10.0.0.1")),
            'write in [env.dev.network] of longshore.toml:  allow = ["public", "10.0.0.1", "db.internal:5432"]',
        ),
        (Allowing("wrangler.toml", None, ()), 'write in [network] of wrangler.toml:  allow = ["db.internal:5432"]'),
        (
            Allowing("wrangler.jsonc", "staging"),
            'write in env.staging.network of wrangler.jsonc:  "allow": ["public", "db.internal:5432"]',
        ),
        (
            Allowing("longshore.toml", None, ("public",) * 8),
            'add "db.internal:5432" to allow in [network] of longshore.toml',
        ),
    ],
)
def test_the_advice_keeps_what_is_allowed_already(allowing: Allowing, words: str) -> None:
    assert advice(DENY, allowing) == f"To allow it, {words}"


def test_the_advice_follows_the_configuration() -> None:
    database = HyperdriveBinding(binding="DB", connection_string="mysql://a:b@10.0.0.9/x")
    config = WorkerConfig(
        name="shop",
        main="/shop/entry.py",
        module_root="/shop",
        project_dir="/shop",
        file="/shop/longshore.toml",
        environment="dev",
        hyperdrive=(database,),
        network=NetworkRules(allow=("public", "10.0.0.9:3306")),
    )
    assert Allowing.of(config) == Allowing("longshore.toml", "dev", ("public",))
    renderer = DevRenderer()
    renderer.render(ConfigReloaded(config))
    assert plain(renderer, DENY)[1].startswith("  To allow it, write in [env.dev.network]")
    stream = io.StringIO()
    sink = LogSink(stream, is_json=False)
    sink(ConfigReloaded(config))
    sink(Audited(DENY))
    assert stream.getvalue().splitlines()[-1].startswith("    To allow it, write in [env.dev.network]")


def test_nobody_is_advised_to_open_what_hands_out_credentials() -> None:
    why = "default: not allowed by 'public' (169.254.169.254 is private: cloud metadata)"
    words = advice(denied("169.254.169.254", 80, "169.254.169.254:80", why))
    assert "better leave it closed" in words


def test_against_a_deny_rule_no_allow_rule_helps() -> None:
    words = advice(denied("db.internal", 5432, "10.0.0.5:5432", "10.0.0.0/8"))
    assert "'10.0.0.0/8' of deny" in words


@pytest.mark.parametrize(
    "record",
    [
        OPEN,
        LIMIT,
        REFUSE,
        record("deny", rule="default: loop detected", outcome="loop detected"),
        denied("no name", 80),
        denied("x", 80, "not an address"),
    ],
)
def test_where_nothing_helps_nothing_is_advised(record: AuditRecord) -> None:
    assert advice(record) == ""


def test_only_the_operator_hears_what_is_wrong_with_credentials() -> None:
    failed = record("fail", via="binding", binding="B", outcome="credentials cannot be used: there is no CA bundle 'x'")
    assert level_of(Audited(failed)) == "warning"
    assert plain(DevRenderer(), failed) == [
        "  ✗ db.internal:5432  credentials cannot be used: there is no CA bundle 'x'"
    ]


def test_a_name_cannot_speak_to_the_terminal() -> None:
    assert destination(record("open", name="\x1b[2J", port=1)) == "\\x1b[2J:1"
    assert "\x1b" not in audited_line(record("fail", name="x", outcome="\x1b[2J"))


def plain(renderer: DevRenderer, found: AuditRecord) -> list[str]:
    """Return lines without colours."""
    return [line.plain for line in renderer.render(Audited(found))]


def test_dev_shows_what_drivers_do() -> None:
    renderer = DevRenderer()
    assert plain(renderer, OPEN) == ["  → db.internal:5432  10.0.0.5:5432  tcp 4ms"]
    assert plain(renderer, CLOSE) == ["  ← db.internal:5432  closed after 1.5s, sent 12 B, received 3.4 kB"]
    assert plain(renderer, FAIL) == ["  ✗ db.internal:5432  refused (private)"]
    assert plain(renderer, LIMIT) == ["warning: db.internal:5432: the limit is reached  #17"]
    assert plain(renderer, REFUSE) == ["warning: it tried what no worker may do: listen: a socket of the host"]


def test_dev_explains_a_denial_once_until_something_changes() -> None:
    renderer = DevRenderer()
    explained = [
        "warning: db.internal:5432: blocked by policy: not allowed by 'public'",
        '  To allow it, write in [network] of longshore.toml:  allow = ["public", "db.internal:5432"]',
    ]
    assert plain(renderer, DENY) == explained
    assert plain(renderer, DENY) == []
    renderer.render(ReloadStarted(()))
    assert plain(renderer, DENY) == explained


def test_dev_does_not_remember_denials_without_end() -> None:
    renderer = DevRenderer()
    for port in range(1, 3000):
        assert plain(renderer, denied("db.internal", port))
    assert len(renderer._explained) <= 1000


def test_a_log_line_for_machines_has_the_whole_record() -> None:
    assert json_object(Audited(CLOSE), NOW) == {
        "time": "2026-11-23T14:52:00.123Z",
        "level": "debug",
        "event": "egress_close",
        "worker": 3,
        "worker_name": "shop",
        "connection_id": 0,
        "via": "socket",
        "name": "db.internal",
        "port": 5432,
        "outcome": "closed",
        "duration_s": 1.5,
        "bytes_sent": 12,
        "bytes_received": 3400,
    }


def test_a_log_line_for_people_names_the_worker() -> None:
    first, second = text_lines(Audited(DENY), NOW.replace(tzinfo=None))
    assert "WARNING worker 3  db.internal:5432: blocked by policy" in first
    assert second.startswith("    To allow it")
