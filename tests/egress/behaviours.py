"""What programs see of their sockets: each function runs outside and inside, and must return the same.

``PORTS`` of the argument: ``echo`` sends back what it gets, ``closed`` refuses, ``full`` never answers.
"""

from __future__ import annotations

import asyncio
import contextlib
import ctypes
import errno
import fcntl
import multiprocessing
import os
import select
import signal
import socket
import struct
import threading
import time
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable

HOST = "127.0.0.1"
LIBC = ctypes.CDLL(None, use_errno=True)


def name_of(code: int) -> str:
    return "0" if code == 0 else errno.errorcode[code]


def raw_connect(fd: int, address: bytes, length: int | None = None) -> str:
    """connect(2) without Python's waiting."""
    result = LIBC.connect(fd, ctypes.c_char_p(address), len(address) if length is None else length)
    return name_of(0 if result == 0 else ctypes.get_errno())


def inet(port: int, host: str = HOST, family: int = socket.AF_INET) -> bytes:
    return struct.pack("=H", family) + struct.pack(">H", port) + socket.inet_aton(host) + bytes(8)


def inet6(port: int, host: str) -> bytes:
    head = struct.pack("=H", socket.AF_INET6) + struct.pack(">HI", port, 0)
    return head + socket.inet_pton(socket.AF_INET6, host) + bytes(4)


def echo_works(sock: socket.socket) -> bool:
    sock.sendall(b"ping")
    return sock.recv(4) == b"ping"


def events_of(sock: socket.socket, timeout_ms: int = 10_000) -> list[str]:
    poll = select.poll()
    poll.register(sock, select.POLLIN | select.POLLOUT)
    found = poll.poll(timeout_ms)[0][1]
    return [name for name in ("POLLIN", "POLLOUT", "POLLERR", "POLLHUP") if found & getattr(select, name)]


def blocking_connect(ports: dict[str, int]) -> object:
    with socket.socket() as sock:
        return [sock.connect_ex((HOST, ports["echo"])), echo_works(sock)]


def blocking_refused_then_connected(ports: dict[str, int]) -> object:
    with socket.socket() as sock:
        first = name_of(sock.connect_ex((HOST, ports["closed"])))
        again = name_of(sock.connect_ex((HOST, ports["closed"])))
        return [first, again, name_of(sock.connect_ex((HOST, ports["echo"]))), echo_works(sock)]


def second_connect_when_connected(ports: dict[str, int]) -> object:
    with socket.socket() as sock:
        sock.connect((HOST, ports["echo"]))
        same = name_of(sock.connect_ex((HOST, ports["echo"])))
        return [same, name_of(sock.connect_ex((HOST, ports["closed"]))), echo_works(sock)]


def nonblocking_connect(ports: dict[str, int]) -> object:
    with socket.socket() as sock:
        sock.setblocking(False)
        first = raw_connect(sock.fileno(), inet(ports["echo"]))
        events = events_of(sock)
        second = raw_connect(sock.fileno(), inet(ports["echo"]))
        third = raw_connect(sock.fileno(), inet(ports["echo"]))
        sock.setblocking(True)
        return [first, events, second, third, echo_works(sock)]


def nonblocking_so_error(ports: dict[str, int]) -> object:
    with socket.socket() as sock:
        sock.setblocking(False)
        first = raw_connect(sock.fileno(), inet(ports["echo"]))
        events = events_of(sock)
        return [first, events, sock.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR), sock.getpeername()[0]]


def nonblocking_refused(ports: dict[str, int]) -> object:
    with socket.socket() as sock:
        sock.setblocking(False)
        first = raw_connect(sock.fileno(), inet(ports["closed"]))
        events = events_of(sock)
        error = name_of(sock.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR))
        second = raw_connect(sock.fileno(), inet(ports["closed"]))
        third = raw_connect(sock.fileno(), inet(ports["closed"]))
        return [first, events, error, second, third]


