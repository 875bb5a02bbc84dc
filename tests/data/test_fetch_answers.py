"""Which answers of a mirror are taken: any other gives it up in one line, and the next one gets its chance."""

from __future__ import annotations

import dataclasses
import hashlib
from pathlib import Path

import pytest

from hashbench.data.fetch import FileSpec, fetch
from hashbench.errors import HashbenchError

from . import mirrors
from .mirrors import CONTENT, Answer, given_up, plain, published, refusal

mirror = mirrors.mirror
HALF = len(CONTENT) // 2
HTML = {"Content-Type": "text/html; charset=utf-8"}


def rest(content_range: str, **habits: object) -> Answer:
    return Answer(CONTENT[HALF:], "206 Partial Content", {"Content-Range": content_range}, **habits)  # type: ignore[arg-type]


@pytest.fixture
def half(tmp_path: Path) -> Path:
    """A folder with the first half of the file."""
    (tmp_path / "file.bin.part").write_bytes(CONTENT[:HALF])
    return tmp_path


# Lengths and ranges


@pytest.mark.parametrize(
    "content_range",
    [
        "",
        "bytes",
        "bytes 100000-199999",
        "bytes ²-199999/200000",
        "bytes 100000-²/200000",
        "bytes 100000-199999/²",
        "bytes 1_00000-199999/200000",
        "bytes +100000-199999/200000",
        "bytes -100000-199999/200000",
        "bytes 100000-199999/200000, bytes 0-1/2",
        "items 100000-199999/200000",
        "bytes 100000-99999/200000",
        "bytes 100000-199999/150000",
        "bytes */200000",
        pytest.param(f"bytes {'9' * 5000}-{'9' * 5000}/{'9' * 5000}", id="5000 digits"),
    ],
)
def test_a_malformed_content_range_gives_the_mirror_up(mirror, half, content_range):
    assert "malformed Content-Range '" in given_up(rest(content_range), published(), mirror, half)


@pytest.mark.parametrize("first", [0, 99_999, 100_001])
def test_a_range_that_was_not_asked_for_gives_the_mirror_up(mirror, half, first):
    reason = given_up(rest(f"bytes {first}-199999/200000"), published(), mirror, half)
    assert f"'bytes {first}-199999/200000' where the bytes from 100000 on were asked for" in reason


def test_a_range_of_another_length_than_that_of_the_answer_gives_the_mirror_up(mirror, half):
    assert "were asked for" in given_up(rest("bytes 100000-100009/200000"), published(), mirror, half)


def test_a_range_of_another_file_gives_the_mirror_up(mirror, half):
    reason = given_up(rest("bytes 100000-199999/200001"), published(size=200_000), mirror, half)
    assert "200,001 bytes in place of 200,000" in reason


@pytest.mark.parametrize("content_range", ["bytes 100000-199999/200000", "Bytes 100000-199999/*"])
def test_a_well_formed_range_is_taken(mirror, half, content_range):
    good = mirror(rest(content_range))
    assert fetch(published(good.url), half).read_bytes() == CONTENT
    assert good.ranges == ["bytes=100000-"]


def test_a_server_that_gives_less_than_was_asked_for_is_asked_for_the_rest(mirror, half):
    good = mirror(
        Answer(CONTENT[HALF:150_000], "206 Partial Content", {"Content-Range": "bytes 100000-149999/200000"}),
        Answer(CONTENT[150_000:], "206 Partial Content", {"Content-Range": "bytes 150000-199999/200000"}),
    )
    assert fetch(published(good.url), half).read_bytes() == CONTENT
    assert good.ranges == ["bytes=100000-", "bytes=150000-"]


@pytest.mark.parametrize("length", ["²", "-5", "+5", "2_0", "0x10", "5, 5", pytest.param("9" * 5000, id="5000 digits")])
def test_a_malformed_content_length_gives_the_mirror_up(mirror, tmp_path, length):
    reason = given_up(Answer(headers={"Content-Length": length}), plain(), mirror, tmp_path)
    assert "malformed Content-Length '" in reason


@pytest.mark.parametrize(
    ("etag", "ranges"), [('"1"', [None, "bytes=100000-"]), ('"\xe9"', [None, None]), ('"1\r\n 2"', [None, None])]
)
def test_without_a_checksum_a_part_of_a_version_that_cannot_be_named_is_not_continued(mirror, tmp_path, etag, ranges):
    broken = Answer(CONTENT[:HALF], headers={"Content-Length": "200000", "ETag": etag})
    good = mirror(broken, rest("bytes 100000-199999/200000") if ranges[1] else Answer())
    assert fetch(plain(good.url), tmp_path).read_bytes() == CONTENT
    assert good.ranges == ranges


