from __future__ import annotations

import contextlib
import dataclasses
import hashlib
import multiprocessing
import random
import shutil
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest

from hashbench.data.fetch import FileSpec, fetch
from hashbench.errors import HashbenchError

CONTENT = np.random.default_rng(0).bytes(200_000)
OTHER = np.random.default_rng(1).bytes(200_000)


def left_over(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir() if not path.name.endswith(".lock")}


def test_a_file_arrives_whole_and_alone(server, tmp_path):
    spec = server.spec("file.bin", CONTENT)
    assert fetch(spec, tmp_path).read_bytes() == CONTENT
    assert left_over(tmp_path) == {"file.bin"}


def test_a_file_in_place_is_verified_and_used_without_a_request(server, tmp_path, monkeypatch):
    spec = server.spec("file.bin", CONTENT)
    (tmp_path / "file.bin").write_bytes(CONTENT)
    monkeypatch.setenv("HASHBENCH_OFFLINE", "1")
    assert fetch(spec, tmp_path) == tmp_path / "file.bin"
    assert not server.requests


def test_a_download_that_breaks_off_goes_on_where_it_stopped(server, tmp_path):
    spec = server.spec("file.bin", CONTENT, cut=[100_000, 150_000])
    assert fetch(spec, tmp_path).read_bytes() == CONTENT
    assert [wanted for _, wanted in server.requests] == [None, "bytes=100000-", "bytes=150000-"]
    assert server.sent == len(CONTENT)


def test_a_part_of_an_earlier_run_is_continued(server, tmp_path):
    spec = server.spec("file.bin", CONTENT)
    (tmp_path / "file.bin.part").write_bytes(CONTENT[:190_000])
    assert fetch(spec, tmp_path).read_bytes() == CONTENT
    assert server.sent == 10_000


def test_a_whole_part_is_not_fetched_again_in_vain(server, tmp_path):
    spec = server.spec("file.bin", CONTENT)
    (tmp_path / "file.bin.part").write_bytes(CONTENT)
    assert fetch(spec, tmp_path).read_bytes() == CONTENT
    assert server.sent == 0


def test_two_who_want_the_same_file_fetch_it_once(server, tmp_path):
    spec = server.spec("file.bin", CONTENT, seconds_per_block=0.002)
    with ThreadPoolExecutor(2) as pool:
        paths = list(pool.map(lambda _: fetch(spec, tmp_path), range(2)))
    assert [path.read_bytes() for path in paths] == [CONTENT] * 2
    assert server.sent == len(CONTENT)


def test_a_server_without_ranges_starts_anew(server, tmp_path):
    spec = server.spec("file.bin", CONTENT, cut=[100_000], ranges=False)
    assert fetch(spec, tmp_path).read_bytes() == CONTENT


def test_without_a_checksum_a_part_is_only_continued_if_the_file_is_unchanged(server, tmp_path):
    spec = FileSpec("file.bin", urls=(server.add("file.bin", OTHER, statuses=[500] * 9, etag='"2"'),))
    (tmp_path / "file.bin.part").write_bytes(CONTENT[:100_000])
    (tmp_path / "file.bin.part.json").write_text(f'{{"url": "{spec.urls[0]}", "validator": "\\"1\\""}}')
    server.resources["file.bin"].statuses.clear()
    assert fetch(spec, tmp_path).read_bytes() == OTHER


def test_without_a_checksum_a_part_of_another_mirror_is_not_continued(server, tmp_path):
    first = server.add("first.bin", CONTENT, cut=[100_000])
    server.resources["first.bin"].statuses = []
    second = server.add("second.bin", OTHER)
    broken = FileSpec("file.bin", urls=(first,))
    (tmp_path / "file.bin.part").write_bytes(CONTENT[:100_000])
    (tmp_path / "file.bin.part.json").write_text(f'{{"url": "{first}", "validator": "\\"1\\""}}')
    assert fetch(dataclasses.replace(broken, urls=(second,)), tmp_path).read_bytes() == OTHER


@pytest.mark.parametrize("status", [404, 403, 410])
def test_the_next_mirror_is_tried_where_one_lacks_the_file(server, tmp_path, status):
    spec = server.spec("file.bin", CONTENT)
    bad = server.add("moved.bin", b"", statuses=[status])
    assert fetch(dataclasses.replace(spec, urls=(bad, *spec.urls)), tmp_path).read_bytes() == CONTENT
    assert len(server.requests) == 2


def test_a_busy_server_is_asked_again(server, tmp_path):
    spec = server.spec("file.bin", CONTENT, statuses=[503, 429, 500])
    assert fetch(spec, tmp_path).read_bytes() == CONTENT


