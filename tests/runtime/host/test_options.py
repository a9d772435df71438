"""The options of a run, and the numbers that follow from them."""

from __future__ import annotations

from longshore.runtime.host.lifecycle_model import Rules
from longshore.runtime.host.options import HostOptions


def test_rules_follow_the_options() -> None:
    options = HostOptions(workers=3, is_dev=True, drain_timeout_s=1.5, boot_timeout_s=2.5)
    assert options.rules() == Rules(workers=3, is_dev=True, drain_timeout_s=1.5, boot_timeout_s=2.5)
