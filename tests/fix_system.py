"""The marker ``needs``: a test that calls a program of the system says so and is skipped without it."""

from __future__ import annotations

import pytest

from tests.system import is_ci
from tools.devkit.system import PACKAGES, find_program


def pytest_runtest_setup(item: pytest.Item) -> None:
    """Skip a test whose programs are missing; in CI fail it."""
    names = [name for marker in item.iter_markers("needs") for name in marker.args]
    if unknown := sorted(set(names) - set(PACKAGES)):
        pytest.fail(f"needs({unknown}): not in tools/devkit/system.py", pytrace=False)
    missing = sorted(name for name in set(names) if find_program(name) is None)
    if not missing:
        return
    packages = " ".join(PACKAGES[name].debian for name in missing)
    reason = f"not installed: {', '.join(missing)} (apt-get install {packages})"
    if is_ci():
        pytest.fail(reason, pytrace=False)
    pytest.skip(reason)
