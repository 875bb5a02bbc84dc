"""One HTTP request for what is missing of a file: which answers are taken, and how what comes is kept.

Every byte is written at once to a part, which survives a kill and is continued; `<part>.json` notes the address and
the version that it came from. A server may lie, trickle, send without end or answer with a page: each ends in an error
of one line, so that the next mirror can be tried.
"""

from __future__ import annotations

import email.message
import errno
import http.client
import io
import json
import re
import shutil
import socket
import string
import textwrap
import time
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Any

from hashbench.progress import track

MOST_BYTES_OF_UNKNOWN_SIZE = 1 << 30
SLOWEST_BYTES_A_SECOND = 10_000
_WINDOW_SECONDS = 60
_TIMEOUT_SECONDS = 60
_MOST_REDIRECTS = 10

_MIB = 1 << 20
_REDIRECTS = {301, 302, 303, 307, 308}
_WORTH_ANOTHER_TRY = {408, 425, 429, 500, 502, 503, 504}
_NUMBER = re.compile(r"[0-9]{1,18}")
_CONTENT_RANGE = re.compile(r"bytes ([0-9]{1,18})-([0-9]{1,18})/([0-9]{1,18}|\*)", re.IGNORECASE)
_PAGES = ("text/html", "application/xhtml+xml")


class BrokenOffError(Exception):
    """A transfer that may succeed if tried again."""


class MisfitError(Exception):
    """A part that the server says is no beginning of its file."""


class MirrorError(Exception):
    """A mirror that does not give the file."""


def transfer(url: str, part: Path, size: int | None, has_checksum: bool) -> None:
    """Bring `part` to its whole length by one request; `size` in bytes is that of the file, None where not known.

    Where no checksum will judge the file, the answer's headers must be those of a file as it is stored.

    Raises MirrorError, BrokenOffError or MisfitError, which say what the server did, and OSError of the disk.
    """
    if part.exists() and size_of(part) == size:
        return
    resume = _resume_headers(url, part, size, has_checksum)
    with _open(url, {"User-Agent": "hashbench", "Accept-Encoding": "identity", **resume}) as response:
        start = size_of(part) if resume and response.status == 206 else 0
        part_would_be_lost = start < size_of(part)
        if part_would_be_lost or not has_checksum:
            _check_form(response.headers)
        whole = _whole_length(response, start, size)
        if whole is None and not has_checksum and not _is_chunked(response.headers):
            raise MirrorError("does not say how long the file is, so that its end could not be told from a break")
        _check_space(part, start, whole)
        record_of(part).write_text(json.dumps({"url": url, "validator": _validator(response.headers)}))
        _write(response, part, start, whole)


def size_of(path: Path) -> int:
    """Bytes of a file, 0 where there is none."""
    return path.stat().st_size if path.exists() else 0


def record_of(part: Path) -> Path:
    """Where a part's address and version are noted."""
    return part.with_name(part.name + ".json")


def _resume_headers(url: str, part: Path, size: int | None, has_checksum: bool) -> dict[str, str]:
    """Ask for the rest of a part, where it is sure to be a part of the same file."""
    if not 0 < size_of(part) < (MOST_BYTES_OF_UNKNOWN_SIZE if size is None else size):
        return {}
    resume = {"Range": f"bytes={size_of(part)}-"}
    if has_checksum:
        return resume
    try:
        record = json.loads(record_of(part).read_text())
        known, validator = record["url"] == url, str(record["validator"])
    except (OSError, ValueError, KeyError, TypeError):
        return {}
    usable = known and validator.isascii() and validator.isprintable()
    return {**resume, "If-Range": validator} if validator and usable else {}


def _validator(headers: email.message.Message) -> str:
    etag = headers.get("ETag", "")
    return headers.get("Last-Modified", "") if not etag or etag.startswith("W/") else etag


# What an answer must look like


def _check_form(headers: email.message.Message) -> None:
    """Raise MirrorError where the headers tell of a web page, or of a file that is not as it is stored."""
    if headers.get_content_type() in _PAGES:
        raise MirrorError(f"answers with a web page ({headers.get_content_type()}) in place of the file")
    for encoding in headers.get_all("Content-Encoding", []):
        if encoding.strip().lower() not in ("", "identity"):
            raise MirrorError(f"encodes the file as {_line(encoding)}, though it was asked for the file as it is")


