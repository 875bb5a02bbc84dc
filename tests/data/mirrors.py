"""Mirrors that say word for word what a test tells them to, and what a user is told of them."""

from __future__ import annotations

import contextlib
import dataclasses
import hashlib
import ssl
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread

import numpy as np
import pytest

from hashbench.data.fetch import FileSpec, fetch
from hashbench.errors import HashbenchError

CONTENT = np.random.default_rng(0).bytes(200_000)


@dataclass
class Answer:
    """What a mirror says, word for word; its length is told unless `chunked` or `until_close` tells the end.

    `seconds_a_byte` makes the body trickle, `raw` takes the place of the status line and headers.
    """

    body: bytes = CONTENT
    status: str = "200 OK"
    headers: dict[str, str] = field(default_factory=dict)
    chunked: bool = False
    until_close: bool = False
    seconds_a_byte: float = 0.0
    raw: bytes = b""

    def head(self) -> bytes:
        headers = dict(self.headers)
        if self.chunked:
            headers["Transfer-Encoding"] = "chunked"
        elif not self.until_close:
            headers.setdefault("Content-Length", str(len(self.body)))
        lines = [f"HTTP/1.1 {self.status}", *(f"{name}: {value}" for name, value in headers.items())]
        return self.raw or "\r\n".join([*lines, "", ""]).encode("iso-8859-1")

    def tell(self, write: Callable[[bytes], object]) -> None:
        write(self.head())
        if self.chunked:
            write(f"{len(self.body):x}\r\n".encode() + self.body + b"\r\n0\r\n\r\n" if self.body else b"0\r\n\r\n")
        elif self.seconds_a_byte:
            for byte in self.body:
                write(bytes([byte]))
                time.sleep(self.seconds_a_byte)
        else:
            write(self.body)


class Mirror:
    """Gives its answers in turn, the last one for ever; `ranges` are the Range headers it was asked with."""

    def __init__(self, *answers: Answer) -> None:
        self.ranges: list[str | None] = []
        mirror, left = self, list(answers)

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                mirror.ranges.append(self.headers.get("Range"))
                answer = left.pop(0) if len(left) > 1 else left[0]
                with contextlib.suppress(OSError):  # the client is gone
                    answer.tell(self.wfile.write)
                self.close_connection = True

            def log_message(self, *_: object) -> None:
                pass

        self._http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._http.daemon_threads = True
        Thread(target=self._http.serve_forever, args=(0.02,), daemon=True).start()
        self.url = f"http://127.0.0.1:{self._http.server_address[1]}/file.bin"

    def encrypt(self, certificate: Path) -> None:
        """Speak https from now on; the file holds the private key as well."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(certificate)
        self._http.socket = context.wrap_socket(self._http.socket, server_side=True)
        self.url = self.url.replace("http:", "https:")

    def close(self) -> None:
        self._http.shutdown()
        self._http.server_close()


@pytest.fixture
def mirror(server) -> Iterator[Callable[..., Mirror]]:
    """Starts a mirror that gives these answers; `server` sets what all tests of fetching need."""
    running: list[Mirror] = []

    def start(*answers: Answer) -> Mirror:
        running.append(Mirror(*answers))
        return running[-1]

    yield start
    for one in running:
        one.close()


def plain(*urls: str) -> FileSpec:
    """A file of which nothing is known."""
    return FileSpec("file.bin", urls=urls)


def published(*urls: str, size: int | None = None) -> FileSpec:
    """A file with a checksum."""
    return FileSpec("file.bin", urls=urls, size=size, md5=hashlib.md5(CONTENT).hexdigest())


def refusal(spec: FileSpec, folder: Path) -> str:
    """The one line that a user reads."""
    with pytest.raises(HashbenchError, match=r"file\.bin could not be fetched \(.*\); try again, or") as caught:
        fetch(spec, folder)
    assert str(caught.value).isprintable()
    assert not (folder / "file.bin").exists()
    return str(caught.value)


def given_up(answer: Answer, spec: FileSpec, mirror: Callable[..., Mirror], folder: Path) -> str:
    """Why a mirror with this answer is given up: after one request, and with a good mirror after it all goes well."""
    bad, good = mirror(answer), mirror(Answer())
    part = folder / "file.bin.part"
    had = part.read_bytes() if part.exists() else b""
    reason = refusal(dataclasses.replace(spec, urls=(bad.url,)), folder)
    assert len(bad.ranges) == 1
    if had:
        assert part.read_bytes() == had
    assert fetch(dataclasses.replace(spec, urls=(bad.url, good.url)), folder).read_bytes() == CONTENT
    assert len(bad.ranges) == 2
    return reason
