"""The helper that makes sockets: its two ends, in one process."""

from __future__ import annotations

import errno
import os
import socket
import struct
import threading
from typing import TYPE_CHECKING

import pytest

from longshore.sandbox.inside_sockets import InsideSockets, inside_pair, serve_one

if TYPE_CHECKING:
    from collections.abc import Iterator

pytestmark = pytest.mark.skipif(
    not hasattr(socket, "SOCK_SEQPACKET") or os.uname().sysname != "Linux", reason="Linux only"
)


@pytest.fixture
def ends() -> Iterator[tuple[socket.socket, socket.socket]]:
    """Return the inside and the outside end."""
    inside, outside = inside_pair()
    with inside, outside:
        yield inside, outside


def served(inside: socket.socket, times: int = 1) -> threading.Thread:
    thread = threading.Thread(target=lambda: [serve_one(inside) for _ in range(times)])
    thread.start()
    return thread


def test_a_socket_is_made_as_it_was_asked_for(ends: tuple[socket.socket, socket.socket]) -> None:
    inside, outside = ends
    thread = served(inside)
    with InsideSockets(outside).make(socket.AF_INET6, socket.SOCK_STREAM | socket.SOCK_NONBLOCK, 6) as made:
        thread.join()
        assert (made.family, made.type, made.proto) == (socket.AF_INET6, socket.SOCK_STREAM, 6)
        assert not os.get_inheritable(made.fileno())


def test_what_the_kernel_refuses_is_told_and_the_next_request_is_served(
    ends: tuple[socket.socket, socket.socket],
) -> None:
    inside, outside = ends
    thread = served(inside, 2)
    maker = InsideSockets(outside)
    with pytest.raises(OSError, match="protocol") as caught:
        maker.make(999, socket.SOCK_STREAM)
    assert caught.value.errno == errno.EAFNOSUPPORT
    maker.make(socket.AF_INET, socket.SOCK_DGRAM).close()
    thread.join()


@pytest.mark.parametrize("request_", [b"\0", struct.pack("=ii", 2, 1), struct.pack("=iiii", 2, 1, 0, 0)])
def test_a_request_of_another_length_is_refused(ends: tuple[socket.socket, socket.socket], request_: bytes) -> None:
    inside, outside = ends
    outside.send(request_)
    assert serve_one(inside)
    assert outside.recv(100) == struct.pack("=i", errno.EINVAL)


def test_an_end_is_noticed_on_both_sides(ends: tuple[socket.socket, socket.socket]) -> None:
    inside, outside = ends
    maker = InsideSockets(outside)
    inside.close()
    with pytest.raises(OSError) as caught:  # noqa: PT011 - which of them depends on the moment
        maker.make(socket.AF_INET, socket.SOCK_STREAM)
    assert caught.value.errno in {errno.ESHUTDOWN, errno.EPIPE, errno.ECONNRESET}
    other_inside, other_outside = inside_pair()
    with other_inside:
        other_outside.close()
        assert not serve_one(other_inside)


def test_who_does_not_answer_is_given_up(
    ends: tuple[socket.socket, socket.socket], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("longshore.sandbox.inside_sockets._PATIENCE_S", 0.01)
    _, outside = ends
    maker = InsideSockets(outside)
    with pytest.raises(TimeoutError):
        maker.make(socket.AF_INET, socket.SOCK_STREAM)
    with pytest.raises(OSError, match="Bad file descriptor"):  # an answer that comes late finds nobody
        maker.make(socket.AF_INET, socket.SOCK_STREAM)
