"""Tests of ``tools/check_pure.py``."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tools.check_pure import PACKAGE, PURE, check_package, violations

if TYPE_CHECKING:
    from pathlib import Path

IMPURE = [
    "import asyncio",
    "import os.path, socket",
    "import concurrent.futures",
    "from time import monotonic",
    "from random import random as dice",
    "def f():\n    import ssl",
    "try:\n    import uvloop\nexcept ImportError:\n    pass",
    "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    import ssl\nelse:\n    import socket",
    "import os\nuser = os.environ['USER']",
    "from os import environ",
    "import os\nseed = os.urandom(8)",
    "socket = __import__('socket')",
    "from . import errors",
    "import longshore.net.dial",
    "from longshore.aio.promise import Promise",
    "from longshore import connect",
]

PURE_SOURCES = [
    "from dataclasses import dataclass",
    "import ipaddress, re",
    "import os\ndef f(path: os.PathLike[str]) -> None: ...",
    "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    import ssl",
    "import typing\nif typing.TYPE_CHECKING:\n    from longshore.net import dial",
    "from longshore.core.addresses import SocketAddress",
    "from longshore.errors import SocketError",
    "from longshore.policy import EgressPolicy",
    "class Clock:\n    time: float",
]


@pytest.mark.parametrize("source", IMPURE)
def test_an_import_of_the_world_is_named_with_its_line(source: str) -> None:
    (violation,) = violations(source, "core/x.py")
    assert violation.startswith("core/x.py:")


@pytest.mark.parametrize("source", PURE_SOURCES)
def test_values_types_and_pure_neighbours_are_allowed(source: str) -> None:
    assert violations(source, "core/x.py") == []


def test_a_pure_module_that_was_renamed_is_missed(tmp_path: Path) -> None:
    (tmp_path / "core").mkdir()
    (tmp_path / "core" / "addresses.py").write_text("import socket\n")
    found = check_package(tmp_path)
    assert [line for line in found if "core/addresses.py:1: socket" in line]
    assert len([line for line in found if "no such file" in line]) == len(PURE) - 1


def test_the_package_is_pure_where_it_says_so() -> None:
    assert check_package(PACKAGE) == []
