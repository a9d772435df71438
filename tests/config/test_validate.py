"""The shape of a file: keys, types, ranges; everything at once."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from longshore.config import shape
from longshore.config.document import parse_document
from longshore.config.shape import TopLevel
from longshore.config.validate import nearest, validate
from longshore.config.wrangler_keys import INERT_KEYS, TOP_LEVEL_ONLY


def wrong(text: str, file: str = "longshore.toml") -> list[str]:
    return [str(problem) for _, problem in validate(parse_document(text, file))]


BAD = [
    ("nam = 'x'", "longshore.toml:1: nam: unknown key: did you mean 'name'?"),
    ("kv_namespace = []", "longshore.toml:1: kv_namespace: unknown key: did you mean 'kv_namespaces'?"),
    (
        "compatibilityDate = '2026-01-01'",
        "longshore.toml:1: compatibilityDate: unknown key: did you mean 'compatibility_date'?",
    ),
    ("zzzzzz = 1", "longshore.toml:1: zzzzzz: unknown key: docs/reference/configuration.md lists all keys"),
    ("main = 3", "longshore.toml:1: main: expected text, found a whole number, 3"),
    ("name = true", "longshore.toml:1: name: expected text, found true"),
    ("name = 'a b'", "longshore.toml:1: name: 'a b' is no worker name: use 1 to 63 letters, digits, '-' and '_'"),
    ("main = ['a']", "longshore.toml:1: main: expected text, found a list"),
    ("main = 2026-01-01", "longshore.toml:1: main: expected text, found a date, datetime.date(2026, 1, 1)"),
    (
        "compatibility_date = '2026'",
        "longshore.toml:1: compatibility_date: '2026' is no date: write it like '2026-01-31'",
    ),
    (
        "compatibility_flags = 'x'",
        "longshore.toml:1: compatibility_flags: expected a list of text, found text: write it in [ ]",
    ),
    ("compatibility_flags = [1]", "longshore.toml:1: compatibility_flags[0]: expected text, found a whole number, 1"),
    ("vars = 'x'", "longshore.toml:1: vars: expected a table, found text"),
    ("[[vars]]\nA = 1", "longshore.toml:1: vars: expected a table, found a list: write [name] with one bracket"),
    ("[vars]\nA = 2026-01-01", "longshore.toml:2: vars.A: a date cannot be passed on: write it as text, in quotes"),
    (
        "[hyperdrive]\nbinding = 'DB'",
        (
            "longshore.toml:1: hyperdrive: expected a list of tables, found a table: write [[…]] for each,"
            " with two brackets"
        ),
    ),
    ("[[hyperdrive]]\nid = 'x'", "longshore.toml:1: hyperdrive[0]: 'binding' is missing"),
    (
        "[[hyperdrive]]\nbinding = 'my-db'",
        (
            "longshore.toml:2: hyperdrive[0].binding: 'my-db' is no binding name: use letters, digits and"
            " '_', and no digit first"
        ),
    ),
    (
        "[[hyperdrive]]\nbinding = 'DB'\nconnectionString = ''",
        "longshore.toml:3: hyperdrive[0].connectionString: unknown key: did you mean 'connection_string'?",
    ),
    (
        "[[hyperdrive]]\nbinding = 'DB'\nlocalConnectionString = 'postgres://h/d'",
        (
            "longshore.toml:3: hyperdrive[0].localConnectionString: connection string has no user and no"
            " password: write 'postgres://user:password@host:5432/database'"
        ),
    ),
    (
        "[triggers]\ncrons = ['* * * *', '* * * * *']",
        (
            "longshore.toml:2: triggers.crons[0]: '* * * *' has 4 fields, a cron expression has 5: minute,"
            " hour, day of month, month, day of week, like '*/15 * * * *'"
        ),
    ),
    ("[triggers]\ncron = []", "longshore.toml:2: triggers.cron: unknown key: did you mean 'crons'?"),
    (
        "[secrets]\nrequired = ['A', '1']",
        (
            "longshore.toml:2: secrets.required[1]: '1' is no binding name: use letters, digits and '_',"
            " and no digit first"
        ),
    ),
    (
        "[[rules]]\ntype = 'text'\nglobs = []",
        (
            "longshore.toml:2: rules[0].type: expected 'CommonJS' or 'CompiledWasm' or 'Data' or 'ESModule'"
            " or 'PythonModule' or 'PythonRequirement' or 'Text', found 'text': did you mean 'Text'?"
        ),
    ),
    ("[serve]\nport = 65536", "longshore.toml:2: serve.port: expected a whole number from 0 to 65535, found 65536"),
    ("[serve]\nport = '80'", "longshore.toml:2: serve.port: expected a whole number from 0 to 65535, found text, '80'"),
    (
        "[serve]\nport = 80.0",
        "longshore.toml:2: serve.port: expected a whole number from 0 to 65535, found a number, 80.0",
    ),
    ("[serve]\nworkers = 0", "longshore.toml:2: serve.workers: expected a whole number from 1 to 256, found 0"),
    ("[serve]\nworkers = true", "longshore.toml:2: serve.workers: expected a whole number from 1 to 256, found true"),
    (
        "[serve]\ndrain_timeout_s = -1",
        "longshore.toml:2: serve.drain_timeout_s: expected a number from 0 to 3600, found -1",
    ),
    (
        "[serve]\ndrain_timeout_s = nan",
        "longshore.toml:2: serve.drain_timeout_s: expected a number from 0 to 3600, found nan",
    ),
    (
        "[serve]\nboot_timeout_s = 0",
        "longshore.toml:2: serve.boot_timeout_s: expected a number above 0, at most 3600, found 0",
    ),
    (
        "[serve]\ndrain_timeout = 3",
        "longshore.toml:2: serve.drain_timeout: unknown key: did you mean 'drain_timeout_s'?",
    ),
    ("[serve]\nlog_format = 'yaml'", "longshore.toml:2: serve.log_format: expected 'json' or 'text', found 'yaml'"),
    ("[serve]\nlog_format = 1", "longshore.toml:2: serve.log_format: expected 'json' or 'text', found 1"),
    (
        "[serve]\nhost = 'http://x'",
        "longshore.toml:2: serve.host: 'http://x' is no address to listen on: write it like 'localhost' or '0.0.0.0'",
    ),
    ("[serve]\nlog_requests = 'no'", "longshore.toml:2: serve.log_requests: expected true or false, found text, 'no'"),
    (
        "[serve]\nzzzzzz = 1",
        (
            "longshore.toml:2: serve.zzzzzz: unknown key: known here: host, port, workers, drain_timeout_s,"
            " boot_timeout_s, disconnect_grace_s, body_timeout_s, audit_log, metrics, log_format, log_requests"
        ),
    ),
    (
        "[dev]\nip = ''",
        "longshore.toml:2: dev.ip: '' is no address to listen on: write it like 'localhost' or '0.0.0.0'",
    ),
    (
        "[network]\nallow = 'public'",
        "longshore.toml:2: network.allow: expected a list of text, found text: write it in [ ]",
    ),
    (
        "[network]\nallow = ['pubilc']",
        (
            "longshore.toml:2: network.allow[0]: rule 'pubilc' in allow looks like 'public': write that, or"
            " 'pubilc.' for a host"
        ),
    ),
    (
        "[network]\ndeny = ['10.0.0.1/8']",
        (
            "longshore.toml:2: network.deny[0]: rule '10.0.0.1/8' in deny is no address range: it has host"
            " bits set, write '10.0.0.0/8'"
        ),
    ),
    (
        "isolation = 'of'",
        "longshore.toml:1: isolation: expected 'auto' or 'off' or 'required', found 'of': did you mean 'off'?",
    ),
    (
        "[network.hosts]\n'a.test' = '10.0.0.256'",
        (
            "longshore.toml:2: network.hosts.\"a.test\": '10.0.0.256' is no IP address: write it like '10.0.0.5' or"
            " '2001:db8::7'"
        ),
    ),
    (
        "[network.hosts]\na = ['10.0.0.1', 'b']",
        "longshore.toml:2: network.hosts.a[1]: 'b' is no IP address: write it like '10.0.0.5' or '2001:db8::7'",
    ),
    (
        "[network.hosts]\na = 'fe80::1%eth0'",
        "longshore.toml:2: network.hosts.a: 'fe80::1%eth0' is no IP address: write it like '10.0.0.5' or '2001:db8::7'",
    ),
    (
        "[network]\nhosts = { a = '10.0.0.1', 'A.' = '10.0.0.2' }",
        "longshore.toml:2: network.hosts: the name 'A.' is the same as 'a': write both addresses in one list",
    ),
    (
        "[network]\nhosts = { 'db.LOCALHOST.' = '10.0.0.2' }",
        (
            "longshore.toml:2: network.hosts: the name 'db.LOCALHOST.' is the worker's own machine, whatever is written"
            " here: choose another name"
        ),
    ),
    (
        "[network]\nhosts = { '10.0.0.1' = '10.0.0.2' }",
        (
            "longshore.toml:2: network.hosts: the name '10.0.0.1' is an address: names stand on the left, their"
            " addresses on the right"
        ),
    ),
    (
        "[network]\nhosts = { a = [] }",
        "longshore.toml:2: network.hosts: the name 'a' has no address: write it like '10.0.0.5'",
    ),
    (
        "[network]\nhosts = { 'a b' = '10.0.0.1' }",
        ("longshore.toml:2: network.hosts: the name 'a b' has the character ' ': remove it"),
    ),
    (
        "[network.limits]\nbytes = 0",
        "longshore.toml:2: network.limits.bytes: expected a whole number from 1 to 1000000000000000, found 0",
    ),
    (
        "[network.limits]\ndials_per_s = 0",
        "longshore.toml:2: network.limits.dials_per_s: expected a number above 0, at most 1000000, found 0",
    ),
    (
        "[network.limits]\nopen_socket = 1",
        "longshore.toml:2: network.limits.open_socket: unknown key: did you mean 'open_sockets'?",
    ),
    ("[[egress]]\nbinding = 'B'", "longshore.toml:1: egress[0]: 'address' is missing"),
    (
        "[[egress]]\nbinding = 'B'\naddress = 'b.test'",
        "longshore.toml:3: egress[0].address: address 'b.test' has no port: write 'b.test:PORT' with its number",
    ),
    (
        "[[egress]]\nbinding = 'B'\naddress = 'b.test:1'\nca = '../ca'",
        (
            "longshore.toml:4: egress[0].ca: '../ca' is no name in the credential store: use letters, digits, '-', '_'"
            " and '.'"
        ),
    ),
    (
        "[[egress]]\nbinding = 'B'\naddress = 'b.test:1'\nsni = 'b test'",
        ("longshore.toml:4: egress[0].sni: the server name 'b test' has the character ' ': remove it"),
    ),
    (
        "[[egress]]\nbinding = 'B'\naddress = 'b.test:1'\nalpn = ['h2', '']",
        "longshore.toml:4: egress[0].alpn[1]: '' is no ALPN protocol: write a name like 'h2' or 'postgresql'",
    ),
    (
        "[[egress]]\nbinding = 'B'\naddress = 'b.test:1'\nminimum_version = 'TLSv1.1'",
        (
            "longshore.toml:4: egress[0].minimum_version: expected 'TLSv1.2' or 'TLSv1.3', found 'TLSv1.1': did you"
            " mean 'TLSv1.3'?"
        ),
    ),
    ("[[mtls_certificates]]\nbinding = 'B'", "longshore.toml:1: mtls_certificates[0]: 'certificate_id' is missing"),
    (
        "[tls]\nca = 'office'",
        "longshore.toml:2: tls.ca: expected a list of text, found text: write it in [ ]",
    ),
    (
        "[sandbox]\nmemory_bytes = 1",
        ("longshore.toml:2: sandbox.memory_bytes: expected a whole number from 67108864 to 1000000000000000, found 1"),
    ),
    (
        "[sandbox]\nread = ['/']",
        "longshore.toml:2: sandbox.read[0]: '/' is the whole machine: name what the worker needs",
    ),
    (
        "[sandbox]\nread = ['/proc/1']",
        "longshore.toml:2: sandbox.read[0]: '/proc/1' is made anew for each worker, which sees no other",
    ),
    (
        "[sandbox]\nread = ['/dev/']",
        "longshore.toml:2: sandbox.read[0]: '/dev/' is made anew for each worker, which sees no other",
    ),
    (
        "[sandbox]\nwrite = ['..']",
        (
            "longshore.toml:2: sandbox.write[0]: '..' is a folder that the worker has anyway, or one above it: name"
            " what the worker needs"
        ),
    ),
    (
        "[sandbox]\nread = ['~/x']",
        (
            "longshore.toml:2: sandbox.read[0]: '~/x' begins with '~', which stands for itself here: write the whole"
            " path"
        ),
    ),
    (
        "[sandbox]\nenvironment = ['A=B']",
        (
            "longshore.toml:2: sandbox.environment[0]: 'A=B' is no name of an environment variable: use letters, digits"
            " and '_'"
        ),
    ),
    ("[serve]\naudit_log = ''", "longshore.toml:2: serve.audit_log: '' is no path"),
    (
        "[serve]\nmetrics = ':80'",
        "longshore.toml:2: serve.metrics: address ':80' has no host: write a name or an IP address before the port",
    ),
    ("[build]\nwatch_dir = 1", "longshore.toml:2: build.watch_dir: expected text, found a whole number, 1"),
    ("[build]\nwatch_dir = ['a', 1]", "longshore.toml:2: build.watch_dir[1]: expected text, found a whole number, 1"),
    ("env = 1", "longshore.toml:1: env: expected a table, found a whole number"),
    ("[env]\nproduction = 1", "longshore.toml:2: env.production: expected a table, found a whole number"),
    ("[env.production]\nvrs = {}", "longshore.toml:2: env.production.vrs: unknown key: did you mean 'vars'?"),
    (
        "[env.production.dev]\nport = 1",
        (
            "longshore.toml:1: env.production.dev: stands at the top level only: move it there, it holds"
            " for every environment"
        ),
    ),
    (
        "[env.production.vars]\nA = inf",
        "longshore.toml:2: env.production.vars.A: inf is no number that JSON has: write it as text, in quotes",
    ),
]


@pytest.mark.parametrize(("text", "message"), BAD)
def test_what_is_wrong(text: str, message: str) -> None:
    assert wrong(text) == [message]


def test_everything_is_reported_in_the_order_of_the_file() -> None:
    assert wrong("[serve]\nport = -1\nport2 = 2\n[dev]\nport = 'x'\n[env.a]\nnam = 1\n[env.b]\nmain = 2") == [
        "longshore.toml:2: serve.port: expected a whole number from 0 to 65535, found -1",
        "longshore.toml:3: serve.port2: unknown key: did you mean 'port'?",
        "longshore.toml:5: dev.port: expected a whole number from 0 to 65535, found text, 'x'",
        "longshore.toml:7: env.a.nam: unknown key: did you mean 'name'?",
        "longshore.toml:9: env.b.main: expected text, found a whole number, 2",
    ]


def test_json_has_the_same_messages() -> None:
    assert wrong('{\n"main": null,\n"dev": {"port": "1"},}', "wrangler.jsonc") == [
        "wrangler.jsonc:2: main: expected text, found null",
        "wrangler.jsonc:3: dev.port: expected a whole number from 0 to 65535, found text, '1'",
    ]


@pytest.mark.parametrize(
    "text",
    [
        "hyperdrive = 's3cret'",
        "hyperdrive = ['s3cret']",
        "[[hyperdrive]]\nbinding = 'DB'\nconnection_string = ['s3cret']",
        "[[hyperdrive]]\nbinding = 'DB'\nconnection_string = 'postgres://u:s3cret/@h/d'",
        "vars = 's3cret'",
        "[vars]\nA = ['s3cret', 2026-01-01]",
    ],
)
def test_values_that_may_be_secret_are_in_no_message(text: str) -> None:
    lines = wrong(text)
    assert len(lines) == 1
    assert "s3cret" not in lines[0]


@pytest.mark.parametrize("key", sorted(INERT_KEYS))
def test_every_other_key_of_wrangler_is_accepted(key: str) -> None:
    document = parse_document("{}", "wrangler.json")
    document.values[key] = [{"anything": None}]
    assert validate(document) == []
    document.values.clear()
    document.values["env"] = {"x": {key: 1}}
    assert bool(validate(document)) is (key in TOP_LEVEL_ONLY)


@pytest.mark.parametrize(
    ("word", "found"),
    [
        ("Name", "name"),
        ("hyper_drive", "hyperdrive"),
        ("localconnectionstring", "localConnectionString"),
        ("xyz", None),
    ],
)
def test_the_nearest_key(word: str, found: str | None) -> None:
    assert nearest(word, ["name", "hyperdrive", "localConnectionString"]) == found


ALL_SHAPES = [each for each in vars(shape).values() if isinstance(each, type) and issubclass(each, msgspec.Struct)]
SOME: st.SearchStrategy[Any] = st.sampled_from(
    [None, True, 0, 1, -1, 1e9, "", "x", "postgres://u:p@h/d", "* * * * *", "public", "2026-01-01", [], {}]
)
KEYS = st.sampled_from(
    sorted({name for each in ALL_SHAPES for name in each.__struct_fields__} | {"x"}),
)
TREES: st.SearchStrategy[Any] = st.recursive(
    SOME, lambda inner: st.lists(inner, max_size=2) | st.dictionaries(KEYS, inner, max_size=3), max_leaves=10
)


@given(st.dictionaries(KEYS, TREES, max_size=4))
def test_what_passes_can_be_converted(values: dict[str, Any]) -> None:
    document = parse_document("{}", "wrangler.json")
    document.values.update(values)
    if not validate(document):
        msgspec.convert(values, TopLevel)
