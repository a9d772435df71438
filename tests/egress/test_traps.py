"""The door as a whole: what goes through it, what does not, and what is left of it at the end."""

from __future__ import annotations

import asyncio
import errno
import os
import signal
import socket
from ipaddress import IPv4Address, IPv6Address
from typing import TYPE_CHECKING, Any

import pytest

from longshore.egress.names import WORKER_IPV4
from longshore.errors import LimitExceeded
from tests.egress import escapes
from tests.egress.behaviours import fetch_echo, fetch_from_full
from tests.egress.linux import needs_sandbox
from tests.egress.trap_rig import Rig, result
from tests.egress.trap_servers import servers

if TYPE_CHECKING:
    from longshore.core.host_syntax import IpAddress
    from longshore.egress.names import Destination

pytestmark = needs_sandbox
LOOPBACK = IPv4Address("127.0.0.1")


async def until(condition: Any) -> None:
    """Let the loop turn until the condition holds; the test's own limit ends a wait in vain."""
    while not condition():
        await asyncio.sleep(0.005)


# --- what is reached ------------------------------------------------------------------------------------------------


async def test_a_connection_is_audited_with_its_addresses_and_the_rule() -> None:
    async with servers() as ports:
        rig = Rig(allow=(f"127.0.0.1:{ports['echo']}",))
        assert await rig.run(fetch_echo, [["127.0.0.1", ports["echo"]]]) == ["ping"]
    (record,) = rig.records
    assert (record.event, record.via, record.name, record.port) == ("open", "socket", "127.0.0.1", ports["echo"])
    assert record.address == f"127.0.0.1:{ports['echo']}"
    assert record.local_address.startswith("127.0.0.1:")
    assert f"127.0.0.1:{ports['echo']}" in record.rule
    assert rig.gate.log == ["connected"]


async def test_a_synthetic_address_leads_to_the_real_one_and_counts_as_its_name() -> None:
    async with servers() as ports:
        rig = Rig(allow=("local",))
        synthetic = str(rig.names.address_for("db.internal", LOOPBACK))
        mapped = f"::ffff:{synthetic}"
        answers = await rig.run(fetch_echo, [[synthetic, ports["echo"]], [mapped, ports["echo"]]])
    assert answers == ["ping", "ping"]
    assert {(each.name, each.address) for each in rig.records} == {("db.internal", f"127.0.0.1:{ports['echo']}")}
    literal = rig.names.destination(LOOPBACK)
    assert literal is not None
    assert literal.also == ("db.internal",)


async def test_a_synthetic_ipv6_address_leads_to_the_real_one() -> None:
    async with servers("::1") as ports:
        rig = Rig(allow=("local",))
        synthetic = str(rig.names.address_for("six.internal", IPv6Address("::1")))
        assert await rig.run(fetch_echo, [[synthetic, ports["echo"]], ["::1", ports["echo"]]]) == ["ping", "ping"]
    assert [each.name for each in rig.records] == ["six.internal", "::1"]
    assert rig.records[0].address == f"[::1]:{ports['echo']}"


async def test_localhost_may_be_allowed_by_name() -> None:
    async with servers() as ports:
        rig = Rig(allow=(f"localhost:{ports['echo']}",))
        assert await rig.run(fetch_echo, [["127.0.0.1", ports["echo"]]]) == ["ping"]


async def test_a_nonblocking_connect_is_followed_by_the_gate() -> None:
    async with servers() as ports:
        rig = Rig()
        assert await rig.run(escapes.connect_nonblocking, ["127.0.0.1", ports["closed"]]) == "EINPROGRESS"
        assert rig.gate.log == [f"started 127.0.0.1:{ports['closed']}"]
        assert rig.records == []


async def test_a_server_listens_again_on_the_socket_of_the_host() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listening:
        rig = Rig(allow=("local",))
        assert await rig.run(escapes.inherited_listener, listening) == ["x", False]