def nonblocking_refused_by_second_connect(ports: dict[str, int]) -> object:
    with socket.socket() as sock:
        sock.setblocking(False)
        first = raw_connect(sock.fileno(), inet(ports["closed"]))
        events_of(sock)
        second = raw_connect(sock.fileno(), inet(ports["closed"]))
        third = raw_connect(sock.fileno(), inet(ports["echo"]))
        events_of(sock)
        return [first, second, third, name_of(sock.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR))]


def nonblocking_in_progress(ports: dict[str, int]) -> object:
    with socket.socket() as sock:
        sock.setblocking(False)
        return [raw_connect(sock.fileno(), inet(ports["full"])) for _ in range(3)]


def shutdown_while_connecting(ports: dict[str, int]) -> object:
    """Afterwards the socket is fresh again, and may connect."""
    with socket.socket() as sock:
        sock.setblocking(False)
        first = raw_connect(sock.fileno(), inet(ports["full"]))
        try:
            sock.shutdown(socket.SHUT_RDWR)
            how = "0"
        except OSError as exc:
            how = name_of(exc.errno or 0)
        second = raw_connect(sock.fileno(), inet(ports["echo"]))
        return [first, how, second, events_of(sock)]


def send_timeout(ports: dict[str, int]) -> object:
    with socket.socket() as sock:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDTIMEO, struct.pack("=qq", 0, 50_000))
        first = raw_connect(sock.fileno(), inet(ports["full"]))
        second = raw_connect(sock.fileno(), inet(ports["full"]))
        flags = fcntl.fcntl(sock, fcntl.F_GETFL)
        sock.setblocking(False)
        return [first, second, flags, raw_connect(sock.fileno(), inet(ports["full"]))]


def python_timeout(ports: dict[str, int]) -> object:
    try:
        socket.create_connection((HOST, ports["full"]), timeout=0.05)
    except TimeoutError as exc:
        return str(exc)
    return "connected"


def asyncio_cancelled(ports: dict[str, int]) -> object:
    async def main() -> str:
        try:
            async with asyncio.timeout(0.05):
                await asyncio.open_connection(HOST, ports["full"])
        except TimeoutError:
            reader, writer = await asyncio.open_connection(HOST, ports["echo"])
            writer.write(b"ping")
            answer = await reader.read(4)
            writer.close()
            return answer.decode()
        return "connected"

    return asyncio.run(main())


def uvloop_connects(ports: dict[str, int]) -> object:
    import uvloop  # noqa: PLC0415 - only this one

    async def main() -> str:
        reader, writer = await asyncio.open_connection(HOST, ports["echo"])
        writer.write(b"ping")
        answer = await reader.read(4)
        writer.close()
        try:
            await asyncio.open_connection(HOST, ports["closed"])
        except OSError as exc:
            return answer.decode() + name_of(exc.errno or 0)
        return "connected"

    return uvloop.run(main())


def registered_before_connect(ports: dict[str, int]) -> object:
    with socket.socket() as sock, select.epoll() as epoll:
        sock.setblocking(False)
        epoll.register(sock, select.EPOLLOUT | select.EPOLLET)
        epoll.poll(0)
        first = raw_connect(sock.fileno(), inet(ports["echo"]))
        seen = epoll.poll(10)[0][1]
        return [first, bool(seen & select.EPOLLOUT), bool(seen & select.EPOLLERR)]


def duplicated_before_connect(ports: dict[str, int]) -> object:
    with socket.socket() as sock, sock.dup() as other:
        sock.connect((HOST, ports["echo"]))
        return [other.getpeername()[0], echo_works(other)]


def forked_before_connect(ports: dict[str, int]) -> object:
    with socket.socket() as sock:
        child = os.fork()
        if child == 0:
            try:
                sock.connect((HOST, ports["echo"]))
                os._exit(0)
            finally:
                os._exit(1)
        code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
        return [code, echo_works(sock)]


