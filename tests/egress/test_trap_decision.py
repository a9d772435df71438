"""Answers that need nothing but the question."""

from __future__ import annotations

import errno
import socket
from ipaddress import ip_address

import pytest

from longshore.egress.names import WORKER_IPV6
from longshore.egress.trap_decision import (
    MISMATCHED,
    Locality,
    address_error,
    cloexec_of_fdinfo,
    denial_errno,
    has_pending_signal,
    is_cloexec,
    is_nonblocking,
    length_error,
    limit_errno,
    locality,
    outcome,
    socket_error,
    to_loopback,
)
from longshore.policy.evaluate import Verdict
from longshore.sandbox.structs import AF_INET, AF_INET6


@pytest.mark.parametrize(
    ("text", "where"),
    [
        ("127.0.0.1", Locality.LOOPBACK),
        ("127.9.9.9", Locality.LOOPBACK),
        ("0.0.0.0", Locality.LOOPBACK),
        ("::1", Locality.LOOPBACK),
        ("::", Locality.LOOPBACK),
        ("198.18.255.254", Locality.INSIDE),
        (str(WORKER_IPV6), Locality.INSIDE),
        ("198.19.0.1", Locality.OUTSIDE),
        ("10.0.0.1", Locality.OUTSIDE),
        ("2001:db8::1", Locality.OUTSIDE),
    ],
)
def test_where_an_address_is(text: str, where: Locality) -> None:
    assert locality(ip_address(text)) is where


def test_any_address_means_this_host() -> None:
    found = [str(to_loopback(ip_address(each))) for each in ("0.0.0.0", "::", "127.0.0.2", "10.0.0.1")]
    assert found == ["127.0.0.1", "::1", "127.0.0.2", "10.0.0.1"]


@pytest.mark.parametrize(
    ("kind", "protocol", "code"),
    [
        (1, 0, 0),
        (1, 6, 0),
        (1, 262, 0),
        (1 | 0o2000000 | 0o4000, 0, 0),
        (1 | 0x10, 0, errno.EINVAL),
        (1 | 1 << 31, 0, errno.EINVAL),
        (1, 132, errno.EPROTONOSUPPORT),
        (1, -1, errno.EPROTONOSUPPORT),
        (2, 0, errno.ESOCKTNOSUPPORT),
    ],
)
def test_which_sockets_are_made(kind: int, protocol: int, code: int) -> None:
    assert socket_error(kind, protocol) == code


def test_flags_of_a_socket() -> None:
    assert (is_cloexec(socket.SOCK_STREAM | 0o2000000), is_cloexec(socket.SOCK_STREAM | 0o4000)) == (True, False)
    assert (is_nonblocking(1 | 0o4000), is_nonblocking(1 | 0o2000000)) == (True, False)


def test_lengths_of_addresses() -> None:
    assert [length_error(each) for each in (-1, 0, 16, 128, 129)] == [errno.EINVAL, 0, 0, 0, errno.EINVAL]
    good, good6 = b"\x02\0" + bytes(14), b"\x0a\0" + bytes(26)
    assert address_error(AF_INET, good) == 0
    assert address_error(AF_INET, good6) == errno.EAFNOSUPPORT
    assert address_error(AF_INET, good[:15]) == errno.EINVAL
    assert address_error(AF_INET6, good6[:24]) == 0
    assert address_error(AF_INET6, good6[:23]) == errno.EINVAL
    assert address_error(AF_INET6, good + bytes(12)) == errno.EAFNOSUPPORT


def test_an_address_of_the_wrong_family_is_good_for_nothing() -> None:
    for family, raw in MISMATCHED.items():
        assert address_error(family, raw) == errno.EAFNOSUPPORT


def test_refusals_are_told_as_errnos_a_client_understands() -> None:
    assert denial_errno(Verdict(is_allowed=False, rule="x")) == errno.EACCES
    assert denial_errno(Verdict(is_allowed=False, rule="x", is_loop=True)) == errno.ELOOP
    assert limit_errno("open_sockets") == errno.EMFILE
    for limit in ("open_sockets", "dials_per_s", "bytes", "request_dials"):
        assert limit_errno(limit) not in (errno.EAGAIN, errno.EINPROGRESS, errno.EALREADY, errno.EINTR)
    assert outcome(errno.ECONNREFUSED) == "refused"
    assert outcome(errno.EADDRNOTAVAIL) == "cannot assign requested address"


@pytest.mark.parametrize(
    ("own", "shared", "blocked", "expected"),
    [
        ("0", "0", "0", False),
        ("2000", "0", "0", True),
        ("0", "2000", "0", True),
        ("2000", "2000", "2000", False),
        ("2002", "0", "2000", True),
    ],
)
def test_a_signal_that_waits_is_seen(own: str, shared: str, blocked: str, expected: bool) -> None:
    status = f"Name:\tx\nSigPnd:\t{own}\nShdPnd:\t{shared}\nSigBlk:\t{blocked}\nSigIgn:\tffff\n"
    assert has_pending_signal(status.encode()) is expected


def test_no_status_no_signal() -> None:
    assert not has_pending_signal(b"")
    assert not has_pending_signal(b"SigPnd:\tffff\n")


def test_close_on_exec_is_read_from_proc() -> None:
    assert cloexec_of_fdinfo(b"pos:\t0\nflags:\t02000002\nmnt_id:\t9\n")
    assert not cloexec_of_fdinfo(b"pos:\t0\nflags:\t04002\n")
    assert not cloexec_of_fdinfo(b"")
