"""Hypothesis profiles: ``dev`` explores anew each run, ``ci`` repeats the same examples on every machine."""

from __future__ import annotations

from hypothesis import HealthCheck, settings

from tests.system import is_ci

# No deadline: a verdict never depends on how fast the machine is.
settings.register_profile("dev", deadline=None)
settings.register_profile(
    "ci", deadline=None, derandomize=True, print_blob=True, suppress_health_check=[HealthCheck.too_slow]
)
settings.load_profile("ci" if is_ci() else "dev")
