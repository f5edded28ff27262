"""Files in a multipart body, cut out of the stream as it comes: nothing is kept but what was not taken yet."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TypeAlias

from python_multipart.exceptions import FormParserError
from python_multipart.multipart import MultipartParser, parse_options_header

from arqueduct.errors import InvalidRequest, MissingFile, TooManyFiles, UploadTooLarge
from arqueduct_backend.filenames import disposition

__all__ = ["Begun", "Form", "Overlong", "Piece", "Shape"]

FIELDS_BYTES = 64 * 1024
"""All other fields together, and the headers of the parts."""
BYTES_OF_A_PART = 4096
"""How much more each further file may bring beside its bytes: a path of 1,024 bytes, percent-encoded, and a type."""
OTHER_PARTS = 15
"""Beside files. Each costs a few microseconds, and a megabyte of empty ones would be 20,000."""
MOST_PART_HEADERS = 8
MOST_PART_HEADER_BYTES = 4096
"""Of one line. Browsers send two short ones; a file name has at most 255 characters on every system."""
LONGEST_FIELD = 100
"""Characters of the name of a field."""
BOUNDARIES = 64 * 1024
"""Between parts, and round them."""


@dataclass(frozen=True, kw_only=True)
class Shape:
    """What a body may have."""

    field: str
    """The field of its files."""
    files: int = 1
    """At most so many."""
    file_bytes: int
    """Of one; a larger one among several is told as such, and its bytes are passed over."""
    total_bytes: int
    """Of all files together."""
    keeps_fields: bool = False
    """Whether the text of other fields matters."""

    @property
    def beside(self) -> int:
        """Bytes of fields and headers."""
        return FIELDS_BYTES + (self.files - 1) * BYTES_OF_A_PART

    @property
    def body_bytes(self) -> int:
        return self.total_bytes + self.beside + BOUNDARIES

    def missing(self) -> MissingFile:
        """What is sent has no file of these."""
        part = f"a part named `{self.field}` that has a file name"
        return MissingFile(f"The request brings no file: send it as multipart/form-data, in {part}.")

    def too_large(self) -> UploadTooLarge:
        """Of the whole."""
        if self.files == 1:
            return UploadTooLarge(f"The file is larger than {self.total_bytes:,} bytes.", limit=self.total_bytes)
        return UploadTooLarge(
            f"The files together are larger than {self.total_bytes:,} bytes.",
            limit=self.total_bytes,
            advice="Send them in several requests, or raise ARQUEDUCT_MAX_REQUEST_BYTES.",
        )


@dataclass(frozen=True)
class Begun:
    """Here a file begins."""

    name: str
    """As it was sent."""


@dataclass(frozen=True)
class Overlong:
    """The file that is under way is too large: no more of it comes."""


Piece: TypeAlias = Begun | Overlong | bytes
"""A file is what comes between two `Begun`."""


class Form:
    """Feed it the body; `take` what came of the files."""

    def __init__(self, content_type: str, shape: Shape) -> None:
        """Raises `MissingFile` for a body that is not multipart/form-data."""
        media_type, options = parse_options_header(content_type)
        if media_type != b"multipart/form-data" or not options.get(b"boundary"):
            raise shape.missing()
        self._shape = shape
        self._received = self._total = self._size = self._beside = self._parts = self._files = self._waiting = 0
        self._pieces: list[Begun | Overlong | bytearray] = []
        self._header = bytearray()
        self._disposition = b""
        self._field = bytearray()
        self._texts: dict[str, bytearray] = {}
        self._text: bytearray | None = None
        self._is_file = self._is_whole = False
        try:
            self._parser = MultipartParser(
                options[b"boundary"],
                {
                    "on_part_begin": self._begin,
                    "on_header_field": self._header_name,
                    "on_header_value": self._header_value,
                    "on_header_end": self._header_end,
                    "on_headers_finished": self._headers_finished,
                    "on_part_data": self._data,
                    "on_end": self._end,
                },
                max_header_count=MOST_PART_HEADERS,
                max_header_size=MOST_PART_HEADER_BYTES,
            )
        except FormParserError as error:
            raise InvalidRequest(f"The multipart body cannot be read: {error}.") from error

    def feed(self, body: bytes) -> int:
        """Returns how many bytes of files wait. Raises `InvalidRequest`, `UploadTooLarge`, `TooManyFiles`."""
        self._received += len(body)
        if self._received > self._shape.body_bytes:
            raise self._shape.too_large()
        if self._is_whole:  # an epilogue means nothing
            return self._waiting
        try:
            self._parser.write(body)
        except FormParserError as error:
            raise InvalidRequest(f"The multipart body cannot be read: {error}.") from error
        return self._waiting

    def take(self) -> list[Piece]:
        """What came of the files since the last time, in order."""
        taken: list[Piece] = [bytes(piece) if isinstance(piece, bytearray) else piece for piece in self._pieces]
        self._pieces.clear()
        self._waiting = 0
        return taken

    def finish(self) -> Mapping[str, str]:
        """The other fields, if they are kept. Raises `InvalidRequest` for a body that was cut off."""
        if not self._is_whole:
            raise InvalidRequest("The multipart body ends before its closing boundary.")
        try:
            return {name: text.decode() for name, text in self._texts.items()}
        except UnicodeDecodeError:
            raise InvalidRequest("A field of the multipart body is not UTF-8.") from None

    def _begin(self) -> None:
        self._parts += 1
        if self._parts > self._shape.files + OTHER_PARTS:
            if self._shape.files > 1 and self._files == self._shape.files:
                raise self._too_many()
            raise InvalidRequest(f"The multipart body has more than {self._shape.files + OTHER_PARTS} parts.")
        self._is_file = False
        self._text = None
        self._disposition = b""

    def _header_name(self, data: bytes, start: int, end: int) -> None:
        self._header += data[start:end]

    def _header_value(self, data: bytes, start: int, end: int) -> None:
        self._field += data[start:end]

    def _header_end(self) -> None:
        if self._header.lower() == b"content-disposition":
            self._disposition = bytes(self._field)
        self._count(len(self._header) + len(self._field))
        self._header.clear()
        self._field.clear()

    def _headers_finished(self) -> None:
        field, name = disposition(self._disposition)
        if len(field) > LONGEST_FIELD:
            raise InvalidRequest(
                f"The multipart body has a field whose name is longer than {LONGEST_FIELD} characters."
            )
        if field == self._shape.field and name:
            self._begin_file(name)
        elif self._shape.keeps_fields and name is None:
            self._begin_text(field)

    def _begin_file(self, name: str) -> None:
        self._files += 1
        if self._files > self._shape.files:
            raise self._too_many()
        self._is_file = True
        self._size = 0
        self._pieces.append(Begun(name))

    def _begin_text(self, field: str) -> None:
        if field in self._texts:
            raise InvalidRequest(f"The multipart body has the field `{field}` twice.")
        self._text = self._texts[field] = bytearray()

    def _data(self, data: bytes, start: int, end: int) -> None:
        if not self._is_file:
            self._count(end - start)
            if self._text is not None:
                self._keep_text(memoryview(data)[start:end])
            return
        self._total += end - start
        if self._total > self._shape.total_bytes:
            raise self._shape.too_large()
        was_small, self._size = self._size <= self._shape.file_bytes, self._size + end - start
        if self._size <= self._shape.file_bytes:
            self._keep(memoryview(data)[start:end])
        elif was_small:
            self._pieces.append(Overlong())

    def _keep_text(self, data: memoryview) -> None:
        assert self._text is not None  # noqa: S101  # looked at by who calls
        self._text += data
        if sum(map(len, self._texts.values())) > FIELDS_BYTES:
            raise InvalidRequest(f"The fields beside the files are larger than {FIELDS_BYTES:,} bytes.")

    def _keep(self, data: memoryview) -> None:
        if not (self._pieces and isinstance(self._pieces[-1], bytearray)):
            self._pieces.append(bytearray())
        last = self._pieces[-1]
        assert isinstance(last, bytearray)  # noqa: S101  # it was looked for above
        last += data
        self._waiting += len(data)

    def _end(self) -> None:
        self._is_whole = True

    def _count(self, more: int) -> None:
        self._beside += more
        if self._beside > self._shape.beside:
            raise InvalidRequest(f"What comes beside the file is larger than {self._shape.beside:,} bytes.")

    def _too_many(self) -> InvalidRequest | TooManyFiles:
        if self._shape.files == 1:
            return InvalidRequest("The multipart body has more than one file: send one a request.")
        return TooManyFiles(f"One request may bring {self._shape.files:,} files.")