def multiprocessing_connects(ports: dict[str, int]) -> object:
    with multiprocessing.get_context("spawn").Pool(2) as pool:
        return pool.map(blocking_connect, [ports, ports])


def exec_inherits(ports: dict[str, int]) -> object:
    with socket.socket() as sock:
        sock.connect((HOST, ports["echo"]))
        os.set_inheritable(sock.fileno(), True)
        script = f"printf ping >&{sock.fileno()}; head -c4 <&{sock.fileno()} >/dev/null"
        child = os.posix_spawn("/bin/bash", ["bash", "-c", script], os.environ)
        return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


def flags_and_options_last(ports: dict[str, int]) -> object:
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM | socket.SOCK_NONBLOCK) as sock:
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
        before = fcntl.fcntl(sock, fcntl.F_GETFL), fcntl.fcntl(sock, fcntl.F_GETFD)
        raw_connect(sock.fileno(), inet(ports["echo"]))
        after = fcntl.fcntl(sock, fcntl.F_GETFL), fcntl.fcntl(sock, fcntl.F_GETFD)
        nodelay = sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)
        return [before, after, nodelay, sock.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE)]


def descriptor_flags(_ports: dict[str, int]) -> object:
    found = []
    for kind in (0, socket.SOCK_CLOEXEC, socket.SOCK_NONBLOCK, socket.SOCK_CLOEXEC | socket.SOCK_NONBLOCK):
        fd = LIBC.socket(socket.AF_INET, socket.SOCK_STREAM | kind, 0)
        found.append([fcntl.fcntl(fd, fcntl.F_GETFD), fcntl.fcntl(fd, fcntl.F_GETFL)])
        os.close(fd)
    return found


def lowest_descriptor(_ports: dict[str, int]) -> object:
    """socket(2) gives the lowest free number."""
    spare = os.dup(0)
    os.close(spare)
    fd = LIBC.socket(socket.AF_INET, socket.SOCK_STREAM, 0)
    os.close(fd)
    return fd == spare


def too_many_descriptors(_ports: dict[str, int]) -> object:
    import resource  # noqa: PLC0415 - changes this process for good

    resource.setrlimit(resource.RLIMIT_NOFILE, (32, 32))
    made = []
    try:
        while True:
            made.append(socket.socket())
    except OSError as exc:
        return name_of(exc.errno or 0)
    finally:
        for sock in made:
            sock.close()


def wrong_sockets(_ports: dict[str, int]) -> object:
    tries = [(2, 1, 17), (2, 1, 1), (2, 1 | 0o20, 0), (10, 1, 6), (2, 5, 132)]
    return [_socket_errno(*each) for each in tries]


def _socket_errno(family: int, kind: int, protocol: int) -> str:
    fd = LIBC.socket(family, kind, protocol)
    if fd < 0:
        return name_of(ctypes.get_errno())
    os.close(fd)
    return "0"


def wrong_addresses(ports: dict[str, int]) -> object:
    found = []
    for family in (socket.AF_INET, socket.AF_INET6):
        for address in (
            b"",
            b"\x02",
            inet(ports["echo"])[:15],
            inet6(ports["echo"], "::1")[:23],
            inet(ports["echo"]) if family == socket.AF_INET6 else inet6(ports["echo"], "::1"),
            inet(ports["echo"], family=77),
            inet(ports["echo"]) + bytes(113),
        ):
            with socket.socket(family) as sock:
                found.append(raw_connect(sock.fileno(), address))
    with socket.socket() as sock:
        found.append(raw_connect(sock.fileno(), inet(ports["echo"]), -1))
        found.append(name_of(0 if LIBC.connect(sock.fileno(), ctypes.c_void_p(8), 16) == 0 else ctypes.get_errno()))
    found.append(raw_connect(9999, inet(ports["echo"])))
    found.append(raw_connect(1, inet(ports["echo"])))
    return found


def long_address_is_fine(ports: dict[str, int]) -> object:
    with socket.socket() as sock:
        return [raw_connect(sock.fileno(), inet(ports["echo"]) + bytes(112)), echo_works(sock)]


