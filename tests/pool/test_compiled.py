"""Binaries are used while they are those of the sources, and never otherwise."""

from __future__ import annotations

import os
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from longshore.pool import compiled

if TYPE_CHECKING:
    from pathlib import Path


def test_binaries_without_a_digest_are_not_used(tmp_path: Path) -> None:
    assert not compiled.are_fresh(tmp_path)


def test_binaries_of_other_sources_are_not_used(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / compiled.DIGEST_NAME).write_text(compiled.digest() + "\n")
    assert compiled.are_fresh(tmp_path)
    changed = tmp_path / "changed.py"
    changed.write_text("# another source\n")
    monkeypatch.setattr(compiled, "source_of", lambda _: changed)
    assert not compiled.are_fresh(tmp_path)


def test_every_hot_module_lies_in_the_package_that_installs_the_finder() -> None:
    for module in compiled.MODULES:
        assert module.startswith("longshore.pool.")
        assert compiled.source_of(module).exists()


def test_the_pure_form_is_there_when_it_is_asked_for() -> None:
    code = """
import importlib
from longshore.pool.compiled import MODULES, is_compiled
assert not is_compiled()
assert all(importlib.import_module(name).__file__.endswith(".py") for name in MODULES)
"""
    environment = {**os.environ, "LONGSHORE_PURE": "1"}
    subprocess.run([sys.executable, "-c", code], env=environment, check=True, timeout=60)


@pytest.mark.skipif(not compiled.is_compiled(), reason="nothing is compiled here: ./dev compile")
def test_the_compiled_form_is_whole() -> None:
    for name in compiled.MODULES:
        module = __import__(name, fromlist=["__file__"])
        assert not str(module.__file__).endswith(".py"), name
