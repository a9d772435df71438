"""What the code of a worker tries in order to get out; each function runs in a worker and returns what it got.

The more elementary ones are ``tests.egress.escapes``.
"""

from __future__ import annotations

import contextlib
import ctypes
import fcntl
import json
import os
import re
import signal
import socket
import stat
import struct
import subprocess
from typing import Any

from workers import fetch

from longshore import SocketError, connect
from tests.egress import escapes
from tests.egress.behaviours import LIBC, inet, inet6, name_of, raw_connect
from tests.egress.escapes import MSG_FASTOPEN, attempt, call, is_inside

HOST = "127.0.0.1"
X86 = os.uname().machine == "x86_64"
SENDMMSG = 307 if X86 else 269
PTRACE = 101 if X86 else 117
PROCESS_VM_READV = 310 if X86 else 270
PIDFD_GETFD = 438
PTRACE_ATTACH, PTRACE_SEIZE = 16, 0x4206
MARK = os.urandom(8).hex()  # of this process


def elementary(name: str, argument: Any) -> Any:
    return getattr(escapes, name)(argument)


def mark() -> str:
    return MARK


# --- system calls that the filter stops -----------------------------------------------------------------------------


def fast_open_in_the_message(port: int) -> list[str]:
    """MSG_FASTOPEN in ``msg_flags``, where the kernel must not look for it, and beside other flags."""
    payload = ctypes.create_string_buffer(b"x")
    name = ctypes.create_string_buffer(inet(port), 16)
    vector = struct.pack("=QQ", ctypes.addressof(payload), 1)
    vectors = ctypes.create_string_buffer(vector)
    # struct msghdr { name, namelen, iov, iovlen, control, controllen, flags }, then mmsghdr's msg_len.
    head = struct.pack(
        "=QI4xQQQQi4xI4x", ctypes.addressof(name), 16, ctypes.addressof(vectors), 1, 0, 0, MSG_FASTOPEN, 0
    )
    message = ctypes.create_string_buffer(head)
    found = []
    for given in (0, MSG_FASTOPEN, MSG_FASTOPEN | socket.MSG_NOSIGNAL, MSG_FASTOPEN | socket.MSG_DONTWAIT):
        with socket.socket() as sock:
            flags = given | socket.MSG_NOSIGNAL
            found.append(call(SENDMMSG, sock.fileno(), ctypes.addressof(message), 1, flags))
            found.append(call(46 if X86 else 211, sock.fileno(), ctypes.addressof(message), flags))
            found.append(attempt(sock.sendto, b"x", flags, (HOST, port)))
    return found


def io_uring() -> dict[str, str]:
    return {name: call(number, 8, 0, 0, 0) for number, name in ((425, "setup"), (426, "enter"), (427, "register"))}


def other_architecture() -> int:
    """Make a system call of 32 bits in a child; return how that ended."""
    pid = os.fork()
    if pid == 0:
        escapes.call_of_i386()
        os._exit(0)
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])


def x32_numbers() -> list[str]:
    """socket, connect, bind, sendto and io_uring_setup under the numbers of x32."""
    return [call(0x4000_0000 + number, 40, 1, 0, 0) for number in (41, 42, 49, 44, 425, 518)]


# --- sockets of the host, by whatever way they came -----------------------------------------------------------------


def abuse(sock: socket.socket, port: int) -> list[str]:
    """Everything that would make another connection, or a listener, of a socket of the host that is connected."""
    with contextlib.suppress(OSError):
        sock.shutdown(socket.SHUT_RDWR)
    return [
        "inside" if is_inside(sock) else "outside",
        raw_connect(sock.fileno(), bytes(16)),  # AF_UNSPEC
        raw_connect(sock.fileno(), bytes(2)),
        raw_connect(sock.fileno(), bytes(28)),
        # The port is the same, the place is not: it is still, or was, connected.
        raw_connect(sock.fileno(), inet(port)),
        attempt(sock.sendto, b"x", MSG_FASTOPEN | socket.MSG_NOSIGNAL, (HOST, port)),
        attempt(fcntl.ioctl, sock, 0x8912, struct.pack("=iiQ", 0, 0, 0)),
        attempt(fcntl.ioctl, sock, 0x894C, 0),
        attempt(sock.setsockopt, socket.SOL_SOCKET, socket.SO_BINDTODEVICE, b"lo\0"),
        _listens_outside(sock),
    ]


def _listens_outside(sock: socket.socket) -> str:
    """Whether bind(2) and listen(2) make a listener of the host's network of it."""
    bound, listening = attempt(sock.bind, ("0.0.0.0", 0)), attempt(sock.listen)
    listens = sock.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN)
    return f"bind {bound}, listen {listening}" if not listens or is_inside(sock) else "escaped: listens outside"