# --- what is refused ------------------------------------------------------------------------------------------------


async def test_policy_denies_with_eacces_and_audits_the_rule() -> None:
    async with servers() as ports:
        rig = Rig(allow=("public",))
        assert await rig.run(escapes.denied, ports["echo"]) == ["EACCES", "EACCES"]
    assert rig.events() == ["deny blocked by policy"] * 2
    assert rig.records[0].address == f"127.0.0.1:{ports['echo']}"
    assert rig.records[0].rule
    assert rig.gate.log == []


@pytest.mark.parametrize(
    "host",
    ["169.254.169.254", "::ffff:169.254.169.254", "64:ff9b::a9fe:a9fe", "10.0.0.1", "fd00:ec2::254", "0.0.0.0", "::"],
)
async def test_every_spelling_of_a_private_address_is_denied(host: str) -> None:
    rig = Rig(allow=("public",))
    assert await rig.run(escapes.connect_to, [host, 80]) == "EACCES"
    assert rig.events() == ["deny blocked by policy"]


async def test_the_own_listener_is_a_loop() -> None:
    async with servers() as ports:
        rig = Rig(own_addresses=(f"127.0.0.1:{ports['echo']}",))
        assert await rig.run(escapes.connect_to, ["127.0.0.1", ports["echo"]]) == "ELOOP"
    assert [each.event for each in rig.records] == ["deny"]
    assert "loop" in rig.records[0].rule


async def test_a_synthetic_address_that_was_never_given_out_leads_nowhere() -> None:
    rig = Rig()
    assert await rig.run(escapes.connect_to, ["198.19.7.7", 80]) == "EHOSTUNREACH"
    assert rig.events() == ["fail synthetic address without a name"]


async def test_the_workers_own_address_is_inside_only() -> None:
    async with servers() as ports:
        rig = Rig()
        assert await rig.run(escapes.connect_to, ["198.18.255.254", ports["echo"]]) == "ECONNREFUSED"
    assert rig.records == []


async def test_a_socket_of_the_host_cannot_be_used_for_anything_else() -> None:
    async with servers() as ports:
        rig = Rig()
        found = await rig.run(escapes.use_the_host_socket_again, ports["echo"])
    assert found == [False, "EINVAL", "EINVAL", "EINVAL", "EPERM", "EPERM"]
    refused = [each.detail.partition(":")[0] for each in rig.records if each.event == "refuse"]
    assert refused == ["disconnect", "bind", "listen", "ioctl", "ioctl"]


async def test_a_received_socket_of_the_host_is_no_way_out() -> None:
    async with servers() as ports:
        rig = Rig()
        assert await rig.run(escapes.a_received_socket, ports["echo"]) == ["EINVAL", "EINVAL"]
    assert [each.event for each in rig.records].count("refuse") == 2


async def test_sockets_listen_inside_only() -> None:
    async with servers() as ports:
        found = await Rig().run(escapes.listen_with_fresh_sockets, ports["closed"])
    assert found == [False, "0", True, "ECONNREFUSED", "0", True, 0, True]


async def test_fast_open_does_not_pass_by() -> None:
    async with servers() as ports:
        rig = Rig(allow=("public",))
        assert await rig.run(escapes.fast_open, ports["echo"]) == ["ENOTSUP"] * 4  # the other name of EOPNOTSUPP
    assert [each.detail for each in rig.records] == [
        "sendto: MSG_FASTOPEN",
        "sendmsg: MSG_FASTOPEN",
        "sendmmsg: MSG_FASTOPEN",
        "setsockopt: level 6, option 30",
    ]


