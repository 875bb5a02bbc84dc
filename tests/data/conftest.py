"""A small web server with the habits, good and bad, of data set mirrors; images and archives in their true formats."""

from __future__ import annotations

import dataclasses
import hashlib
import io
import threading
import time
import zipfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from hashbench.data import fetch
from hashbench.data.base import Dataset, Source
from hashbench.data.fetch import FileSpec

from .publishers import CIFAR_BATCHES, IMAGENET_IMAGES, NUS_NAMES, put, python2_batch


@dataclass
class Resource:
    """A file on the server. `cut` drops the connection after so many bytes, once for each number in it."""

    content: bytes
    statuses: list[int] = field(default_factory=list)
    cut: list[int] = field(default_factory=list)
    ranges: bool = True
    etag: str = '"1"'
    redirect: str = ""
    declare_length: bool = True
    seconds_per_block: float = 0.0


class Server:
    """`server.resources[path]` are its files; `requests` the (path, Range header) it got."""

    block = 4096

    def __init__(self) -> None:
        self.resources: dict[str, Resource] = {}
        self.requests: list[tuple[str, str | None]] = []
        self._sent = 0
        self._answering = 0
        self._change = threading.Condition()
        self._http = ThreadingHTTPServer(("127.0.0.1", 0), self._handler())
        self._http.daemon_threads = True
        threading.Thread(target=self._http.serve_forever, args=(0.02,), daemon=True).start()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._http.server_address[1]}"

    def add(self, path: str, content: bytes, **habits: object) -> str:
        self.resources[path] = Resource(content, **habits)  # type: ignore[arg-type]
        return f"{self.url}/{path}"

    def spec(self, name: str, content: bytes, **habits: object) -> FileSpec:
        """A file with size and md5 as a publisher would list it."""
        url = self.add(name, content, **habits)
        return FileSpec(name, urls=(url,), size=len(content), md5=hashlib.md5(content).hexdigest())

    @property
    def sent(self) -> int:
        """How many bytes it has sent, once no answer is under way: a client may be gone before the server knows."""
        with self._change:
            assert self._change.wait_for(lambda: not self._answering, timeout=60)
            return self._sent

    def _count(self, change: int) -> None:
        with self._change:
            self._answering += change
            self._change.notify_all()

    def close(self) -> None:
        self._http.shutdown()
        self._http.server_close()

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        server = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                server._count(1)
                try:
                    server._answer(self)
                finally:
                    server._count(-1)

            def log_message(self, *_: object) -> None:
                pass

        return Handler

    def _answer(self, request: BaseHTTPRequestHandler) -> None:
        wanted = request.headers.get("Range")
        self.requests.append((request.path, wanted))
        resource = self.resources.get(request.path.lstrip("/"))
        if resource is None:
            return request.send_error(404)
        if resource.statuses:
            return request.send_error(resource.statuses.pop(0))
        if resource.redirect:
            request.send_response(302)
            request.send_header("Location", resource.redirect)
            return request.end_headers()
        start = 0
        unchanged = request.headers.get("If-Range", resource.etag) == resource.etag
        if wanted and resource.ranges and unchanged:
            start = int(wanted.removeprefix("bytes=").rstrip("-"))
            if start >= len(resource.content):
                return request.send_error(416)
            request.send_response(206)
            request.send_header("Content-Range", f"bytes {start}-{len(resource.content) - 1}/{len(resource.content)}")
        else:
            request.send_response(200)
        if resource.declare_length:
            request.send_header("Content-Length", str(len(resource.content) - start))
        request.send_header("ETag", resource.etag)
        request.end_headers()
        stop = resource.cut.pop(0) if resource.cut else len(resource.content)
        try:
            for position in range(start, stop, self.block):
                block = resource.content[position : min(position + self.block, stop)]
                request.wfile.write(block)
                with self._change:
                    self._sent += len(block)
                time.sleep(resource.seconds_per_block)
        except OSError:
            pass  # the client is gone


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[Server]:
    """A fresh server; no waiting between tries, no proxy, and none of the user's own settings."""
    monkeypatch.setattr(fetch, "_BACK_OFF_SECONDS", (0.0, 0.0, 0.0))
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    for name in ("HASHBENCH_OFFLINE", "HASHBENCH_DATA"):
        monkeypatch.delenv(name, raising=False)
    running = Server()
    yield running
    running.close()


@pytest.fixture
def source(tmp_path: Path) -> Source:
    return Source("tiny", "Tiny", (tmp_path / "data",))


@pytest.fixture(scope="session")
def jpeg() -> Callable[..., bytes]:
    """Encodes a noisy image of the given height and width as JPEG."""

    def encode(seed: int, height: int = 24, width: int = 24) -> bytes:
        pixels = np.random.default_rng(seed).integers(0, 256, (height, width, 3), dtype=np.uint8)
        out = io.BytesIO()
        Image.fromarray(pixels).save(out, "JPEG", quality=90)
        return out.getvalue()

    return encode


@pytest.fixture(scope="session")
def zipped() -> Callable[[dict[str, bytes]], bytes]:
    """Packs named contents into a zip."""

    def pack(files: dict[str, bytes]) -> bytes:
        out = io.BytesIO()
        with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
            for name, content in files.items():
                archive.writestr(name, content)
        return out.getvalue()

    return pack


@pytest.fixture(scope="session")
def labelled() -> Callable[..., Dataset]:
    """A data set of given labels and folds, whose images take no memory."""

    def build(labels: np.ndarray, fold: np.ndarray | None = None, files: tuple[str, ...] = ()) -> Dataset:
        fold = np.zeros(len(labels), np.int8) if fold is None else fold.astype(np.int8)
        names = tuple(f"class {number}" for number in range(labels.shape[1]))
        images = np.broadcast_to(np.zeros(3, np.uint8), (len(labels), 1, 1, 3))
        return Dataset("made", "Made", labels, names, fold, images, files)

    return build


@pytest.fixture
def publish(server, monkeypatch):
    """Puts a data set's files on the server and points its FILES there; sizes and checksums are those of the files."""

    def put(module, contents: list[bytes], **habits: object) -> None:
        specs = []
        for spec, content in zip(module.FILES, contents, strict=True):
            url = server.add(spec.name, content, **{k: list(v) for k, v in habits.items()})
            md5 = hashlib.md5(content).hexdigest()
            specs.append(dataclasses.replace(spec, urls=(url,), size=len(content), md5=md5, sha256=None))
        monkeypatch.setattr(module, "FILES", tuple(specs))

    return put


@pytest.fixture(scope="session")
def cifar():
    pixels = np.random.default_rng(0).integers(0, 256, (60, 3072), dtype=np.uint8)
    batches = {
        name: python2_batch(pixels[part * 10 :][:10], list(range(10)), [b"img_%d.png" % n for n in range(10)])
        for part, name in enumerate(CIFAR_BATCHES)
    }
    return pixels, {**batches, "batches.meta": b"unread", "readme.html": b"unread"}


@pytest.fixture
def nus_images(source, jpeg):
    files = {"Flickr/" + name.replace("\\", "/"): jpeg(n, 20 + n) for n, name in enumerate(NUS_NAMES)}
    put(source.folders[0] / "nuswide", files)


@pytest.fixture
def imagenet_images(source, jpeg):
    put(source.folders[0] / "imagenet100", {name: jpeg(len(name), len(name)) for name in IMAGENET_IMAGES})