def abuse_a_drivers_socket(open_port: int, port: int) -> list[str]:
    with socket.create_connection((HOST, open_port)) as sock:
        return abuse(sock, port)


def abuse_in_another_process(open_port: int, port: int) -> list[str]:
    """A child gets the connection with SCM_RIGHTS; the parent closes its own."""
    left, right = socket.socketpair()
    reading, writing = os.pipe()
    pid = os.fork()
    if pid == 0:
        left.close()
        _, fds, _, _ = socket.recv_fds(right, 1, 4)
        connected, fresh = (abuse(socket.socket(fileno=fd), port) for fd in fds)
        os.write(writing, json.dumps(connected + fresh).encode())
        os._exit(0)
    os.close(writing)
    with left, right, socket.create_connection((HOST, open_port)) as sock, socket.socket() as plain:
        socket.send_fds(left, [b"x"], [sock.fileno(), plain.fileno()])
    with open(reading, "rb") as file:
        text = file.read()
    os.waitpid(pid, 0)
    found: list[str] = json.loads(text)
    return found


def sockets_of_this_process() -> set[int]:
    return {int(fd) for fd in os.listdir("/proc/self/fd") if _is_socket(fd)}


def _is_socket(fd: str) -> bool:
    try:
        return stat.S_ISSOCK(os.stat(int(fd)).st_mode)
    except OSError:
        return False


async def abuse_what_connect_returned(open_port: int, port: int) -> list[str]:
    before = sockets_of_this_process()
    async with connect((HOST, open_port)) as there:
        await there.opened
        (fd,) = sockets_of_this_process() - before
        with socket.socket(fileno=os.dup(fd)) as sock:
            return abuse(sock, port)


def abuse_the_servers_sockets(port: int) -> list[list[str]]:
    """Abuse the connection of the request that asks for this, which came from the host's listener."""
    found: list[list[str]] = []
    for fd in sockets_of_this_process():
        with socket.socket(fileno=os.dup(fd)) as sock:
            if sock.family == socket.AF_INET and sock.type == socket.SOCK_STREAM and not is_inside(sock):
                if sock.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN):
                    continue
                found.append(
                    [
                        raw_connect(sock.fileno(), bytes(16)),
                        raw_connect(sock.fileno(), inet(port)),
                        attempt(sock.bind, ("0.0.0.0", 0)),
                        attempt(fcntl.ioctl, sock, 0x894C, 0),
                    ]
                )
    return found


# --- ways to spell an address ---------------------------------------------------------------------------------------


def connect_raw_to(port: int, texts: list[str]) -> dict[str, str]:
    """connect(2) to literals, as they are spelled; and to what getaddrinfo(3) makes of them."""
    found = {}
    for text in texts:
        try:
            family, _, _, _, address = socket.getaddrinfo(text, port, type=socket.SOCK_STREAM)[0]
        except OSError as exc:
            found[text] = type(exc).__name__
            continue
        with socket.socket(family, socket.SOCK_STREAM) as sock:
            sock.settimeout(20)
            found[text] = attempt(sock.connect, address)
    return found


def connect_with_odd_addresses(port: int) -> dict[str, str]:
    """The forbidden address in structures that do not say what they are."""
    good, six = inet(port), inet6(port, "::ffff:127.0.0.1")
    with socket.socket() as four, socket.socket(socket.AF_INET6) as sixth, socket.socket(socket.AF_INET) as udp_like:
        return {
            "longer": raw_connect(four.fileno(), good + bytes(112)),
            "shorter": raw_connect(four.fileno(), good[:8]),
            "mapped, on IPv6": raw_connect(sixth.fileno(), six),
            "mapped, on IPv4": raw_connect(four.fileno(), six),
            "IPv4 on IPv6": raw_connect(sixth.fileno(), good),
            "AF_UNIX on IPv4": raw_connect(four.fileno(), b"\x01\x00" + good[2:]),
            "huge": raw_connect(four.fileno(), good, 1 << 20),
            "negative": raw_connect(four.fileno(), good, -1),
            "with a zone": raw_connect(sixth.fileno(), six[:24] + struct.pack("=I", 1)),
            "broadcast": raw_connect(udp_like.fileno(), inet(port, "255.255.255.255")),
            "multicast": raw_connect(udp_like.fileno(), inet(port, "224.0.0.1")),
        }


async def connect_to(addresses: list[str]) -> dict[str, str]:
    """Use the API."""
    return {address: await _outcome(address) for address in addresses}


