"""The door of the codec (PURE): payload → message and message → bytes.

``parse_frontend`` and ``parse_backend`` take what ``framing`` cut out; ``serialize`` is their inverse:
``parse(type, serialize(m)[5:]) == m`` for every message, and ``serialize(parse(type, p))[5:] == p`` for every payload
that is not refused.
"""

from __future__ import annotations

from longshore.proto.postgres.parse_backend import parse_backend
from longshore.proto.postgres.parse_frontend import parse_frontend
from longshore.proto.postgres.serialize import serialize, serialize_startup

__all__ = ["parse_backend", "parse_frontend", "serialize", "serialize_startup"]
