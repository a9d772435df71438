"""The jail, seen from inside and outside, as root and as an ordinary account."""

from __future__ import annotations

import os
import shutil
import signal
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from longshore.proto.ipc.frames import FrameReader
from longshore.proto.ipc.jail import JailFile
from longshore.proto.ipc.messages import BootFailed
from longshore.sandbox.fork import EXIT_NO_JAIL
from longshore.sandbox.init import exit_code_of, worker_code
from tests.sandbox.jails import NOBODY, jail_plan, needs_layers, run_in_jail

if TYPE_CHECKING:
    from collections.abc import Iterator

NAMESPACES = ("user", "mount", "network", "pid", "ipc", "uts")


@pytest.fixture(autouse=True)
def _namespaces() -> None:
    needs_layers(*NAMESPACES, "capabilities", "no-new-privileges")


@pytest.fixture
def place() -> Iterator[Path]:
    """Return a folder that every account can get at, which ``tmp_path`` is not."""
    folder = Path(tempfile.mkdtemp(prefix="longshore-test-"))
    folder.chmod(0o755)
    yield folder
    shutil.rmtree(folder)


@pytest.fixture(params=["own account", "nobody"])
def uid(request: pytest.FixtureRequest) -> int:
    """Return who has the jail made; an ordinary account must be able to, and root is the dangerous one."""
    if request.param == "own account":
        return 0
    if os.geteuid() != 0:
        pytest.skip("only root can become somebody else, and whoever is not root is ordinary already")
    return NOBODY


STATUS = """
fields = dict(line.split(":\\t", 1) for line in open("/proc/self/status") if ":\\t" in line)
tell({name: fields[name].strip() for name in ("CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb", "NoNewPrivs")})
"""


def test_a_worker_has_no_capability_and_gets_none_from_exec(uid: int) -> None:
    none = dict.fromkeys(("CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb"), "0" * 16) | {"NoNewPrivs": "1"}
    assert run_in_jail(jail_plan(), STATUS, uid=uid).said == none
    program = "tell(subprocess.run(['grep', '^Cap[EP]', '/proc/self/status'], capture_output=True, text=True).stdout)"
    assert run_in_jail(jail_plan(), program, uid=uid).said.split()[1::2] == ["0" * 16] * 2


def test_it_keeps_the_number_of_its_account(uid: int) -> None:
    expected = uid or os.geteuid()
    assert run_in_jail(jail_plan(), "tell([os.getuid(), os.geteuid()])", uid=uid).said == [expected, expected]


def test_it_sees_its_own_processes_only(uid: int) -> None:
    said = run_in_jail(
        jail_plan(), "tell([os.getpid(), [n for n in os.listdir('/proc') if n.isdigit()]])", uid=uid
    ).said
    assert said == [2, ["1", "2"]]


def test_it_sees_nothing_but_what_the_plan_names(uid: int) -> None:
    said = run_in_jail(
        jail_plan(read_only=("/usr", "/bin")), "tell([os.listdir('/'), os.listdir('/etc')])", uid=uid
    ).said
    assert set(said[0]) == {"bin", "dev", "etc", "proc", "tmp", "usr"}
    assert set(said[1]) == {"hosts", "resolv.conf"}


def test_the_device_files_work(uid: int) -> None:
    worker = """
with open("/dev/null", "w") as null, open("/dev/zero", "rb") as zero, open("/dev/urandom", "rb") as random:
    null.write("x")
    values = [zero.read(2) == b"\\0\\0", len(random.read(3))]
tell([values, os.path.exists("/dev/fd/0"), sorted(os.listdir("/dev"))])
"""
    said = run_in_jail(jail_plan(), worker, uid=uid).said
    assert said[:2] == [[True, 3], True]
    assert set(said[2]) <= {
        *("null", "zero", "full", "random", "urandom", "tty"),
        *("fd", "stdin", "stdout", "stderr", "ptmx", "pts", "shm"),
    }


def test_a_terminal_can_be_made(uid: int) -> None:
    assert run_in_jail(jail_plan(), "tell([os.isatty(fd) for fd in os.openpty()])", uid=uid).said == [True, True]


WRITES = """
def outcome(path):
    try:
        with open(path, "w") as file:
            file.write("x")
    except OSError as exc:
        return errno.errorcode[exc.errno]
    return "written"
tell([outcome(path) for path in {paths!r}])
"""


