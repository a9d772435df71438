"""Forms as bytes: ``multipart/form-data`` both ways (RFC 7578), and URL-encoded ones as they arrive."""

from __future__ import annotations

import logging
import re
import secrets
from typing import TYPE_CHECKING, Final, Protocol
from urllib.parse import parse_qsl

from python_multipart.exceptions import FormParserError
from python_multipart.multipart import MultipartParser, parse_options_header

from longshore.errors import LimitExceeded
from longshore.workers._blob import Blob, File, decode_text, encode_text
from longshore.workers._form_data import FormData, FormDataValue

if TYPE_CHECKING:
    from python_multipart.multipart import MultipartCallbacks

__all__ = ["MAX_FORM_FIELDS", "FormReader", "encode_form", "form_reader"]

MAX_FORM_FIELDS: Final = 10_000
"""More fields than this are an attack on memory, not a form."""

# The parser logs what it also raises, in words that the client chose.
_quiet = logging.Logger("longshore.workers.form")  # noqa: LOG001 -- one that no handler hears
_quiet.disabled = True

# What browsers write; a backslash in it stands for itself, which the general parser of options cannot know.
_is_disposition = re.compile(rb'form-data; name="([^"]*)"(?:; filename="([^"]*)")?').fullmatch
_ESCAPES = {'"': "%22", "\r": "%0D", "\n": "%0A"}
_LINE_END = re.compile("\r\n|\r|\n")


class FormReader(Protocol):
    """Takes a form's bytes as they come."""

    def feed(self, data: bytes) -> None:
        """Take the next bytes."""

    def finish(self) -> FormData:
        """Return the form, when all of it was fed."""


def form_reader(content_type: str | None) -> FormReader:
    """Return what reads a form of that type.

    Raises:
        TypeError: it is the type of no form, or has no boundary.
    """
    kind, parameters = parse_options_header(content_type)
    if kind == b"application/x-www-form-urlencoded":
        return _UrlEncodedReader()
    if kind != b"multipart/form-data":
        raise TypeError(
            f"content type {content_type!r} is not a form: "
            "form_data() reads 'multipart/form-data' and 'application/x-www-form-urlencoded'"
        )
    boundary = parameters.get(b"boundary")
    if not boundary:
        raise TypeError(f"content type {content_type!r} has no boundary")
    return _MultipartReader(boundary)


class _UrlEncodedReader:
    def __init__(self) -> None:
        self._chunks: list[bytes] = []

    def feed(self, data: bytes) -> None:
        self._chunks.append(data)

    def finish(self) -> FormData:
        data = b"".join(self._chunks)
        # Counted here, because parse_qsl() has no error of its own for it.
        if data.count(b"&") >= MAX_FORM_FIELDS:
            raise _too_many()
        return FormData.from_fields(parse_qsl(decode_text(data), keep_blank_values=True, errors="replace"))


class _MultipartReader:
    """Collects the fields while python-multipart finds the borders."""

    def __init__(self, boundary: bytes) -> None:
        self._fields: list[tuple[str, FormDataValue]] = []
        self._headers: dict[str, bytes] = {}
        self._name = b""
        self._value = b""
        self._data = bytearray()
        self._has_ended = False
        callbacks: MultipartCallbacks = {
            "on_part_begin": self._begin,
            "on_header_field": self._take_name,
            "on_header_value": self._take_value,
            "on_header_end": self._end_header,
            "on_part_data": self._take_data,
            "on_part_end": self._end_part,
            "on_end": self._end,
        }
        try:
            self._parser = MultipartParser(boundary, callbacks)
        except FormParserError as exc:
            raise _malformed(exc) from exc
        self._parser.logger = _quiet

    def feed(self, data: bytes) -> None:
        try:
            self._parser.write(data)
        except FormParserError as exc:
            raise _malformed(exc) from exc

    def finish(self) -> FormData:
        if not self._has_ended:
            raise TypeError("the form ends before its closing boundary")
        return FormData.from_fields(self._fields)

    # -- called by the parser --------------------------------------------------------------------

    def _begin(self) -> None:
        if len(self._fields) >= MAX_FORM_FIELDS:
            raise _too_many()
        self._headers = {}
        self._data = bytearray()

    def _take_name(self, data: bytes, start: int, end: int) -> None:
        self._name += data[start:end]

    def _take_value(self, data: bytes, start: int, end: int) -> None:
        self._value += data[start:end]

    def _end_header(self) -> None:
        self._headers[self._name.decode("latin-1").lower()] = self._value
        self._name = self._value = b""

    def _take_data(self, data: bytes, start: int, end: int) -> None:
        self._data += data[start:end]

    def _end_part(self) -> None:
        name, filename = _disposition(self._headers.get("content-disposition", b""))
        if name is None:
            raise TypeError("a part of the form has no name in its Content-Disposition")
        data = bytes(self._data)
        self._data = bytearray()
        value: FormDataValue = decode_text(data) if filename is None else self._file(data, filename)
        self._fields.append((_unescape(name), value))

    def _file(self, data: bytes, filename: bytes) -> File:
        content_type = self._headers.get("content-type", b"text/plain").decode("latin-1")
        return File(data, _unescape(filename), content_type)

    def _end(self) -> None:
        self._has_ended = True


def _disposition(header: bytes) -> tuple[bytes | None, bytes | None]:
    if found := _is_disposition(header):
        return found[1], found[2]
    _, parameters = parse_options_header(header)
    return parameters.get(b"name"), parameters.get(b"filename")


def encode_form(form: FormData) -> tuple[bytes, str]:
    """Return a form as ``multipart/form-data`` and its content type (WHATWG HTML, *encoding algorithm*)."""
    boundary = f"----longshore-{secrets.token_hex(16)}"
    pieces: list[bytes] = []
    for name, value in form.items():
        head = f'--{boundary}\r\nContent-Disposition: form-data; name="{_escape(_with_crlf(name))}"'
        if isinstance(value, Blob):
            filename = value.name if isinstance(value, File) else "blob"
            kind = value.content_type or "application/octet-stream"
            pieces += [f'{head}; filename="{_escape(filename)}"\r\nContent-Type: {kind}\r\n\r\n'.encode(), value.data]
        else:
            pieces += [f"{head}\r\n\r\n".encode(), encode_text(_with_crlf(value))]
        pieces.append(b"\r\n")
    pieces.append(f"--{boundary}--\r\n".encode())
    return b"".join(pieces), f"multipart/form-data; boundary={boundary}"


def _with_crlf(text: str) -> str:
    return _LINE_END.sub("\r\n", text)


def _escape(text: str) -> str:
    for character, escape in _ESCAPES.items():
        text = text.replace(character, escape)
    return text


def _unescape(raw: bytes) -> str:
    text = raw.decode("utf-8", "replace")
    if "%" in text:
        for character, escape in _ESCAPES.items():
            text = text.replace(escape, character)
    return text


def _malformed(exc: FormParserError) -> TypeError:
    return TypeError(f"the form is not valid multipart/form-data: {exc}")


def _too_many() -> LimitExceeded:
    return LimitExceeded(
        f"the form has more than {MAX_FORM_FIELDS} fields", limit="max_form_fields", value=MAX_FORM_FIELDS
    )
