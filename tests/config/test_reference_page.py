"""``docs/reference/configuration.md`` says what the code does."""

from __future__ import annotations

import json
import re
from pathlib import Path

import msgspec
import pytest

from longshore.config.document import parse_document
from longshore.config.model import (
    DevSettings,
    EgressBinding,
    EgressLimits,
    NetworkRules,
    SandboxSettings,
    ServeSettings,
    TlsSettings,
)
from longshore.config.shape import (
    EgressShape,
    HyperdriveShape,
    LimitsShape,
    MtlsShape,
    NetworkShape,
    PythonModulesShape,
    RuleShape,
    SandboxShape,
    SecretsShape,
    ServeShape,
    TlsShape,
    TopLevel,
    TriggersShape,
)
from longshore.config.validate import validate
from longshore.config.wrangler_keys import INERT_KEYS
from tests.config.projects import load, make_project

PAGE = (Path(__file__).parents[2] / "docs/reference/configuration.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"^```toml\n(.*?)^```", PAGE, re.MULTILINE | re.DOTALL)
COMPLETE = BLOCKS[0]


@pytest.mark.parametrize("block", BLOCKS, ids=range(len(BLOCKS)))
def test_every_example_is_right(block: str) -> None:
    assert validate(parse_document(block, "longshore.toml")) == []


def test_the_complete_file_runs(tmp_path: Path) -> None:
    project = make_project(tmp_path, COMPLETE, __dev__vars="API_KEY=x")
    dev = load(project, is_dev=True)
    assert (dev.environment, dev.network.deny) == ("dev", ("*.ads.example",))
    assert dev.network.allow == ("public", "private")
    assert (dev.secrets, [each.binding for each in dev.hyperdrive]) == ({"API_KEY": "x"}, ["DB"])
    serve = load(project, is_dev=False, variables={"API_KEY": "y"})
    assert (serve.name, serve.serve.workers, serve.secrets) == ("shop", 4, {"API_KEY": "y"})
    assert [each.address for each in serve.egress] == ["billing.example:8443"]
    assert [each.address for each in dev.egress] == ["localhost:8443"]
    assert [each.certificate for each in (*dev.mtls_certificates, *serve.mtls_certificates)] == ["mine", "shop"]
    assert dev.sandbox == serve.sandbox
    assert serve.sandbox.write == (str(tmp_path / "var"),)
    assert serve.watch == (str(tmp_path), str(tmp_path.parent / "shared"))
    assert [notice.message for notice in dev.notices if "no effect" in notice.message] == []


def test_the_complete_file_has_every_key() -> None:
    values = parse_document(COMPLETE, "longshore.toml").values
    assert {*values, "rules", "python_modules"} == set(TopLevel.__struct_fields__)
    assert set(values["serve"]) == set(ServeShape.__struct_fields__)
    assert set(values["network"]) == set(NetworkShape.__struct_fields__)
    assert set(values["sandbox"]) == set(SandboxShape.__struct_fields__)


def rows(heading: str) -> dict[str, str]:
    """Return the default of each key in the table below a heading."""
    section = re.split(r"\n##+ ", PAGE.split(f"# {heading}")[1])[0]
    return {
        key: cell.strip() for key, cell in re.findall(r"^\| `([\w.\[\]]+)` \|[^|]*\|([^|]*)\|", section, re.MULTILINE)
    }


@pytest.mark.parametrize(
    ("heading", "names"),
    [
        ("Databases", set(HyperdriveShape.__struct_fields__)),
        ("Secrets", set(SecretsShape.__struct_fields__)),
        ("Scheduled events", set(TriggersShape.__struct_fields__)),
        ("Where the worker may connect", set(NetworkShape.__struct_fields__)),
        ("Limits", set(LimitsShape.__struct_fields__)),
        ("Places with credentials", set(EgressShape.__struct_fields__)),
        ("Client certificates", set(MtlsShape.__struct_fields__)),
        ("Whom TLS trusts", set(TlsShape.__struct_fields__)),
        ("Isolation", set(SandboxShape.__struct_fields__)),
        ("While developing", set(DevSettings.__struct_fields__)),
        ("In production", set(ServeShape.__struct_fields__)),
        (
            "Modules",
            {f"rules[].{name}" for name in RuleShape.__struct_fields__}
            | {f"python_modules.{name}" for name in PythonModulesShape.__struct_fields__},
        ),
    ],
)
def test_every_key_of_a_table_is_described(heading: str, names: set[str]) -> None:
    assert set(rows(heading)) == names


@pytest.mark.parametrize(
    ("heading", "defaults"),
    [
        ("Limits", EgressLimits()),
        ("Places with credentials", EgressBinding(binding="", address="")),
        ("Whom TLS trusts", TlsSettings()),
        ("Isolation", SandboxSettings()),
        ("While developing", DevSettings()),
        ("In production", ServeSettings()),
    ],
)
def test_defaults_are_those_of_the_code(heading: str, defaults: msgspec.Struct) -> None:
    described = {
        key: json.loads(cell.strip("`")) for key, cell in rows(heading).items() if cell not in {"required", "see below"}
    }
    of_the_code = json.loads(msgspec.json.encode(defaults))
    assert described == {key: of_the_code[key] for key in described}
    assert of_the_code.keys() - described.keys() <= {"binding", "address", "isolation"}


def test_the_rules_of_the_network_are_described_with_their_defaults() -> None:
    described = rows("Where the worker may connect")
    rules = NetworkRules()
    assert [json.loads(described[key].strip("`")) for key in ("allow", "deny", "hosts")] == [
        list(rules.allow),
        list(rules.deny),
        rules.hosts,
    ]


def test_every_key_without_effect_is_listed() -> None:
    section = PAGE.split("\n## Keys without effect")[1].split("\n## ")[0]
    bindings, noticed, silent = (
        set(re.findall(r"`([\w$]+)`", line)) for line in section.splitlines() if re.match(r"\| (bindings|with)", line)
    )
    assert bindings == {key for key, inert in INERT_KEYS.items() if inert.bindings}
    assert silent == {key for key, inert in INERT_KEYS.items() if inert.is_silent}
    assert noticed == INERT_KEYS.keys() - bindings - silent
