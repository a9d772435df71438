"""The filter in a process of its own, without anybody at the other end."""

from __future__ import annotations

import json
import subprocess
import sys

from tests.egress.linux import needs_sandbox

pytestmark = needs_sandbox

BEGIN = """
import ctypes, errno, json, os, socket, sys
from longshore.sandbox.seccomp import install_filter
listener = install_filter()
def attempt(function, *arguments):
    try:
        function(*arguments)
    except OSError as exc:
        return errno.errorcode[exc.errno]
    return "0"
"""


def run(script: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", BEGIN + script], capture_output=True, text=True, timeout=50, check=False
    )


def output(script: str) -> object:
    done = run(script)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def test_the_listener_is_close_on_exec_and_privileges_are_given_up() -> None:
    script = """
text = open("/proc/self/status").read()
print(json.dumps([os.get_inheritable(listener), "NoNewPrivs:\\t1" in text, "Seccomp:\\t2" in text]))
"""
    assert output(script) == [False, True, True]


def test_what_is_allowed_needs_nobody() -> None:
    script = """
print(json.dumps([
    attempt(socket.socket, socket.AF_UNIX), attempt(socket.socket, socket.AF_INET, socket.SOCK_DGRAM),
    attempt(socket.socket, socket.AF_NETLINK, socket.SOCK_RAW, 0), attempt(os.pipe),
]))
"""
    assert output(script) == ["0", "0", "0", "0"]


def test_without_a_listener_no_socket_is_made() -> None:
    script = """
os.close(listener)
with socket.socket(type=socket.SOCK_DGRAM) as sock:
    print(json.dumps([
        attempt(socket.socket), attempt(sock.connect, ("127.0.0.1", 1)), attempt(socket.socket, socket.AF_VSOCK),
        attempt(socket.socket, socket.AF_INET, socket.SOCK_RAW, 1),
        attempt(sock.sendto, b"", 0x20000000, ("127.0.0.1", 1)),
    ]))
"""
    assert output(script) == ["ENOSYS"] * 5


def test_threads_and_children_work_without_clone3() -> None:
    script = """
import subprocess, threading
done = []
thread = threading.Thread(target=done.append, args=[1]); thread.start(); thread.join()
print(json.dumps([done, subprocess.run(["true"]).returncode, os.waitstatus_to_exitcode(os.system("exit 3"))]))
"""
    assert output(script) == [[1], 0, 3]


def test_a_second_listener_is_refused() -> None:
    assert output("print(json.dumps(attempt(install_filter)))") == "EBUSY"


def test_an_unknown_machine_has_no_filter() -> None:
    script = """
import collections, errno, os
import longshore.sandbox.seccomp as it
os.uname = lambda: collections.namedtuple("U", "machine")("riscv64")
try:
    it.install_filter()
except OSError as exc:
    assert exc.errno == errno.ENOSYS and "riscv64" in str(exc)
"""
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=50, check=False)
    assert done.returncode == 0, done.stderr