def test_only_private_and_granted_folders_can_be_written_to(uid: int, place: Path) -> None:
    project, granted = shared(place / "project"), shared(place / "granted")
    paths = ["/x", "/usr/x", f"{project}/x", f"{granted}/x", "/tmp/x", "/dev/shm/x", "/etc/hosts", "/dev/x"]
    plan = jail_plan(read_only=("/usr", str(project)), writable=(str(granted),))
    said = run_in_jail(plan, WRITES.format(paths=paths), uid=uid).said
    assert [each == "written" for each in said] == [False, False, False, True, True, True, False, False]
    assert (granted / "x").read_text() == "x"


def test_without_landlock_the_mounts_alone_keep_it_from_writing(uid: int, place: Path) -> None:
    project = shared(place / "project")
    plan = jail_plan("landlock-files", read_only=("/usr", str(project)))
    paths = ["/x", "/usr/x", f"{project}/x", "/etc/hosts", "/dev/x", "/proc/self/comm"]
    said = run_in_jail(plan, WRITES.format(paths=paths), uid=uid).said
    assert set(said) <= {"EROFS", "EACCES"}


def test_settings_of_the_kernel_cannot_be_changed_even_by_user_0() -> None:
    paths = ["/proc/sys/kernel/core_pattern", "/proc/sys/kernel/hostname", "/proc/sysrq-trigger", "/proc/self/uid_map"]
    for left_out in ((), ("landlock-files",)):
        said = run_in_jail(jail_plan(*left_out), WRITES.format(paths=paths)).said
        assert "written" not in said


def test_what_the_kernel_tells_of_the_machine_is_for_everybody_or_empty(uid: int) -> None:
    worker = """
def is_told(name):
    try:
        with open(name, "rb") as file:
            return bool(file.read(1))
    except OSError:
        return False
names = [each.path for each in os.scandir("/proc") if each.is_file() and not each.stat().st_mode & 4]
tell(sorted(name for name in [*names, "/proc/keys"] if is_told(name)))
"""
    assert run_in_jail(jail_plan(), worker, uid=uid).said == []


def test_hidden_files_and_folders_are_empty_and_the_rest_is_not(uid: int, place: Path) -> None:
    project = shared(place / "project")
    (project / ".env").write_text("SECRET=1")
    (project / "entry.py").write_text("code")
    shared(project / "keys").joinpath("key.pem").write_text("key")
    plan = jail_plan(
        read_only=("/usr", str(project)),
        hidden=(f"{project}/.env", f"{project}/keys", f"{project}/absent", "/nowhere"),
    )
    worker = f"""
os.chdir({str(project)!r})
tell([open(".env").read(), os.listdir("keys"), open("entry.py").read(), sorted(os.listdir("."))])
"""
    assert run_in_jail(plan, worker, uid=uid).said == ["", [], "code", [".env", "entry.py", "keys"]]
    unhide = WRITES.format(paths=[f"{project}/.env", f"{project}/keys/x"])
    assert "written" not in run_in_jail(plan, unhide, uid=uid).said


def test_hiding_works_without_a_mount_namespace_too(place: Path) -> None:
    needs_layers("landlock-files")
    project = shared(place / "project")
    (project / ".env").write_text("SECRET=1")
    (project / "entry.py").write_text("code")
    plan = jail_plan("mount", "network", "pid", read_only=("/usr", str(project)), hidden=(f"{project}/.env",))
    worker = f"""
def read(path):
    try:
        return open(path).read()
    except PermissionError:
        return None
tell([read({f"{project}/.env"!r}), read({f"{project}/entry.py"!r}), read({str(place / "other")!r})])
"""
    (place / "other").write_text("not the worker's")
    assert run_in_jail(plan, worker).said == [None, "code", None]


def test_without_a_mount_namespace_there_is_a_private_folder_all_the_same() -> None:
    needs_layers("landlock-files")
    worker = """
import tempfile
folder = tempfile.gettempdir()
open(f"{folder}/x", "w").close()
try:
    open(f"{os.path.dirname(folder)}/longshore-test", "w")
except PermissionError:
    tell([folder, os.listdir(folder), os.environ["HOME"]])
"""
    folder, names, home = run_in_jail(jail_plan("mount", "network", "pid"), worker).said
    assert names == ["x"]
    assert home == folder
    assert not os.path.exists(folder)


