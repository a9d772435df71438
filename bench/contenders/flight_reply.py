"""The answer of ``bench.flight_server``: one line of JSON, read the same way by every contender."""

from __future__ import annotations

import json

__all__ = ["parse_reply"]


def parse_reply(line: bytes) -> dict[str, float]:
    """Return the counts of a reply line.

    Raises:
        ValueError: the line is not JSON.
        TypeError: it is not an object of numbers.
    """
    counts = json.loads(line)
    if not isinstance(counts, dict):
        raise TypeError(f"reply {line!r} is not an object")
    return {str(key): float(value) for key, value in counts.items()}
