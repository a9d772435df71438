"""Ways out of a worker's network: none leads anywhere, and what was tried is in the audit log."""

from __future__ import annotations

import os
import socket
from typing import TYPE_CHECKING

import pytest

from tests.egress.linux import needs_sandbox
from tests.escape.prison import Canary, Prison, prison

if TYPE_CHECKING:
    from collections.abc import Iterator

pytestmark = [needs_sandbox, pytest.mark.timeout(120)]
on_x86 = pytest.mark.skipif(os.uname().machine != "x86_64", reason="of x86-64 only")

USELESS = ["EINVAL", "EINVAL", "EINVAL", "EISCONN", "ENOTSUP", "EPERM", "EPERM", "EPERM", "bind EINVAL, listen EINVAL"]
"""What ``abuse()`` gets from a connection of the host."""


class Place:
    """A prison, a server that its worker may reach, and one that it may not."""

    def __init__(self, host: Prison, friend: Canary, canary: Canary) -> None:
        self.host, self.friend, self.canary = host, friend, canary


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    friend, canary = Canary(), Canary()
    names = "[network.hosts]\n'two.test' = ['198.51.100.7', '127.0.0.1']\n'inner.test' = ['127.0.0.1']\n"
    with prison(tmp_path_factory.mktemp("prison"), [f"127.0.0.1:{friend.port}", "public"], network=names) as host:
        yield Place(host, friend, canary)
    friend.close()
    canary.close()


@pytest.fixture
def place(shared: Place) -> Iterator[Place]:
    """Check after each test that nobody got through, and that the worker is still served."""
    shared.host.mark()
    shared.canary.callers.clear()
    yield shared
    assert shared.canary.is_untouched
    assert shared.host.attempt("read_from", address="127.0.0.1", port=shared.friend.port) == "inside the wall"


# --- what the filter stops ------------------------------------------------------------------------------------------


def test_sockets_that_pass_by_the_rules_do_not_exist(place: Place) -> None:
    found = place.host.attempt("elementary", name="other_ways", argument=0)
    assert "0" not in found.values()
    for detail in (
        "socket: family 40, type 1",  # AF_VSOCK
        "socket: family 17, type 3",  # AF_PACKET
        "socket: family 38, type 5",  # AF_ALG
        "socket: family 2, type 3, protocol 1",  # raw
        "socket: family 10, type 3, protocol 58",
        "socket: family 2, type 1, protocol 132",  # SCTP
        "socket: family 16, type 3, protocol 12",  # netlink: netfilter
        "setsockopt: level 1, option 25",  # SO_BINDTODEVICE
        "setsockopt: level 0, option 4",  # a source route
    ):
        record = place.host.audited(event="refuse", detail=detail)
        assert (record["worker"], record["outcome"]) == ("convict", "not permitted")


def test_io_uring_does_not_exist(place: Place) -> None:
    assert place.host.attempt("io_uring") == {"setup": "ENOSYS", "enter": "ENOSYS", "register": "ENOSYS"}
    for name in ("enter", "register"):  # setup is asked for by every loop of libuv
        place.host.audited(event="refuse", detail=f"io_uring_{name}")


def test_fast_open_connects_nobody(place: Place) -> None:
    found = place.host.attempt("elementary", name="fast_open", argument=place.canary.port)
    assert found == ["ENOTSUP"] * 4
    found = place.host.attempt("fast_open_in_the_message", port=place.canary.port)
    assert found == ["EPIPE"] * 3 + ["ENOTSUP"] * 9  # where only the message says so, nobody looks
    for name in ("sendto", "sendmsg", "sendmmsg"):
        place.host.audited(event="refuse", detail=f"{name}: MSG_FASTOPEN")


@on_x86
def test_other_numbers_mean_nothing(place: Place) -> None:
    assert place.host.attempt("x32_numbers") == ["ENOSYS"] * 6
    place.host.audited(event="refuse", detail="system call: number 41 of x32")


