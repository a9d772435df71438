"""Tests of ``longshore.egress.upgradable``."""

from __future__ import annotations

import socket

import pytest

from longshore.core.info import SocketInfo
from longshore.egress import upgradable
from longshore.egress.upgradable import Upgradable, UpgradableConnections
from longshore.errors import UsageError

KNOWN = Upgradable("MAIL", "mail.example:25", SocketInfo("192.0.2.1:25"))


def test_a_connection_is_known_by_any_descriptor_of_it_and_once() -> None:
    connections = UpgradableConnections()
    near, far = socket.socketpair()
    with near, far, near.dup() as same:
        connections.add(near, KNOWN)
        with pytest.raises(UsageError):
            connections.take(far, "MAIL")
        with pytest.raises(UsageError, match="was not dialed with binding 'OTHER'"):
            connections.take(same, "OTHER")
        assert connections.take(same, "MAIL") is KNOWN
        with pytest.raises(UsageError):
            connections.take(same, "MAIL")


def test_the_oldest_is_forgotten(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(upgradable, "_MAX_REMEMBERED", 1)
    connections = UpgradableConnections()
    first, second = socket.socketpair()
    with first, second:
        connections.add(first, KNOWN)
        connections.add(second, KNOWN)
        with pytest.raises(UsageError):
            connections.take(first, "MAIL")
        assert connections.take(second, "MAIL") is KNOWN


def test_without_cookies_addresses_tell_sockets_apart(monkeypatch: pytest.MonkeyPatch) -> None:
    """As on macOS; a socket without addresses is none of ours there."""
    monkeypatch.setattr(upgradable, "_SO_COOKIE", -1)
    connections = UpgradableConnections()
    with socket.create_server(("127.0.0.1", 0)) as server, socket.create_connection(server.getsockname()) as near:
        far, _ = server.accept()
        with far, socket.socket() as unconnected:
            connections.add(near, KNOWN)
            for stranger in (far, unconnected):
                with pytest.raises(UsageError):
                    connections.take(stranger, "MAIL")
            assert connections.take(near, "MAIL") is KNOWN