async def test_other_ways_out_are_shut() -> None:
    rig = Rig()
    found = await rig.run(escapes.other_ways, 0)
    expected = {
        "io_uring": "ENOSYS",
        "vsock": "EAFNOSUPPORT",
        "packet": "EAFNOSUPPORT",
        "alg": "EAFNOSUPPORT",
        "raw": "EPERM",
        "raw6": "EPERM",
        "sctp": "EPROTONOSUPPORT",
        "sctp packets": "ESOCKTNOSUPPORT",
        "netlink": "EPROTONOSUPPORT",
        "pair": "EAFNOSUPPORT",
        "high bits of the family": "EAFNOSUPPORT",
        "clone3": "ENOSYS",
        "second listener": "EBUSY",
        "x32": "ENOSYS",
        "unshare": "EPERM",
        "setns": "EPERM",
        "clone": "EPERM",
        "keyctl": "EPERM",
        "bpf": "EPERM",
        "userfaultfd": "EPERM",
        "perf": "EPERM",
        "interface": "EPERM",
        "source route": "EPERM",
        "unicast interface": "EPERM",
        "routing header": "EPERM",
    }
    assert found == {name: expected[name] for name in found}
    silent = {"io_uring", "clone3", "second listener"}  # the first two are asked for by harmless programs
    assert [each.event for each in rig.records] == ["refuse"] * (len(found.keys() - silent))


@pytest.mark.skipif(os.uname().machine != "x86_64", reason="int 0x80 is of x86")
async def test_a_call_of_another_architecture_kills() -> None:
    rig = Rig()
    async with rig.worker(escapes.call_of_i386) as process:
        assert await process.wait() == -signal.SIGKILL
        await until(lambda: rig.records)
    (record,) = rig.records
    assert record.detail == "system call: number 20 of architecture 0x40000003; the process was killed"


async def test_only_the_own_interface_is_seen_and_none_is_changed() -> None:
    found = await Rig().run(escapes.interfaces, 0)
    assert found[:3] == [["lo", "lo:1"], True, 1]
    assert found[3:] == ["EPERM", "EPERM", "ENOTTY", "EBADF", "EFAULT"]


@pytest.mark.slow
@pytest.mark.one_loop("uvloop")
async def test_an_address_that_changes_under_the_call_is_judged_as_it_is_used() -> None:
    async with servers() as ports, servers() as forbidden:
        rig = Rig(allow=(f"127.0.0.1:{ports['echo']}",))
        argument = {"allowed": ports["echo"], "denied": forbidden["echo"], "tries": 4_000}
        found = await rig.run(escapes.flip_the_address, argument)
    assert sum(found.values()) == 4_000
    # A port that is half the one and half the other is denied, or nobody's.
    assert set(found) <= {f"port {ports['echo']}", "EACCES"}
    assert found["EACCES"], "the other thread never won, so nothing was tried"


@pytest.mark.slow
@pytest.mark.one_loop("uvloop")
@pytest.mark.parametrize("is_locked", [True, False], ids=["landlock", "no landlock"])
async def test_a_unix_connect_that_becomes_a_tcp_connect_does_not_get_out(is_locked: bool) -> None:
    tries = 100_000 if is_locked else 20_000
    async with servers() as forbidden:
        rig = Rig(allow=("public",), is_locked=is_locked)
        found = await rig.run(escapes.exchange_under_continue, {"denied": forbidden["echo"], "tries": tries})
    assert not any(each.startswith("escaped") for each in found)
    assert "0" not in found
    assert "EINPROGRESS" not in found
    assert found["EACCES"], "the other thread never won, so nothing was tried"


# --- limits ---------------------------------------------------------------------------------------------------------


def limit(name: str) -> LimitExceeded:
    return LimitExceeded("too many", limit=name, value=3)


async def test_a_nonblocking_connect_beyond_a_limit_fails_at_once() -> None:
    async with servers() as ports:
        rig = Rig()
        rig.gate.refusing = limit("open_sockets")
        assert await rig.run(escapes.connect_nonblocking, ["127.0.0.1", ports["echo"]]) == "EMFILE"
        rig.gate.refusing = limit("dials_per_s")
        assert await rig.run(escapes.connect_nonblocking, ["127.0.0.1", ports["echo"]]) == "ENOBUFS"
    assert [each.event for each in rig.records] == ["limit", "limit"]


