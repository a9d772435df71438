"""Small projects with a worker, written to a folder of the test."""

from __future__ import annotations

import textwrap
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

__all__ = ["write_project"]

SETTINGS = 'name = "shop"\nmain = "src/entry.py"\n'


def write_project(folder: Path, source: str, settings: str = "", **files: str) -> Path:
    """Write ``longshore.toml``, ``src/entry.py`` and further modules beside it; return the folder."""
    (folder / "src").mkdir(parents=True)
    (folder / "longshore.toml").write_text(SETTINGS + textwrap.dedent(settings), encoding="utf-8")
    for name, text in {"entry": source, **files}.items():
        (folder / "src" / f"{name}.py").write_text(textwrap.dedent(text), encoding="utf-8")
    return folder