def test_a_server_that_stays_busy_is_given_up(server, tmp_path):
    spec = server.spec("file.bin", CONTENT, statuses=[503] * 99)
    with pytest.raises(HashbenchError, match=r"file\.bin could not be fetched .*HTTP 503.*after 4 tries"):
        fetch(spec, tmp_path)


def test_when_all_mirrors_fail_each_is_named_with_its_reason(server, tmp_path):
    spec = FileSpec("file.bin", urls=(f"{server.url}/a", "http://127.0.0.1:1/b", "ftp://127.0.0.1/c"))
    with pytest.raises(HashbenchError, match=r"/a: HTTP 404.*127\.0\.0\.1:1/b: .*refused.*only http and https"):
        fetch(spec, tmp_path)


def test_without_a_network_nobody_waits(server, tmp_path, monkeypatch):
    monkeypatch.setattr("time.sleep", lambda _: pytest.fail("waited for a network that is not there"))
    with pytest.raises(HashbenchError, match=r"file\.bin could not be fetched \(http://no\.such\.host\.invalid/x: "):
        fetch(FileSpec("file.bin", urls=("http://no.such.host.invalid/x",)), tmp_path)


def test_a_redirect_leads_to_no_other_scheme(server, tmp_path):
    secret = tmp_path / "secret"
    secret.write_bytes(b"secret")
    url = server.add("file.bin", b"", redirect=secret.as_uri())
    with pytest.raises(HashbenchError, match="could not be fetched"):
        fetch(FileSpec("file.bin", urls=(url,)), tmp_path / "data")
    assert not (tmp_path / "data" / "file.bin").exists()


def test_a_wrong_checksum_is_refused_and_the_file_kept_aside(server, tmp_path):
    spec = dataclasses.replace(server.spec("file.bin", CONTENT), md5="0" * 32)
    with pytest.raises(HashbenchError, match=r"not the published file: its md5 is .* in place of 0+; kept aside as"):
        fetch(spec, tmp_path)
    assert left_over(tmp_path) == {"file.bin.rejected"}
    assert (tmp_path / "file.bin.rejected").read_bytes() == CONTENT


def test_a_wrong_file_on_one_mirror_leaves_the_next_one_a_chance(server, tmp_path):
    spec = server.spec("file.bin", CONTENT)
    bad = server.add("bad.bin", OTHER)
    assert fetch(dataclasses.replace(spec, urls=(bad, *spec.urls)), tmp_path).read_bytes() == CONTENT


def test_a_wrong_file_put_there_by_hand_is_refused_and_kept_aside(tmp_path):
    (tmp_path / "file.bin").write_bytes(OTHER)
    spec = FileSpec("file.bin", sha256=hashlib.sha256(CONTENT).hexdigest())
    with pytest.raises(HashbenchError, match=r"file\.bin is not the published file: its sha256"):
        fetch(spec, tmp_path)
    assert left_over(tmp_path) == {"file.bin.rejected"}


def test_a_file_longer_than_published_is_refused_before_it_fills_the_disk(server, tmp_path):
    spec = dataclasses.replace(server.spec("file.bin", CONTENT, declare_length=False), size=50_000)
    with pytest.raises(HashbenchError, match="more than the 50,000 bytes"):
        fetch(spec, tmp_path)


@pytest.mark.parametrize("declare_length", [True, False])
def test_a_mirror_with_a_shorter_file_is_given_up(server, tmp_path, declare_length):
    spec = dataclasses.replace(server.spec("file.bin", CONTENT, declare_length=declare_length), size=len(CONTENT) + 1)
    with pytest.raises(HashbenchError, match=r"200,000 bytes in place|200,000 of 200,001|does not fit"):
        fetch(spec, tmp_path)
    assert len(server.requests) <= 8


def test_a_shorter_file_is_refused_by_its_size(server, tmp_path):
    (tmp_path / "file.bin").write_bytes(CONTENT[:-1])
    with pytest.raises(HashbenchError, match="it has 199,999 bytes in place of 200,000"):
        fetch(server.spec("file.bin", CONTENT), tmp_path)


def test_a_file_without_published_checksum_is_pinned_on_first_use(server, tmp_path):
    spec = FileSpec("file.bin", urls=(server.add("file.bin", CONTENT),))
    path = fetch(spec, tmp_path)
    pin = tmp_path / "file.bin.sha256"
    assert pin.read_text() == f"{hashlib.sha256(CONTENT).hexdigest()}  file.bin\n"
    assert fetch(spec, tmp_path) == path
    path.write_bytes(OTHER)
    with pytest.raises(HashbenchError, match="not the published file"):
        fetch(spec, tmp_path)


