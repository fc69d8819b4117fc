"""Texts of web archives: WARC/1.0 and 1.1 files and their WET extracts, plain or gzipped, one record at a time."""

from __future__ import annotations

import gzip
import zlib
from collections.abc import Iterator
from html.parser import HTMLParser
from pathlib import Path
from typing import BinaryIO

from audit.shards import RecordsError

ENDINGS = (".warc", ".wet", ".warc.gz", ".wet.gz")
MAX_RECORD = 256 << 20  # bytes of one record; a longer one is a damaged file
MAX_HEADER = 1 << 16
_UNSEEN = {"script", "style", "template"}
_BLOCKS = {"p", "div", "br", "li", "tr", "td", "th", "h1", "h2", "h3", "h4", "h5", "h6", "title", "section", "article"}

Headers = dict[str, str]  # names in lower case
Stream = BinaryIO | gzip.GzipFile


def warc_texts(path: Path) -> Iterator[tuple[Headers, str]]:
    """Headers and text of every record, in file order; a record without text (a request, an image) is "".

    Text is that of WET records ("conversion") and of responses of type text/html, without tags, or text/plain.

    Raises:
        RecordsError: the file cannot be read, is truncated or damaged; names the record.
    """
    number = 1
    try:
        with (gzip.open if path.name.endswith(".gz") else open)(path, "rb") as stream:
            while (headers := _headers(stream, path, number)) is not None:
                yield headers, _text(headers, _body(stream, headers, path, number))
                number += 1
    except (EOFError, gzip.BadGzipFile, zlib.error):
        raise RecordsError(f"{path}, record {number}: truncated or damaged gzip; fetch it again") from None
    except OSError as error:
        raise RecordsError(f"{path}: cannot be read: {error.strerror or 'input/output error'}") from None


def _headers(stream: Stream, path: Path, number: int) -> Headers | None:
    """The next record's headers, or None at the end of the file."""
    line = stream.readline(MAX_HEADER)
    while line in (b"\r\n", b"\n"):
        line = stream.readline(MAX_HEADER)
    if not line:
        return None
    if not line.startswith(b"WARC/1."):
        raise RecordsError(f"{path}, record {number}: expected a line WARC/1.0 or WARC/1.1")
    found: Headers = {}
    for line in iter(lambda: stream.readline(MAX_HEADER), b""):
        if line in (b"\r\n", b"\n"):
            return found
        name, colon, value = line.decode("utf-8", "replace").partition(":")
        if colon:
            found[name.strip().lower()] = value.strip()
    raise RecordsError(f"{path}, record {number}: ends inside its headers; fetch it again")


def _body(stream: Stream, headers: Headers, path: Path, number: int) -> bytes:
    length = headers.get("content-length", "")
    if not length.isascii() or not length.isdigit() or int(length) > MAX_RECORD:
        raise RecordsError(f"{path}, record {number}: expected Content-Length, at most {MAX_RECORD >> 20} MiB")
    body = stream.read(int(length))
    if len(body) < int(length):
        raise RecordsError(f"{path}, record {number}: ends after {len(body)} of {length} bytes; fetch it again")
    return body


def _text(headers: Headers, body: bytes) -> str:
    kind = headers.get("warc-type", "")
    if kind == "conversion":
        return body.decode("utf-8", "replace")
    if kind != "response":
        return ""
    head, _, content = body.partition(b"\r\n\r\n")
    lines = head.decode("latin-1").split("\r\n")[1:]
    http = {name.strip().lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)}
    return _readable(http, content)


def _readable(http: Headers, content: bytes) -> str:
    """The text of a response; "" where it is none, or coded in a way that is not understood."""
    kind, _, options = http.get("content-type", "").lower().partition(";")
    if kind.strip() not in ("text/html", "application/xhtml+xml", "text/plain"):
        return ""
    try:
        content = _unchunked(content) if http.get("transfer-encoding", "").lower() == "chunked" else content
        if http.get("content-encoding", "").lower() in ("gzip", "deflate"):
            content = zlib.decompressobj(47).decompress(content, MAX_RECORD)
        charset = options.partition("charset=")[2].split(";")[0].strip(" \"'") or "utf-8"
        text = content.decode(charset, "replace")
    except (LookupError, ValueError, zlib.error):
        return ""
    return text if kind.strip() == "text/plain" else html_text(text)


def _unchunked(content: bytes) -> bytes:
    """Without the sizes of HTTP's chunks; as it is where it has none, as archives often keep it."""
    pieces: list[bytes] = []
    at = 0
    while at < len(content):
        line, _, _ = content[at : at + 20].partition(b"\r\n")
        try:
            size = int(line.split(b";")[0], 16)
        except ValueError:
            return content if not pieces else b"".join(pieces)
        at += len(line) + 2
        pieces.append(content[at : at + size])
        at += size + 2
        if size == 0:
            break
    return b"".join(pieces)


class _Visible(HTMLParser):
    """Collects what a reader would see."""

    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.pieces: list[str] = []
        self.unseen = 0

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.unseen += tag in _UNSEEN
        if tag in _BLOCKS:
            self.pieces.append("\n")

    def handle_endtag(self, tag: str) -> None:
        self.unseen = max(0, self.unseen - (tag in _UNSEEN))
        if tag in _BLOCKS:
            self.pieces.append("\n")

    def handle_data(self, data: str) -> None:
        if not self.unseen:
            self.pieces.append(data)


def html_text(page: str) -> str:
    """The visible text of a page, a line for each block; scripts and styles left out."""
    parser = _Visible()
    parser.feed(page)
    parser.close()
    return "".join(parser.pieces).strip()
