"""From keys to what a worker may reach, with which credentials, and what it is shut into."""

from __future__ import annotations

import pytest

from longshore.config.model import (
    EgressBinding,
    EgressLimits,
    MtlsBinding,
    NetworkRules,
    SandboxSettings,
    TlsSettings,
)
from longshore.policy.evaluate import EgressPolicy
from tests.config.test_resolve import config_of, resolved

EVERY_KEY = """
isolation = "required"
[network]
allow = ["public"]
deny = ["10.0.0.1"]
hosts = { "DB.internal." = ["10.0.0.5", "2001:DB8::7", "10.0.0.5"], "b" = "10.0.0.6" }
[network.limits]
open_sockets = 1
dials_per_s = 2
bytes = 3
request_open_sockets = 4
request_dials = 5
request_bytes = 6
queue_timeout_s = 7
[[egress]]
binding = "BILLING"
address = "Billing.example:08443"
secure_transport = "starttls"
ca = "billing"
client_certificate = "shop"
sni = "billing.internal"
alpn = ["a", "b"]
minimum_version = "TLSv1.3"
[[egress]]
binding = "PLAIN"
address = "[::1]:7"
secure_transport = "off"
[[mtls_certificates]]
binding = "PARTNER"
certificate_id = "4c1d8a5e-0a4f"
ca = "partner"
remote = true
[tls]
ca = ["office", "lab"]
[sandbox]
environment = ["A", "_b"]
read = ["/srv/x", "data/../lib"]
write = ["var"]
memory_bytes = 67108864
processes = 8
open_files = 64
cpu_cores = 0.5
[serve]
audit_log = "var/audit.jsonl"
metrics = "localhost:9464"
"""


def test_every_key_has_its_place() -> None:
    config = config_of(EVERY_KEY)
    assert config.network == NetworkRules(
        allow=("public",),
        deny=("10.0.0.1",),
        hosts={"db.internal": ("10.0.0.5", "2001:db8::7"), "b": ("10.0.0.6",)},
        limits=EgressLimits(
            open_sockets=1,
            dials_per_s=2.0,
            bytes=3,
            request_open_sockets=4,
            request_dials=5,
            request_bytes=6,
            queue_timeout_s=7.0,
        ),
    )
    assert config.egress == (
        EgressBinding(
            binding="BILLING",
            address="Billing.example:08443",
            secure_transport="starttls",
            ca="billing",
            client_certificate="shop",
            sni="billing.internal",
            alpn=("a", "b"),
            minimum_version="TLSv1.3",
        ),
        EgressBinding(binding="PLAIN", address="[::1]:7", secure_transport="off"),
    )
    assert config.mtls_certificates == (MtlsBinding(binding="PARTNER", certificate="4c1d8a5e-0a4f", ca="partner"),)
    assert config.tls == TlsSettings(ca=("office", "lab"))
    assert config.sandbox == SandboxSettings(
        isolation="required",
        environment=("A", "_b"),
        read=("/srv/x", "/srv/My App/lib"),
        write=("/srv/My App/var",),
        memory_bytes=67108864,
        processes=8,
        open_files=64,
        cpu_cores=0.5,
    )
    assert (config.serve.audit_log, config.serve.metrics) == ("/srv/My App/var/audit.jsonl", "localhost:9464")


def test_an_empty_file_has_the_defaults_of_the_model() -> None:
    config = config_of("")
    assert (config.network, config.sandbox, config.tls) == (NetworkRules(), SandboxSettings(), TlsSettings())
    assert (config.egress, config.mtls_certificates, config.serve.audit_log) == ((), (), None)


def test_a_declared_database_may_be_reached_unless_the_pool_does_it() -> None:
    text = """
network.allow = ["db.internal:5432"]
network.deny = ["127.0.0.1"]
[[hyperdrive]]
binding = "A"
connection_string = "postgres://u:p@db.internal/d"
[[hyperdrive]]
binding = "B"
connection_string = "mysql://u:p@[::1]/d"
[[hyperdrive]]
binding = "C"
connection_string = "postgres://u:p@127.0.0.1:6543/d"
"""
    rules = config_of(text).network
    assert rules == NetworkRules(allow=("db.internal:5432", "[::1]:3306"), deny=("127.0.0.1",))
    EgressPolicy(rules.allow, rules.deny)


@pytest.mark.parametrize(
    "line", ["ca = 'a'", "client_certificate = 'a'", "sni = 'a'", "alpn = ['a']", "minimum_version = 'TLSv1.2'"]
)
def test_a_binding_without_tls_cannot_say_how_tls_is_made(line: str) -> None:
    text = f"[[egress]]\nbinding = 'B'\naddress = 'b.test:1'\nsecure_transport = 'off'\n{line}\n"
    config, report = resolved(text)
    assert config is None
    key = line.partition(" ")[0]
    assert [str(problem) for problem in report.problems] == [
        f"longshore.toml:5: egress[0].{key}: says how TLS is made, and secure_transport is 'off': remove one of the two"
    ]


def test_one_name_is_one_thing_of_env() -> None:
    text = """
[vars]
A = 1
[[egress]]
binding = "A"
address = "a.test:1"
[[mtls_certificates]]
binding = "B"
certificate_id = "x"
[[hyperdrive]]
binding = "B"
connection_string = "postgres://u:p@h/d"
"""
    _, report = resolved(text)
    assert [str(problem) for problem in report.problems] == [
        "longshore.toml:5: egress[0].binding: the name 'A' is taken, vars.A has it too: rename one",
        (
            "longshore.toml:8: mtls_certificates[0].binding: the name 'B' is taken, hyperdrive[0].binding has it too:"
            " rename one"
        ),
    ]


ENVIRONMENTS = """
isolation = "required"
[network]
deny = ["10.0.0.1"]
limits = { open_sockets = 1 }
[tls]
ca = ["office"]
[sandbox]
processes = 9
open_files = 99
[[egress]]
binding = "BILLING"
address = "billing.example:443"
[env.staging]
isolation = "off"
network.limits = { bytes = 1 }
sandbox.open_files = 100
[env.bare]
egress = []
"""


def test_rules_are_laid_over_each_other_and_bindings_are_not_inherited() -> None:
    config, report = resolved(ENVIRONMENTS, environment="staging")
    assert config is not None
    assert config.network == NetworkRules(deny=("10.0.0.1",), limits=EgressLimits(bytes=1))
    assert config.tls.ca == ("office",)
    assert config.sandbox == SandboxSettings(isolation="off", processes=9, open_files=100)
    assert config.egress == ()
    assert [(notice.key_path, notice.message) for notice in report.notices] == [
        ("egress", "is not inherited by environments: repeat it as env.staging.egress where it is wanted")
    ]


def test_an_environment_inherits_isolation_and_may_have_no_binding() -> None:
    config, report = resolved(ENVIRONMENTS, environment="bare")
    assert config is not None
    assert (config.sandbox.isolation, config.egress, report.notices) == ("required", (), [])