def v4_mapped(ports: dict[str, int]) -> object:
    with socket.socket(socket.AF_INET6) as sock:
        code = raw_connect(sock.fileno(), inet6(ports["echo"], "::ffff:127.0.0.1"))
        return [code, sock.getpeername()[0], echo_works(sock)]


def v6_only(ports: dict[str, int]) -> object:
    with socket.socket(socket.AF_INET6) as sock:
        sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        return raw_connect(sock.fileno(), inet6(ports["echo"], "::ffff:127.0.0.1"))


def any_address(ports: dict[str, int]) -> object:
    with socket.socket() as sock:
        return [raw_connect(sock.fileno(), inet(ports["echo"], "0.0.0.0")), echo_works(sock)]


def half_close(ports: dict[str, int]) -> object:
    with socket.socket() as sock:
        sock.connect((HOST, ports["echo"]))
        sock.sendall(b"last words")
        sock.shutdown(socket.SHUT_WR)
        return b"".join(iter(lambda: sock.recv(100), b"")).decode()


def shut_down_connection(ports: dict[str, int]) -> object:
    with socket.socket() as sock:
        sock.connect((HOST, ports["echo"]))
        sock.shutdown(socket.SHUT_RDWR)
        return [raw_connect(sock.fileno(), inet(ports["echo"]))]


def threads_connect(ports: dict[str, int]) -> object:
    done: list[bool] = []

    def work() -> None:
        for _ in range(10):
            with socket.create_connection((HOST, ports["echo"])) as sock:
                done.append(echo_works(sock))

    threads = [threading.Thread(target=work) for _ in range(16)]
    for each in threads:
        each.start()
    for each in threads:
        each.join()
    return [len(done), all(done)]


def two_threads_wait_for_one_socket(ports: dict[str, int]) -> object:
    with socket.socket() as sock:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDTIMEO, struct.pack("=qq", 0, 50_000))
        found: list[str] = []
        threads = [
            threading.Thread(target=lambda: found.append(raw_connect(sock.fileno(), inet(ports["full"])))) for _ in "ab"
        ]
        for each in threads:
            each.start()
        for each in threads:
            each.join()
        return sorted(found)


def signal_handler_that_raises(ports: dict[str, int]) -> object:
    """Ctrl-C during a blocking connect."""

    def raise_it(*_: object) -> None:
        raise KeyboardInterrupt

    signal.signal(signal.SIGALRM, raise_it)
    signal.setitimer(signal.ITIMER_REAL, 0.05)
    with socket.socket() as sock:
        try:
            sock.connect((HOST, ports["full"]))
        except KeyboardInterrupt:
            return "interrupted"
    return "connected"


def interrupted_system_call(ports: dict[str, int]) -> object:
    with socket.socket() as sock:
        old = signal.signal(signal.SIGALRM, lambda *_: None)
        signal.setitimer(signal.ITIMER_REAL, 0.05)
        first = raw_connect(sock.fileno(), inet(ports["full"]))
        signal.signal(signal.SIGALRM, old)
        sock.setblocking(False)
        return [first, raw_connect(sock.fileno(), inet(ports["full"]))]


def restarted_system_call(ports: dict[str, int]) -> object:
    """A handler with SA_RESTART: connect() goes on waiting. Ended by another thread that shuts the socket down."""
    ran: list[int] = []
    with socket.socket() as sock:
        old = signal.signal(signal.SIGALRM, lambda *_: ran.append(1))
        signal.siginterrupt(signal.SIGALRM, False)
        wakeup_read, wakeup_write = socket.socketpair()
        wakeup_write.setblocking(False)
        signal.set_wakeup_fd(wakeup_write.fileno())
        found: list[str] = []

        def shut() -> None:
            wakeup_read.recv(1)  # the handler of the C level has run, while connect() was waiting
            while not found:  # connect() may not have been started anew yet
                time.sleep(0.01)
                with contextlib.suppress(OSError):
                    sock.shutdown(socket.SHUT_RDWR)

        thread = threading.Thread(target=shut)
        signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGALRM})
        thread.start()
        signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGALRM})
        signal.setitimer(signal.ITIMER_REAL, 0.05)
        found.append(raw_connect(sock.fileno(), inet(ports["full"])))
        thread.join()
        signal.set_wakeup_fd(-1)
        signal.signal(signal.SIGALRM, old)
        wakeup_read.close()
        wakeup_write.close()
        return found


