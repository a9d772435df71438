"""Control groups: which there are, what is written to them, and that they hold."""

from __future__ import annotations

import os
import signal
import sys
from pathlib import Path

import pytest

from longshore.proto.ipc.jail import JailPlan
from longshore.sandbox.cgroup import ControlGroups, bounds, find_groups, folders_of
from tests.sandbox.jails import needs_layers

V1_MOUNTS = """\
30 24 0:27 / /sys/fs/cgroup rw,relatime - tmpfs tmpfs rw,mode=755
31 30 0:28 / /sys/fs/cgroup/cpu rw,relatime - cgroup cgroup rw,cpu
32 30 0:29 / /sys/fs/cgroup/memory rw,relatime shared:9 - cgroup cgroup rw,memory
33 30 0:30 / /sys/fs/cgroup/pids rw,relatime - cgroup cgroup rw,pids
34 30 0:31 / /sys/fs/cgroup/unified rw,relatime - cgroup2 cgroup2 rw
"""
V2_MOUNTS = "30 24 0:27 / /sys/fs/cgroup rw,nosuid - cgroup2 cgroup2 rw,nsdelegate\n"
CONTAINER_MOUNTS = "30 24 0:27 /docker/4a /sys/fs/cgroup ro,nosuid - cgroup2 cgroup rw\n"

FOLDERS = [
    (
        "version 1",
        "9:pids:/\n4:memory:/jobs/7\n1:cpu:/a/b\n0::/\n",
        V1_MOUNTS,
        "/sys/fs/cgroup/unified",
        {"pids": "/sys/fs/cgroup/pids", "memory": "/sys/fs/cgroup/memory/jobs/7", "cpu": "/sys/fs/cgroup/cpu/a/b"},
    ),
    ("version 2", "0::/system.slice/x.service\n", V2_MOUNTS, "/sys/fs/cgroup/system.slice/x.service", {}),
    ("a container with the host's paths", "0::/docker/4a\n", CONTAINER_MOUNTS, "/sys/fs/cgroup", {}),
    ("a group outside of what is mounted", "0::/\n", CONTAINER_MOUNTS, None, {}),
    ("none is mounted", "0::/x\n9:pids:/\n", "", None, {}),
    (
        "controllers that share a tree",
        "2:cpu,cpuacct:/\n",
        V1_MOUNTS.replace("rw,cpu", "rw,cpu,cpuacct"),
        None,
        {"cpu": "/sys/fs/cgroup/cpu"},
    ),
]


@pytest.mark.parametrize(
    ("membership", "mounts", "unified", "others"), [case[1:] for case in FOLDERS], ids=[case[0] for case in FOLDERS]
)
def test_the_folders_of_a_process_are_found(
    membership: str, mounts: str, unified: str | None, others: dict[str, str]
) -> None:
    assert folders_of(membership, mounts) == (unified, others)


def test_bounds_are_written_in_the_words_of_both_versions() -> None:
    plan = JailPlan(layers=(), memory_bytes=1000, processes=10, cpu_cores=0.5)
    assert dict(bounds(plan)) == {
        "memory.max": "1000",
        "memory.swap.max": "0",
        "pids.max": "12",
        "cpu.max": "50000 100000",
        "cpu.cfs_period_us": "100000",
        "cpu.cfs_quota_us": "50000",
    }
    assert dict(bounds(JailPlan(layers=()))) == {}


def group_of(pid: int, controller: str) -> str:
    """Return the path of a process's group."""
    lines = Path(f"/proc/{pid}/cgroup").read_text().splitlines()
    by_name = {name: path for line in lines for _, names, path in [line.split(":", 2)] for name in names.split(",")}
    return by_name.get(controller, by_name.get("", ""))


@pytest.fixture
def groups() -> dict[str, str]:
    """Return folders for groups of processes, where there is one."""
    if sys.platform != "linux" or not (found := find_groups()).get("pids"):
        pytest.skip("no control group for processes can be written to")
    return {"pids": found["pids"]}


def in_child(act: object) -> int:
    """Fork, act, and return the exit code."""
    pid = os.fork()
    if pid == 0:
        code = 99
        try:
            code = act()  # type: ignore[operator]
        finally:
            os._exit(code)
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])


def test_a_child_is_born_in_a_group_of_its_own_which_goes_with_it(groups: dict[str, str]) -> None:
    plan = JailPlan(layers=("cgroup",), cgroups=groups, processes=5)

    def zygote() -> int:
        room = ControlGroups(os.getpid())
        seen = []
        for worker_id in (1, 2):
            room.enter(worker_id, plan)
            reading, writing = os.pipe()
            pid = os.fork()
            if pid == 0:
                os.read(reading, 1)
                os._exit(0)
            room.leave()
            group = group_of(pid, "pids").rpartition("/")[2]
            folder = Path(groups["pids"], group)
            seen.append(group)
            is_right = group != group_of(os.getpid(), "pids").rpartition("/")[2]
            is_right &= (folder / "pids.max").read_text() == "7\n"
            os.write(writing, b"x")
            os.waitpid(pid, 0)
            room.remove(worker_id)
            if not is_right or folder.exists():
                return 1
        room.close()
        left = [name for name in os.listdir(groups["pids"]) if name.startswith(f"longshore-{os.getpid()}-")]
        return 0 if len(set(seen)) == 2 and not left else 2

    assert in_child(zygote) == 0


def test_a_fork_bomb_is_bounded_for_root_too(groups: dict[str, str]) -> None:
    plan = JailPlan(layers=("cgroup",), cgroups=groups, processes=20)

    def bomb() -> int:
        pids: list[int] = []
        try:
            for _ in range(60):
                pid = os.fork()
                if pid == 0:
                    signal.pause()
                pids.append(pid)
        except BlockingIOError:
            return len(pids)
        finally:
            for pid in pids:
                os.kill(pid, signal.SIGKILL)
                os.waitpid(pid, 0)
        return 0

    def zygote() -> int:
        room = ControlGroups(os.getpid())
        room.enter(1, plan)
        pid = os.fork()
        if pid == 0:
            os._exit(bomb())
        room.leave()
        code = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
        room.close()
        return code

    assert 18 <= in_child(zygote) <= 21


def test_groups_of_a_zygote_that_was_killed_are_removed_by_the_next(groups: dict[str, str]) -> None:
    plan = JailPlan(layers=("cgroup",), cgroups=groups)

    def zygote(*, is_killed: bool) -> int:
        room = ControlGroups(os.getpid())
        room.enter(1, plan)
        if is_killed:
            os.kill(os.getpid(), signal.SIGKILL)
        room.close()
        return 0

    def orphans() -> list[str]:
        names = (name.split("-") for name in os.listdir(groups["pids"]) if name.startswith("longshore-"))
        return [each[1] for each in names if each[1].isdigit() and not os.path.exists(f"/proc/{each[1]}")]

    assert in_child(lambda: zygote(is_killed=True)) == -signal.SIGKILL
    assert orphans()
    assert in_child(lambda: zygote(is_killed=False)) == 0
    assert not orphans()


def test_folders_that_cannot_be_used_are_done_without(tmp_path: Path) -> None:
    room = ControlGroups(os.getpid())
    for folder in (tmp_path, tmp_path / "absent"):
        room.enter(1, JailPlan(layers=("cgroup",), cgroups={"pids": str(folder)}, processes=5))
        room.leave()
        room.remove(1)
    room.close()
    assert os.listdir(tmp_path) == []


def test_the_layer_is_reported_where_groups_can_be_made(groups: dict[str, str]) -> None:
    assert groups
    needs_layers("cgroup")