def test_offline_names_what_is_missing_and_asks_nobody(server, tmp_path, monkeypatch):
    spec = server.spec("file.bin", CONTENT)
    monkeypatch.setenv("HASHBENCH_OFFLINE", "1")
    with pytest.raises(HashbenchError, match=rf"{tmp_path}/file\.bin is missing .*HASHBENCH_OFFLINE.*{spec.urls[0]}"):
        fetch(spec, tmp_path)
    assert not server.requests


def test_a_file_handed_out_by_form_says_where_to_get_it(tmp_path):
    with pytest.raises(HashbenchError, match=r"images\.zip is missing and cannot be fetched: ask for it at a\.org"):
        fetch(FileSpec("images.zip", by_hand="ask for it at a.org"), tmp_path)


def test_too_small_a_disk_is_said_before_the_download(server, tmp_path, monkeypatch):
    usage = shutil.disk_usage(tmp_path)._replace(free=1000)
    monkeypatch.setattr(shutil, "disk_usage", lambda _: usage)
    with pytest.raises(
        HashbenchError, match=r"disk is full \(200,000 bytes are needed, 1,000 are free\).*HASHBENCH_DATA"
    ):
        fetch(server.spec("file.bin", CONTENT), tmp_path)


def test_a_disk_that_fills_up_on_the_way_is_said_and_what_came_is_kept(server, tmp_path):
    """A process that may write 64 KiB a file meets the same error as one on a full disk."""
    spec = server.spec("file.bin", CONTENT)
    program = (
        "import resource, sys; from pathlib import Path; from hashbench.data.fetch import FileSpec, fetch\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (65536, 65536))\n"
        f"fetch({spec!r}, Path({str(tmp_path)!r}))"
    )
    result = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert "HashbenchError" in result.stderr
    assert "the disk is full" in result.stderr
    assert (tmp_path / "file.bin.part").read_bytes() == CONTENT[:65536]
    assert fetch(spec, tmp_path).read_bytes() == CONTENT


def test_nothing_is_written_to_a_read_only_folder_not_even_by_root(server, tmp_path):
    folder = tmp_path / "lab"
    folder.mkdir()
    (folder / "pinless.bin").write_bytes(CONTENT)
    (folder / "wrong.bin").write_bytes(OTHER)
    folder.chmod(0o555)
    assert fetch(FileSpec("pinless.bin"), folder).read_bytes() == CONTENT
    with pytest.raises(HashbenchError, match=r"wrong\.bin is not the published file: .*; replace it"):
        fetch(dataclasses.replace(server.spec("file.bin", CONTENT), name="wrong.bin"), folder)
    with pytest.raises(
        HashbenchError, match=r"file\.bin: cannot be written \(the folder is read-only\); name a writable"
    ):
        fetch(server.spec("file.bin", CONTENT), folder)
    assert {path.name for path in folder.iterdir()} == {"pinless.bin", "wrong.bin"}


def arrived(folder: Path) -> int:
    """How many bytes of the file are there, whether it has its name yet or not."""
    for name in ("file.bin.part", "file.bin"):
        with contextlib.suppress(FileNotFoundError):
            return (folder / name).stat().st_size
    return 0


@pytest.mark.slow
def test_killed_at_random_moments_it_ends_with_the_same_bytes_and_keeps_what_came(server, tmp_path):
    """kill -9 twenty times: what had arrived is never sent again."""
    content = np.random.default_rng(2).bytes(1 << 19)
    spec = server.spec("file.bin", content)
    moments = random.Random(0)
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["hashbench.data.fetch"])
    killed_midway = 0
    for trial in range(20):
        folder = tmp_path / str(trial)
        server.resources["file.bin"].seconds_per_block = 0.001
        process = context.Process(target=fetch, args=(spec, folder))
        process.start()
        enough = moments.randrange(len(content))
        while process.is_alive() and arrived(folder) < enough:
            time.sleep(0.001)
        process.kill()
        process.join()
        kept = arrived(folder)
        killed_midway += 0 < kept < len(content)
        assert kept >= enough
        sent_before = server.sent
        server.resources["file.bin"].seconds_per_block = 0.0
        assert fetch(spec, folder).read_bytes() == content
        assert server.sent - sent_before == len(content) - kept
    assert killed_midway >= 10, "the moments must fall into the download, or the test shows nothing"
