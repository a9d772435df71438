"""Where secrets and connection strings come from."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec
import pytest

from longshore.config.document import parse_document
from longshore.config.dotenv import DotenvValue, parse_dotenv
from longshore.config.merge import merge
from longshore.config.report import Report
from longshore.config.secrets import Sources
from longshore.config.shape import TopLevel

if TYPE_CHECKING:
    from collections.abc import Mapping

URL = "postgres://u:p@{}/d"


class Case:
    """One call of each method."""

    def __init__(
        self,
        text: str,
        *,
        dotenv: str = "",
        variables: Mapping[str, str] | None = None,
        is_dev: bool = True,
    ) -> None:
        document = parse_document(text, "longshore.toml")
        self.report = Report(document)
        merged = merge(document, None, self.report)
        shape = msgspec.convert(merged.values, TopLevel)
        files: dict[str, DotenvValue] = parse_dotenv(dotenv, ".dev.vars")
        sources = Sources(files, variables or {}, self.report, is_dev=is_dev)
        self.secrets = sources.secrets(merged, shape.secrets.required)
        self.hosts = {
            each.binding: each.connection_string.split("@")[1] for each in sources.hyperdrive(merged, shape.hyperdrive)
        }
        self.problems = [str(problem) for problem in self.report.problems]
        self.notices = [f"{notice.line}: {notice.key_path}: {notice.message}" for notice in self.report.notices]


REQUIRED = "[secrets]\nrequired = ['A', 'B']"


def test_without_a_list_everything_in_the_file_is_a_secret() -> None:
    assert Case("", dotenv="A=1\nB=2\nLONGSHORE_HYPERDRIVE_DB=x", variables={"C": "3"}).secrets == {"A": "1", "B": "2"}


@pytest.mark.parametrize("is_dev", [True, False])
def test_with_a_list_the_names_on_it_come_from_the_file_or_else_the_environment(is_dev: bool) -> None:
    case = Case(REQUIRED, dotenv="A=1", variables={"A": "x", "B": "2", "C": "3"}, is_dev=is_dev)
    assert (case.secrets, case.problems, case.notices) == ({"A": "1", "B": "2"}, [], [])


def test_what_the_list_does_not_name_is_left_out_and_that_is_said() -> None:
    case = Case(REQUIRED, dotenv="A=1\nB=2\nC=3")
    assert case.secrets == {"A": "1", "B": "2"}
    assert case.notices == ["2: secrets.required: does not list C (.dev.vars:3), so env does not have it"]


def test_a_missing_secret_is_a_notice_while_developing() -> None:
    case = Case(REQUIRED, dotenv="A=1")
    assert (case.secrets, case.problems) == ({"A": "1"}, [])
    assert case.notices == [
        "2: secrets.required[1]: secret 'B' is not set: write it into .dev.vars, or set the environment variable B"
    ]


def test_a_missing_secret_is_a_problem_while_serving() -> None:
    case = Case(REQUIRED, variables={"A": "1"}, is_dev=False)
    assert case.problems == [
        (
            "longshore.toml:2: secrets.required[1]: secret 'B' is not set: run 'longshore secret put B', or set the "
            "environment variable B"
        )
    ]
    assert case.notices == []


def entry(**keys: str) -> str:
    return "[[hyperdrive]]\nbinding = 'DB'\n" + "\n".join(f"{key} = '{URL.format(host)}'" for key, host in keys.items())


BOTH = entry(localConnectionString="local", connection_string="ours")
NAMES = (
    "LONGSHORE_HYPERDRIVE_DB",
    "CLOUDFLARE_HYPERDRIVE_LOCAL_CONNECTION_STRING_DB",
    "WRANGLER_HYPERDRIVE_LOCAL_CONNECTION_STRING_DB",
)


@pytest.mark.parametrize(
    ("text", "is_dev", "host"),
    [
        (BOTH, True, "local/d"),
        (BOTH, False, "ours/d"),
        (entry(connection_string="ours"), True, "ours/d"),
        (entry(connection_string="ours"), False, "ours/d"),
        (entry(localConnectionString="local"), True, "local/d"),
    ],
)
def test_which_key_gives_the_connection_string(text: str, is_dev: bool, host: str) -> None:
    case = Case(text, is_dev=is_dev)
    assert (case.hosts, case.problems, case.notices) == ({"DB": host}, [], [])


def test_the_local_one_serves_with_a_notice_when_there_is_no_other() -> None:
    case = Case(entry(localConnectionString="local"), is_dev=False)
    assert case.hosts == {"DB": "local/d"}
    assert case.notices == [
        "3: hyperdrive[0].localConnectionString: is used by 'longshore serve' too, as there is no connection_string"
    ]


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("is_dev", [True, False])
def test_a_variable_goes_before_the_keys(name: str, is_dev: bool) -> None:
    assert Case(BOTH, variables={name: URL.format("var")}, is_dev=is_dev).hosts == {"DB": "var/d"}
    assert Case(BOTH, dotenv=f"{name}={URL.format('var')}", is_dev=is_dev).hosts == {"DB": "var/d"}


def test_our_variable_goes_before_the_old_ones() -> None:
    variables = {name: URL.format(f"v{index}") for index, name in enumerate(NAMES)}
    assert Case(BOTH, variables=variables).hosts == {"DB": "v0/d"}
    del variables[NAMES[0]]
    assert Case(BOTH, variables=variables).hosts == {"DB": "v1/d"}


def test_a_binding_without_connection_string_says_what_to_set() -> None:
    case = Case(entry())
    assert case.hosts == {}
    assert case.problems == [
        (
            "longshore.toml:1: hyperdrive[0]: binding 'DB' has no connection string: set the environment variable"
            " LONGSHORE_HYPERDRIVE_DB, or the key connection_string"
        )
    ]


def test_a_wrong_variable_is_named() -> None:
    form = (
        "connection string has no password: write 'postgres://user:password@host:5432/database'"
        " ('user:@host' says that there is no password)"
    )
    variables = {"LONGSHORE_HYPERDRIVE_DB": "postgres://u@h/d"}
    assert Case(BOTH, variables=variables).problems == [f"environment variable: LONGSHORE_HYPERDRIVE_DB: {form}"]
    dotenv = "\nLONGSHORE_HYPERDRIVE_DB=postgres://u@h/d"
    assert Case(BOTH, dotenv=dotenv).problems == [f".dev.vars:2: LONGSHORE_HYPERDRIVE_DB: {form}"]