def killed_while_connecting(ports: dict[str, int]) -> object:
    child = os.fork()
    if child == 0:
        with socket.socket() as sock:
            sock.connect((HOST, ports["full"]))
        os._exit(0)
    time.sleep(0.05)  # it may be killed before or in its connect; both must end it
    os.kill(child, signal.SIGKILL)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


def unspec_on_a_datagram_socket(_ports: dict[str, int]) -> object:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock, socket.socket(type=socket.SOCK_DGRAM) as other:
        other.bind((HOST, 0))
        found = [raw_connect(sock.fileno(), inet(other.getsockname()[1]))]
        sock.send(b"x")
        found.append(other.recv(1).decode())
        return [*found, raw_connect(sock.fileno(), bytes(16))]


def server_and_client(host: str) -> list[Any]:
    with socket.create_server((host, 0)) as server:
        port = server.getsockname()[1]
        with socket.create_connection((host, port)) as client, server.accept()[0] as accepted:
            client.sendall(b"ping")
            return [port != 0, accepted.recv(4).decode(), accepted.getsockname()[0], client.getpeername()[0]]


def own_server(_ports: dict[str, int]) -> object:
    return server_and_client("127.0.0.1")


def own_server_on_every_address(_ports: dict[str, int]) -> object:
    return server_and_client("0.0.0.0")[:2]


def own_asyncio_server(_ports: dict[str, int]) -> object:
    async def main() -> str:
        async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            writer.write(await reader.read(10))
            writer.close()

        server = await asyncio.start_server(answer, HOST, 0)
        async with server:
            reader, writer = await asyncio.open_connection(HOST, server.sockets[0].getsockname()[1])
            writer.write(b"mine")
            data = await reader.read(10)
            writer.close()
            await writer.wait_closed()
            return data.decode()

    return asyncio.run(main())


def own_server_without_bind(_ports: dict[str, int]) -> object:
    with socket.socket() as server:
        server.listen()
        with socket.create_connection((HOST, server.getsockname()[1])) as client, server.accept()[0] as accepted:
            client.sendall(b"ping")
            return accepted.recv(4).decode()


def own_server_closed(_ports: dict[str, int]) -> object:
    with socket.create_server((HOST, 0)) as server:
        port = server.getsockname()[1]
    with socket.socket() as sock:
        return [name_of(sock.connect_ex((HOST, port)))]


def bind_errors(_ports: dict[str, int]) -> object:
    found = []
    with socket.create_server((HOST, 0)) as taken:
        for address in ((HOST, taken.getsockname()[1]), ("203.0.113.1", 0)):
            with socket.socket() as sock:
                try:
                    sock.bind(address)
                    found.append("0")
                except OSError as exc:
                    found.append(name_of(exc.errno or 0))
    with socket.socket() as sock:
        sock.bind((HOST, 0))
        try:
            sock.bind((HOST, 0))
        except OSError as exc:
            found.append(name_of(exc.errno or 0))
        sock.listen()
        found.append(raw_connect(sock.fileno(), inet(1)))
    return found


