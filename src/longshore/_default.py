"""Composition for a plain program: ``connect()`` dials from this process."""

from __future__ import annotations

from longshore.net.dial import DirectDialer
from longshore.sockets._connect import set_default_dialer

__all__: list[str] = []

set_default_dialer(DirectDialer())
