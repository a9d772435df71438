"""Tests of ``longshore.egress.judge``: the rules of ``longshore.policy``, and the worker's own address."""

from __future__ import annotations

from ipaddress import ip_address

import pytest
from hypothesis import given
from hypothesis import strategies as st

from longshore.config.model import NetworkRules
from longshore.egress.judge import Judge, Verdict, denial
from longshore.errors import ArgumentValueError, PolicyDenied
from longshore.policy import EgressPolicy
from tests.core.embeddings import EMBEDDINGS
from tests.policy.verdicts import VERDICTS

LOCAL = NetworkRules(allow=("local",))


@pytest.mark.parametrize(
    ("allow", "deny", "destination", "ip", "rule"), [pytest.param(*case, id=id_) for id_, *case in VERDICTS]
)
def test_the_verdict_is_the_policys(
    allow: list[str], deny: list[str], destination: str, ip: str | None, rule: str | None
) -> None:
    """K4: with the rule that decided, of a permission too."""
    host, _, port = destination.rpartition(":")
    host = host.strip("[]")
    judge = Judge(NetworkRules(allow=tuple(allow), deny=tuple(deny)))
    try:
        literal = ip_address(host)
    except ValueError:
        literal = None
    verdict = judge.judge_name(host, int(port)) if literal is None else None
    found = ip if ip is not None else host if literal is not None else None
    if verdict is None and found is not None:
        verdict = judge.judge(ip_address(found), int(port), hostname=host)
        assert verdict == judge.judge(ip_address(found), int(port), hostname=host), "the second time, from memory"
    if rule is None:
        assert verdict is None or verdict.is_allowed
        assert verdict is None or verdict.rule in allow
    else:
        assert verdict is not None
        assert not verdict.is_allowed
        assert verdict.rule.startswith(rule)


@pytest.mark.parametrize(
    ("own", "address", "is_loop"),
    [
        ("127.0.0.1:8787", "127.0.0.1:8787", True),
        ("127.0.0.1:8787", "127.0.0.1:8788", False),
        ("127.0.0.1:8787", "127.0.0.2:8787", False),
        ("127.0.0.1:8787", "0.0.0.0:8787", True),
        ("127.0.0.1:8787", "::1:8787", False),
        ("[::1]:8787", "::1:8787", True),
        ("[::1]:8787", ":::8787", True),
        ("[::ffff:127.0.0.1]:8787", "127.0.0.1:8787", True),
        ("0.0.0.0:8787", "127.3.2.1:8787", True),
        ("0.0.0.0:8787", "192.0.2.1:8787", True),
        ("[::]:8787", "192.0.2.1:8787", True),
        ("0.0.0.0:8787", "192.0.2.2:8787", False),
        ("0.0.0.0:8787", "192.0.2.1:8788", False),
        ("192.0.2.9:8787", "192.0.2.1:8787", False),
        ("worker.example:8787", "127.0.0.1:8787", False),
    ],
)
def test_the_workers_own_address_is_a_loop(own: str, address: str, is_loop: bool) -> None:
    host, _, port = address.rpartition(":")
    asked = []

    def is_of_this_host(ip: object) -> bool:
        asked.append(str(ip))
        return str(ip) == "192.0.2.1"

    judge = Judge(NetworkRules(allow=("network",)), [own], is_of_this_host=is_of_this_host)
    verdict = judge.judge(ip_address(host), int(port), hostname=host)
    assert (verdict.is_loop, verdict.is_allowed) == (is_loop, not is_loop)
    assert (judge.judge_loop(ip_address(host), int(port)) is not None) == is_loop
    if own.startswith("192") or port != "8787":
        assert not asked, "the system is asked only where it matters"


@pytest.mark.parametrize("embed", EMBEDDINGS.values(), ids=EMBEDDINGS.keys())
def test_a_loop_is_seen_in_every_spelling_of_the_address(embed: object) -> None:
    judge = Judge(LOCAL, ["127.0.0.1:8787"])
    hidden = embed(ip_address("127.0.0.1"))  # type: ignore[operator]
    assert judge.judge(hidden, 8787, hostname=str(hidden)).is_loop