@on_x86
def test_another_architecture_is_deadly(place: Place) -> None:
    assert place.host.attempt("other_architecture") == -9
    place.host.audited(event="refuse", detail="of architecture 0x40000003")


# --- sockets of the host --------------------------------------------------------------------------------------------


def ports(place: Place) -> dict[str, int]:
    return {"open_port": place.friend.port, "port": place.canary.port}


def test_a_drivers_connection_can_be_nothing_else(place: Place) -> None:
    assert place.host.attempt("abuse_a_drivers_socket", **ports(place)) == ["outside", *USELESS]
    for operation in ("disconnect", "bind", "listen", "ioctl: 0x8912", "ioctl: 0x894c", "setsockopt", "sendto"):
        place.host.audited(event="refuse", detail=operation)


def test_what_connect_returned_can_be_nothing_else(place: Place) -> None:
    assert place.host.attempt("abuse_what_connect_returned", **ports(place)) == ["outside", *USELESS]
    for operation in ("disconnect", "bind", "listen", "ioctl: 0x8912", "ioctl: 0x894c"):
        place.host.audited(event="refuse", detail=operation)


def test_a_descriptor_passed_to_another_process_is_judged_there(place: Place) -> None:
    found = place.host.attempt("abuse_in_another_process", **ports(place))
    assert found[:10] == ["outside", *USELESS]
    # One that was never connected: it is denied, or goes inside.
    fresh = ["EINVAL", "EINVAL", "EINVAL", "EACCES", "ENOTSUP", "EPERM", "EPERM", "EPERM", "bind 0, listen 0"]
    assert found[10:] == ["outside", *fresh]
    place.host.audited(event="refuse", detail="disconnect")
    place.host.audited(event="deny", name="127.0.0.1", port=place.canary.port)


def test_the_connection_of_a_request_can_be_nothing_else(place: Place) -> None:
    found = place.host.attempt("abuse_the_servers_sockets", port=place.canary.port)
    assert found
    assert {tuple(each) for each in found} == {("EINVAL", "EISCONN", "EINVAL", "EPERM")}
    place.host.audited(event="refuse", detail="disconnect")


def test_listening_sockets_are_inside(place: Place) -> None:
    found = place.host.attempt("elementary", name="listen_with_fresh_sockets", argument=place.canary.port)
    assert found == [False, "0", True, "EACCES", "0", True, 0, True]


# --- spellings ------------------------------------------------------------------------------------------------------

LITERALS = [
    "127.0.0.1",
    "127.1",
    "2130706433",
    "0x7f000001",
    "0177.0.0.1",
    "0",
    "0.0.0.0",
    "::",
    "::1",
    "::ffff:127.0.0.1",
    "::ffff:7f00:1",
    "::127.0.0.1",
    "64:ff9b::127.0.0.1",
    "64:ff9b::7f00:1",
    "64:ff9b:1::7f00:1",
    "2002:7f00:1::",
    "169.254.169.254",
    "::ffff:169.254.169.254",
    "64:ff9b::a9fe:a9fe",
    "fd00:ec2::254",
    "10.0.0.1",
    "localhost",
    "inner.test",
]


def test_no_spelling_of_a_private_address_is_connected_by_a_driver(place: Place) -> None:
    found = place.host.attempt("connect_raw_to", port=place.canary.port, texts=LITERALS)
    assert {text: code for text, code in found.items() if code != "EACCES"} == {}
    place.host.audited(event="deny", address=f"127.0.0.1:{place.canary.port}")


def test_no_spelling_of_a_private_address_is_connected_by_the_api(place: Place) -> None:
    addresses = [f"[{text}]:{place.canary.port}" if ":" in text else f"{text}:{place.canary.port}" for text in LITERALS]
    found = place.host.attempt("connect_to", addresses=addresses)
    assert {each: error for each, error in found.items() if error not in ("PolicyDenied", "AddressError")} == {}
    assert found[f"127.0.0.1:{place.canary.port}"] == "PolicyDenied"
    place.host.audited(event="deny", via="connect()", name="127.0.0.1")


