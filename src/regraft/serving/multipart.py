"""Files from the body of a request, with limits on everything that a client can choose."""

from __future__ import annotations

from dataclasses import dataclass, field

from python_multipart import MultipartParser
from python_multipart.exceptions import MultipartParseError

from regraft.storage.tables import printable

MAX_FILES = 64
_MAX_HEADER_BYTES, _MAX_NAME = 8_192, 200


class BadRequestError(Exception):
    """A request that can't be read; the text says why."""


@dataclass
class _Part:
    header: bytearray = field(default_factory=bytearray)
    value: bytearray = field(default_factory=bytearray)
    disposition: bytes = b""
    data: bytearray = field(default_factory=bytearray)


@dataclass(frozen=True)
class UploadedFile:
    """One file of a request."""

    name: str
    """The client's name of the file, which is only shown and never opened."""
    data: bytes


def files_of(body: bytes, content_type: str) -> list[UploadedFile]:
    """The files of a `multipart/form-data` body; other fields are ignored.

    Raises:
        BadRequestError: the body is malformed, or has no files or too many.
    """
    boundary = _parameter(content_type.encode("latin-1", "replace"), b"boundary")
    if not boundary or len(boundary) > 200:
        raise BadRequestError("multipart/form-data needs a boundary of at most 200 characters")
    parts: list[_Part] = []

    def begin() -> None:
        if len(parts) >= 2 * MAX_FILES:
            raise BadRequestError(f"the request has more than {MAX_FILES} files")
        parts.append(_Part())

    def grow(buffer: bytearray, data: bytes) -> None:
        buffer += data
        if len(buffer) > _MAX_HEADER_BYTES:
            raise BadRequestError(f"a part's header is longer than {_MAX_HEADER_BYTES} bytes")

    def end_header() -> None:
        part = parts[-1]
        if bytes(part.header).strip().lower() == b"content-disposition":
            part.disposition = bytes(part.value)
        part.header, part.value = bytearray(), bytearray()

    is_whole: list[bool] = []
    callbacks = {
        "on_part_begin": begin,
        "on_part_data": lambda data, start, end: parts[-1].data.extend(data[start:end]),
        "on_header_field": lambda data, start, end: grow(parts[-1].header, data[start:end]),
        "on_header_value": lambda data, start, end: grow(parts[-1].value, data[start:end]),
        "on_header_end": end_header,
        "on_end": lambda: is_whole.append(True),
    }
    try:
        parser = MultipartParser(boundary, callbacks)
        parser.write(body)
        parser.finalize()
    except (MultipartParseError, ValueError, IndexError) as error:
        raise BadRequestError(f"malformed multipart/form-data: {error}") from error
    if not is_whole:
        raise BadRequestError("malformed multipart/form-data: the last boundary is missing")
    found = [
        UploadedFile(_shown(name), bytes(part.data))
        for part in parts
        if (name := _parameter(part.disposition, b"filename")) is not None
    ]
    if not found:
        raise BadRequestError("the form has no file; send at least one part with a filename")
    if len(found) > MAX_FILES:
        raise BadRequestError(f"the request has more than {MAX_FILES} files")
    return found


def _parameter(header: bytes, name: bytes) -> bytes | None:
    """A parameter of a header, quoted or not (RFC 2045, section 5.1); None if it is not there."""
    for piece in header.split(b";")[1:]:
        key, _, value = piece.strip().partition(b"=")
        if key.strip().lower() == name:
            return value.strip().strip(b'"')
    return None


def _shown(name: bytes) -> str:
    text = printable(name.decode("utf-8", "replace"))
    return text.replace("\\", "/").rsplit("/", 1)[-1][:_MAX_NAME]
