"""What belongs to others: processes, memory, files, environments, and what the host believes."""

from __future__ import annotations

import contextlib
import secrets
from typing import TYPE_CHECKING

import httpx
import pytest

from tests.egress.linux import needs_sandbox
from tests.escape.prison import prison

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.escape.prison import Prison

pytestmark = [needs_sandbox, pytest.mark.timeout(120)]

HOST_SECRET, STORE_KEY = secrets.token_hex(16), secrets.token_hex(32)


@pytest.fixture(scope="module")
def host(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Prison]:
    """A host with secrets, two workers, and the project of somebody else beside theirs."""
    folder = tmp_path_factory.mktemp("prison")
    (folder / "neighbour").mkdir()
    (folder / "neighbour" / "entry.py").write_text(f"PASSWORD = {HOST_SECRET!r}\n")
    variables = {"DATABASE_PASSWORD": HOST_SECRET, "LONGSHORE_STORE_KEY": STORE_KEY}
    with prison(folder, workers=2, LONGSHORE_STORE=str(folder / "store"), **variables) as running:
        yield running


def test_other_processes_can_be_neither_traced_nor_read_nor_ended(host: Prison) -> None:
    outside = [host.pid, *(each.pid for each in host.family())]
    assert len(outside) == 7, "the host, the egress process, the zygote, and two for each worker"
    # Their numbers mean nothing inside; those that exist there are tried for themselves.
    found = host.attempt("touch_processes", pids=[1, *(pid for pid in outside if pid > 100)])
    first = found.pop("1")
    assert first == ["EPERM"] * 5 + ["EACCES", "EACCES", "EACCES", "ENOENT", "EACCES", "EPERM"]
    for each in found.values():
        assert each == ["ESRCH"] * 5 + ["ENOENT"] * 5 + ["ESRCH"]
    assert host.attempt("numbers_in_proc") == [1, host.attempt("my_pid")]
    assert {each.pid for each in host.family()} | {host.pid} == set(outside), "all of them are still there"


def test_nothing_secret_is_in_its_memory_or_environment(host: Prison) -> None:
    backwards = [each[::-1] for each in (HOST_SECRET, STORE_KEY)]
    found = host.attempt("look_through_memory", backwards=backwards)
    assert found == {each: [] for each in backwards}
    shown = host.attempt("environment")
    assert HOST_SECRET not in str(shown)
    assert STORE_KEY not in str(shown)


def test_the_search_through_memory_finds_what_is_there(host: Prison) -> None:
    text = secrets.token_hex(16)
    host.attempt("keep", text=text)
    host.attempt("keep", text=text)  # in both workers, most likely; it is enough if it is found once
    found = [host.attempt("look_through_memory", backwards=[text[::-1]]) for _ in range(4)]
    assert any(each[text[::-1]] for each in found)


def test_files_of_others_are_not_there(host: Prison) -> None:
    neighbour = host.folder / "neighbour" / "entry.py"
    paths = [str(neighbour), f"{host.folder}/project/../neighbour/entry.py", str(host.folder / "audit.jsonl")]
    paths += ["/etc/shadow", "/root/.ssh/id_rsa", "/proc/1/root/etc/shadow", f"/proc/{host.pid}/environ"]
    paths += [f"/proc/self/root{neighbour}", "/proc/self/cwd/../neighbour/entry.py", "/var/log/syslog", "/dev/sda"]
    found = host.attempt("read_files", paths=paths)
    assert set(found.values()) <= {"ENOENT", "EACCES", "EPERM"}
    assert host.attempt("write_files", paths=["/etc/passwd", "/usr/bin/x", f"{host.folder}/project/x"]) == ["EROFS"] * 3


def test_one_worker_sees_nothing_of_another(host: Prison) -> None:
    text = secrets.token_hex(8)
    writer = host.attempt("leave_traces", text=text)
    own = other = None
    while other is None or own is None:  # connections go to one or the other
        host.client.headers["connection"] = "close"
        traces = host.attempt("find_traces")
        if traces.pop("mark") == writer:
            own = traces
        else:
            other = traces
    assert own == {
        "environment": text,
        "/tmp": text,
        "/dev/shm": text,
        "abstract": "0",
        "shared memory": "there",
    }
    assert other == {
        "environment": "",
        "/tmp": "ENOENT",
        "/dev/shm": "ENOENT",
        "abstract": "ECONNREFUSED",
        "shared memory": "",
    }


def test_a_worker_has_no_descriptor_of_another(host: Prison) -> None:
    """The channels of both are made at the same time; each has its own, and what it was given to listen at."""
    found: dict[str, set[str]] = {}
    host.client.headers["connection"] = "close"
    while len(found) < 2:
        mark, *sockets = host.attempt("unix_sockets")
        found[mark] = set(sockets)
    first, second = found.values()
    assert not first & second
    assert len(first) == len(second)


LIES = ["exited", "forged record", "noise", "long", "descriptors"]
PLAUSIBLE = ["ready", "failed"]


@pytest.mark.parametrize("what", [*LIES, *PLAUSIBLE])
def test_lies_on_the_channels_harm_nobody_but_the_liar(tmp_path: Path, what: str) -> None:
    """A worker's code gets hold of its channels, and says what the zygote, the egress process or nobody says."""
    with prison(tmp_path) as host:  # of its own: who crashes often waits longer and longer
        with contextlib.suppress(httpx.RemoteProtocolError):  # it is ended while it answers
            assert host.attempt("say", what=what, times=3) >= 2
        if what in PLAUSIBLE:  # else the host may end it before the egress process hears of it
            host.audited(event="refuse", detail="message: ")
        elif what != "descriptors":
            host.running.wait_for('"event":"worker_exited".*"code":-9')
        assert host.attempt_in_time("mark")
        assert host.running.process.poll() is None
        assert not [each for each in host.records() if each["outcome"] == "forged"]
