"""Frames of the control channel (PURE): a 4-byte length, a 1-byte count of descriptors, and a JSON message.

The descriptors themselves travel beside the bytes (``SCM_RIGHTS``), in order; the shell queues them and hands over as
many as the frame says.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass

from longshore.proto.ipc.messages import Message, decode_message, encode_message

__all__ = ["MAX_FRAME_BYTES", "Frame", "FrameError", "FrameReader", "make_frame"]

HEADER = struct.Struct("!IB")

MAX_FRAME_BYTES = 16 * 1024 * 1024
"""A configuration or a traceback is some KiB; more than this is not one of ours."""


class FrameError(ValueError):
    """The bytes are not what the other side would have sent; the channel is of no further use."""


@dataclass(frozen=True, slots=True)
class Frame:
    """One message, and how many descriptors came with it."""

    message: Message
    descriptors: int = 0


def make_frame(message: Message, descriptors: int = 0) -> bytes:
    """Return the bytes of one frame."""
    payload = encode_message(message)
    if len(payload) > MAX_FRAME_BYTES:
        raise FrameError(f"message of {len(payload)} bytes is longer than {MAX_FRAME_BYTES}")
    return HEADER.pack(len(payload), descriptors) + payload


class FrameReader:
    """Cuts a stream of bytes into frames.

    Args:
        max_frame_bytes: a longer one is none of this protocol.
    """

    def __init__(self, max_frame_bytes: int = MAX_FRAME_BYTES) -> None:
        self._buffer = bytearray()
        self._max_frame_bytes = max_frame_bytes

    @property
    def is_empty(self) -> bool:
        """True between two frames: an end-of-file is clean here and nowhere else."""
        return not self._buffer

    def receive_data(self, data: bytes) -> list[Frame]:
        """Take bytes in; return the frames that are complete now.

        Raises:
            FrameError: they cannot be frames.
        """
        self._buffer += data
        frames = []
        while len(self._buffer) >= HEADER.size:
            length, descriptors = HEADER.unpack_from(self._buffer)
            if length > self._max_frame_bytes:
                raise FrameError(f"frame of {length} bytes announced, the limit is {self._max_frame_bytes}")
            end = HEADER.size + length
            if len(self._buffer) < end:
                break
            try:
                message = decode_message(bytes(self._buffer[HEADER.size : end]))
            except ValueError as exc:
                raise FrameError(f"not a message: {exc}") from exc
            frames.append(Frame(message, descriptors))
            del self._buffer[:end]
        return frames