async def test_a_blocking_connect_waits_for_room() -> None:
    async with servers() as ports:
        rig = Rig()
        rig.gate.refusing, rig.gate.room = limit("open_sockets"), asyncio.Event()
        async with rig.worker(fetch_echo, [["127.0.0.1", ports["echo"]]]) as process:
            await until(lambda: rig.gate.queued)
            assert rig.records == []
            rig.gate.room.set()
            assert await result(process) == ["ping"]
    assert rig.events() == ["open connected"]


async def test_a_blocking_connect_that_waited_in_vain_fails() -> None:
    async with servers() as ports:
        rig = Rig()
        rig.gate.refusing = limit("open_sockets")
        assert await rig.run(escapes.connect_to, ["127.0.0.1", ports["echo"]]) == "EMFILE"
    assert [each.event for each in rig.records] == ["limit"]


async def test_a_worker_killed_in_the_queue_gives_its_place_back() -> None:
    async with servers() as ports:
        rig = Rig()
        rig.gate.refusing, rig.gate.room = limit("open_sockets"), asyncio.Event()
        async with rig.worker(fetch_echo, [["127.0.0.1", ports["echo"]]]) as process:
            await until(lambda: rig.gate.queued)
            process.kill()
            await process.wait()
            rig.gate.room.set()
            await until(lambda: rig.records)
    assert rig.gate.open == 0
    assert rig.events() == ["fail given up"]


# --- waiting, and the end -------------------------------------------------------------------------------------------


@pytest.mark.slow
@pytest.mark.one_loop("uvloop")
async def test_a_thousand_that_wait_hold_up_nobody() -> None:
    async with servers() as ports:
        rig = Rig()
        async with rig.worker(escapes.many_waiting, {**ports, "threads": 1_000}) as process:
            times = await result(process)
            assert rig.door is not None
    assert len(times) == 100
    # All of them were still waiting when the last of the hundred was connected.
    assert rig.events().count("open connected") == 100
    assert rig.events().count("fail given up") == 1_000


async def test_a_worker_killed_while_it_connects_is_noticed() -> None:
    async with servers() as ports:
        rig = Rig()
        async with rig.worker(fetch_from_full, ports) as process:
            await until(lambda: rig.gate.open == 1)
            process.send_signal(signal.SIGKILL)
            assert await process.wait() == -signal.SIGKILL
            await until(lambda: rig.records)
            assert rig.gate.open == 0
    assert rig.events() == ["fail given up"]


async def test_a_closed_door_ends_what_waits() -> None:
    async with servers() as ports:
        rig = Rig()
        async with rig.worker(fetch_from_full, ports) as process:
            await until(lambda: rig.gate.open == 1)
            assert rig.door is not None
            rig.door.close()
            rig.door.close()
            assert await result(process) == "ENOSYS"
    assert rig.gate.open == 0


async def test_an_error_of_ours_is_answered_too(caplog: pytest.LogCaptureFixture) -> None:
    class Broken:
        def destination(self, ip: IpAddress) -> Destination | None:
            raise RuntimeError(f"no idea about {ip}")

    rig = Rig(names=Broken())  # type: ignore[arg-type]  # that is the point
    assert await rig.run(escapes.connect_to, ["192.0.2.1", 80]) == "EIO"
    assert "a trapped system call failed" in caplog.text


async def test_a_failure_after_admission_gives_the_place_back() -> None:
    class Full:
        def expect(self, binding: str, sock: socket.socket) -> tuple[IpAddress, int]:
            raise OSError(errno.ENOBUFS, "full")

    rig = Rig(relay=Full())
    address = str(rig.names.add_binding("billing.egress.internal", "BILLING"))
    assert await rig.run(escapes.connect_to, [address, 443]) == "ENOBUFS"
    assert rig.gate.open == 0
    assert [(each.event, each.binding) for each in rig.records] == [("fail", "BILLING")]