def test_a_file_of_the_plan_lies_over_the_one_in_a_mounted_tree(uid: int, place: Path) -> None:
    project = shared(place / "project")
    (project / "settings").write_text("theirs")
    plan = jail_plan(
        read_only=("/usr", str(project)), files=(JailFile(path=f"{project}/settings", text="ours", mode=0o444),)
    )
    assert run_in_jail(plan, f"tell(open({f'{project}/settings'!r}).read())", uid=uid).said == "ours"
    assert (project / "settings").read_text() == "theirs"


def test_links_lead_where_they_lead_outside(uid: int, place: Path) -> None:
    real = shared(shared(place / "releases") / "7")
    (real / "entry.py").write_text("code")
    (place / "current").symlink_to("releases/7")
    plan = jail_plan(read_only=("/usr", str(place / "current")))
    worker = f"tell([open({f'{place}/current/entry.py'!r}).read(), os.listdir({str(place)!r})])"
    said = run_in_jail(plan, worker, uid=uid).said
    assert said[0] == "code"
    assert set(said[1]) == {"current", "releases"}


def test_a_new_user_namespace_is_refused(uid: int) -> None:
    worker = """
libc = ctypes.CDLL(None, use_errno=True)
tell([libc.unshare(0x10000000), errno.errorcode[ctypes.get_errno()]])
"""
    assert run_in_jail(jail_plan(), worker, uid=uid).said == [-1, "ENOSPC"]


def test_keys_of_the_account_are_left_behind(uid: int) -> None:
    worker = """
libc = ctypes.CDLL(None, use_errno=True)
tell(libc.syscall(KEYCTL, 0, -3, 0))
"""
    outside = """
return ctypes.CDLL(None).syscall(KEYCTL, 0, -3, 1)
"""
    number = {"x86_64": "250", "aarch64": "219"}[os.uname().machine]
    ended = run_in_jail(jail_plan(), worker.replace("KEYCTL", number), outside.replace("KEYCTL", number), uid=uid)
    if ended.seen == -1:
        pytest.skip("there are no keyrings here")
    assert ended.said > 0
    assert ended.said != ended.seen


def test_host_name_and_environment_are_the_plans(uid: int) -> None:
    said = run_in_jail(jail_plan(), "tell([socket.gethostname(), dict(os.environ)])", uid=uid).said
    assert said == ["hello", {"PATH": "/usr/bin:/bin:/usr/sbin:/sbin", "LANG": "C.UTF-8"}]


def test_its_descriptors_are_those_of_the_channels_and_of_the_zygote(uid: int) -> None:
    worker = """
links = [f"/proc/self/fd/{fd}" for fd in os.listdir("/proc/self/fd") if int(fd) > 2]
tell([os.readlink(link).partition(":")[0] for link in links if os.path.lexists(link)])
"""
    assert run_in_jail(jail_plan(), worker, uid=uid).said == ["socket", "socket"]


def test_the_network_is_loopback_with_an_address_of_each_kind(uid: int) -> None:
    worker = """
addresses = []
for family, address in ((socket.AF_INET, "198.18.0.7"), (socket.AF_INET6, "fd4c:6f6e:6773:686f:7265::7")):
    with socket.socket(family, socket.SOCK_DGRAM) as sock:
        sock.connect((address, 5432))
        addresses.append(sock.getsockname()[0])
with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
    try:
        sock.connect(("192.0.2.1", 9))
    except OSError as exc:
        addresses.append(errno.errorcode[exc.errno])
tell([[name for _, name in socket.if_nameindex()], addresses])
"""
    expected = [["lo"], ["198.18.255.254", "fd4c:6f6e:6773:686f:7265:0:ffff:fffe", "ENETUNREACH"]]
    assert run_in_jail(jail_plan(), worker, uid=uid).said == expected


def test_landlock_refuses_tcp_to_the_worker_itself(uid: int) -> None:
    needs_layers("landlock-tcp")
    worker = """
def outcome(call):
    try:
        call(("127.0.0.1", 53))
    except OSError as exc:
        return errno.errorcode[exc.errno]
tell([outcome(socket.socket().connect), outcome(socket.socket().bind)])
"""
    assert run_in_jail(jail_plan(), worker, uid=uid).said == ["EACCES", "EACCES"]


