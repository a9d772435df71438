"""``JsBuffer``: bytes with the methods that code written for Pyodide calls on an ``ArrayBuffer``."""

from __future__ import annotations

__all__ = ["JsBuffer"]


class JsBuffer(bytes):
    """What ``buffer()`` returns: plain ``bytes``."""

    __slots__ = ()

    @property
    def byteLength(self) -> int:  # noqa: N802 -- JavaScript's name
        """How many bytes there are."""
        return len(self)

    @property
    def length(self) -> int:
        """How many bytes there are."""
        return len(self)

    @property
    def nbytes(self) -> int:
        """How many bytes there are."""
        return len(self)

    def to_bytes(self) -> bytes:
        """Return them as plain ``bytes``."""
        return bytes(self)

    def to_memoryview(self) -> memoryview:
        """Return them without a copy."""
        return memoryview(self)

    def to_py(self) -> memoryview:
        """Return them without a copy."""
        return memoryview(self)

    def to_string(self, encoding: str = "utf-8") -> str:
        """Decode them.

        Args:
            encoding: the name of an encoding that Python knows.

        Raises:
            UnicodeDecodeError: they are something else.
        """
        return self.decode(encoding)
