"""The hints for modules that only Cloudflare's runtime has."""

from __future__ import annotations

import importlib

import pytest

from longshore.compat.hints import import_hint, install_hint
from longshore.runtime.worker.report import error_report


@pytest.mark.parametrize("module", ["js", "pyodide", "pyodide.ffi", "_pyodide", "micropip"])
def test_a_module_of_pyodide_brings_a_hint(module: str) -> None:
    hint = import_hint(module)
    assert hint is not None
    assert repr(module) in hint
    assert import_hint(f"my_{module}") is None


@pytest.mark.parametrize("module", ["numpy", "", None, "jsonschema"])
def test_others_bring_none(module: str | None) -> None:
    assert import_hint(module) is None


def test_the_report_of_a_failed_boot_has_it() -> None:
    with pytest.raises(ModuleNotFoundError) as caught:
        importlib.import_module("js")
    assert any("Longshore has no JavaScript" in note for note in error_report(caught.value).notes)


@pytest.mark.parametrize(
    ("module", "ending"),
    [
        ("redis", "/venv/bin/python -m pip install redis"),
        ("redis.asyncio", "-m pip install redis"),
        ("yaml", "-m pip install PyYAML"),
        ("psycopg", "-m pip install 'psycopg[binary]'"),
    ],
)
def test_what_nobody_installed_can_be_installed(module: str, ending: str) -> None:
    hint = install_hint(module, "/venv/bin/python")
    assert hint is not None
    assert hint.endswith(ending)


@pytest.mark.parametrize("module", [None, "", "json.no_such_part", "no-module"])
def test_what_no_package_would_bring_has_no_such_hint(module: str | None) -> None:
    assert install_hint(module, "python") is None
