"""What the rules say of a text, of the address behind it, and what a server sees of the connection: always the same."""

from __future__ import annotations

import subprocess
import sys

import pytest

from tests.egress.linux import needs_sandbox
from tests.egress.trap_rig import ROOT


@needs_sandbox
@pytest.mark.timeout(120)
def test_the_text_the_address_and_the_server_agree() -> None:
    """A property, tried in a network whose loopback has public, private and metadata addresses."""
    command = [sys.executable, "-m", "tests.escape.agreement", "30"]
    done = subprocess.run(command, capture_output=True, text=True, cwd=ROOT, check=False, timeout=100)
    assert done.returncode == 0, done.stdout + done.stderr
