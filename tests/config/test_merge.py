"""``[env.<name>]`` over the top level."""

from __future__ import annotations

import pytest

from longshore.config.document import Document, parse_document
from longshore.config.errors import ConfigError
from longshore.config.merge import Merged, choose_environment, merge
from longshore.config.report import Report


def document(text: str) -> Document:
    return parse_document(text, "longshore.toml")


def merged(text: str, environment: str | None) -> tuple[Merged, list[str]]:
    source = document(text)
    report = Report(source)
    result = merge(source, environment, report)
    return result, [f"{notice.line}: {notice.key_path}: {notice.message}" for notice in report.notices]


ENVIRONMENTS = "[env.dev]\n[env.production]\n"


@pytest.mark.parametrize(
    ("text", "asked", "is_dev", "chosen"),
    [
        ("", None, True, None),
        ("", None, False, None),
        (ENVIRONMENTS, None, True, "dev"),
        (ENVIRONMENTS, None, False, None),
        (ENVIRONMENTS, "production", True, "production"),
        ("[env.production]", None, True, None),
    ],
)
def test_which_environment_is_in_force(text: str, asked: str | None, is_dev: bool, chosen: str | None) -> None:
    assert choose_environment(document(text), asked, is_dev=is_dev) == chosen


@pytest.mark.parametrize(
    ("text", "asked", "message"),
    [
        (ENVIRONMENTS, "prodution", "longshore.toml:1: env: no environment 'prodution': did you mean 'production'?"),
        (ENVIRONMENTS, "x", "longshore.toml:1: env: no environment 'x': this file has 'dev', 'production'"),
        ("", "x", "longshore.toml: env: no environment 'x': add a section [env.x]"),
    ],
)
def test_an_environment_that_is_not_there(text: str, asked: str, message: str) -> None:
    with pytest.raises(ConfigError) as caught:
        choose_environment(document(text), asked, is_dev=True)
    assert str(caught.value) == message


def test_the_top_level_is_itself() -> None:
    found, notices = merged("name = 'a'\n[vars]\nA = 1\n[env.x.vars]\nA = 2", None)
    assert found.values == {"name": "a", "vars": {"A": 1}}
    assert (found.environment, found.path("vars", "A"), notices) == (None, ("vars", "A"), [])


def test_most_keys_are_inherited_and_replaced_as_a_whole() -> None:
    text = (
        "main = 'a.py'\ncompatibility_flags = ['x', 'y']\ntriggers.crons = ['* * * *"
        " *']\n[env.p]\ncompatibility_flags = ['z']\ntriggers = {}"
    )
    found, notices = merged(text, "p")
    assert found.values == {"main": "a.py", "compatibility_flags": ["z"], "triggers": {}}
    assert (found.path("main"), found.path("triggers", "crons")) == (("main",), ("env", "p", "triggers", "crons"))
    assert notices == []


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("name = 'a'\n[env.p]", "a-p"),
        ("name = 'a'\n[env.p]\nname = 'b'", "b"),
        ("[env.p]\nname = 'b'", "b"),
        ("[env.p]", None),
    ],
)
def test_an_environment_has_a_name_of_its_own(text: str, name: str | None) -> None:
    assert merged(text, "p")[0].values.get("name") == name


def test_bindings_and_variables_are_not_inherited_and_that_is_said() -> None:
    text = (
        "[vars]\nA = 1\n\"b c\" = 2\n[[hyperdrive]]\nbinding = 'DB'\n[secrets]\nrequired ="
        " []\n[ai]\n[env.p.vars]\nA = 3\n"
    )
    found, notices = merged(text, "p")
    assert found.values == {"vars": {"A": 3}}
    assert notices == [
        "4: hyperdrive: is not inherited by environments: repeat it as env.p.hyperdrive where it is wanted",
        "6: secrets: is not inherited by environments: repeat it as env.p.secrets where it is wanted",
        '3: vars."b c": is not inherited by environments: repeat it as env.p.vars."b c" where it is wanted',
    ]


def test_what_is_repeated_is_no_notice() -> None:
    text = "[[hyperdrive]]\nbinding = 'DB'\n[[env.p.hyperdrive]]\nbinding = 'DB'"
    found, notices = merged(text, "p")
    assert found.path("hyperdrive", 0, "binding") == ("env", "p", "hyperdrive", 0, "binding")
    assert notices == []


def test_network_and_serve_are_laid_over_each_other_key_by_key() -> None:
    text = (
        "[network]\nallow = ['public']\ndeny = ['192.0.2.1']\n[serve]\nport = 1\nworkers ="
        " 2\n[env.p]\nnetwork.allow = ['private']\nserve.port = 3"
    )
    assert merged(text, "p")[0].values == {
        "network": {"allow": ["private"], "deny": ["192.0.2.1"]},
        "serve": {"port": 3, "workers": 2},
    }


def test_only_an_environment_may_have_them() -> None:
    assert merged("[env.p]\nserve.port = 3", "p")[0].values == {"serve": {"port": 3}}
