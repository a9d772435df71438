"""Projects on disk for the tests of configuration."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from longshore.config.errors import ConfigError
from longshore.config.load import Overrides, load_config

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from longshore.config.model import WorkerConfig

ENTRY = "src/entry.py"


def make_project(folder: Path, text: str, name: str = "longshore.toml", **files: str) -> Path:
    """Write a configuration file, an entry, and what else is asked for; ``__`` in a name is a dot."""
    for file, content in {
        name: text,
        ENTRY: "",
        **{key.replace("__", "."): text for key, text in files.items()},
    }.items():
        path = folder / file
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(content)
    return folder


def load(
    folder: Path,
    *,
    is_dev: bool = True,
    environment: str | None = None,
    variables: Mapping[str, str] | None = None,
    overrides: Overrides | None = None,
) -> WorkerConfig:
    """Load what is in ``folder``, as a command that runs there."""
    return load_config(
        cwd=folder, is_dev=is_dev, environment=environment, variables=variables or {}, overrides=overrides
    )


def load_text(folder: Path, text: str, *, is_dev: bool = True) -> WorkerConfig:
    """Load a project whose ``longshore.toml`` is ``text``."""
    return load(make_project(folder, text), is_dev=is_dev)


def messages(folder: Path, *, is_dev: bool = True, variables: Mapping[str, str] | None = None) -> list[str]:
    """Return the lines of the error that loading ``folder`` raises."""
    with pytest.raises(ConfigError) as caught:
        load(folder, is_dev=is_dev, variables=variables)
    return str(caught.value).splitlines()


def notices(config: WorkerConfig) -> list[str]:
    """Return the notices as text."""
    return [f"{notice.line}: {notice.key_path}: {notice.message}" for notice in config.notices]