def options_of_a_server(_ports: dict[str, int]) -> object:
    """They are set before bind(2), where the socket is exchanged."""
    with socket.socket() as sock:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 20_000)
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("=ii", 1, 7))
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, 1234)
        sock.setsockopt(socket.IPPROTO_IP, socket.IP_TTL, 77)
        sock.settimeout(5)
        os.set_inheritable(sock.fileno(), True)
        sock.bind((HOST, 0))
        return [
            sock.getsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR),
            sock.getsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF),
            sock.getsockopt(socket.SOL_SOCKET, socket.SO_LINGER, 8).hex(),
            sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT),
            sock.getsockopt(socket.IPPROTO_IP, socket.IP_TTL),
            fcntl.fcntl(sock, fcntl.F_GETFL),
            os.get_inheritable(sock.fileno()),
        ]


def client_with_a_source_address(ports: dict[str, int]) -> object:
    with socket.create_connection((HOST, ports["echo"]), source_address=("0.0.0.0", 0)) as sock:
        return echo_works(sock)


def unix_sockets(_ports: dict[str, int]) -> object:
    import tempfile  # noqa: PLC0415 - only here

    found: list[str] = []
    with tempfile.TemporaryDirectory() as folder:
        for path in (f"{folder}/s", "\0longshore-test-abstract"):
            with socket.socket(socket.AF_UNIX) as server, socket.socket(socket.AF_UNIX) as client:
                server.bind(path)
                server.listen()
                client.connect(path)
                with server.accept()[0] as accepted:
                    client.sendall(b"ping")
                    found.append(accepted.recv(4).decode())
        for path in (f"{folder}/missing", f"{folder}/../../../../../../../etc/passwd"):
            with socket.socket(socket.AF_UNIX) as client:
                found.append(name_of(client.connect_ex(path)))
        os.chdir(folder)
        with socket.socket(socket.AF_UNIX) as client:
            found.append(name_of(client.connect_ex("s")))
    return found


def netlink_works(_ports: dict[str, int]) -> object:
    with socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, 0) as sock:
        sock.bind((0, 0))
        return sock.getsockname()[0] != 0


def fetch_echo(targets: list[tuple[str, int]]) -> list[str]:
    """Return what each of these answers to a ping."""
    found = []
    for host, port in targets:
        with socket.create_connection((host, port)) as sock:
            sock.sendall(b"ping")
            found.append(sock.recv(4).decode())
    return found


def fetch_from_full(ports: dict[str, int]) -> str:
    with socket.socket() as sock:
        return name_of(sock.connect_ex((HOST, ports["full"])))


ALL: list[Callable[[dict[str, int]], object]] = [
    blocking_connect,
    blocking_refused_then_connected,
    second_connect_when_connected,
    nonblocking_connect,
    nonblocking_so_error,
    nonblocking_refused,
    nonblocking_refused_by_second_connect,
    nonblocking_in_progress,
    shutdown_while_connecting,
    send_timeout,
    python_timeout,
    asyncio_cancelled,
    uvloop_connects,
    registered_before_connect,
    duplicated_before_connect,
    forked_before_connect,
    multiprocessing_connects,
    exec_inherits,
    flags_and_options_last,
    descriptor_flags,
    lowest_descriptor,
    wrong_sockets,
    wrong_addresses,
    long_address_is_fine,
    v4_mapped,
    v6_only,
    any_address,
    half_close,
    shut_down_connection,
    threads_connect,
    two_threads_wait_for_one_socket,
    signal_handler_that_raises,
    interrupted_system_call,
    restarted_system_call,
    killed_while_connecting,
    unspec_on_a_datagram_socket,
    own_server,
    own_server_on_every_address,
    own_asyncio_server,
    own_server_without_bind,
    own_server_closed,
    bind_errors,
    options_of_a_server,
    client_with_a_source_address,
    unix_sockets,
    netlink_works,
    too_many_descriptors,
]
"""The last one leaves its process without descriptors."""


def run_all(ports: dict[str, int]) -> dict[str, object]:
    """Return what each one saw."""
    found: dict[str, object] = {}
    for each in ALL:
        try:
            found[each.__name__] = each(ports)
        except Exception as exc:  # noqa: BLE001 - compared like any other result
            found[each.__name__] = repr(exc)
    return found
