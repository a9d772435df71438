"""What is to be mounted, and where paths lead; the mounts themselves are tested in ``test_jail``."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from longshore.sandbox.mounts import cover, resolve_outside

if TYPE_CHECKING:
    from pathlib import Path

COVERS: list[tuple[str, list[str], list[str], dict[str, bool]]] = [
    ("nothing", [], [], {}),
    ("apart", ["/usr", "/srv"], [], {"/srv": False, "/usr": False}),
    ("below", ["/usr", "/usr/lib", "/usr/lib/x"], [], {"/usr": False}),
    ("only the name begins alike", ["/usr", "/usr2"], [], {"/usr": False, "/usr2": False}),
    ("writable below", ["/p"], ["/p/data"], {"/p": False, "/p/data": True}),
    ("read-only below", ["/p/code"], ["/p"], {"/p": True, "/p/code": False}),
    ("writable below that", ["/p", "/p/a/b"], ["/p/a"], {"/p": False, "/p/a": True, "/p/a/b": False}),
    ("both", ["/p"], ["/p"], {"/p": True}),
    ("twice the same", ["/p", "/p"], [], {"/p": False}),
]


@pytest.mark.parametrize(
    ("read_only", "writable", "expected"), [case[1:] for case in COVERS], ids=[case[0] for case in COVERS]
)
def test_cover(read_only: list[str], writable: list[str], expected: dict[str, bool]) -> None:
    found = cover(read_only, writable)
    assert found == expected
    assert list(found) == sorted(found)  # parents first


def test_paths_without_links_lead_to_themselves(tmp_path: Path) -> None:
    links: dict[str, str] = {}
    assert resolve_outside(str(tmp_path), links) == str(tmp_path)
    assert resolve_outside(f"{tmp_path}/./x/..//", links) is None
    assert links == {}


def test_every_link_on_the_way_is_told(tmp_path: Path) -> None:
    (tmp_path / "a/b").mkdir(parents=True)
    (tmp_path / "a/b/file").touch()
    (tmp_path / "relative").symlink_to("a/../a")
    (tmp_path / "absolute").symlink_to(tmp_path / "relative/b")
    (tmp_path / "a/b/up").symlink_to("../../absolute")
    links: dict[str, str] = {}
    assert resolve_outside(f"{tmp_path}/a/b/up/file", links) == f"{tmp_path}/a/b/file"
    assert links == {
        f"{tmp_path}/a/b/up": "../../absolute",
        f"{tmp_path}/absolute": f"{tmp_path}/relative/b",
        f"{tmp_path}/relative": "a/../a",
    }


@pytest.mark.parametrize("target", ["nowhere", "loop", "/nowhere/else"])
def test_what_leads_nowhere_is_nothing(tmp_path: Path, target: str) -> None:
    (tmp_path / "loop").symlink_to(target)
    links: dict[str, str] = {}
    assert resolve_outside(f"{tmp_path}/loop", links) is None
    assert resolve_outside(f"{tmp_path}/loop/x", links) is None
    assert resolve_outside(f"{tmp_path}/absent/x", links) is None
    assert links == {}