def _whole_length(response: http.client.HTTPResponse, start: int, size: int | None) -> int | None:
    """The length in bytes of the whole file, None where it cannot be known before its end.

    Raises MirrorError where a header is malformed, or tells of another range or file than was asked for.
    """
    length, whole = _content_length(response.headers), size
    if response.status == 206:
        first, last, whole = _content_range(response.headers)
        if first != start or length not in (None, last + 1 - first):
            raise MirrorError(f"answers with {_range(response.headers)} where the bytes from {start} on were asked for")
    elif length is not None:
        whole = length
    if size is not None and whole != size:
        raise MirrorError(f"has a file of {whole:,} bytes in place of {size:,}")
    if whole == 0 and size is None:
        raise MirrorError("answers with an empty file")
    if size is None and whole is not None and whole > MOST_BYTES_OF_UNKNOWN_SIZE:
        raise MirrorError(f"has a file of {whole:,} bytes, more than {_most_of_unknown_size()}")
    return whole


def _content_length(headers: email.message.Message) -> int | None:
    text = headers.get("Content-Length")
    if text is None or _is_chunked(headers):
        return None
    if not _NUMBER.fullmatch(text):
        raise MirrorError(f"answers with a malformed Content-Length '{_line(text)}'")
    return int(text)


def _content_range(headers: email.message.Message) -> tuple[int, int, int]:
    """The positions of the first and the last byte that come, and the length of the whole."""
    match = _CONTENT_RANGE.fullmatch(headers.get("Content-Range", ""))
    if match:
        first, last = int(match[1]), int(match[2])
        whole = last + 1 if match[3] == "*" else int(match[3])
        if first <= last < whole:
            return first, last, whole
    raise MirrorError(f"answers with a malformed {_range(headers)}")


def _range(headers: email.message.Message) -> str:
    return f"Content-Range '{_line(headers.get('Content-Range', ''))}'"


def _is_chunked(headers: email.message.Message) -> bool:
    return str(headers.get("Transfer-Encoding", "")).lower() == "chunked"


def _most_of_unknown_size() -> str:
    return f"the {MOST_BYTES_OF_UNKNOWN_SIZE:,} bytes allowed to a file whose size is not known beforehand"


def _line(text: object) -> str:
    """What a server or the system said, in one short line without control characters."""
    printable = "".join(character if character.isprintable() else " " for character in str(text))
    return textwrap.shorten(printable, 200, placeholder="...")


# Writing what comes


def _check_space(part: Path, start: int, whole: int | None) -> None:
    free = shutil.disk_usage(part.parent).free
    if whole is not None and whole - start > free:
        raise OSError(errno.ENOSPC, f"{whole - start:,} bytes are needed, {free:,} are free")


