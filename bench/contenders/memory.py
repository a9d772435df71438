"""How much memory this process has resident, now and at its peak (Linux: ``/proc/self``)."""

from __future__ import annotations

import gc
from pathlib import Path

__all__ = ["peak_rss_bytes", "private_bytes", "reset_peak", "resident_bytes"]


def _field_bytes(path: str, field: str) -> int:
    for line in Path(path).read_text(encoding="ascii").splitlines():
        if line.startswith(field + ":"):
            return int(line.split()[1]) * 1024
    raise OSError(f"no {field!r} in {path}; memory is measured on Linux only")


def resident_bytes() -> int:
    """Return the resident set after a garbage collection, counted page by page (``smaps_rollup``)."""
    gc.collect()
    return _field_bytes("/proc/self/smaps_rollup", "Rss")


def private_bytes(pid: int) -> int:
    """Return how much memory a process shares with no other one."""
    path = f"/proc/{pid}/smaps_rollup"
    return sum(_field_bytes(path, field) for field in ("Private_Clean", "Private_Dirty"))


def reset_peak() -> int:
    """Forget the peak so far and return the resident set it starts from."""
    gc.collect()
    Path("/proc/self/clear_refs").write_text("5", encoding="ascii")  # proc(5): 5 resets VmHWM
    return _field_bytes("/proc/self/status", "VmRSS")


def peak_rss_bytes() -> int:
    """Return the largest resident set since ``reset_peak``."""
    return _field_bytes("/proc/self/status", "VmHWM")
