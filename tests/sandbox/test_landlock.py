"""Landlock alone, without the rest of the jail."""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING

import pytest

from longshore.sandbox.landlock import landlock_abi, restrict, visible_parts
from longshore.sandbox.privileges import forbid_new_privileges
from tests.sandbox.jails import needs_layers

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="Landlock is Linux's")


def restricted(
    act: Callable[[], object], paths: dict[str, list[str]], layers: tuple[str, ...] = ("landlock-files",)
) -> bool:
    """Tell whether something may be done by a process that restricted itself."""
    pid = os.fork()
    if pid == 0:
        code = 2
        try:
            forbid_new_privileges()
            readable, writable, devices = (paths.get(name, []) for name in ("readable", "writable", "devices"))
            restrict(layers, landlock_abi(), readable=readable, writable=writable, devices=devices)
            code = 0
            act()
        except PermissionError:
            code = 1 if code == 0 else code
        finally:
            os._exit(code)
    code = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
    assert code in {0, 1}
    return code == 0


def test_files_can_be_read_and_written_where_it_was_allowed(tmp_path: Path) -> None:
    needs_layers("landlock-files")
    read, written, rest = (tmp_path / name for name in ("read", "written", "rest"))
    for folder in (read, written, rest):
        folder.mkdir()
        (folder / "file").write_text("x")
    paths = {"readable": [str(read), str(tmp_path / "absent")], "writable": [str(written)]}
    assert restricted((read / "file").read_text, paths)
    assert restricted(lambda: os.listdir(read), paths)
    assert not restricted(lambda: (read / "file").write_text("y"), paths)
    assert not restricted((read / "new").mkdir, paths)
    assert restricted(lambda: (written / "file").write_text("y"), paths)
    assert restricted((written / "new").mkdir, paths)
    assert restricted((written / "file").unlink, paths)
    assert not restricted((rest / "file").read_text, paths)
    assert not restricted(lambda: os.listdir(rest), paths)


def test_one_file_can_be_allowed_and_a_device_used(tmp_path: Path) -> None:
    needs_layers("landlock-files")
    (tmp_path / "one").write_text("x")
    assert restricted((tmp_path / "one").read_text, {"readable": [str(tmp_path / "one")]})
    with_devices = {"devices": ["/dev"]}
    assert restricted(lambda: open("/dev/null", "w").write("x"), with_devices)  # noqa: SIM115 - the process ends
    assert not restricted(lambda: os.mkdir("/dev/shm/longshore-test"), with_devices)


def test_signals_stay_inside() -> None:
    needs_layers("landlock-scope")
    parent = os.getpid()
    assert not restricted(lambda: os.kill(parent, 0), {}, ("landlock-scope",))
    assert restricted(lambda: os.kill(os.getpid(), 0), {}, ("landlock-scope",))
    assert restricted(lambda: os.kill(parent, 0), {}, ())


def test_what_leads_to_something_hidden_is_taken_apart(tmp_path: Path) -> None:
    for name in ("a/b/secret", "a/b/open", "a/c/file", "d/file"):
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    base = str(tmp_path)
    assert visible_parts(base, []) == [base]
    assert visible_parts(base, ["/elsewhere", f"{base}2"]) == [base]
    assert visible_parts(base, [base]) == []
    assert visible_parts(base, [f"{base}/a/b/secret"]) == [f"{base}/a/b/open", f"{base}/a/c", f"{base}/d"]
    assert visible_parts(base, [f"{base}/a", f"{base}/a/b"]) == [f"{base}/d"]
    assert visible_parts(f"{base}/absent", [f"{base}/absent/x"]) == []