def test_structures_that_lie_about_themselves_are_judged_as_the_kernel_reads_them(place: Place) -> None:
    found = place.host.attempt("connect_with_odd_addresses", port=place.canary.port)
    assert found == {
        "longer": "EACCES",
        "shorter": "EINVAL",
        "mapped, on IPv6": "EACCES",
        "mapped, on IPv4": "EAFNOSUPPORT",
        "IPv4 on IPv6": "EINVAL",
        "AF_UNIX on IPv4": "EAFNOSUPPORT",
        "huge": "EINVAL",
        "negative": "EINVAL",
        "with a zone": "EACCES",
        "broadcast": "EACCES",
        "multicast": "EACCES",
    }


def test_a_redirect_leads_nowhere_else(place: Place) -> None:
    port = place.canary.port
    targets = [f"http://{text}:{port}/" for text in ("127.0.0.1", "[::ffff:127.0.0.1]", "[64:ff9b::7f00:1]", "0.0.0.0")]
    targets += [f"http://{text}:{port}/" for text in ("localhost", "inner.test", "2130706433", "169.254.169.254")]
    for target in targets:
        head = f"HTTP/1.1 302 Found\r\nlocation: {target}\r\ncontent-length: 0\r\nconnection: close\r\n\r\n"
        before, place.friend.answer = place.friend.answer, head.encode()
        try:
            found = place.host.attempt("fetch_all", urls=[f"http://127.0.0.1:{place.friend.port}/"])
        finally:
            place.friend.answer = before
        assert list(found.values()) == ["PolicyDenied"], target
    place.host.audited(event="deny", via="fetch()", name="127.0.0.1", port=port)
    place.host.audited(event="deny", via="fetch()", name="inner.test", port=port)


# --- names ----------------------------------------------------------------------------------------------------------


def test_a_public_name_that_points_inside_leads_nowhere(place: Place) -> None:
    """Of two addresses, the one that is allowed is all that a driver ever hears of."""
    assert place.host.attempt("resolve", name="inner.test")[0].startswith("198.1")
    (synthetic,) = place.host.attempt("resolve", name="two.test")
    assert synthetic.startswith("198.1")
    found = place.host.attempt("connect_to", addresses=[f"inner.test:{place.canary.port}"])
    assert list(found.values()) == ["PolicyDenied"]
    place.host.audited(event="deny", name="inner.test", address=f"127.0.0.1:{place.canary.port}")


def test_addresses_that_stand_for_nothing_lead_nowhere(place: Place) -> None:
    texts = ["198.19.200.200", "198.18.0.1", "fd4c:6f6e:6773:686f:7265::77"]
    found = place.host.attempt("connect_raw_to", port=place.canary.port, texts=texts)
    assert set(found.values()) <= {"EHOSTUNREACH"}
    place.host.audited(event="fail", name="198.19.200.200")


def test_the_own_port_is_a_loop(place: Place) -> None:
    found = place.host.attempt("connect_raw_to", port=place.host.port, texts=["127.0.0.1", "::ffff:127.0.0.1", "0"])
    assert set(found.values()) == {"ELOOP"}
    assert place.host.attempt("connect_to", addresses=[f"127.0.0.1:{place.host.port}"]).popitem()[1] == "PolicyDenied"
    assert "loop" in place.host.audited(event="deny", port=place.host.port)["outcome"]


def test_abstract_names_of_the_host_are_not_there(place: Place) -> None:
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind("\0longshore-canary")
        listener.listen()
        found = place.host.attempt("unix_connects", names=["@longshore-canary", "/run/docker.sock", "/dev/log"])
        listener.setblocking(False)
        with pytest.raises(BlockingIOError):
            listener.accept()
    assert set(found.values()) <= {"ECONNREFUSED", "ENOENT", "EPERM"}
