"""What a hostile worker tries; each function runs inside and returns what it got."""

from __future__ import annotations

import array
import ctypes
import errno
import fcntl
import json
import os
import socket
import struct
import sys
import threading
from typing import TYPE_CHECKING

from tests.egress.behaviours import HOST, LIBC, inet, name_of, raw_connect

if TYPE_CHECKING:
    from collections.abc import Callable

SO_NETNS_COOKIE = 71
MSG_FASTOPEN = 0x20000000
SYSCALL = LIBC.syscall
SYSCALL.restype = ctypes.c_long


def attempt(function: object, *arguments: object) -> str:
    """Return the errno with which a call ends."""
    try:
        function(*arguments)  # type: ignore[operator]
    except OSError as exc:
        return name_of(exc.errno or 0)
    return "0"


def call(number: int, *arguments: int) -> str:
    result = SYSCALL(ctypes.c_long(number), *(ctypes.c_long(each) for each in arguments))
    return "0" if result >= 0 else name_of(ctypes.get_errno())


def is_inside(sock: socket.socket) -> bool:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as mine:
        return cookie(sock) == cookie(mine)


def cookie(sock: socket.socket) -> bytes:
    return sock.getsockopt(socket.SOL_SOCKET, SO_NETNS_COOKIE, 8)


def use_the_host_socket_again(port: int) -> list[object]:
    with socket.create_connection((HOST, port)) as sock:
        return [
            is_inside(sock),
            raw_connect(sock.fileno(), bytes(16)),  # AF_UNSPEC
            attempt(sock.bind, ("0.0.0.0", 0)),
            attempt(sock.listen),
            attempt(fcntl.ioctl, sock, 0x8912, struct.pack("=iiQ", 0, 0, 0)),
            attempt(fcntl.ioctl, sock, 0x894C, 0),
        ]


def a_received_socket(port: int) -> list[object]:
    """The same with one that came over SCM_RIGHTS."""
    left, right = socket.socketpair()
    with left, right:
        with socket.create_connection((HOST, port)) as sock:
            socket.send_fds(left, [b"x"], [sock.fileno()])
        _, fds, _, _ = socket.recv_fds(right, 1, 1)
        with socket.socket(fileno=fds[0]) as received:
            return [raw_connect(received.fileno(), bytes(16)), attempt(received.listen)]


def listen_with_fresh_sockets(port: int) -> list[object]:
    """Sockets of the host's network that have no connection: they listen inside, and nowhere else."""
    found: list[object] = []
    with socket.socket() as fresh, socket.socket() as refused, socket.socket() as bound:
        found.append(is_inside(fresh))
        found.append(attempt(fresh.listen))
        found.append(is_inside(fresh))
        found.append(attempt(refused.connect, (HOST, port)))
        found.append(attempt(refused.listen))
        found.append(is_inside(refused))
        # The length of a sockaddr_storage: not one by which the filter knows IPv4 or IPv6.
        address = inet(0, "0.0.0.0") + bytes(112)
        found.append(LIBC.bind(bound.fileno(), ctypes.c_char_p(address), len(address)))
        found.append(is_inside(bound))
    return found


def fast_open(port: int) -> list[object]:
    with socket.socket() as sock:
        found: list[object] = [attempt(sock.sendto, b"x", MSG_FASTOPEN, (HOST, port))]
        found.append(attempt(sock.sendmsg, [b"x"], [], MSG_FASTOPEN, (HOST, port)))
        found.append(call(307 if os.uname().machine == "x86_64" else 269, sock.fileno(), 0, 0, MSG_FASTOPEN))
        found.append(attempt(sock.setsockopt, socket.IPPROTO_TCP, 30, 1))
        return found


