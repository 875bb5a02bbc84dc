"""Mirrors that take for ever, send without end, redirect anywhere or speak no HTTP end in one line as well."""

from __future__ import annotations

import dataclasses
import io
import shutil
import subprocess
from pathlib import Path

import pytest

from hashbench.data import transfer
from hashbench.data.fetch import fetch

from . import mirrors
from .mirrors import CONTENT, Answer, given_up, plain, published, refusal

mirror = mirrors.mirror
HALF = len(CONTENT) // 2


# Mirrors that take for ever


@pytest.fixture
def impatient(monkeypatch) -> None:
    monkeypatch.setattr(transfer, "_WINDOW_SECONDS", 0.5)


@pytest.mark.parametrize("size", [None, len(CONTENT)])
def test_a_mirror_that_trickles_is_given_up(mirror, tmp_path, impatient, size):
    reason = given_up(Answer(seconds_a_byte=0.01), published(size=size), mirror, tmp_path)
    assert "sent less than 10,000 bytes a second for 0.5 s" in reason


def test_a_mirror_that_comes_to_trickle_is_given_up_and_the_next_one_continues(server, mirror, tmp_path, impatient):
    head = Answer().head()
    bad = mirror(Answer(raw=head + CONTENT[:HALF], body=CONTENT[HALF:], seconds_a_byte=0.01))
    assert "sent less than 10,000 bytes a second" in refusal(published(bad.url), tmp_path)
    kept = len((tmp_path / "file.bin.part").read_bytes())
    assert kept > HALF
    assert fetch(server.spec("file.bin", CONTENT), tmp_path).read_bytes() == CONTENT
    assert server.sent == len(CONTENT) - kept


def test_a_slow_mirror_that_is_fast_enough_is_waited_for(server, tmp_path, impatient):
    """It takes two windows, at twenty times the least speed."""
    spec = server.spec("file.bin", CONTENT, seconds_per_block=0.02)
    assert fetch(spec, tmp_path).read_bytes() == CONTENT
    assert len(server.requests) == 1


def test_a_mirror_whose_headers_trickle_is_given_up(mirror, tmp_path, impatient):
    head = Answer(headers={f"X-{number}": "x" * 50 for number in range(50)}).head()
    bad = mirror(Answer(raw=head[:1], body=head[1:], seconds_a_byte=0.01))
    assert "sent less than 10,000 bytes a second" in refusal(plain(bad.url), tmp_path)
    assert len(bad.ranges) == 1


@pytest.fixture
def certificate(tmp_path: Path) -> Path:
    """A certificate for 127.0.0.1 that it signed itself, with its key."""
    path = tmp_path / "certificate.pem"
    make = (
        "openssl req -x509 -newkey rsa:2048 -nodes -subj /CN=here -addext subjectAltName=IP:127.0.0.1 -keyout - -out -"
    )
    path.write_bytes(subprocess.run(make.split(), capture_output=True, check=True).stdout)
    return path


@pytest.mark.skipif(not shutil.which("openssl"), reason="needs the program openssl to make a certificate")
def test_https_is_encrypted_verified_and_metered(mirror, tmp_path, impatient, certificate, monkeypatch):
    good, slow = mirror(Answer()), mirror(Answer(seconds_a_byte=0.01))
    for one in (good, slow):
        one.encrypt(certificate)
    assert "certificate verify failed" in refusal(published(good.url), tmp_path)
    monkeypatch.setenv("SSL_CERT_FILE", str(certificate))
    assert "sent less than 10,000 bytes a second" in refusal(published(slow.url), tmp_path)
    assert fetch(published(good.url), tmp_path).read_bytes() == CONTENT


def test_a_mirror_that_breaks_off_after_every_byte_is_given_up(mirror, tmp_path):
    answers = [
        Answer(
            b"x",
            "206 Partial Content",
            {"Content-Range": f"bytes {at}-199999/200000", "Content-Length": str(200_000 - at)},
        )
        for at in range(1, 50)
    ]
    bad = mirror(Answer(b"x", headers={"Content-Length": "200000"}), *answers)
    assert "broke off after 4 of 200,000 bytes, after 4 tries without progress" in refusal(published(bad.url), tmp_path)


def test_a_mirror_that_falls_silent_is_asked_again_and_given_up(mirror, tmp_path, monkeypatch):
    monkeypatch.setattr(transfer, "_TIMEOUT_SECONDS", 0.1)
    bad = mirror(Answer(raw=b"H", body=b"T", seconds_a_byte=1.0))
    assert "timed out, after 4 tries" in refusal(plain(bad.url), tmp_path)
    assert len(bad.ranges) == 4


def test_what_comes_with_a_redirect_is_not_waited_for(server, mirror, tmp_path, impatient):
    """Read to its end, it would be a trickle."""
    onward = redirect(server.add("file.bin", CONTENT), seconds_a_byte=0.01)
    assert fetch(plain(mirror(onward).url), tmp_path).read_bytes() == CONTENT


