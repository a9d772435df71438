"""What the host knows of its system when it makes the plan of a jail."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

import longshore
from longshore.config.model import ServeSettings, WorkerConfig
from longshore.runtime.host.surroundings import interpreter_paths, look_around, secret_paths

if TYPE_CHECKING:
    import pytest


def config(folder: Path) -> WorkerConfig:
    return WorkerConfig(name="w", main=str(folder / "entry.py"), module_root=str(folder), project_dir=str(folder))


def is_covered(path: str, folders: tuple[str, ...]) -> bool:
    return any(Path(path).is_relative_to(folder) for folder in folders)


def test_everything_that_the_interpreter_loads_can_be_read() -> None:
    paths = interpreter_paths({})
    for file in (sys.executable, os.path.realpath(sys.executable), longshore.__file__, os.__file__, msgspec.__file__):
        assert file is not None
        assert is_covered(file, paths), file
        assert is_covered(os.path.realpath(file), paths), file


def test_places_exist_and_are_absolute() -> None:
    paths = interpreter_paths({"PYTHONPATH": "relative:/no/such/folder"})
    assert all(os.path.isabs(path) and os.path.exists(path) for path in paths)
    assert len(set(paths)) == len(paths)


def test_the_folder_that_the_host_was_started_in_is_no_workers_affair(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "path", [str(tmp_path), *sys.path])
    assert str(tmp_path) not in interpreter_paths({})


def test_what_harmless_variables_name_can_be_read(tmp_path: Path) -> None:
    (tmp_path / "ca.pem").write_text("")
    (tmp_path / "lib").mkdir()
    variables = {"SSL_CERT_FILE": str(tmp_path / "ca.pem"), "PYTHONPATH": f"/no/such:{tmp_path / 'lib'}"}
    paths = interpreter_paths(variables)
    assert {str(tmp_path / "ca.pem"), str(tmp_path / "lib")} <= set(paths)
    assert str(tmp_path) not in paths


def test_a_link_is_followed(tmp_path: Path) -> None:
    (tmp_path / "real").mkdir()
    (tmp_path / "link").symlink_to("real")
    paths = interpreter_paths({"PYTHONPATH": str(tmp_path / "link")})
    assert {str(tmp_path / "link"), str(tmp_path / "real")} <= set(paths)


def test_secrets_of_a_project_are_found(tmp_path: Path) -> None:
    for name in (".env", ".env.production", ".dev.vars", ".dev.vars.staging", "env", "dev.vars", ".envrc"):
        (tmp_path / name).write_text("")
    found = {Path(path).name for path in secret_paths(config(tmp_path))}
    assert found == {".env", ".env.production", ".dev.vars", ".dev.vars.staging", ".envrc"}


def test_secrets_of_folders_below_are_found_but_not_in_what_is_large(tmp_path: Path) -> None:
    for folder in ("services/mail", ".git", ".venv/lib"):
        (tmp_path / folder).mkdir(parents=True)
        (tmp_path / folder / ".env").write_text("")
    assert secret_paths(config(tmp_path)) == (str(tmp_path / "services/mail/.env"),)


def test_a_folder_without_end_is_not_searched_to_its_end(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("longshore.runtime.host.surroundings._MOST_SEARCHED", 3)
    for depth in range(1, 5):
        folder = tmp_path.joinpath(*["deeper"] * depth)
        folder.mkdir()
        (folder / ".env").write_text("")
    found = secret_paths(config(tmp_path))
    assert [path.count("deeper") for path in sorted(found, key=len)] == [1, 2, 3]


def test_the_audit_log_and_what_the_host_names_are_hidden(tmp_path: Path) -> None:
    settings = ServeSettings(audit_log=str(tmp_path / "audit.jsonl"))
    audited = msgspec.structs.replace(config(tmp_path), serve=settings)
    around = look_around(audited, cgroups={"pids": "/x"}, variables={"A": "b"}, hidden=["/srv/store"])
    assert around.secrets == (str(tmp_path / "audit.jsonl"), "/srv/store")
    assert (around.uid, around.gid, around.cgroups, around.variables) == (
        os.geteuid(),
        os.getegid(),
        {"pids": "/x"},
        {"A": "b"},
    )
    assert around.user


def test_credentials_of_other_programs_are_hidden(tmp_path: Path) -> None:
    for name in (".git/config", ".git/HEAD", ".ssh/id_ed25519", "shop/.aws/credentials", "shop/.netrc", "ssh/id"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text("")
    expected = {".git/config", ".ssh", "shop/.aws", "shop/.netrc"}
    assert set(secret_paths(config(tmp_path))) == {str(tmp_path / name) for name in expected}
