"""The plan of a jail: what follows from a configuration and a system."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from longshore.config.model import SandboxSettings, WorkerConfig
from longshore.runtime.host.jail import SYSTEM_PATHS, Surroundings, make_plan
from longshore.sandbox.layers import LAYERS, Layers

ALL = Layers(frozenset(each.name for each in LAYERS), {}, 7)
AROUND = Surroundings(
    interpreter=("/opt/python", "/opt/python/site-packages"),
    user="deploy",
    uid=1000,
    gid=1001,
    secrets=("/srv/app/.env",),
    cgroups={"pids": "/sys/fs/cgroup/x"},
    variables={
        "PATH": "/bin",
        "HOME": "/home/deploy",
        "AWS_SECRET_ACCESS_KEY": "x",
        "FEATURE": "1",
        "TMPDIR": "/var/tmp",
    },
)


def config(**changes: Any) -> WorkerConfig:
    given = {
        "name": "shop",
        "main": "/srv/app/src/entry.py",
        "module_root": "/srv/app/src",
        "project_dir": "/srv/app",
        "file": "/srv/app/longshore.toml",
    }
    return WorkerConfig(**given | changes)


def test_a_worker_sees_system_interpreter_and_project_and_what_is_granted() -> None:
    plan = make_plan(config(sandbox=SandboxSettings(read=("/data",), write=("/var/spool/shop",))), ALL, AROUND)
    visible = (*SYSTEM_PATHS, "/opt/python", "/opt/python/site-packages", "/srv/app", "/srv/app/src", "/data")
    assert plan.read_only == visible
    assert plan.writable == ("/var/spool/shop",)
    assert not {"/home/deploy", "/etc", "/var", "/root", "/home", "/run"} & set(plan.read_only)


def test_configuration_and_secrets_are_hidden() -> None:
    assert make_plan(config(), ALL, AROUND).hidden == ("/srv/app/longshore.toml", "/srv/app/.env")
    assert make_plan(config(file=None), ALL, AROUND).hidden == ("/srv/app/.env",)


def test_the_root_itself_is_never_visible() -> None:
    plan = make_plan(config(sandbox=SandboxSettings(read=("/",), write=("/", ""))), ALL, AROUND)
    assert "/" not in plan.read_only
    assert plan.writable == ()


def test_the_environment_is_what_is_harmless_or_named() -> None:
    assert make_plan(config(), ALL, AROUND).environment == {"PATH": "/bin", "HOME": "/tmp", "TMPDIR": "/tmp"}
    named = make_plan(config(sandbox=SandboxSettings(environment=("FEATURE", "ABSENT"))), ALL, AROUND)
    assert named.environment == {"PATH": "/bin", "HOME": "/tmp", "TMPDIR": "/tmp", "FEATURE": "1"}


def test_layers_are_those_in_force() -> None:
    assert make_plan(config(), ALL, AROUND).layers == tuple(each.name for each in LAYERS)
    some = replace(ALL, available=frozenset({"limits", "user"}))
    assert make_plan(config(), some, AROUND).layers == ("user", "limits")


def test_limits_are_passed_on() -> None:
    sandbox = SandboxSettings(memory_bytes=1, processes=2, open_files=3, cpu_cores=0.5)
    plan = make_plan(config(sandbox=sandbox), ALL, AROUND)
    assert (plan.memory_bytes, plan.processes, plan.open_files, plan.cpu_cores) == (1, 2, 3, 0.5)
    assert plan.cgroups == {"pids": "/sys/fs/cgroup/x"}


@pytest.mark.parametrize(
    ("name", "hostname"),
    [("shop", "shop"), ("my_shop.eu", "my-shop-eu"), ("läden", "l-den"), ("-", "worker"), ("x" * 99, "x" * 63)],
)
def test_the_host_name_is_made_of_the_workers(name: str, hostname: str) -> None:
    assert make_plan(config(name=name), ALL, AROUND).hostname == hostname


def test_files_of_etc_tell_of_one_account_and_our_name_server() -> None:
    texts = {file.path: file.text for file in make_plan(config(), ALL, AROUND).files}
    assert "nameserver 127.0.0.1\n" in texts["/etc/resolv.conf"]
    assert "127.0.0.1\tshop\n" in texts["/etc/hosts"]
    assert texts["/etc/passwd"] == "root:x:0:0::/:/bin/sh\ndeploy:x:1000:1001::/tmp:/bin/sh\n"
    assert texts["/etc/group"] == "root:x:0:\ndeploy:x:1001:\n"
    as_root = {
        file.path: file.text for file in make_plan(config(), ALL, replace(AROUND, user="root", uid=0, gid=0)).files
    }
    assert as_root["/etc/passwd"] == "root:x:0:0::/tmp:/bin/sh\n"
    assert as_root["/etc/group"] == "root:x:0:\n"