# Sizes


@pytest.fixture
def small_limit(monkeypatch) -> None:
    monkeypatch.setattr(transfer, "MOST_BYTES_OF_UNKNOWN_SIZE", 150_000)


LIMIT = "150,000 bytes allowed to a file whose size is not known beforehand"


def test_a_file_of_unknown_size_may_not_be_as_large_as_it_likes(mirror, tmp_path, small_limit):
    for spec in (plain(), published()):
        assert f"has a file of 200,000 bytes, more than the {LIMIT}" in refusal(
            dataclasses.replace(spec, urls=(mirror(Answer()).url,)), tmp_path
        )
        assert not (tmp_path / "file.bin.part").exists()


def test_a_file_without_end_is_given_up_before_it_fills_the_disk(mirror, tmp_path, small_limit):
    for answer, spec in ((Answer(chunked=True), plain()), (Answer(until_close=True), published())):
        reason = refusal(dataclasses.replace(spec, urls=(mirror(answer).url,)), tmp_path)
        assert f"sends more than the {LIMIT}" in reason
        assert (tmp_path / "file.bin.part").stat().st_size <= 150_000


def test_a_file_of_known_size_may_be_larger(mirror, tmp_path, small_limit):
    assert fetch(published(mirror(Answer()).url, size=200_000), tmp_path).read_bytes() == CONTENT


def test_a_disk_that_takes_a_block_in_pieces_gets_all_of_them():
    class Hesitant(io.BytesIO):
        def write(self, block):
            return super().write(bytes(block[:7]))

    file = Hesitant()
    transfer._write_all(CONTENT[:100], file)
    assert file.getvalue() == CONTENT[:100]


# Redirects


def redirect(location: str, **habits: object) -> Answer:
    return Answer(status="302 Found", headers={"Location": location}, **habits)  # type: ignore[arg-type]


@pytest.mark.parametrize("locations", [["/file.bin"], ["/other", "/file.bin"], ["/a", "/b", "/a"]])
def test_a_redirect_loop_ends_in_one_line(mirror, tmp_path, locations):
    bad = mirror(*map(redirect, locations))
    assert "redirects in a loop" in refusal(plain(bad.url), tmp_path)
    assert len(bad.ranges) == len(locations)


def test_too_many_redirects_end_in_one_line_and_ten_are_followed(mirror, tmp_path):
    hops = [redirect(f"/{number}") for number in range(11)]
    bad, good = mirror(*hops, Answer()), mirror(*hops[:10], Answer())
    assert "redirects more than 10 times" in refusal(plain(bad.url), tmp_path)
    assert fetch(plain(good.url), tmp_path).read_bytes() == CONTENT


@pytest.mark.parametrize("location", ["file:///etc/passwd", "ftp://127.0.0.1/x", "data:,x", "javascript:x\x1b[0m"])
def test_a_redirect_to_another_scheme_ends_in_one_line(mirror, tmp_path, location):
    reason = given_up(redirect(location), plain(), mirror, tmp_path)
    assert f"redirects to {location[:10]}" in reason
    assert "only http and https addresses are fetched" in reason


@pytest.mark.parametrize(
    ("location", "reason"),
    [
        ("http://[::1", "redirects to http://[::1, and only http and https"),
        ("http://127.0.0.1:port/", "http://127.0.0.1:port/ is no address that can be asked (nonnumeric port"),
        (f"http://{'a' * 70}.org/", "is no address that can be asked"),
    ],
)
def test_a_redirect_to_no_address_ends_in_one_line(mirror, tmp_path, location, reason):
    assert reason in refusal(plain(mirror(redirect(location)).url), tmp_path)


@pytest.mark.parametrize(
    ("url", "reason"),
    [
        ("http://[::1", "is no address that can be asked (Invalid IPv6 URL)"),
        ("http://127.0.0.1:port/", "is no address that can be asked (nonnumeric port"),
        (f"http://{'a' * 70}.org/", "is no address that can be asked"),
        ("http://127.0.0.1/\xe9", "is no address that can be asked"),
        ("file.bin", "only http and https addresses are fetched"),
        ("ftp://127.0.0.1/file.bin", "only http and https addresses are fetched"),
    ],
)
def test_an_address_that_is_none_leaves_the_next_mirror_its_chance(mirror, tmp_path, url, reason):
    assert reason in refusal(plain(url), tmp_path)
    assert fetch(plain(url, mirror(Answer()).url), tmp_path).read_bytes() == CONTENT


def test_a_redirect_to_another_server_is_followed_with_its_blanks_escaped(server, mirror, tmp_path):
    server.add("a%20file%E9.bin", CONTENT)
    assert fetch(plain(mirror(redirect(f"{server.url}/a file\xe9.bin")).url), tmp_path).read_bytes() == CONTENT
