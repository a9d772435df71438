"""Runs in a network of its own whose loopback has addresses of every kind: ``python -m tests.escape.agreement TRIES``.

Each example is a set of rules, and destinations that are connected in both ways, by a driver's connect(2) behind the
filter and by ``connect()``. The server tells the client at which address it was reached.
"""

from __future__ import annotations

import asyncio
import contextlib
import fcntl
import os
import socket
import struct
import sys
import threading
from dataclasses import dataclass
from ipaddress import IPv6Address, ip_address
from typing import TYPE_CHECKING

from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from longshore import EgressPolicy, PolicyDenied, SocketAddress
from longshore.abc import DialRequest
from longshore.config.model import NetworkRules
from longshore.egress.judge import Judge
from longshore.net.streams import FdStream
from longshore.sandbox.kernel import call_libc
from longshore.sandbox.namespaces import map_identity
from longshore.sandbox.network import set_up_loopback
from tests.egress import escapes
from tests.egress.broker_rig import broker, make_config
from tests.egress.trap_rig import Rig

if TYPE_CHECKING:
    from longshore.core.host_syntax import IpAddress
    from longshore.egress.client import BrokerDialer

IPV4 = ["8.8.8.8", "93.184.216.34", "10.0.0.5", "192.168.7.7", "169.254.169.254", "100.64.0.9"]
IPV6 = ["2606:4700::1111", "fd00:ec2::254", "fc00::5"]
ADDRESSES = ["127.0.0.1", "127.0.0.53", "::1", *IPV4, *IPV6]
NAMES = ["db", "db.internal", "api.example.com", "evil.example"]
PORTS = [7001, 7002]
RULES = [
    *("public", "private", "local", "public:7001", "private:7002", "local:7001"),
    *("10.0.0.0/8", "127.0.0.0/8", "0.0.0.0/0", "::/0", "fc00::/7", "169.254.0.0/16:7001"),
    *("8.8.8.8", "10.0.0.5:7002", "127.0.0.1:7001", "[::1]:7002", "[2606:4700::1111]:7001", "192.168.7.7"),
    *("db", "db.internal:7001", "*.example.com", "evil.example:7002", "api.example.com:7001"),
]


@dataclass(frozen=True)
class Target:
    """Somewhere to connect to."""

    text: str
    """As it is written: a literal, or a name."""
    ip: IpAddress
    """Where that is."""
    port: int

    @property
    def is_name(self) -> bool:
        return self.text in NAMES

    @property
    def address(self) -> SocketAddress:
        return SocketAddress(self.text, self.port)

    @property
    def reached(self) -> IpAddress:
        """The address at which a server sees the connection."""
        if self.ip.is_unspecified:
            return ip_address("127.0.0.1" if self.ip.version == 4 else "::1")
        return (self.ip.ipv4_mapped or self.ip) if isinstance(self.ip, IPv6Address) else self.ip


literals = st.one_of(
    st.sampled_from([*ADDRESSES, "0.0.0.0", "::"]), st.sampled_from(IPV4).map(lambda each: f"::ffff:{each}")
)
targets = st.one_of(
    st.builds(lambda text, port: Target(text, ip_address(text), port), literals, st.sampled_from(PORTS)),
    st.builds(
        lambda name, text, port: Target(name, ip_address(text), port),
        st.sampled_from(NAMES),
        st.sampled_from(ADDRESSES),
        st.sampled_from(PORTS),
    ),
)
allowed = st.lists(st.sampled_from(RULES), min_size=1, max_size=8, unique=True)
denied = st.lists(st.sampled_from(RULES), max_size=2, unique=True)


async def connected_by_a_driver(allow: list[str], deny: list[str], wanted: list[Target]) -> list[str]:
    rig = Rig(allow=tuple(allow), deny=tuple(deny))
    where = [
        (str(rig.names.address_for(each.text, each.ip)) if each.is_name else each.text, each.port) for each in wanted
    ]
    found: list[str] = await rig.run(escapes.connect_and_read, where)
    audited = [_plain(each.address) for each in rig.records if each.event == "open"]
    assert audited == [_spelled(each) for each, got in zip(wanted, found, strict=True) if _is_ip(got)]
    return found


async def connected_by_the_api(allow: list[str], deny: list[str], wanted: list[Target]) -> list[str]:
    found = []
    for each in wanted:
        hosts: dict[str, tuple[str, ...]] = {each.text: (str(each.ip),)} if each.is_name else {}
        config = make_config(network=NetworkRules(allow=tuple(allow), deny=tuple(deny), hosts=hosts))
        async with broker(config=config) as (dialer, rig):
            found.append(await _dialed(dialer, each))
            audited = [record.address for record in rig.records if record.event == "open"]
            assert [_plain(address) for address in audited] == ([_spelled(each)] if _is_ip(found[-1]) else [])
    return found


