"""What all messages between the processes of Longshore are (PURE)."""

from __future__ import annotations

import msgspec

__all__ = ["IpcMessage"]


class IpcMessage(msgspec.Struct, frozen=True, kw_only=True, tag=True):
    """A message; on the wire it is told from others by the name of its class."""