def test_the_sockets_of_the_name_server_and_of_the_helper_are_handed_over(uid: int) -> None:
    needs_layers("seccomp")
    worker = """
with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
    sock.sendto(b"question", ("127.0.0.1", 53))
    tell(sock.recv(100).decode())
signal.pause()
"""
    outside = """
_, udp_fd, tcp_fd, inside_fd = fds
udp, tcp, inside = (socket.socket(fileno=os.dup(fd)) for fd in (udp_fd, tcp_fd, inside_fd))
helper = InsideSockets(inside)
question, peer = udp.recvfrom(100)
udp.sendto(b"answer", peer)
made = helper.make(socket.AF_INET, socket.SOCK_STREAM | socket.SOCK_NONBLOCK, 0)
def cookie(sock):
    return sock.getsockopt(socket.SOL_SOCKET, 71, 8)
is_inside = cookie(made) == cookie(udp) == cookie(tcp) != cookie(socket.socket())
try:
    helper.make(12345, socket.SOCK_STREAM)
except OSError as exc:
    refused = errno.errorcode[exc.errno]
made.setblocking(False)
begun = made.connect_ex(("127.0.0.1", 53))
accepted = tcp.accept()[0].getsockname()[1]
answer = told()
os.kill(pid, signal.SIGKILL)
os.waitid(os.P_PID, pid, os.WEXITED | os.WNOWAIT)
try:
    helper.make(socket.AF_INET, socket.SOCK_STREAM)
except OSError as exc:
    gone = errno.errorcode[exc.errno]
return [question.decode(), answer, is_inside, refused, accepted, gone]
"""
    plan = jail_plan()
    plan = type(plan)(
        **{name: getattr(plan, name) for name in plan.__struct_fields__} | {"layers": (*plan.layers, "seccomp")}
    )
    ended = run_in_jail(plan, worker, outside, uid=uid)
    assert ended.handed == 4
    assert ended.seen[:5] == ["question", "answer", True, "EAFNOSUPPORT", 53]
    assert ended.seen[5] in {"ESHUTDOWN", "EPIPE", "ECONNRESET"}
    assert ended.code == -9


def test_without_the_filter_nothing_is_handed_over() -> None:
    assert run_in_jail(jail_plan(), "tell(0)").handed == 0
    assert run_in_jail(jail_plan("network"), "tell(0)").handed is None


def test_the_limit_of_descriptors_is_reached() -> None:
    worker = """
fds = []
try:
    while True:
        fds.append(os.dup(0))
except OSError as exc:
    tell([errno.errorcode[exc.errno], max(fds)])
"""
    assert run_in_jail(jail_plan(open_files=64), worker).said == ["EMFILE", 63]


FORKS = """
count = 0
try:
    while count < 200:
        if os.fork() == 0:
            signal.pause()
        count += 1
except OSError as exc:
    tell([errno.errorcode[exc.errno], count])
else:
    tell(["unbounded", count])
"""


def test_the_limit_of_processes_is_reached_by_an_ordinary_account() -> None:
    if os.geteuid() == 0:
        said = run_in_jail(jail_plan(processes=20), FORKS, uid=NOBODY).said
    else:
        said = run_in_jail(jail_plan(processes=20), FORKS).said
    assert said[0] == "EAGAIN"
    assert 10 <= said[1] <= 20


def test_the_limit_of_memory_is_reached() -> None:
    worker = """
try:
    block = bytearray(300 << 20)
    tell("there")
except MemoryError:
    tell("refused")
"""
    assert run_in_jail(jail_plan(memory_bytes=200 << 20), worker).said == "refused"
    assert run_in_jail(jail_plan(memory_bytes=800 << 20), worker).said == "there"


def test_no_core_is_dumped() -> None:
    assert run_in_jail(jail_plan(), "tell(resource.getrlimit(resource.RLIMIT_CORE))").said == [0, 0]


def test_the_first_process_cannot_be_traced_read_or_killed(uid: int) -> None:
    worker = """
def outcome(call, *arguments):
    try:
        call(*arguments)
    except OSError as exc:
        return errno.errorcode[exc.errno]
libc = ctypes.CDLL(None, use_errno=True)
traced = libc.ptrace(16, 1, 0, 0)
told = [traced, outcome(os.readlink, "/proc/1/fd/2"), outcome(open, "/proc/1/mem", "rb")]
told += [outcome(open, "/proc/1/environ"), outcome(os.readlink, "/proc/1/root")]
for number in (signal.SIGKILL, signal.SIGSTOP):
    outcome(os.kill, 1, number)
told.append(os.getppid())
tell(told)
"""
    said = run_in_jail(jail_plan(), worker, uid=uid).said
    assert said[0] == -1
    assert set(said[1:5]) <= {"EACCES", "EPERM"}
    assert said[5] == 1