def other_ways(_port: int) -> dict[str, str]:
    found = {
        "io_uring": call(425, 8, 0),
        "vsock": attempt(socket.socket, socket.AF_VSOCK, socket.SOCK_STREAM),
        "packet": attempt(socket.socket, socket.AF_PACKET, socket.SOCK_RAW),
        "alg": attempt(socket.socket, socket.AF_ALG, socket.SOCK_SEQPACKET),
        "raw": attempt(socket.socket, socket.AF_INET, socket.SOCK_RAW, 1),
        "raw6": attempt(socket.socket, socket.AF_INET6, socket.SOCK_RAW, 58),
        "sctp": attempt(socket.socket, socket.AF_INET, socket.SOCK_STREAM, 132),
        "sctp packets": attempt(socket.socket, socket.AF_INET, socket.SOCK_SEQPACKET, 132),
        "netlink": attempt(socket.socket, socket.AF_NETLINK, socket.SOCK_RAW, 12),
        "pair": attempt(socket.socketpair, 30),
        "high bits of the family": call(socket_number(), (1 << 32) | socket.AF_VSOCK, 1, 0),
        "clone3": call(435, 0, 0),
        "second listener": second_listener(),
    }
    if os.uname().machine == "x86_64":
        found["x32"] = call(0x40000000 + 41, 2, 1, 0)
        found["unshare"] = call(272, 0x10000000)
        found["setns"] = call(308, 0, 0)
        found["clone"] = call(56, 0x40000000 | 17, 0, 0, 0, 0)
        found["keyctl"] = call(250, 0, -3, 0)
        found["bpf"] = call(321, 0, 0, 0)
        found["userfaultfd"] = call(323, 1)
        found["perf"] = call(298, 0, 0, 0, 0, 0)
    with socket.socket() as sock:
        found["interface"] = attempt(sock.setsockopt, socket.SOL_SOCKET, 25, b"lo\0")
        found["source route"] = attempt(
            sock.setsockopt, socket.IPPROTO_IP, socket.IP_OPTIONS, b"\x83\x07\x04" + bytes(5)
        )
        found["unicast interface"] = attempt(sock.setsockopt, socket.IPPROTO_IP, 50, struct.pack("=i", 1))
    with socket.socket(socket.AF_INET6) as sock:
        found["routing header"] = attempt(sock.setsockopt, socket.IPPROTO_IPV6, 57, bytes(24))
    return found


def call_of_i386(_port: int = 0) -> int:
    """Mov eax, 20 (getpid of i386); int 0x80; ret."""
    import mmap  # noqa: PLC0415 - of this one only

    code = mmap.mmap(-1, 4096, prot=mmap.PROT_READ | mmap.PROT_WRITE | mmap.PROT_EXEC)
    code.write(bytes.fromhex("b814000000cd80c3"))
    return int(ctypes.CFUNCTYPE(ctypes.c_int)(ctypes.addressof(ctypes.c_char.from_buffer(code)))())


def socket_number() -> int:
    return 41 if os.uname().machine == "x86_64" else 198


def second_listener() -> str:
    program = struct.pack("=HBBI", 6, 0, 0, 0x7FFF0000)
    buffer = ctypes.create_string_buffer(program, 8)
    head = ctypes.create_string_buffer(struct.pack("=HxxxxxxQ", 1, ctypes.addressof(buffer)), 16)
    return call(317 if os.uname().machine == "x86_64" else 277, 1, 8, ctypes.addressof(head))


def interfaces(_port: int) -> list[object]:
    """What it may see of its own network."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        room = array.array("b", bytes(400))
        filled = fcntl.ioctl(sock, 0x8912, struct.pack("=i4xQ", len(room), room.buffer_info()[0]))
        (length,) = struct.unpack_from("=i", filled)
        names = {room.tobytes()[at : at + 16].rstrip(b"\0").decode() for at in range(0, length, 40)}
        (needed,) = struct.unpack_from("=i", fcntl.ioctl(sock, 0x8912, struct.pack("=i4xQ", 0, 0)))
        return [
            sorted(names),
            needed == length,
            socket.if_nametoindex("lo"),
            attempt(fcntl.ioctl, sock, 0x8914, struct.pack("16sH22x", b"lo", 0)),  # SIOCSIFFLAGS
            attempt(fcntl.ioctl, sock, 0x8916, struct.pack("16sHH4s16x", b"lo:9", 2, 0, bytes(4))),  # SIOCSIFADDR
            attempt(fcntl.ioctl, os.pipe()[0], 0x8913, bytes(40)),
            attempt(fcntl.ioctl, 999, 0x8913, bytes(40)),
            name_of(0 if LIBC.ioctl(sock.fileno(), 0x8913, ctypes.c_void_p(8)) == 0 else ctypes.get_errno()),
        ]


def flip_the_address(argument: dict[str, int]) -> dict[str, int]:
    """Another thread changes the port under connect(2), from one that is allowed to one that is not."""
    address = ctypes.create_string_buffer(inet(argument["allowed"]), 16)
    ports = [struct.pack(">H", argument[name]) for name in ("allowed", "denied")]
    stop = threading.Event()

    def flip() -> None:
        while not stop.is_set():
            for port in ports:
                address[2], address[3] = port[:1], port[1:]

    sys.setswitchinterval(1e-5)
    thread = threading.Thread(target=flip)
    thread.start()
    found: dict[str, int] = {}
    for _ in range(argument["tries"]):
        with socket.socket() as sock:
            code = LIBC.connect(sock.fileno(), address, 16)
            result = name_of(0 if code == 0 else ctypes.get_errno())
            if code == 0:
                result = f"port {sock.getpeername()[1]}"
            found[result] = found.get(result, 0) + 1
    stop.set()
    thread.join()
    return found


def exchange_under_continue(argument: dict[str, int]) -> dict[str, int]:
    """Another thread makes a TCP address and a host's socket of a connect(2) on a Unix socket."""
    unix_address = struct.pack("=H", socket.AF_UNIX) + b"/no\0" + bytes(10)
    address = ctypes.create_string_buffer(unix_address, 16)
    target = inet(argument["denied"])
    stop = threading.Event()
    with socket.socket() as tcp, socket.socket(socket.AF_UNIX) as plain:
        tcp.setblocking(False)
        fd = os.dup(plain.fileno())

        def flip() -> None:
            while not stop.is_set():
                ctypes.memmove(address, target, 16)
                os.dup2(tcp.fileno(), fd)
                ctypes.memmove(address, unix_address, 16)
                os.dup2(plain.fileno(), fd)

        sys.setswitchinterval(1e-5)
        thread = threading.Thread(target=flip)
        thread.start()
        found: dict[str, int] = {}
        for _ in range(argument["tries"]):
            code = LIBC.connect(fd, address, 16)
            result = name_of(0 if code == 0 else ctypes.get_errno())
            found[result] = found.get(result, 0) + 1
        stop.set()
        thread.join()
        os.close(fd)
        if (code := attempt(tcp.getpeername)) != "ENOTCONN":
            found[f"escaped: {code}"] = 1
    return found