@pytest.mark.parametrize("record", [None, "", "[]", '{"url": "x"}'])
def test_without_a_checksum_a_part_of_unknown_origin_is_not_continued(mirror, half, record):
    if record is not None:
        (half / "file.bin.part.json").write_text(record)
    good = mirror(Answer())
    assert fetch(plain(good.url), half).read_bytes() == CONTENT
    assert good.ranges == [None]


# HTTP 416


def not_satisfiable(content_range: str = "bytes */200000") -> Answer:
    return Answer(b"", "416 Range Not Satisfiable", {"Content-Range": content_range})


def test_416_to_a_request_for_the_whole_file_gives_the_mirror_up(mirror, tmp_path):
    assert "HTTP 416 Range Not Satisfiable" in given_up(not_satisfiable(), published(), mirror, tmp_path)


def test_416_for_a_part_of_unknown_fit_starts_afresh(mirror, tmp_path):
    (tmp_path / "file.bin.part").write_bytes(CONTENT)
    good = mirror(not_satisfiable(), Answer())
    assert fetch(published(good.url), tmp_path).read_bytes() == CONTENT
    assert good.ranges == ["bytes=200000-", None]


def test_a_part_longer_than_the_file_is_not_continued(mirror, tmp_path):
    (tmp_path / "file.bin.part").write_bytes(CONTENT + b"more")
    good = mirror(Answer())
    assert fetch(published(good.url, size=len(CONTENT)), tmp_path).read_bytes() == CONTENT
    assert good.ranges == [None]


def test_a_mirror_that_answers_416_to_the_rest_of_what_it_sent_itself_is_given_up(mirror, half):
    broken = Answer(CONTENT[:50_000], headers={"Content-Length": "200000"})
    bad = mirror(not_satisfiable(), broken, not_satisfiable(), broken, not_satisfiable())
    assert "HTTP 416 Range Not Satisfiable: the part that it sent itself does not fit" in refusal(
        published(bad.url), half
    )
    assert bad.ranges == ["bytes=100000-", None, "bytes=50000-"]


# Answers without a file


@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        (Answer(headers=HTML), "answers with a web page (text/html) in place of the file"),
        (Answer(headers={"Content-Type": "application/xhtml+xml"}), "answers with a web page (application/xhtml+xml)"),
        (Answer(headers={"Content-Encoding": "gzip"}), "encodes the file as gzip, though it was asked for the file as"),
        (Answer(headers={"Content-Encoding": "BR"}), "encodes the file as BR"),
        (Answer(until_close=True), "does not say how long the file is, so that its end could not be told"),
        (Answer(b""), "answers with an empty file"),
        (Answer(b"", "204 No Content"), "HTTP 204 No Content in place of the file"),
        (Answer(status="202 Accepted"), "HTTP 202 Accepted in place of the file"),
        (Answer(status="203 Non-Authoritative Information"), "HTTP 203 Non-Authoritative Information in place of"),
        (Answer(b"", "304 Not Modified"), "HTTP 304 Not Modified"),
        (Answer(b"", "302 Found"), "HTTP 302 Found"),
        (Answer(b"", chunked=True), "is not the published file: it is empty; kept aside as file.bin.rejected"),
        (Answer(b"<!DOCTYPE html>\n<p>Sign in"), "is not the published file: it is a web page; kept aside"),
        (Answer(b"\xef\xbb\xbf\r\n <HTML lang='en'>"), "it is a web page"),
    ],
    ids=lambda value: value[:40] if isinstance(value, str) else "",
)
def test_without_a_checksum_what_is_no_file_is_refused(mirror, tmp_path, answer, reason):
    assert reason in given_up(answer, plain(), mirror, tmp_path)
    assert (tmp_path / "file.bin.sha256").read_text().split()[0] == hashlib.sha256(CONTENT).hexdigest()


@pytest.mark.parametrize(
    "answer",
    [
        Answer(headers=HTML),
        Answer(headers={"Content-Encoding": "gzip"}),
        Answer(headers={"Content-Encoding": "identity"}),
        Answer(until_close=True),
        Answer(chunked=True),
    ],
)
def test_with_a_checksum_the_checksum_decides(mirror, tmp_path, answer):
    assert fetch(published(mirror(answer).url), tmp_path).read_bytes() == CONTENT


