"""Tests of ``longshore.egress.dns_policy``."""

from __future__ import annotations

from ipaddress import ip_address

import pytest
from hypothesis import given
from hypothesis import strategies as st

from longshore.config.model import NetworkRules
from longshore.egress.dns_policy import NamePolicy
from longshore.egress.judge import Judge

PUBLIC, PRIVATE, METADATA = map(ip_address, ("1.1.1.1", "10.0.0.5", "169.254.169.254"))


def policy(*allow: str, deny: tuple[str, ...] = ()) -> NamePolicy:
    rules = NetworkRules(allow=allow, deny=deny)
    return NamePolicy(rules, Judge(rules))


ASKED = [
    ("public", (), "any.example.com", True),
    ("db.internal:5432", (), "db.internal", True),
    ("db.internal:5432", (), "DB.internal", True),
    ("db.internal:5432", (), "x.db.internal", False),
    ("db.internal:5432", (), "secret.attacker.example", False),
    ("10.0.0.0/8:5432", (), "any.example.com", True),  # whatever resolves there
    ("*.example.com:27017", (), "_mongodb._tcp.cluster.example.com", True),
    ("cluster.example.com:27017", (), "_mongodb._tcp.cluster.example.com", True),
    ("_mongodb._tcp.cluster.example.com", (), "_mongodb._tcp.cluster.example.com", True),
    ("cluster.example.com:27017", (), "mongodb.cluster.example.com", False),
    ("mail.example.com:25", (), "mail.example.com", True),
    ("public", ("evil.example",), "evil.example", False),
    ("public", ("evil.example:443",), "evil.example", True),
    ("evil.example:443", ("evil.example:443",), "evil.example", False),
    ("public", ("*.evil.example",), "a.b.evil.example", False),
]


@pytest.mark.parametrize(("allow", "deny", "hostname", "may_ask"), ASKED)
def test_a_name_is_refused_when_it_is_on_every_port(
    allow: str, deny: tuple[str, ...], hostname: str, may_ask: bool
) -> None:
    denial = policy(allow, deny=deny).denial(hostname)
    assert (denial is None) == may_ask
    if denial is not None:
        assert denial.rule
        assert not denial.is_allowed


def test_with_no_rule_at_all_no_name_is_asked_for() -> None:
    assert policy().denial("any.example.com") is not None


def test_a_refusal_names_the_rule() -> None:
    denial = policy("public", deny=("evil.example",)).denial("evil.example")
    assert denial is not None
    assert denial.rule == "evil.example"


def test_a_name_of_underscores_alone_is_judged_as_it_is() -> None:
    assert policy("db.internal").denial("_tcp") is not None


def test_addresses_that_can_be_connected_on_no_port_are_left_out() -> None:
    assert policy("public").reachable("x.example.com", [PRIVATE, PUBLIC, METADATA]) == [PUBLIC]
    assert policy("public", "10.0.0.5:5432").reachable("x.example.com", [PRIVATE, PUBLIC]) == [PRIVATE, PUBLIC]


def test_addresses_are_all_kept_when_none_can_be_connected() -> None:
    assert policy("public").reachable("x.example.com", [PRIVATE, METADATA]) == [PRIVATE, METADATA]


@given(
    st.lists(st.sampled_from(["public", "public:25", "a.example:1", "a.example", "*.example:25", "10.0.0.0/8:443"])),
    st.lists(st.sampled_from(["a.example:2", "a.example", "1.1.1.1", "private:443", "*.example:25", "public:1"])),
    st.sampled_from(["a.example", "b.example", "c.test"]),
)
def test_a_name_may_be_asked_for_exactly_when_some_port_of_it_is_open_to_question(
    allow: list[str], deny: list[str], hostname: str
) -> None:
    rules = NetworkRules(allow=tuple(allow), deny=tuple(deny))
    judge = Judge(rules)
    judged = NamePolicy(rules, judge)
    every_port = (*range(1, 30), 442, 443, 444)
    assert (judged.denial(hostname) is None) == any(judge.judge_name(hostname, port) is None for port in every_port)
    open_to = [
        ip
        for ip in (PUBLIC, PRIVATE)
        if any(judge.judge(ip, port, hostname=hostname).is_allowed for port in every_port)
    ]
    assert judged.reachable(hostname, [PUBLIC, PRIVATE]) == (open_to or [PUBLIC, PRIVATE])