def test_orphans_are_reaped_and_end_with_the_worker(uid: int) -> None:
    worker = """
def orphan(body):
    if os.fork() == 0:
        if os.fork() == 0:
            os.setsid()
            body()
            os._exit(0)
        os._exit(0)
    os.wait()
reading, writing = os.pipe()
orphan(lambda: os.write(writing, b"%d" % os.getpid()))
pid = int(os.read(reading, 10))
while os.path.exists(f"/proc/{pid}"):
    os.sched_yield()
orphan(lambda: (os.write(writing, b"up"), signal.pause()))
os.read(reading, 10)
tell("reaped")
"""
    ended = run_in_jail(jail_plan(), worker, uid=uid)  # returns: the last orphan held the channel open until it ended
    assert (ended.said, ended.code) == ("reaped", 0)


@pytest.mark.parametrize(
    ("end", "code"),
    [("os._exit(3)", 3), ("os._exit(255)", 255), ("os.kill(os.getpid(), 9)", 137), ("os.abort()", 134)],
)
def test_it_ends_as_the_worker_ends(end: str, code: int, uid: int) -> None:
    assert run_in_jail(jail_plan(), end, uid=uid).code == code


@pytest.mark.parametrize("left_out", [(), ("pid",)])
def test_signals_are_passed_on(left_out: tuple[str, ...]) -> None:
    worker = """
signal.signal(signal.SIGTERM, lambda *_: (tell("term"), os._exit(4)))
tell("up")
while True:
    signal.pause()
"""
    ended = run_in_jail(jail_plan(*left_out), worker, "told(); os.kill(pid, signal.SIGTERM)")
    assert (ended.said, ended.code) == ("term", 4)


@pytest.mark.parametrize("left_out", [(), ("pid",)])
def test_the_end_of_the_first_process_is_the_workers_end(left_out: tuple[str, ...]) -> None:
    # The channel ends when the last process inside is gone: else this would wait for ever.
    ended = run_in_jail(jail_plan(*left_out), "tell(0); signal.pause()", "told(); os.kill(pid, signal.SIGKILL)")
    assert ended.code == -9


def test_a_jail_that_cannot_be_put_up_says_why_and_runs_nothing(uid: int) -> None:
    ended = run_in_jail(jail_plan(hostname="x" * 65), "tell('running')", uid=uid)
    (frame,) = FrameReader().receive_data(ended.text.encode("latin-1"))
    assert isinstance(frame.message, BootFailed)
    assert frame.message.report.type == "SandboxError"
    assert "cannot set the host name" in frame.message.report.message
    assert ended.code == EXIT_NO_JAIL


def test_a_worker_that_cannot_be_shut_in_says_why_and_runs_nothing() -> None:
    ended = run_in_jail(jail_plan(open_files=-5), "tell('running')")
    (frame,) = FrameReader().receive_data(ended.text.encode("latin-1"))
    assert isinstance(frame.message, BootFailed)
    assert ended.code == EXIT_NO_JAIL


def test_a_plan_without_layers_is_a_plain_process() -> None:
    plan = jail_plan()
    bare = type(plan)(layers=(), environment={"A": "1"})
    ended = run_in_jail(bare, "tell([dict(os.environ), os.path.exists('/etc/passwd'), os.getppid() == 1])")
    assert (ended.said, ended.handed, ended.code) == ([{"A": "1"}, True, False], None, 0)


def test_the_folder_stays_when_it_is_to_be_seen() -> None:
    assert run_in_jail(jail_plan(), "tell(os.getcwd())").said == "/"
    assert sys.platform == "linux"


def shared(folder: Path) -> Path:
    """Make a folder that every account can write to."""
    folder.mkdir()
    folder.chmod(0o777)
    return folder


@pytest.mark.parametrize("code", [0, 1, 128, 200, 255, -9])
def test_only_the_number_of_a_signal_is_taken_for_a_signal(code: int) -> None:
    assert worker_code(code) == code


def test_the_end_by_a_signal_is_told_from_others() -> None:
    assert worker_code(exit_code_of(signal.SIGSEGV)) == -signal.SIGSEGV
