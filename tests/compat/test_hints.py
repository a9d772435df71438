"""The hints for modules that only Cloudflare's runtime has."""

from __future__ import annotations

import importlib

import pytest

from longshore.compat.hints import import_hint
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
