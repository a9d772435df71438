"""What all example workers have in common."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from longshore.config.load import load_config
from tests.docs.snippets import ROOT
from tests.examples.workers.hosting import EXAMPLES

FOLDERS = sorted(path for path in EXAMPLES.iterdir() if path.is_dir())
MOST_LINES = 40

by_name = pytest.mark.parametrize("folder", FOLDERS, ids=lambda folder: folder.name)


@by_name
def test_it_is_one_file_of_at_most_40_lines(folder: Path) -> None:
    (source,) = folder.rglob("*.py")
    assert source == folder / "src" / "entry.py"
    lines = source.read_text(encoding="utf-8").splitlines()
    assert len(lines) <= MOST_LINES
    assert lines[0].startswith('"""')


@by_name
def test_its_configuration_is_right_and_complete(folder: Path) -> None:
    config = load_config(folder, cwd=folder, is_dev=True, variables={})
    assert not config.notices
    assert config.name == folder.name.replace("_", "-")
    declared = {*config.vars, *config.secrets}
    declared |= {each.binding for each in config.hyperdrive} | {each.binding for each in config.egress}
    source = (folder / "src" / "entry.py").read_text(encoding="utf-8")
    used = set(re.findall(r"""\benv(?:["']\])?\.([A-Z][A-Z_]*)\b""", source))
    assert used <= declared | {"SSH_PRIVATE_KEY"}


@by_name
def test_a_test_runs_it_and_the_documentation_lists_it(folder: Path) -> None:
    tests = "".join(path.read_text(encoding="utf-8") for path in Path(__file__).parent.glob("test_*.py"))
    assert f'"{folder.name}"' in tests
    page = (ROOT / "docs" / "how-to" / "use-a-driver.md").read_text(encoding="utf-8")
    assert f"`{folder.name}`" in page