async def _outcome(address: str) -> str:
    try:
        async with connect(address) as sock:
            await sock.opened
            return "connected"
    except (SocketError, ValueError, TypeError) as exc:
        return type(exc).__name__


async def fetch_all(urls: list[str]) -> dict[str, str]:
    found = {}
    for url in urls:
        try:
            found[url] = await (await fetch(url)).text()
        except Exception as exc:  # noqa: BLE001 - its name is the answer
            found[url] = type(exc.__cause__ or exc).__name__ if isinstance(exc, TypeError) else type(exc).__name__
    return found


def resolve(name: str) -> list[str]:
    try:
        return sorted({str(each[4][0]) for each in socket.getaddrinfo(name, 80, type=socket.SOCK_STREAM)})
    except OSError as exc:
        return [type(exc).__name__]


def read_from(address: str, port: int) -> str:
    try:
        with socket.create_connection((address, port), timeout=20) as sock:
            return sock.recv(100).decode()
    except OSError as exc:
        return name_of(exc.errno or 0)


# --- races ----------------------------------------------------------------------------------------------------------


def race(program: str, *, mode: str, allowed: int, denied: int, tries: int) -> dict[str, int]:
    """Run ``race.c``: what it got, and how often."""
    done = subprocess.run(
        [program, mode, str(allowed), str(denied), str(tries)], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done
    return {words[0]: int(words[1]) for words in map(str.split, done.stdout.splitlines())}


# --- other processes, and what they hold ----------------------------------------------------------------------------


def touch_processes(pids: list[int]) -> dict[str, list[str]]:
    """Try to trace, read, signal and rob processes: the first one of the jail, and numbers of the host's."""
    found = {}
    buffer = ctypes.create_string_buffer(16)
    vector = ctypes.create_string_buffer(struct.pack("=QQ", ctypes.addressof(buffer), 16))
    for pid in pids:
        found[str(pid)] = [
            call(PTRACE, PTRACE_ATTACH, pid, 0, 0),
            call(PTRACE, PTRACE_SEIZE, pid, 0, 0),
            call(PROCESS_VM_READV, pid, ctypes.addressof(vector), 1, ctypes.addressof(vector), 1, 0),
            attempt(os.kill, pid, signal.SIGSTOP),
            attempt(os.kill, pid, signal.SIGKILL),
            *(_first_line(f"/proc/{pid}/{name}") for name in ("environ", "mem", "maps", "fd/0", "root/etc/shadow")),
            _rob(pid),
        ]
    return found


def _first_line(path: str) -> str:
    try:
        with open(path, "rb") as file:
            return f"read {len(file.read(64))}"
    except OSError as exc:
        return name_of(exc.errno or 0)


def _rob(pid: int) -> str:
    try:
        pidfd = os.pidfd_open(pid)
    except OSError as exc:
        return name_of(exc.errno or 0)
    try:
        return call(PIDFD_GETFD, pidfd, 0, 0)
    finally:
        os.close(pidfd)


def numbers_in_proc() -> list[int]:
    return sorted(int(name) for name in os.listdir("/proc") if name.isdecimal())


def my_pid() -> int:
    return os.getpid()


def read_files(paths: list[str]) -> dict[str, str]:
    return {path: _text_of(path) for path in paths}


def _text_of(path: str) -> str:
    try:
        with open(path, "rb") as file:
            return file.read(4096).decode("latin-1")
    except OSError as exc:
        return name_of(exc.errno or 0)


def look_through_memory(backwards: list[str]) -> dict[str, list[str]]:
    """Search all of this process's memory for texts, which are told spelled backwards so as not to be there."""
    found: dict[str, list[str]] = {text: [] for text in backwards}
    with open("/proc/self/maps", encoding="latin-1") as file:
        areas = [line.split() for line in file]
    with open("/proc/self/mem", "rb", buffering=0) as memory:
        for span, rights, *rest in areas:
            if "r" not in rights or rest[-1] in ("[vvar]", "[vsyscall]", "[vvar_vclock]"):
                continue
            begin, end = (int(each, 16) for each in span.split("-"))
            for text in backwards:
                if _is_in(memory, begin, end, text):
                    found[text].append(rest[-1])
    return found


def _is_in(memory: Any, begin: int, end: int, backwards: str) -> bool:
    """Look for the text by its halves, one after the other: the whole of it would be found here."""
    half = len(backwards) // 2
    tail, head = backwards[:half][::-1].encode(), backwards[half:][::-1].encode()
    step = 1 << 24
    for at in range(begin, end, step):
        try:
            memory.seek(at)
            data = memory.read(min(step + len(backwards), end - at))
        except OSError:
            return False
        if any(data.startswith(tail, place.end()) for place in re.finditer(re.escape(head), data)):
            return True
    return False


def keep(text: str) -> None:
    globals()["kept_text"] = text.encode()


def write_files(paths: list[str]) -> list[str]:
    return [attempt(os.open, path, os.O_WRONLY | os.O_CREAT) for path in paths]


def environment() -> dict[str, str]:
    return {**os.environ, "in /proc": _text_of("/proc/self/environ")}


def descriptors() -> dict[str, str]:
    found = {}
    for fd in os.listdir("/proc/self/fd"):
        with contextlib.suppress(OSError):
            found[fd] = os.readlink(f"/proc/self/fd/{fd}")
    return found


# --- Unix sockets ---------------------------------------------------------------------------------------------------


def unix_connects(names: list[str]) -> dict[str, str]:
    """Connect to Unix sockets; an abstract name begins with ``@``."""
    found = {}
    for name in names:
        with socket.socket(socket.AF_UNIX) as sock:
            found[name] = attempt(sock.connect, "\0" + name[1:] if name.startswith("@") else name)
    return found


# --- one worker and another -----------------------------------------------------------------------------------------


def leave_traces(text: str) -> str:
    os.environ["TRACE"] = text
    for folder in ("/tmp", "/dev/shm"):
        with open(f"{folder}/trace", "w", encoding="utf-8") as file:
            file.write(text)
    listener = socket.socket(socket.AF_UNIX)
    listener.bind("\0trace")
    listener.listen()
    globals()["kept"] = [listener, text]
    segment = LIBC.shmget(0x7ACE, 4096, 0o1666)
    return "no shared memory" if segment < 0 else MARK


def find_traces() -> dict[str, str]:
    return {
        "mark": MARK,
        "environment": os.environ.get("TRACE", ""),
        "/tmp": _text_of("/tmp/trace"),
        "/dev/shm": _text_of("/dev/shm/trace"),
        "abstract": unix_connects(["@trace"])["@trace"],
        "shared memory": "there" if LIBC.shmget(0x7ACE, 4096, 0o666) >= 0 else "",
    }


# --- words to the host ----------------------------------------------------------------------------------------------


def channels() -> list[socket.socket]:
    """The worker's own ends of its channels, taken from the table of descriptors."""
    found = []
    for fd in sorted(sockets_of_this_process()):
        sock = socket.socket(fileno=os.dup(fd))
        if sock.family == socket.AF_UNIX and sock.type == socket.SOCK_STREAM and sock.getsockname() in ("", b""):
            found.append(sock)
        else:
            sock.close()
    return found


def unix_sockets() -> list[str]:
    """What tells this process from others, and then the numbers of its Unix sockets."""
    found = [str(os.fstat(sock.fileno()).st_ino) for sock in channels()]
    return [MARK, *found]


def say(what: str, times: int = 1) -> int:
    """Say something that no worker says, on every channel; return on how many."""
    from longshore.proto.ipc.egress import Audited, AuditRecord, RemoveWorker  # noqa: PLC0415 - a liar's words
    from longshore.proto.ipc.frames import HEADER, make_frame  # noqa: PLC0415
    from longshore.proto.ipc.messages import BootFailed, ErrorReport, Exited, HandOver, Kill, Ready  # noqa: PLC0415

    record = AuditRecord(time="", event="open", worker="convict", worker_id=1, outcome="forged")
    words = {
        "kill": make_frame(Kill(worker_id=2, signal=9)),
        "exited": make_frame(Exited(worker_id=1, pid=1, code=0)),
        "forged record": make_frame(Audited(record=record)),
        "remove": make_frame(RemoveWorker(worker_id=2)),
        "noise": os.urandom(4096),
        "long": HEADER.pack(0xFFFF_FFFF, 0),
        "nothing": HEADER.pack(0, 0),
        "json": HEADER.pack(7, 0) + b'{"a":1}',
        "descriptors": make_frame(HandOver(), 253),
        "failed": make_frame(BootFailed(report=ErrorReport(type="Lie", message="", text=""))),
        "ready": make_frame(Ready(pid=1, boot_s=0.0, handlers=("fetch",), loop="none")),
    }[what]
    said = 0
    with contextlib.ExitStack() as stack:
        null = os.open("/dev/null", os.O_RDONLY)
        for sock in channels():
            stack.enter_context(sock)
            with contextlib.suppress(OSError):
                for _ in range(times):
                    if what == "descriptors":
                        socket.send_fds(sock, [words], [null] * 253)
                    else:
                        sock.sendall(words)
                said += 1
        os.close(null)
    return said
