"""Who is on this machine, and whose certificate it is."""

from __future__ import annotations

from typing import Any

import pytest

from longshore.pool.clients.peer import peer_of, shown_peer
from longshore.pool.clients.tls import ClientTlsMode, make_client_tls


class _Transport:
    def __init__(self, **info: Any) -> None:
        self._info = info

    def get_extra_info(self, name: str, default: Any = None) -> Any:
        return self._info.get(name, default)


class _Tls:
    def __init__(self, *names: str) -> None:
        self._names = names

    def getpeercert(self) -> dict[str, object]:
        return {"subject": tuple((("commonName", name),) for name in self._names)} if self._names else {}


@pytest.mark.parametrize(
    ("name", "is_local"),
    [
        (("127.0.0.1", 1), True),
        (("127.8.8.8", 1), True),
        (("::1", 1, 0, 0), True),
        (("::ffff:127.0.0.1", 1, 0, 0), True),
        ("", True),
        (None, False),
        (("10.0.0.1", 1), False),
        (("0.0.0.0", 1), False),
        (("::ffff:10.0.0.1", 1, 0, 0), False),
        (("fe80::1%eth0", 1, 0, 2), False),
        (("localhost", 1), False),
    ],
)
def test_who_is_on_this_machine(name: object, is_local: bool) -> None:
    peer = peer_of(_Transport(peername=name), None)  # type: ignore[arg-type]  # all that is looked at
    assert peer.is_local is is_local
    assert not peer.is_encrypted


@pytest.mark.parametrize(
    ("names", "expected"), [((), None), (("alice",), "alice"), (("alice", "bob"), None)], ids=["none", "one", "two"]
)
def test_whose_certificate_it_is(names: tuple[str, ...], expected: str | None) -> None:
    peer = peer_of(_Transport(ssl_object=_Tls(*names), peername=("::1", 2, 0, 0)), None)  # type: ignore[arg-type]
    assert peer.is_encrypted
    assert peer.common_name == expected


def test_addresses_for_people() -> None:
    assert shown_peer(_Transport(peername=("::1", 5, 0, 0))) == "[::1]:5"  # type: ignore[arg-type]
    assert shown_peer(_Transport(peername=("10.0.0.1", 5))) == "10.0.0.1:5"  # type: ignore[arg-type]
    assert shown_peer(_Transport(peername="")) == "unix"  # type: ignore[arg-type]
    assert shown_peer(None) == "unix"


@pytest.mark.parametrize(
    ("certificate", "key", "words"), [(b"nothing", b"", "cannot be used"), (b"\xff", b"\xfe", "not possible")]
)
def test_a_certificate_that_is_none(certificate: bytes, key: bytes, words: str) -> None:
    with pytest.raises(ValueError, match=words):
        make_client_tls(certificate, key)


def test_certificates_are_asked_for_and_nobody_signs_them() -> None:
    with pytest.raises(ValueError, match="give client_ca"):
        make_client_tls(b"", b"", mode=ClientTlsMode.VERIFY_CA)
