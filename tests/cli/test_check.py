"""What ``longshore check`` prints, and what it never prints."""

from __future__ import annotations

import datetime as dt
import io
import json
from typing import TYPE_CHECKING

import msgspec
import pytest
from rich.console import Console

from longshore.cli.check import bindings_table, config_as_json, render_check, render_notices
from longshore.cli.main import run
from longshore.config.model import (
    EgressBinding,
    EgressLimits,
    HyperdriveBinding,
    MtlsBinding,
    NetworkRules,
    Notice,
    SandboxSettings,
    ServeSettings,
    TlsSettings,
    WorkerConfig,
)
from longshore.sandbox.layers import LAYERS, Layers

if TYPE_CHECKING:
    from pathlib import Path

    from rich.console import RenderableType

NOW = dt.datetime(2026, 1, 30, 12, 2, tzinfo=dt.UTC)

CONFIG = WorkerConfig(
    name="hello",
    main="/srv/hello/src/entry.py",
    module_root="/srv/hello/src",
    project_dir="/srv/hello",
    file="/srv/hello/longshore.toml",
    environment="production",
    compatibility_date="2026-01-31",
    compatibility_flags=("a", "b"),
    vars={"GREETING": "hé[red]llo", "LONG": "x" * 100, "JSON": {"a": [1, None]}},
    secrets={"API_KEY": "s3cret"},
    hyperdrive=(
        HyperdriveBinding(binding="DB", connection_string="postgres://u:s3cret@db.internal/d?sslpassword=s3cret"),
        HyperdriveBinding(binding="ODD", connection_string="s3cret"),
    ),
    crons=("*/5 * * * *", "0 0 30 2 MON"),
    network=NetworkRules(
        allow=("public", "10.0.0.0/8"),
        deny=("192.0.2.1",),
        hosts={"db.internal": ("10.0.0.5", "10.0.0.6")},
        limits=EgressLimits(open_sockets=5, queue_timeout_s=1.0),
    ),
    egress=(
        EgressBinding(
            binding="BILLING",
            address="billing.example:443",
            secure_transport="starttls",
            ca="billing",
            client_certificate="shop",
        ),
        EgressBinding(binding="PLAIN", address="[::1]:7", secure_transport="off"),
    ),
    mtls_certificates=(MtlsBinding(binding="PARTNER", certificate="shop"),),
    tls=TlsSettings(ca=("office",)),
    sandbox=SandboxSettings(isolation="required", read=("/srv/a", "/srv/b"), processes=9),
    serve=ServeSettings(
        workers=2,
        log_format="json",
        disconnect_grace_s=0.5,
        audit_log="/srv/hello/audit.jsonl",
        metrics="127.0.0.1:9464",
    ),
    unavailable={"CACHE": "KV namespaces (kv_namespaces) are not provided by this version of Longshore"},
    notices=(
        Notice(key_path="kv_namespaces", message="has no effect", line=7),
        Notice(key_path=".env", message="m\x1b[1m"),
    ),
)

CHECK = """\
name           hello
main           src/entry.py
project        /srv/hello
file           longshore.toml
environment    production
compatibility  2026-01-31 a b
network        allow public, 10.0.0.0/8, deny 192.0.2.1
               db.internal is 10.0.0.5, 10.0.0.6
limits         open_sockets 5, queue_timeout_s 1
tls            trusts office besides the system's authorities
isolation      required
sandbox        read /srv/a /srv/b, processes 9
dev            localhost, port 8787
serve          127.0.0.1, port 8787, 2 processes, json logs
time limits    drain 30 s, boot 30 s, after a client left 0.5 s
audit log      audit.jsonl
metrics        127.0.0.1:9464

Binding        Resource      Value
env.DB         Hyperdrive    postgres://u:(hidden)@db.internal:5432/d?sslpassword=…, pool of 20, cached 60 s
env.ODD        Hyperdrive    (hidden), direct
env.BILLING    Egress        billing.example:443, STARTTLS, trusts billing, certificate shop
env.PLAIN      Egress        [::1]:7, plain
env.PARTNER    Certificate   shop
env.GREETING   Variable      "hé[red]llo"
env.LONG       Variable      "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx…
env.JSON       Variable      {"a": [1, null]}
env.API_KEY    Secret        (hidden)
env.CACHE      Unavailable   KV namespaces (kv_namespaces) are not provided by this version of Longshore

Cron           Next times (UTC)
*/5 * * * *    Fri 2026-01-30 12:05, Fri 2026-01-30 12:10, Fri 2026-01-30 12:15
0 0 30 2 MON   Mon 2026-02-02 00:00, Mon 2026-02-09 00:00, Mon 2026-02-16 00:00

! kv_namespaces (line 7) has no effect
! .env m\\x1b[1m
"""


def console_to(stream: io.StringIO, width: int = 120) -> Console:
    return Console(file=stream, width=width, highlight=False, markup=False, emoji=False, soft_wrap=True)


def printed(item: RenderableType, width: int = 120) -> str:
    stream = io.StringIO()
    console_to(stream, width).print(item)
    return without_trailing_space(stream)


def without_trailing_space(stream: io.StringIO) -> str:
    return "".join(f"{line.rstrip()}\n" for line in stream.getvalue().splitlines())


