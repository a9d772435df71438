"""Exit codes of ``longshore``: those of sysexits.h where one fits."""

from __future__ import annotations

from typing import Final

__all__ = ["BOOT_FAILED", "CONFIG", "FAILED", "INTERNAL", "INTERRUPTED", "OK", "USAGE"]

OK: Final = 0
FAILED: Final = 1
"""What was asked for could not be done: a folder that is not empty, a database that does not start."""
BOOT_FAILED: Final = 3
"""The worker's module cannot be run."""
USAGE: Final = 64
"""The command line is wrong."""
INTERNAL: Final = 70
"""A defect of Longshore."""
CONFIG: Final = 78
"""The configuration is wrong."""
INTERRUPTED: Final = 130
"""Ctrl-C where there was nothing to end in order."""
