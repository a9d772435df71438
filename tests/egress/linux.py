"""When tests of the sandbox cannot run."""

from __future__ import annotations

import os
import sys

import pytest

from longshore.sandbox.syscalls import abi_of

IS_LINUX = sys.platform == "linux" and abi_of(os.uname().machine) is not None
needs_sandbox = pytest.mark.skipif(not IS_LINUX, reason="the sandbox is there on Linux (x86-64, aarch64) only")
"""On Linux nothing is skipped: a kernel that lacks something must not pass for one that keeps workers in."""
