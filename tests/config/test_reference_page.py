"""``docs/reference/configuration.md`` says what the code does."""

from __future__ import annotations

import json
import re
from pathlib import Path

import msgspec
import pytest

from longshore.config.document import parse_document
from longshore.config.model import DevSettings, NetworkRules, ServeSettings
from longshore.config.shape import (
    HyperdriveShape,
    NetworkShape,
    PythonModulesShape,
    RuleShape,
    SecretsShape,
    ServeShape,
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
    assert (dev.environment, dev.network.allow, dev.network.deny) == ("dev", ("public", "private"), ("*.ads.example",))
    assert (dev.secrets, [each.binding for each in dev.hyperdrive]) == ({"API_KEY": "x"}, ["DB"])
    serve = load(project, is_dev=False, variables={"API_KEY": "y"})
    assert (serve.name, serve.serve.workers, serve.secrets) == ("shop", 4, {"API_KEY": "y"})
    assert serve.watch == (str(tmp_path), str(tmp_path.parent / "shared"))
    assert [notice.message for notice in dev.notices if "no effect" in notice.message] == []


def test_the_complete_file_has_every_key() -> None:
    values = parse_document(COMPLETE, "longshore.toml").values
    assert {*values, "rules", "python_modules"} == set(TopLevel.__struct_fields__)
    assert set(values["serve"]) == set(ServeShape.__struct_fields__)


def rows(heading: str) -> dict[str, str]:
    """Return the default of each key in the table below a heading."""
    section = PAGE.split(f"\n## {heading}")[1].split("\n## ")[0]
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
    ("heading", "kind"),
    [
        ("Where the worker may connect", NetworkRules),
        ("While developing", DevSettings),
        ("In production", ServeSettings),
    ],
)
def test_defaults_are_those_of_the_code(heading: str, kind: type[msgspec.Struct]) -> None:
    defaults = {key: json.loads(cell.strip("`")) for key, cell in rows(heading).items()}
    assert defaults == json.loads(msgspec.json.encode(kind()))


def test_every_key_without_effect_is_listed() -> None:
    section = PAGE.split("\n## Keys without effect")[1].split("\n## ")[0]
    bindings, noticed, silent = (
        set(re.findall(r"`([\w$]+)`", line)) for line in section.splitlines() if re.match(r"\| (bindings|with)", line)
    )
    assert bindings == {key for key, inert in INERT_KEYS.items() if inert.bindings}
    assert silent == {key for key, inert in INERT_KEYS.items() if inert.is_silent}
    assert noticed == INERT_KEYS.keys() - bindings - silent