def checked(config: WorkerConfig, now: dt.datetime | None = NOW) -> str:
    stream = io.StringIO()
    render_check(config, console_to(stream), now)
    return without_trailing_space(stream)


def test_everything_is_shown_and_secrets_are_not() -> None:
    assert checked(CONFIG) == CHECK


def test_the_layers_of_this_system_are_told_and_what_is_lost() -> None:
    available = frozenset(each.name for each in LAYERS) - {"seccomp", "cgroup"}
    stream = io.StringIO()
    layers = Layers(available, {"seccomp": "the kernel is\x1b too old"})
    render_check(CONFIG, console_to(stream, 160), NOW, layers)
    text = without_trailing_space(stream)
    rows = {words[0]: " ".join(words[1:]) for line in text.splitlines() if (words := line.split())}
    assert rows["user"] == "a user namespace: no capability outside"
    assert rows["seccomp"] == "missing (the kernel is\\x1b too old): its drivers connect wherever they like"
    assert rows["cgroup"].startswith("missing (not there): ")


def test_without_isolation_there_are_no_layers() -> None:
    config = msgspec.structs.replace(CONFIG, sandbox=SandboxSettings(isolation="off"))
    stream = io.StringIO()
    render_check(config, console_to(stream), NOW, Layers(frozenset(), {}))
    text = without_trailing_space(stream)
    assert "Layer" not in text
    assert "isolation      off\n" in text


def test_a_small_project_is_a_small_page() -> None:
    config = WorkerConfig(name="a", main="app:app", module_root="/srv", project_dir="/srv")
    text = checked(config)
    assert "main         app:app\n" in text
    assert "file         none\n" in text
    assert "environment  top level\n" in text
    assert "network      allow public, deny nothing\n" in text
    assert "1 process, text logs" in text
    assert text.endswith("\nNo bindings.\n")


def test_a_main_module_outside_of_the_project_keeps_its_path() -> None:
    config = WorkerConfig(name="a", main="/opt/app.py", module_root="/opt", project_dir="/srv")
    assert "main         /opt/app.py\n" in checked(config)


def test_times_are_utc_whatever_now_is() -> None:
    now = NOW.astimezone(dt.timezone(dt.timedelta(hours=-5)))
    assert checked(CONFIG, now) == CHECK


def test_the_present_is_the_default() -> None:
    assert "Next times (UTC)" in checked(CONFIG, None)


@pytest.mark.parametrize("width", [40, 80])
def test_a_narrow_terminal_loses_no_name(width: int) -> None:
    text = printed(bindings_table(CONFIG), width)
    assert all(f"env.{name}" in text for name in ("DB", "GREETING", "API_KEY", "CACHE"))
    assert "s3cret" not in text


def test_no_notice_is_no_line() -> None:
    stream = io.StringIO()
    render_notices((), console_to(stream))
    assert stream.getvalue() == ""


def test_json_has_the_names_of_the_model_and_no_secret() -> None:
    text = config_as_json(CONFIG)
    assert "s3cret" not in text
    values = json.loads(text)
    assert set(values) == set(WorkerConfig.__struct_fields__)
    assert values["secrets"] == {"API_KEY": "(hidden)"}
    assert values["vars"] == CONFIG.vars
    assert values["hyperdrive"] == [
        {
            "binding": "DB",
            "connection_string": "postgres://u:(hidden)@db.internal:5432/d?sslpassword=…",
            "mode": "transaction",
            "origin_connection_limit": 20,
            "caching": {"disabled": False, "max_age": 60.0, "stale_while_revalidate": 15.0},
            "mtls": {"sslmode": None, "ca_certificate_id": None, "mtls_certificate_id": None},
        },
        {**values["hyperdrive"][0], "binding": "ODD", "connection_string": "(hidden)"},
    ]
    assert values["notices"][0] == {
        "key_path": "kv_namespaces",
        "message": "has no effect",
        "line": 7,
        "is_minor": False,
    }


PROJECT = """
name = "shop"
[[hyperdrive]]
binding = "DB"
connection_string = "postgres://u:s3cret@localhost/d"
"""


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    (tmp_path / "longshore.toml").write_text(PROJECT)
    (tmp_path / "entry.py").write_text("")
    (tmp_path / ".dev.vars").write_text("API_KEY=s3cret")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "200")
    return tmp_path


@pytest.mark.usefixtures("project")
def test_the_command_prints_what_dev_would_run(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["check", "--dev"]) == 0
    text = capsys.readouterr().out
    assert "postgres://u:(hidden)@localhost:5432/d" in text
    assert "env.API_KEY" in text
    assert "s3cret" not in text


@pytest.mark.usefixtures("project")
def test_the_command_prints_json(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["check", "--json"]) == 0
    text = capsys.readouterr().out
    assert json.loads(text)["name"] == "shop"
    assert "s3cret" not in text


def test_a_wrong_file_ends_with_78(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (project / "longshore.toml").write_text("nam = 'x'\nmain = 1\n")
    with pytest.raises(SystemExit) as caught:
        raise SystemExit(run(["check"]))
    assert caught.value.code == 78
    shown = capsys.readouterr()
    assert shown.out == ""
    assert "longshore.toml:1" in shown.err
    assert "did you mean 'name'?" in shown.err
    assert "2 problems" in shown.err