def denied(port: int) -> list[str]:
    with socket.socket() as sock, socket.socket() as other:
        other.setblocking(False)
        return [raw_connect(sock.fileno(), inet(port)), raw_connect(other.fileno(), inet(port))]


def connect_to(target: tuple[str, int]) -> str:
    with socket.socket(socket.AF_INET6 if ":" in target[0] else socket.AF_INET) as sock:
        return attempt(sock.connect, tuple(target))


def connect_and_read(where: list[tuple[str, int]]) -> list[str]:
    """Return what each server says first, or an errno."""
    found = []
    for host, port in where:
        with socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET) as sock:
            try:
                sock.connect((host, port))
                found.append(sock.recv(100).decode())
            except OSError as exc:
                found.append(name_of(exc.errno or 0))
    return found


def connect_nonblocking(target: tuple[str, int]) -> str:
    with socket.socket() as sock:
        sock.setblocking(False)
        return raw_connect(sock.fileno(), inet(target[1], target[0]))


def inherited_listener(fd: int) -> list[object]:
    """A server calls listen() on the socket that the host gave it."""
    with socket.socket(fileno=fd) as server:
        server.listen(5)
        port = server.getsockname()[1]
        with socket.create_connection((HOST, port)) as client, server.accept()[0] as accepted:
            client.sendall(b"x")
            return [accepted.recv(1).decode(), is_inside(server)]


def many_waiting(argument: dict[str, int]) -> list[float]:
    """Threads that wait for what does not answer, while one connects to what does; its times in ms, sorted."""
    import time  # noqa: PLC0415 - a figure, no verdict

    threading.stack_size(64 * 1024)
    waiting = argument["threads"]
    ready = threading.Semaphore(0)

    def wait() -> None:
        with socket.socket() as sock:
            ready.release()
            attempt(sock.connect, (HOST, argument["full"]))

    for _ in range(waiting):
        threading.Thread(target=wait, daemon=True).start()
    for _ in range(waiting):
        ready.acquire()
    times = []
    for _ in range(100):
        begin = time.perf_counter()
        with socket.create_connection((HOST, argument["echo"])) as sock:
            times.append((time.perf_counter() - begin) * 1000)
            sock.sendall(b"x")
            assert sock.recv(1) == b"x"
    sys.stdout.write(json.dumps(sorted(times)))
    sys.stdout.flush()
    os._exit(0)  # the threads wait for ever


def use_odd_socket(fd: int) -> list[str]:
    """Use a socket that no worker can make."""
    with socket.socket(fileno=fd) as sock:
        vsock = struct.pack("=HHIIi", socket.AF_VSOCK, 0, 1, 1, 0)
        libc = ctypes.CDLL(None, use_errno=True)
        calls: tuple[Callable[[], int], ...] = (
            lambda: libc.connect(sock.fileno(), vsock, len(vsock)),
            lambda: libc.bind(sock.fileno(), vsock, len(vsock)),
            lambda: libc.listen(sock.fileno(), 1),
        )
        return [errno.errorcode[ctypes.get_errno()] if call() else "done" for call in calls]


def serve_inside(_: object) -> None:
    """Serve one client."""
    with socket.create_server(("0.0.0.0", 0)) as server:
        print(server.getsockname()[1], flush=True)  # noqa: T201 - for the test
        client, _ = server.accept()
        with client:
            client.sendall(b"inside")
            client.recv(1)