async def test_a_binding_leads_to_its_relay() -> None:
    async with servers() as ports:

        class ToEcho:
            asked: list[str] = []  # noqa: RUF012 - one test

            def expect(self, binding: str, sock: socket.socket) -> tuple[IpAddress, int]:
                sock.bind(("127.0.0.1", 0))
                self.asked.append(binding)
                return LOOPBACK, ports["echo"]

        relay = ToEcho()
        rig = Rig(allow=(), relay=relay)
        address = str(rig.names.add_binding("billing.egress.internal", "BILLING"))
        assert await rig.run(fetch_echo, [[address, 443]]) == ["ping"]
    assert relay.asked == ["BILLING"]
    # The connection that the relay makes is the one that is admitted and audited.
    assert rig.records == []
    assert (rig.gate.log, rig.gate.open) == ([], 0)


async def test_a_socket_of_another_kind_is_not_taken_for_one_of_unix() -> None:
    """What Landlock does not know as TCP must not be connected, bound or listened at for a worker either."""
    with socket.socket(socket.AF_VSOCK, socket.SOCK_STREAM) as odd:
        rig = Rig(is_locked=False)
        assert await rig.run(escapes.use_odd_socket, odd) == ["EAFNOSUPPORT"] * 3


async def test_connections_within_the_worker_for_connect() -> None:
    rig = Rig()
    async with rig.worker("tests.egress.escapes:serve_inside") as process:
        assert process.stdout is not None
        port = int(await process.stdout.readline())
        assert rig.door is not None
        with rig.door.reach_inside(LOOPBACK, port) or pytest.fail("it listens") as sock:
            assert await asyncio.get_running_loop().sock_recv(sock, 9) == b"inside"
        assert rig.door.reach_inside(LOOPBACK, port + 1) is None
        assert rig.door.reach_inside(IPv4Address("192.0.2.1"), port) is None
        with pytest.raises(ConnectionRefusedError):
            rig.door.reach_inside(WORKER_IPV4, port + 1)
        assert rig.records == []
    assert rig.door.reach_inside(LOOPBACK, port) is None


async def test_without_a_relay_a_binding_leads_nowhere() -> None:
    rig = Rig()
    address = str(rig.names.add_binding("billing.egress.internal", "BILLING"))
    assert await rig.run(escapes.connect_to, [address, 443]) == "EHOSTUNREACH"


async def test_nothing_is_left_open_by_a_door() -> None:
    await Rig().run(fetch_echo, [])  # the loop keeps what it needs for child processes
    before = len(os.listdir("/proc/self/fd"))
    async with servers() as ports:
        rig = Rig()
        await rig.run(fetch_echo, [["127.0.0.1", ports["echo"]]] * 3)
    assert len(os.listdir("/proc/self/fd")) == before


async def test_the_door_closes_itself_when_all_processes_of_the_worker_are_gone() -> None:
    rig = Rig()
    async with rig.worker(fetch_echo, []) as process:
        assert await result(process) == []
        door = rig.door
        assert door is not None
        await until(lambda: door.is_closed)


async def test_a_door_that_closes_gives_up_what_waits_for_room() -> None:
    async with servers() as ports:
        rig = Rig()
        rig.gate.refusing, rig.gate.room = limit("open_sockets"), asyncio.Event()
        async with rig.worker(escapes.connect_to, ["127.0.0.1", ports["echo"]]) as process:
            await until(lambda: rig.gate.queued)
            assert rig.door is not None
            rig.door.close()
            assert await result(process) == "ENOSYS"
            await until(lambda: rig.records)
    assert rig.events() == ["fail given up"]
    assert rig.gate.open == 0
