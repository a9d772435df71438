"""What a system has, against what configurations ask for."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from longshore.config.model import SandboxSettings, WorkerConfig
from longshore.runtime.host.enclosure import Enclosure
from longshore.runtime.host.events import Enclosed
from longshore.sandbox.layers import LAYERS, Layers
from longshore.sandbox.probe import ProbeError

ALL = frozenset(each.name for each in LAYERS)
VARIABLES = {"PATH": "/bin", "TOKEN": "t", "ODD": "\udcff"}


def enclosure(*missing: str, **reasons: str) -> Enclosure:
    return Enclosure(lambda: Layers(ALL - set(missing), reasons), VARIABLES)


def config(**sandbox: Any) -> WorkerConfig:
    return WorkerConfig(
        name="w", main="/p/entry.py", module_root="/p", project_dir="/p", sandbox=SandboxSettings(**sandbox)
    )


def test_required_is_refused_for_each_thing_that_is_essential() -> None:
    missing = enclosure("seccomp", "network", "uts", seccomp="the kernel is too old")
    assert missing.refusal(config(isolation="required")) == (
        "isolation is 'required', and this system lacks network (not there); seccomp (the kernel is too old)"
    )


@pytest.mark.parametrize("isolation", ["auto", "off"])
def test_nothing_else_is_refused(isolation: str) -> None:
    assert enclosure(*ALL).refusal(config(isolation=isolation)) == ""


def test_required_is_content_without_what_is_not_essential() -> None:
    inessential = [each.name for each in LAYERS if not each.is_essential]
    assert inessential
    assert enclosure(*inessential).refusal(config(isolation="required")) == ""


def test_what_is_missing_is_told_with_what_is_lost() -> None:
    lost = next(each.lost for each in LAYERS if each.name == "seccomp")
    told = enclosure("seccomp", seccomp="too old").described(config())
    assert told == Enclosed(
        "auto", tuple(each.name for each in LAYERS if each.name != "seccomp"), (("seccomp", "too old", lost),)
    )


def test_the_system_is_looked_at_once_and_not_when_isolation_is_off() -> None:
    asked: list[int] = []

    def find() -> Layers:
        asked.append(1)
        return Layers(ALL, {})

    found = Enclosure(find, VARIABLES)
    assert (found.refusal(config(isolation="off")), found.described(config(isolation="off")).in_force) == ("", ())
    assert found.jail(config(isolation="off")) is None
    assert asked == []
    found.refusal(config(isolation="required"))
    found.described(config())
    assert asked == [1]


def test_a_worker_is_put_into_what_there_is() -> None:
    jail = Enclosure(lambda: Layers(ALL - {"cgroup", "seccomp"}, {}), VARIABLES, ["/srv/store"]).jail(config())
    assert jail is not None
    assert set(jail.layers) == ALL - {"cgroup", "seccomp"}
    assert "/srv/store" in jail.hidden
    assert "TOKEN" not in jail.environment
    assert enclosure(*ALL).jail(config()) is None, "a system that has nothing has no jail"


def test_off_is_nothing_in_force_and_nothing_missed() -> None:
    assert enclosure("seccomp").described(config(isolation="off")) == Enclosed("off", (), ())


def test_without_isolation_a_worker_has_the_hosts_environment() -> None:
    assert enclosure().worker_environment(config(isolation="off")) == {"PATH": "/bin", "TOKEN": "t"}


def test_otherwise_it_has_what_is_harmless_and_granted() -> None:
    assert enclosure().worker_environment(config()) == {"PATH": "/bin"}
    assert enclosure().worker_environment(config(environment=("TOKEN",))) == {"PATH": "/bin", "TOKEN": "t"}


def test_the_zygote_never_sees_a_secret() -> None:
    assert enclosure().zygote_environment() == {"PATH": "/bin"}


@pytest.mark.parametrize("key", ["project_dir", "module_root"])
def test_a_project_that_is_the_whole_system_is_refused_but_without_isolation(key: str) -> None:
    everything = {key: "/"}
    refusal = enclosure().refusal(msgspec.structs.replace(config(), **everything))
    assert refusal == "the project lies in '/', and no worker may see all of that: give it a folder of its own"
    assert enclosure().refusal(msgspec.structs.replace(config(isolation="off"), **everything)) == ""


def test_what_cannot_be_found_out_is_not_taken_for_missing() -> None:
    def find() -> Layers:
        raise ProbeError("no descriptors are left")

    unknown = Enclosure(find, VARIABLES)
    for isolation in ("auto", "required"):
        assert unknown.refusal(config(isolation=isolation)) == "no descriptors are left"
    assert unknown.refusal(config(isolation="off")) == ""
