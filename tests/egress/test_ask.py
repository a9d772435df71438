"""Tests of ``longshore.egress.ask``: what a worker says is bounded, checked, and overruled by its configuration."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from longshore.config.model import EgressBinding, MtlsBinding
from longshore.core.addresses import SocketAddress
from longshore.egress.ask import find_binding, parse_ask
from longshore.errors import ArgumentTypeError, ArgumentValueError, UsageError
from longshore.proto.ipc.egress import Dial, HandshakeAsk
from tests.egress.broker_rig import make_config

CONFIG = make_config(
    egress=(
        EgressBinding(binding="BILLING", address="billing.example:8443"),
        EgressBinding(binding="PLAIN", address="[fd00::1]:70", secure_transport="off"),
        EgressBinding(binding="MAIL", address="mail.example:25", secure_transport="starttls"),
    ),
    mtls_certificates=(MtlsBinding(binding="CERT", certificate="me"),),
)
HANDSHAKE = HandshakeAsk(server_name="api.example")


def dial(address: str = "api.example:443", **fields: Any) -> Dial:
    return Dial(dial_id=1, address=address, **fields)


def test_a_plain_dial_is_taken_as_it_is() -> None:
    ask = parse_ask(
        CONFIG,
        dial("API.example:80", timeout_s=3.5, no_delay=False, keep_alive_s=9.0, request_id="r1", via="fetch()"),
    )
    assert ask.request.address == SocketAddress("api.example", 80)
    assert (ask.request.timeout_s, ask.request.no_delay, ask.request.keep_alive_s) == (3.5, False, 9.0)
    assert (ask.via, ask.request_id, ask.binding, ask.tls) == ("fetch()", "r1", "", None)
    assert not ask.is_free
    assert not ask.is_upgradable


@pytest.mark.parametrize("address", ["", "api.example", "api.example:0", "a@b:80", "http://x:80", "x" * 400 + ":80"])
def test_a_wrong_address_is_refused(address: str) -> None:
    """K3."""
    with pytest.raises(ArgumentValueError):
        parse_ask(CONFIG, dial(address))


def test_what_a_worker_says_about_itself_is_bounded() -> None:
    ask = parse_ask(CONFIG, dial(timeout_s=1e300, keep_alive_s=1e300, request_id="x" * 10_000, via="y" * 10_000))
    assert ask.request.timeout_s == 86_400.0
    assert ask.request.keep_alive_s == 32_767.0
    assert len(ask.request_id) == 128
    assert ask.via == "connect()"
    ask = parse_ask(CONFIG, dial(timeout_s=-1.0, keep_alive_s=-1.0))
    assert (ask.request.timeout_s, ask.request.keep_alive_s) == (0.0, 0.0)


@pytest.mark.parametrize("local", [("127.0.0.1", 0), ("::1", 1024), ("127.0.0.1", 65_535)])
def test_a_local_address_may_be_chosen(local: tuple[str, int]) -> None:
    assert parse_ask(CONFIG, dial(local_address=local)).request.local_address == local


@pytest.mark.parametrize(
    "local", [("localhost", 0), ("", 0), ("127.1", 0), ("127.0.0.1", 1023), ("127.0.0.1", 65_536), ("::1", -1)]
)
def test_a_local_address_is_a_literal_and_no_trusted_port(local: tuple[str, int]) -> None:
    """A name would be looked up in the loop; ``rlogin`` and its like trust ports below 1024."""
    with pytest.raises(ArgumentValueError, match="local_address"):
        parse_ask(CONFIG, dial(local_address=local))


def test_tls_without_a_binding_is_not_for_the_host() -> None:
    with pytest.raises(UsageError, match="without a binding"):
        parse_ask(CONFIG, dial(tls=HANDSHAKE))


def test_an_unknown_binding_is_refused() -> None:
    with pytest.raises(UsageError, match=r"worker 'shop' has no .* binding 'NOBODY'"):
        parse_ask(CONFIG, dial(binding="NOBODY"))


def test_an_egress_binding_leads_where_its_configuration_says() -> None:
    ask = parse_ask(CONFIG, dial("evil.example:1", binding="BILLING", tls=HANDSHAKE, via="fetch()"))
    assert str(ask.request.address) == "billing.example:8443"
    assert (ask.via, ask.binding, ask.is_free, ask.is_upgradable) == ("binding", "BILLING", True, False)
    assert ask.tls == HANDSHAKE


def test_tls_of_an_egress_binding_cannot_be_left_out() -> None:
    ask = parse_ask(CONFIG, dial(binding="BILLING"))
    assert ask.tls == HandshakeAsk(server_name="billing.example")


@pytest.mark.parametrize(("binding", "is_upgradable"), [("PLAIN", False), ("MAIL", True)])
def test_a_binding_without_tls_gets_none(binding: str, is_upgradable: bool) -> None:
    ask = parse_ask(CONFIG, dial(binding=binding))
    assert (ask.tls, ask.is_upgradable, ask.is_free) == (None, is_upgradable, True)
    with pytest.raises(UsageError, match="secure_transport"):
        parse_ask(CONFIG, dial(binding=binding, tls=HANDSHAKE))


def test_a_certificate_goes_where_the_rules_allow() -> None:
    ask = parse_ask(CONFIG, dial(binding="CERT", tls=HANDSHAKE))
    assert str(ask.request.address) == "api.example:443"
    assert (ask.is_free, ask.tls, ask.is_upgradable, ask.via) == (False, HANDSHAKE, False, "binding")
    assert parse_ask(CONFIG, dial(binding="CERT")).is_upgradable


def test_bindings_are_found_by_name() -> None:
    assert find_binding(CONFIG, "CERT") is CONFIG.mtls_certificates[0]
    assert find_binding(CONFIG, "MAIL") is CONFIG.egress[2]


@given(
    st.text(max_size=40),
    st.none() | st.floats(allow_nan=False),
    st.none() | st.floats(allow_nan=False),
    st.none() | st.tuples(st.text(max_size=20), st.integers()),
    st.sampled_from([None, "BILLING", "PLAIN", "MAIL", "CERT", "X"]),
    st.none() | st.just(HANDSHAKE),
)
def test_nothing_but_usage_errors_come_out(
    address: str,
    timeout_s: float | None,
    keep_alive_s: float | None,
    local: tuple[str, int] | None,
    binding: str | None,
    tls: HandshakeAsk | None,
) -> None:
    asked = dial(address, timeout_s=timeout_s, keep_alive_s=keep_alive_s, local_address=local, binding=binding, tls=tls)
    try:
        ask = parse_ask(CONFIG, asked)
    except (UsageError, ArgumentTypeError, ArgumentValueError):
        return
    assert ask.request.timeout_s is None or 0 <= ask.request.timeout_s <= 86_400
