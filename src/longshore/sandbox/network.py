"""The worker's own network namespace: loopback, the synthetic ranges, and the sockets of its name server (Linux)."""

from __future__ import annotations

import fcntl
import socket
import struct
from ipaddress import IPv4Interface, IPv6Interface
from typing import Final

__all__ = ["OWN_V4", "OWN_V6", "name_server_sockets", "set_up_loopback"]

OWN_V4: Final = IPv4Interface("198.18.255.254/15")
"""An address of the loopback interface that is not a loopback address: ``getaddrinfo(AI_ADDRCONFIG)`` answers with no
IPv4 address when there is none, and probes a route to each address it answers with."""
OWN_V6: Final = IPv6Interface("fd4c:6f6e:6773:686f:7265::ffff:fffe/96")
"""The same for IPv6."""
NAME_SERVER: Final = ("127.0.0.1", 53)

_SIOCGIFFLAGS, _SIOCSIFFLAGS = 0x8913, 0x8914
_SIOCSIFADDR, _SIOCSIFNETMASK = 0x8916, 0x891C
_IFF_UP = 1
_QUEUED = 128


def set_up_loopback() -> None:
    """Bring ``lo`` up and give it our addresses.

    Raises:
        OSError: the caller has no CAP_NET_ADMIN over its network namespace.
    """
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        request = struct.pack("16sH22x", b"lo", 0)
        (flags,) = struct.unpack_from("16xH", fcntl.ioctl(sock, _SIOCGIFFLAGS, request))
        fcntl.ioctl(sock, _SIOCSIFFLAGS, struct.pack("16sH22x", b"lo", flags | _IFF_UP))
        fcntl.ioctl(sock, _SIOCSIFADDR, _ipv4_request(OWN_V4.ip.packed))
        fcntl.ioctl(sock, _SIOCSIFNETMASK, _ipv4_request(OWN_V4.netmask.packed))
    _add_ipv6()


def name_server_sockets() -> tuple[socket.socket, socket.socket]:
    """Return the UDP and the TCP socket at which the worker's questions about names arrive.

    They belong to the namespace of the caller, wherever they are answered.
    """
    udp = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    udp.bind(NAME_SERVER)
    tcp = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    tcp.bind(NAME_SERVER)
    tcp.listen(_QUEUED)
    return udp, tcp


def _ipv4_request(packed: bytes) -> bytes:
    """Return an ``ifreq`` for an alias, since the interface itself keeps 127.0.0.1."""
    return struct.pack("16sHH4s16x", b"lo:1", socket.AF_INET, 0, packed)


def _add_ipv6() -> None:
    try:
        with socket.socket(socket.AF_INET6, socket.SOCK_DGRAM) as sock:
            index = socket.if_nametoindex("lo")
            prefix = OWN_V6.network.prefixlen
            fcntl.ioctl(sock, _SIOCSIFADDR, struct.pack("16sIi", OWN_V6.ip.packed, prefix, index))
    except OSError:
        pass  # a kernel without IPv6
