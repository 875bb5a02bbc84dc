from __future__ import annotations

import io
import multiprocessing
import pickle

import numpy as np
import pytest
from PIL import Image

from hashbench.data.images import BadImageError, ImageFiles, decode, open_images
from hashbench.errors import HashbenchError


@pytest.fixture
def write(tmp_path):
    """Writes images by name and gives them as ImageFiles."""

    def write_all(files: dict[str, bytes]) -> ImageFiles:
        for name, content in files.items():
            (tmp_path / name).write_bytes(content)
        return ImageFiles(tuple(str(tmp_path / name) for name in files))

    return write_all


@pytest.mark.parametrize("mode", ["L", "LA", "P", "1", "CMYK", "RGBA", "I;16"])
def test_every_kind_of_image_comes_as_rgb(mode):
    out = io.BytesIO()
    Image.new(mode, (5, 3)).save(out, "TIFF" if mode in ("CMYK", "I;16") else "PNG")
    image = decode(out.getvalue(), "x")
    assert image.shape == (3, 5, 3)
    assert image.dtype == np.uint8


def test_small_images_of_one_size_become_one_array(write, jpeg):
    files = write({f"{n}.jpg": jpeg(n) for n in range(4)})
    opened = open_images(files, "fatal", "Tiny")
    assert isinstance(opened.images, np.ndarray)
    assert opened.images.shape == (4, 24, 24, 3)
    for row in range(4):
        np.testing.assert_array_equal(opened.images[row], files[row])
    assert opened.kept.tolist() == [0, 1, 2, 3]


def test_images_of_several_sizes_stay_on_disk(write, jpeg):
    opened = open_images(write({"a.jpg": jpeg(0), "b.jpg": jpeg(1, 10, 30)}), "fatal", "Tiny")
    assert isinstance(opened.images, ImageFiles)
    assert [opened.images[row].shape for row in range(2)] == [(24, 24, 3), (10, 30, 3)]


def test_large_images_stay_on_disk(write, jpeg, monkeypatch):
    monkeypatch.setattr("hashbench.data.images._IN_MEMORY_BYTES", 1000)
    assert isinstance(open_images(write({"a.jpg": jpeg(0)}), "fatal", "Tiny").images, ImageFiles)


@pytest.mark.parametrize("sizes", [(24, 24, 24), (24, 10, 30)])
def test_a_truncated_image_is_named_or_skipped_by_policy(write, jpeg, sizes, caplog):
    contents = {f"{n}.jpg": jpeg(n, size) for n, size in enumerate(sizes)}
    contents["1.jpg"] = contents["1.jpg"][: len(contents["1.jpg"]) // 2]
    files = write(contents)
    with pytest.raises(BadImageError, match=r"1\.jpg: image cannot be decoded .*on_bad_image: skip"):
        list(open_images(files, "fatal", "Tiny").images)
    opened = open_images(files, "skip", "Tiny")
    assert opened.kept.tolist() == [0, 2]
    assert opened.skipped == (files.paths[1],)
    np.testing.assert_array_equal(opened.images[1], files[2])
    assert "Tiny: 1 of 3 images cannot be decoded and are left out" in caplog.text


def test_a_missing_image_is_named_at_once(write, jpeg, tmp_path, zipped):
    files = ImageFiles((*write({"a.jpg": jpeg(0)}).paths, str(tmp_path / "b.jpg"), str(tmp_path / "c.jpg")))
    with pytest.raises(BadImageError, match=r"b\.jpg: image missing, one of 2"):
        open_images(files, "fatal", "Tiny")
    assert open_images(files, "skip", "Tiny").kept.tolist() == [0]
    (tmp_path / "z.zip").write_bytes(zipped({"a.jpg": jpeg(0)}))
    assert ImageFiles((f"{tmp_path}/z.zip/a.jpg", f"{tmp_path}/z.zip/b.jpg")).missing() == [f"{tmp_path}/z.zip/b.jpg"]


def test_a_set_without_a_single_good_image_is_an_error(write):
    with pytest.raises(BadImageError, match="none of its 2 images"):
        open_images(write({"a.jpg": b"", "b.jpg": b"GIF89a"}), "skip", "Tiny")
    with pytest.raises(HashbenchError, match="no images found"):
        open_images(ImageFiles(()), "fatal", "Tiny")
    with pytest.raises(HashbenchError, match=r"on_bad_image is 'ignore' \(allowed: fatal, skip\)"):
        open_images(write({"a.jpg": b""}), "ignore", "Tiny")


def test_pillows_pixel_limit_stays_on(jpeg, monkeypatch):
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 100)
    with pytest.raises(BadImageError, match=r"x\.jpg: image cannot be decoded .*decompression bomb"):
        decode(jpeg(0), "x.jpg")


def test_images_inside_a_zip_are_read_by_several_processes_at_once(tmp_path, jpeg, zipped):
    contents = {f"{n}.jpg": jpeg(n) for n in range(32)}
    (tmp_path / "z.zip").write_bytes(zipped(contents))
    files = pickle.loads(pickle.dumps(ImageFiles(tuple(f"{tmp_path}/z.zip/{name}" for name in contents))))
    assert files.encoded(0) == contents["0.jpg"]  # the handle is open when the workers are forked
    with multiprocessing.get_context("fork").Pool(3) as pool:
        found = pool.map(files.encoded, list(range(32)) * 4, chunksize=1)
    assert found == list(contents.values()) * 4
