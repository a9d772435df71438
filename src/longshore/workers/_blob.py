"""``Blob`` and ``File``: bytes with a content type, and with a name (WHATWG File API)."""

from __future__ import annotations

import re
import time
from collections.abc import Iterable
from enum import StrEnum
from typing import TYPE_CHECKING, TypeAlias

from longshore.workers._buffer import JsBuffer
from longshore.workers._javascript_streams import JsReadableStream
from longshore.workers._sources import BytesSource

if TYPE_CHECKING:
    from typing import Self

__all__ = ["Blob", "BlobEnding", "BlobValue", "File"]

_Bytes: TypeAlias = bytes

BlobValue: TypeAlias = "str | bytes | bytearray | memoryview | Blob | File"
"""What a ``Blob`` may be made of."""


class BlobEnding(StrEnum):
    """What happens to line endings in text."""

    TRANSPARENT = "transparent"
    NATIVE = "native"


class Blob:
    """Bytes that do not change, with a content type.

    Args:
        blob_parts: what it is made of, in order: one value or an iterable of them. A single ``Blob`` passes its content
            type on.
        content_type: for example ``"image/png"``.
        endings: ``"native"`` makes every line of text end in a line feed alone.

    Raises:
        TypeError: a part is of a type that a blob cannot hold, or ``endings`` is unknown.
    """

    __slots__ = ("_content_type", "_data")

    def __init__(
        self,
        blob_parts: Iterable[BlobValue] | BlobValue = (),
        content_type: str | None = None,
        endings: BlobEnding | str | None = None,
    ) -> None:
        is_native = _is_native(endings)
        if isinstance(blob_parts, (str, bytes, bytearray, memoryview, Blob)) or not isinstance(blob_parts, Iterable):
            if not content_type and isinstance(blob_parts, Blob):
                content_type = blob_parts.content_type
            blob_parts = [blob_parts]
        pieces = [_piece(part, is_native=is_native) for part in blob_parts]
        self._data = pieces[0] if len(pieces) == 1 else b"".join(pieces)
        self._content_type = _checked_type(content_type)

    @property
    def size(self) -> int:
        """How many bytes it has."""
        return len(self._data)

    @property
    def data(self) -> _Bytes:
        """Its bytes, at once."""
        return self._data

    @property
    def content_type(self) -> str:
        """Its content type in lower case, or ``""``."""
        return self._content_type

    @property
    def type(self) -> str:
        """JavaScript's name of ``content_type``."""
        return self._content_type

    @property
    def js_object(self) -> Self:
        """The blob itself, which has JavaScript's names too."""
        return self

    async def text(self) -> str:
        """Return it decoded as UTF-8; what is no UTF-8 becomes U+FFFD.

        Cancellation: safe.
        """
        return decode_text(self._data)

    async def bytes(self) -> _Bytes:
        """Return its bytes.

        Cancellation: safe.
        """
        return self._data

    async def array_buffer(self) -> JsBuffer:
        """Return its bytes, with the methods of Pyodide's buffers.

        Cancellation: safe.
        """
        return JsBuffer(self._data)

    arrayBuffer = array_buffer  # noqa: N815 -- JavaScript's name

    def stream(self) -> JsReadableStream:
        """Return a stream of its bytes."""
        return JsReadableStream(BytesSource(self._data))

    def slice(self, start: int | None = None, end: int | None = None, content_type: str | None = None) -> Blob:
        """Return a part of it as a blob of its own; negative positions count from the end.

        Args:
            start: the first byte.
            end: the byte after the last.
            content_type: of the part; it does not inherit this one's.
        """
        return Blob([self._data[start:end]], content_type)

    def __len__(self) -> int:
        return len(self._data)

    def __bool__(self) -> bool:
        return True

    def __repr__(self) -> str:
        return f"Blob(size={self.size}, content_type={self.content_type!r})"


class File(Blob):
    """A blob with a name.

    Args:
        blob_parts: as for ``Blob``; a single ``File`` passes its time on as well.
        filename: its name.
        content_type: as for ``Blob``.
        endings: as for ``Blob``.
        last_modified: milliseconds since 1970; now, when it is not given.

    Raises:
        TypeError: as for ``Blob``.
    """

    __slots__ = ("_last_modified", "_name")

    def __init__(
        self,
        blob_parts: Iterable[BlobValue] | BlobValue,
        filename: str,
        content_type: str | None = None,
        endings: BlobEnding | str | None = None,
        last_modified: int | None = None,
    ) -> None:
        super().__init__(blob_parts, content_type, endings)
        if not last_modified and isinstance(blob_parts, File):
            last_modified = blob_parts.last_modified
        self._name = filename
        self._last_modified = time.time_ns() // 1_000_000 if last_modified is None else last_modified

    @property
    def name(self) -> str:
        """Its name."""
        return self._name

    @property
    def last_modified(self) -> int:
        """When it last changed, in milliseconds since 1970."""
        return self._last_modified

    lastModified = last_modified  # noqa: N815 -- JavaScript's name

    def __repr__(self) -> str:
        return f"File(name={self.name!r}, size={self.size}, content_type={self.content_type!r})"


def decode_text(data: bytes) -> str:
    """Decode as the web does: UTF-8 without its byte order mark, U+FFFD for what is none."""
    return data.decode("utf-8-sig" if data.startswith(b"\xef\xbb\xbf") else "utf-8", "replace")


def encode_text(text: str) -> bytes:
    """Encode as the web does: UTF-8, with U+FFFD for half of a surrogate pair."""
    try:
        return text.encode()
    except UnicodeEncodeError:
        return text.encode("utf-16", "surrogatepass").decode("utf-16", "replace").encode()


def _is_native(endings: BlobEnding | str | None) -> bool:
    if not endings:
        return False
    try:
        return BlobEnding(endings) is BlobEnding.NATIVE
    except ValueError as exc:
        raise TypeError(f"endings={endings!r} must be 'transparent' or 'native'") from exc


def _piece(part: object, *, is_native: bool) -> bytes:
    if isinstance(part, str):
        return encode_text(re.sub("\r\n?", "\n", part) if is_native else part)
    if isinstance(part, Blob):
        return part._data
    try:
        return bytes(memoryview(part))  # type: ignore[arg-type]  # this is the question
    except TypeError as exc:
        raise TypeError(f"Don't know how to handle {type(part)} for Blob()") from exc


def _checked_type(content_type: str | None) -> str:
    # WHATWG File API §3.1: a type with other characters is no type.
    return content_type.lower() if content_type and content_type.isascii() and content_type.isprintable() else ""