async def _dialed(dialer: BrokerDialer, target: Target) -> str:
    try:
        connection = await dialer.dial(DialRequest(target.address))
    except PolicyDenied:
        return "EACCES"
    assert isinstance(connection.stream, FdStream)
    with connection.stream.detach() as sock:
        sock.setblocking(True)
        return sock.recv(100).decode()


def _is_ip(text: str) -> bool:
    return "." in text or ":" in text


def _plain(address: str) -> str:
    """Spell an address of the audit log as the server sees it."""
    found = SocketAddress.parse(address)
    assert found.ip is not None
    return _spelled(Target(str(found.ip), found.ip, found.port))


def _spelled(target: Target) -> str:
    return str(SocketAddress(str(target.reached), target.port))


def expected(allow: list[str], deny: list[str], wanted: list[Target], *, remembers: bool) -> list[str]:
    """Return what must come of each target, by the address alone; check that the text's verdict agrees."""
    judge, policy = Judge(NetworkRules(allow=tuple(allow), deny=tuple(deny))), EgressPolicy(allow, deny)
    names: dict[IpAddress, tuple[str, ...]] = {}
    found = []
    for each in wanted:
        also = names.get(each.reached, ()) if remembers and not each.is_name else ()
        verdict = judge.judge(each.reached if remembers else each.ip, each.port, hostname=each.text, also=also)
        try:
            policy.check_name(each.address)
        except PolicyDenied:
            assert also or not verdict.is_allowed, f"{each} is denied as a text, and allowed as an address"
        else:
            assert each.is_name or verdict.is_allowed, f"{each} is allowed as a text, and denied as an address"
        found.append(str(each.reached) if verdict.is_allowed else "EACCES")
        if verdict.is_allowed and each.is_name:
            names[each.reached] = (each.text, *(name for name in names.get(each.reached, ()) if name != each.text))
    return found


def serve() -> list[str]:
    """Listen at every address; return the list that the addresses of all connections are put into."""
    seen: list[str] = []

    def answer(listener: socket.socket) -> None:
        while True:
            with listener.accept()[0] as sock:
                seen.append(sock.getsockname()[0])
                with contextlib.suppress(OSError):
                    sock.sendall(seen[-1].encode())

    for port in PORTS:
        for family, host in ((socket.AF_INET, "0.0.0.0"), (socket.AF_INET6, "::")):
            listener = socket.create_server((host, port), family=family, backlog=128)
            threading.Thread(target=answer, args=[listener], daemon=True).start()
    return seen


def enter_own_network() -> None:
    """Leave the network for one whose loopback has all the addresses."""
    uid, gid = os.geteuid(), os.getegid()
    call_libc("unshare", 0x1000_0000 | 0x4000_0000)  # CLONE_NEWUSER, CLONE_NEWNET
    map_identity(uid, gid)
    set_up_loopback()
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        for number, text in enumerate(["127.0.0.53", *IPV4]):
            alias = f"lo:{number + 10}".encode()
            for command, address in ((0x8916, text), (0x891C, "255.255.255.255")):  # SIOCSIFADDR, SIOCSIFNETMASK
                request = struct.pack("16sHH4s16x", alias, socket.AF_INET, 0, socket.inet_aton(address))
                fcntl.ioctl(sock, command, request)
    with socket.socket(socket.AF_INET6, socket.SOCK_DGRAM) as sock:
        for text in IPV6:
            packed = socket.inet_pton(socket.AF_INET6, text)
            fcntl.ioctl(sock, 0x8916, struct.pack("16sIi", packed, 128, socket.if_nametoindex("lo")))


def main() -> None:
    """Try so many examples."""
    enter_own_network()
    seen = serve()
    counts = {"connected": 0, "denied": 0}

    @settings(
        max_examples=int(sys.argv[1]),
        deadline=None,
        suppress_health_check=list(HealthCheck),
        database=None,
        phases=[Phase.generate],
    )
    @given(allow=allowed, deny=denied, wanted=st.lists(targets, min_size=8, max_size=24))
    def agree(allow: list[str], deny: list[str], wanted: list[Target]) -> None:
        for way, remembers in ((connected_by_a_driver, True), (connected_by_the_api, False)):
            seen.clear()
            found = asyncio.run(way(allow, deny, wanted))
            wished = expected(allow, deny, wanted, remembers=remembers)
            assert found == wished, [each for each in zip(wanted, found, wished, strict=True) if each[1] != each[2]]
            assert seen == [each for each in found if _is_ip(each)], "the servers saw others than the clients"
            counts["connected"] += len(seen)
            counts["denied"] += len(found) - len(seen)

    agree()
    sys.stdout.write(f"{counts}\n")
    assert min(counts.values()) > int(sys.argv[1])


if __name__ == "__main__":
    main()