@pytest.mark.parametrize("answer", [Answer(headers={"Content-Encoding": "identity"}), Answer(chunked=True)])
def test_without_a_checksum_a_file_as_it_is_stored_is_taken(mirror, tmp_path, answer):
    assert fetch(plain(mirror(answer).url), tmp_path).read_bytes() == CONTENT


def test_a_web_page_with_the_published_checksum_is_a_file(mirror, tmp_path):
    page = b"<!doctype html><title>a data set of pages</title>"
    spec = FileSpec("file.bin", urls=(mirror(Answer(page)).url,), sha256=hashlib.sha256(page).hexdigest())
    assert fetch(spec, tmp_path).read_bytes() == page


@pytest.mark.parametrize(
    "answer",
    [
        Answer(b"<html>Sign in to the hotel", headers=HTML, chunked=True),
        Answer(b"", "204 No Content"),
        Answer(b"", headers={"Content-Length": "0"}),
    ],
)
def test_no_part_is_given_up_for_an_answer_without_a_file(mirror, half, answer):
    refusal(published(mirror(answer).url), half)
    assert (half / "file.bin.part").read_bytes() == CONTENT[:HALF]


@pytest.mark.parametrize("content", [b"", b"<!doctype html>"])
def test_a_page_put_there_by_hand_is_refused(tmp_path, content):
    (tmp_path / "file.bin").write_bytes(content)
    with pytest.raises(HashbenchError, match=r"file\.bin is not the published file: it is (empty|a web page); kept"):
        fetch(plain(), tmp_path)
    assert {path.name for path in tmp_path.iterdir()} == {"file.bin.rejected"}


@pytest.mark.parametrize(
    "raw",
    [
        b"\r\n",
        b"220 ftp.example.org ready\r\n",
        b"HTTP/1.1 2\xb20 OK\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nX: " + b"x" * 70_000 + b"\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n\xb2\r\n",
        b"HTTP/1.1 404 \x1b[31mNot\x07 found" + b"x" * 1000 + b"\r\n\r\n",
        b"HTTP/1.1 206 Partial Content\r\nContent-Range: bytes 0-\r\n 9/10\x1b\r\n\r\n",
    ],
)
def test_an_answer_that_is_no_http_ends_in_one_line_as_well(mirror, tmp_path, raw):
    reason = refusal(plain(mirror(Answer(b"", raw=raw)).url), tmp_path)
    assert len(reason) < 700


# What is known of a file without a checksum


def ten_lines(path: Path) -> None:
    if (lines := path.read_bytes().count(b"\n")) != 10:
        raise ValueError(f"it has {lines} lines in place of 10")


def test_a_file_that_breaks_the_rules_of_its_content_is_refused_and_not_pinned(mirror, tmp_path):
    bad, good = mirror(Answer(b"one\n")), mirror(Answer(b"line\n" * 10))
    spec = dataclasses.replace(plain(bad.url), check=ten_lines)
    reason = refusal(spec, tmp_path)
    assert "file.bin is not the published file: it has 1 lines in place of 10; kept aside as file.bin.rej" in reason
    assert not (tmp_path / "file.bin.sha256").exists()
    path = fetch(dataclasses.replace(spec, urls=(bad.url, good.url)), tmp_path)
    assert path.read_bytes() == b"line\n" * 10


def test_the_rules_hold_for_a_pinned_file_and_not_for_one_with_a_checksum(tmp_path):
    (tmp_path / "file.bin").write_bytes(b"one\n")
    sha256 = hashlib.sha256(b"one\n").hexdigest()
    assert fetch(FileSpec("file.bin", sha256=sha256, check=ten_lines), tmp_path)
    (tmp_path / "file.bin.sha256").write_text(f"{sha256}  file.bin\n")
    with pytest.raises(HashbenchError, match="it has 1 lines in place of 10"):
        fetch(FileSpec("file.bin", check=ten_lines), tmp_path)


@pytest.mark.parametrize("pin", [b"0" * 64, b"\xff\xfe"])
def test_a_file_that_is_not_the_pinned_one_names_the_pin(tmp_path, pin):
    (tmp_path / "file.bin").write_bytes(CONTENT)
    (tmp_path / "file.bin.sha256").write_bytes(pin)
    with pytest.raises(HashbenchError, match=r"its sha256 is \w+ in place of .* in file\.bin\.sha256; kept aside"):
        fetch(plain(), tmp_path)