def test_without_an_oracle_other_addresses_are_strangers() -> None:
    judge = Judge(NetworkRules(allow=("network",)), ["0.0.0.0:8787"])
    assert judge.judge(ip_address("192.0.2.1"), 8787, hostname="192.0.2.1").is_allowed


def test_a_loop_is_told_before_the_rules_are_asked() -> None:
    judge = Judge(NetworkRules(), ["127.0.0.1:8787"])
    verdict = judge.judge(ip_address("127.0.0.1"), 8787, hostname="localhost")
    assert verdict.is_loop
    error = denial(verdict, "localhost", 8787)
    assert str(error) == (
        "connection to localhost:8787 blocked by policy: loop detected, this is the worker's own address"
    )
    assert error.rule == verdict.rule


def test_a_denial_tells_the_worker_where_and_the_operator_why() -> None:
    error = denial(Verdict(is_allowed=False, rule="10.0.0.0/8"), "fd00::1", 80)
    assert str(error) == "connection to [fd00::1]:80 blocked by policy"
    assert (error.address, error.rule) == ("[fd00::1]:80", "10.0.0.0/8")


def test_a_literal_is_judged_as_the_names_it_was_reached_under() -> None:
    """FTP and others tell addresses in the conversation, of servers that are allowed by name."""
    judge = Judge(NetworkRules(allow=("ftp.example.com",)))
    ip = ip_address("8.8.8.8")
    assert not judge.judge(ip, 4000, hostname="8.8.8.8").is_allowed
    assert judge.judge(ip, 4000, hostname="8.8.8.8", also=("ftp.example.com",)).rule == "ftp.example.com"
    assert not judge.judge(ip, 4000, hostname="8.8.8.8", also=("www.example.com",)).is_allowed


def test_a_name_that_is_denied_denies_the_literal_it_was_reached_under() -> None:
    judge = Judge(NetworkRules(deny=("evil.example:80",)))
    ip = ip_address("8.8.8.8")
    assert judge.judge(ip, 80, hostname="8.8.8.8").is_allowed
    assert judge.judge(ip, 80, hostname="8.8.8.8", also=("evil.example",)).rule == "evil.example:80"


def test_names_open_no_more_by_being_known_than_by_being_asked_for() -> None:
    judge = Judge(NetworkRules(allow=("db.example.com",)))
    assert not judge.judge(ip_address("10.0.0.5"), 1, hostname="10.0.0.5", also=("db.example.com",)).is_allowed


def test_wrong_rules_are_refused() -> None:
    with pytest.raises(ArgumentValueError):
        Judge(NetworkRules(allow=("publik",)))
    with pytest.raises(ArgumentValueError):
        Judge(NetworkRules(), ["127.0.0.1"])


_RULES = st.lists(st.sampled_from(["public", "private", "local", "10.0.0.0/8:80", "a.example", "*.example:80"]))


@given(_RULES, _RULES, st.ip_addresses(), st.sampled_from([25, 80, 443]), st.sampled_from(["a.example", "b.c.example"]))
def test_verdicts_and_denials_always_agree(allow: list[str], deny: list[str], ip: object, port: int, name: str) -> None:
    """K4: what a dialer with these rules does, and what the judge says."""
    verdict = Judge(NetworkRules(allow=tuple(allow), deny=tuple(deny))).judge(ip, port, hostname=name)  # type: ignore[arg-type]
    assert (denied_by(EgressPolicy(allow, deny), ip, port, name) is None) == verdict.is_allowed
    assert denied_by(EgressPolicy(allow, deny), ip, port, name) == (None if verdict.is_allowed else verdict.rule)
    assert verdict.rule in allow or not verdict.is_allowed


def denied_by(policy: EgressPolicy, ip: object, port: int, name: str) -> str | None:
    try:
        policy.check_address(ip, port, hostname=name)  # type: ignore[arg-type]
    except PolicyDenied as denied:
        return denied.rule
    return None
