"""The file in a multipart body, cut out of the stream as it comes: nothing is kept but what was not taken yet."""

from python_multipart.exceptions import FormParserError
from python_multipart.multipart import MultipartParser, parse_options_header

from arqueduct.errors import InvalidRequest, MissingFile, UploadTooLarge
from arqueduct_backend.filenames import disposition, shown

__all__ = ["OVERHEAD", "FileField"]

FIELD = "file"
FIELDS_BYTES = 64 * 1024
"""All other fields together; they are not read, but a form may have some."""
MOST_PARTS = 16
"""Of which one is read. Each costs a few microseconds, and a megabyte of empty ones would be 20,000."""
MOST_PART_HEADERS = 8
MOST_PART_HEADER_BYTES = 4096
"""Of one line. Browsers send two short ones; a file name has at most 255 characters on every system."""
LONGEST_FIELD = 100
"""Characters of the name of a field."""
OVERHEAD = FIELDS_BYTES + 64 * 1024
"""What a body may have beyond the file: other fields, their headers, boundaries."""


class FileField:
    """Feed it the body; `take` what came of the file."""

    def __init__(self, content_type: str, *, most: int) -> None:
        """`most`: bytes of the file. Raises `MissingFile` for a body that is not multipart/form-data."""
        media_type, options = parse_options_header(content_type)
        if media_type != b"multipart/form-data" or not options.get(b"boundary"):
            raise MissingFile("The body is not multipart/form-data with a boundary.")
        self.name: str | None = None
        self._most = most
        self._received = self._size = self._rest = self._parts = 0
        self._pending = bytearray()
        self._header = bytearray()
        self._disposition = b""
        self._field = bytearray()
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
        """Returns how many bytes of the file wait to be taken. Raises `InvalidRequest`, `UploadTooLarge`."""
        self._received += len(body)
        if self._received > self._most + OVERHEAD:
            raise UploadTooLarge(f"The file is larger than {self._most:,} bytes.", limit=self._most)
        if self._is_whole:  # an epilogue means nothing
            return len(self._pending)
        try:
            self._parser.write(body)
        except FormParserError as error:
            raise InvalidRequest(f"The multipart body cannot be read: {error}.") from error
        return len(self._pending)

    def take(self) -> bytes:
        """What came of the file since the last time."""
        taken = bytes(self._pending)
        self._pending.clear()
        return taken

    def finish(self) -> str:
        """The file's name. Raises `InvalidRequest` for a body that was cut off, `MissingFile` for one without."""
        if not self._is_whole:
            raise InvalidRequest("The multipart body ends before its closing boundary.")
        if self.name is None:
            raise MissingFile
        return self.name

    def _begin(self) -> None:
        self._parts += 1
        if self._parts > MOST_PARTS:
            raise InvalidRequest(f"The multipart body has more than {MOST_PARTS} parts.")
        self._is_file = False
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
        if field != FIELD or not name:
            return
        if self.name is not None:
            raise InvalidRequest("The multipart body has more than one file: send one a request.")
        self.name = shown(name)
        self._is_file = True

    def _data(self, data: bytes, start: int, end: int) -> None:
        if not self._is_file:
            self._count(end - start)
            return
        self._size += end - start
        if self._size > self._most:
            raise UploadTooLarge(f"The file is larger than {self._most:,} bytes.", limit=self._most)
        self._pending += memoryview(data)[start:end]

    def _end(self) -> None:
        self._is_whole = True

    def _count(self, more: int) -> None:
        self._rest += more
        if self._rest > FIELDS_BYTES:
            raise InvalidRequest(f"What comes beside the file is larger than {FIELDS_BYTES:,} bytes.")
