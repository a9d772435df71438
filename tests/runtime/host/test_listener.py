"""The listening sockets: which addresses, which port, and what is said when that does not work."""

from __future__ import annotations

import os
import socket
from contextlib import closing

import pytest

from longshore.runtime.host.listener import ListenError, open_listeners


def addresses(sockets: tuple[socket.socket, ...]) -> set[str]:
    return {sock.getsockname()[0] for sock in sockets}


def has_ipv6() -> bool:
    try:
        with socket.socket(socket.AF_INET6) as sock:
            sock.bind(("::1", 0))
    except OSError:
        return False
    return True


def test_localhost_is_both_loopback_addresses_on_one_port() -> None:
    with closing(open_listeners("localhost", 0)) as listeners:
        assert addresses(listeners.sockets) == {"127.0.0.1"} | ({"::1"} if has_ipv6() else set())
        assert {sock.getsockname()[1] for sock in listeners.sockets} == {listeners.port}
        assert listeners.urls == (f"http://localhost:{listeners.port}",)
        for sock in listeners.sockets:
            with socket.create_connection(sock.getsockname()[:2]):
                pass


@pytest.mark.parametrize(
    ("host", "bound", "shown"),
    [
        ("127.0.0.1", "127.0.0.1", "http://127.0.0.1:{}"),
        ("*", "0.0.0.0", "http://localhost:{}"),
        ("0.0.0.0", "0.0.0.0", "http://localhost:{}"),
    ],
)
def test_hosts(host: str, bound: str, shown: str) -> None:
    with closing(open_listeners(host, 0)) as listeners:
        assert bound in addresses(listeners.sockets)
        assert listeners.urls == (shown.format(listeners.port),)


@pytest.mark.skipif(not has_ipv6(), reason="no IPv6 loopback")
def test_an_ipv6_address_is_bracketed_in_the_url() -> None:
    with closing(open_listeners("::1", 0)) as listeners:
        assert listeners.urls == (f"http://[::1]:{listeners.port}",)


def test_a_taken_port_is_an_error_that_names_the_holder() -> None:
    with closing(open_listeners("127.0.0.1", 0)) as first, pytest.raises(ListenError) as caught:
        open_listeners("127.0.0.1", first.port)
    assert str(caught.value).startswith(f"port {first.port} of '127.0.0.1' is taken by ")
    assert f"(process {os.getpid()})" in str(caught.value)


def test_one_taken_address_of_localhost_is_a_taken_port() -> None:
    with closing(open_listeners("127.0.0.1", 0)) as first, pytest.raises(ListenError, match="is taken"):
        open_listeners("localhost", first.port)


def test_the_next_free_port_is_found_when_that_is_allowed() -> None:
    first = open_listeners("localhost", 0)
    with closing(first), closing(open_listeners("localhost", first.port, may_search=True)) as second:
        assert second.port > first.port
        assert str(os.getpid()) in second.holder


def test_a_free_port_has_no_holder() -> None:
    with closing(open_listeners("localhost", 0, may_search=True)) as listeners:
        assert listeners.holder == ""


@pytest.mark.parametrize(
    ("host", "message"),
    [
        ("192.0.2.1", "host '192.0.2.1' is not an address of this machine"),
        ("nowhere.invalid", "host 'nowhere.invalid' has no address"),
    ],
)
def test_impossible_hosts(host: str, message: str) -> None:
    with pytest.raises(ListenError, match=message):
        open_listeners(host, 0)


def test_new_connections_do_not_begin_any_more_and_those_that_wait_are_served() -> None:
    with closing(open_listeners("127.0.0.1", 0)) as listeners:
        (sock,) = listeners.sockets
        with socket.create_connection(sock.getsockname()) as waiting, socket.socket() as late:
            waiting.sendall(b"hello")
            listeners.refuse_new()
            late.setblocking(False)
            late.connect_ex(sock.getsockname())
            accepted, _ = sock.accept()
            with accepted:
                accepted.setblocking(True)
                assert accepted.recv(5) == b"hello"
                accepted.sendall(b"world")
                assert waiting.recv(5) == b"world"
            with pytest.raises(BlockingIOError):
                sock.accept()