def _write(response: http.client.HTTPResponse, part: Path, start: int, whole: int | None) -> None:
    with part.open("r+b" if start else "wb", buffering=0) as file:
        file.seek(start)
        blocks = _receive(response, file, whole)
        for _ in track(blocks, f"fetching {part.stem} (MiB)", -(-(whole - start) // _MIB) if whole else None):
            pass
        if whole is not None and file.tell() < whole:
            raise BrokenOffError(f"broke off after {file.tell():,} of {whole:,} bytes")


def _receive(response: http.client.HTTPResponse, file: IO[bytes], whole: int | None) -> Iterator[None]:
    """Write what comes at once, so that a kill loses nothing; yield after each MiB."""
    pending = 0
    while True:
        try:
            block = response.read1(_MIB)
        except (http.client.HTTPException, OSError) as error:
            raise BrokenOffError(_line(error) or type(error).__name__) from None
        if not block:
            break
        if file.tell() + len(block) > (MOST_BYTES_OF_UNKNOWN_SIZE if whole is None else whole):
            limit = _most_of_unknown_size() if whole is None else f"the {whole:,} bytes that the file has"
            raise MirrorError(f"sends more than {limit}")
        _write_all(block, file)
        pending += len(block)
        for _ in range(pending // _MIB):
            yield
        pending %= _MIB
    if pending:
        yield


def _write_all(block: bytes, file: IO[bytes]) -> None:
    """Unbuffered, a disk that is nearly full takes what still fits and says so in the count alone."""
    left = memoryview(block)
    while left:
        left = left[file.write(left) :]


# Asking


def _open(url: str, headers: dict[str, str]) -> http.client.HTTPResponse:
    """The answer with a file, or a part of one, from `url` or the address that it redirects to."""
    seen: list[str] = []
    while url not in seen and len(seen) <= _MOST_REDIRECTS:
        seen.append(url)
        try:
            return _ask(url, headers)
        except urllib.error.HTTPError as error:
            error.close()
            location = error.headers.get("Location", "")
            if error.code not in _REDIRECTS or not location:
                raise _refusal(error, headers) from None
            url = _next_address(url, location)
    raise MirrorError("redirects in a loop" if url in seen else f"redirects more than {_MOST_REDIRECTS} times")


def _ask(url: str, headers: dict[str, str]) -> http.client.HTTPResponse:
    """The answer of one address. Raises HTTPError where it is an error or a redirect."""
    try:
        if urllib.parse.urlsplit(url).scheme not in ("http", "https"):
            raise MirrorError("only http and https addresses are fetched")
        request = urllib.request.Request(url, headers=headers)
        response: http.client.HTTPResponse = _opener().open(request, timeout=_TIMEOUT_SECONDS)
    except urllib.error.HTTPError:
        raise
    except (http.client.InvalidURL, ValueError) as error:
        raise MirrorError(f"{_line(url)} is no address that can be asked ({_line(error)})") from None
    except (http.client.HTTPException, OSError) as error:
        reason = getattr(error, "reason", error)
        no_network = isinstance(reason, socket.gaierror) and "Range" not in headers
        raise (MirrorError if no_network else BrokenOffError)(_line(reason) or type(reason).__name__) from None
    if response.status not in (200, 206):
        response.close()
        raise MirrorError(f"HTTP {response.status} {_line(response.reason)} in place of the file")
    return response


def _refusal(error: urllib.error.HTTPError, headers: dict[str, str]) -> Exception:
    reason = f"HTTP {error.code} {_line(error.reason)}"
    if error.code == 416 and "Range" in headers:
        return MisfitError(reason)
    return BrokenOffError(reason) if error.code in _WORTH_ANOTHER_TRY else MirrorError(reason)


def _next_address(url: str, location: str) -> str:
    """Where a redirect leads to; what an address may not hold, such as a space, is escaped."""
    try:
        there = urllib.parse.urljoin(url, urllib.parse.quote(location, safe=string.punctuation, encoding="iso-8859-1"))
        scheme = urllib.parse.urlsplit(there).scheme
    except ValueError:
        scheme = ""
    if scheme not in ("http", "https"):
        raise MirrorError(f"redirects to {_line(location)}, and only http and https addresses are fetched")
    return there


def _opener() -> urllib.request.OpenerDirector:
    """An opener that knows http and https alone and reports redirects as errors, for `_open` to judge."""
    opener = urllib.request.OpenerDirector()
    for handler in (
        urllib.request.ProxyHandler,
        urllib.request.UnknownHandler,
        _SteadyHttp,
        _SteadyHttps,
        urllib.request.HTTPDefaultErrorHandler,
        urllib.request.HTTPErrorProcessor,
    ):
        opener.add_handler(handler())
    return opener


class _Steady(io.RawIOBase):
    """What a server sends, from its first header on; raises MirrorError where it trickles.

    Only the time of waiting for the server counts: a slow disk on this side is not held against it.
    """

    def __init__(self, raw: io.RawIOBase) -> None:
        self._raw, self._bytes, self._seconds = raw, 0, 0.0

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int | None:
        began = time.monotonic()
        count = self._raw.readinto(buffer)
        self._seconds += time.monotonic() - began
        self._bytes += count or 0
        if self._seconds >= _WINDOW_SECONDS:
            if self._bytes < SLOWEST_BYTES_A_SECOND * self._seconds:
                raise MirrorError(f"sent less than {SLOWEST_BYTES_A_SECOND:,} bytes a second for {_WINDOW_SECONDS} s")
            self._bytes, self._seconds = 0, 0.0
        return count

    def close(self) -> None:
        self._raw.close()
        super().close()


class _SteadyResponse(http.client.HTTPResponse):
    def __init__(self, sock: socket.socket, *args: Any, **kwargs: Any) -> None:
        super().__init__(sock, *args, **kwargs)
        self.fp = io.BufferedReader(_Steady(self.fp.detach()))


class _SteadyHttpConnection(http.client.HTTPConnection):
    response_class = _SteadyResponse


class _SteadyHttpsConnection(http.client.HTTPSConnection):
    response_class = _SteadyResponse


class _SteadyHttp(urllib.request.HTTPHandler):
    def http_open(self, req: urllib.request.Request) -> http.client.HTTPResponse:
        return self.do_open(_SteadyHttpConnection, req)


class _SteadyHttps(urllib.request.HTTPSHandler):
    def https_open(self, req: urllib.request.Request) -> http.client.HTTPResponse:
        return self.do_open(_SteadyHttpsConnection, req)
