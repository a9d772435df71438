"""What a system has: the conclusions, and the trials on this one."""

from __future__ import annotations

import subprocess
import sys
from functools import partial
from typing import Any

import pytest

from longshore.sandbox.layers import LAYERS
from longshore.sandbox.probe import ProbeError, judge_trials, probe_layers
from tests.sandbox.jails import needs_layers, system_layers

ALL = {each.name for each in LAYERS}


def test_what_did_not_fail_is_there() -> None:
    layers = judge_trials({}, 7)
    assert layers.available == ALL
    assert layers.reasons == {}
    assert layers.landlock_abi == 7


@pytest.mark.parametrize("name", ["mount", "network", "seccomp"])
def test_one_missing_makes_the_others_useless(name: str) -> None:
    layers = judge_trials({name: "no"}, 7)
    assert ALL - layers.available == {"mount", "network", "seccomp", "landlock-tcp"}
    assert layers.reasons[name] == "no"
    assert layers.reasons["landlock-tcp"] == f"of no use without {name}"


def test_everything_else_stands_alone_and_says_what_to_do() -> None:
    for name in ALL - {"mount", "network", "seccomp"}:
        layers = judge_trials({name: "Operation not permitted"}, 0)
        assert ALL - layers.available == {name}
        assert layers.reasons[name].startswith("Operation not permitted")
    assert "run as root" in judge_trials({"user": "x"}, 0).reasons["user"]


def test_every_missing_layer_has_a_reason() -> None:
    layers = system_layers()
    assert {each.name for each in layers.missing()} == set(layers.reasons)
    assert all(layers.reasons.values())


@pytest.mark.skipif(sys.platform != "linux", reason="the sandbox is Linux's")
def test_a_linux_has_what_isolation_requires() -> None:
    needs_layers(*(each.name for each in LAYERS if each.is_essential))
    assert system_layers().lacking() == ()


def test_a_trial_that_cannot_be_made_is_no_missing_layer(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "executable", "/no/such/program")
    with pytest.raises(ProbeError, match=r"cannot find out how far workers can be shut in here: .*No such file"):
        probe_layers()


@pytest.mark.skipif(sys.platform != "linux", reason="the sandbox is Linux's")
def test_a_shortage_of_processes_is_no_missing_layer(monkeypatch: pytest.MonkeyPatch) -> None:
    # An interpreter that plays the limit: what a limit of processes counts differs by account.
    monkeypatch.setattr(subprocess, "run", partial(run_with_patch, subprocess.run))
    with pytest.raises(ProbeError, match="Resource temporarily unavailable"):
        probe_layers()


def run_with_patch(run: Any, command: list[str], **options: Any) -> Any:
    text = """
import errno, os, longshore.sandbox.probe as probe
def syscall(*_):
    raise BlockingIOError(errno.EAGAIN, os.strerror(errno.EAGAIN))
probe.syscall = syscall
raise SystemExit(probe.main())
"""
    return run([command[0], "-P", "-c", text], **options)
