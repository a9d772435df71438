"""The configuration file that ``longshore pool init`` prints."""

from __future__ import annotations

from pathlib import Path

__all__ = ["example_text"]


def example_text() -> str:
    """Return it."""
    return Path(__file__).with_name("example.toml").read_text(encoding="utf-8")
