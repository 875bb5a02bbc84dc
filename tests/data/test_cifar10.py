"""CIFAR-10 through its own download: batches as Python 2 pickled them, byte strings and all."""

from __future__ import annotations

import argparse
import pickle

import numpy as np
import pytest

from hashbench.commands import fetch
from hashbench.data import cifar10
from hashbench.data.splits import protocol
from hashbench.errors import HashbenchError

from .publishers import cifar_archive


def test_cifar10(publish, source, cifar):
    pixels, batches = cifar
    publish(cifar10, [cifar_archive(batches)])
    dataset = cifar10.load(source)
    assert dataset.images.shape == (60, 32, 32, 3)
    np.testing.assert_array_equal(dataset.images[7, 5, 3], [pixels[7, plane * 1024 + 5 * 32 + 3] for plane in range(3)])
    np.testing.assert_array_equal(dataset.labels.argmax(axis=1), np.tile(np.arange(10), 6))
    assert dataset.fold.tolist() == [0] * 50 + [1] * 10
    assert dataset.files[59] == "test_batch/img_9.png"
    assert protocol("official")(dataset, 0).name == "official_10_50_50"


def test_the_command_fetches_and_says_what_came(publish, cifar, tmp_path, monkeypatch, capsys):
    publish(cifar10, [cifar_archive(cifar[1])])
    monkeypatch.setenv("HASHBENCH_DATA", str(tmp_path))
    fetch.run(argparse.Namespace(name="cifar10"))
    assert capsys.readouterr().out == "CIFAR-10: 60 images, 10 classes, verified\n"
    assert (tmp_path / "cifar-10-python.tar.gz").is_file()
    with pytest.raises(HashbenchError, match="cifar11"):
        fetch.run(argparse.Namespace(name="cifar11"))


def test_cifar10_survives_a_broken_download(publish, server, source, cifar):
    archive = cifar_archive(cifar[1])
    publish(cifar10, [archive], cut=[len(archive) // 2])
    assert len(cifar10.load(source)) == 60
    assert server.sent == len(archive)


def test_cifar10_is_never_unpickled_before_its_checksum_holds(publish, server, source, cifar, monkeypatch):
    publish(cifar10, [cifar_archive(cifar[1])])
    server.resources[cifar10.FILES[0].name].content = cifar_archive({**cifar[1], "test_batch": b"anything else"})
    monkeypatch.setattr(cifar10, "tar_members", lambda _: pytest.fail("opened before it was verified"))
    with pytest.raises(HashbenchError, match=r"cifar-10-python\.tar\.gz"):
        cifar10.load(source)


def test_cifar10_refuses_a_pickle_that_would_run_code(publish, source, cifar):
    class Evil:
        def __reduce__(self):
            return (pytest.fail, ("code of a pickle was run",))

    publish(cifar10, [cifar_archive({**cifar[1], "test_batch": pickle.dumps(Evil(), protocol=2)})])
    with pytest.raises(HashbenchError, match=r"asks for .*Fail, which no CIFAR-10 batch does; refused"):
        cifar10.load(source)


def test_cifar10_names_a_batch_that_is_missing(publish, source, cifar):
    publish(cifar10, [cifar_archive({name: content for name, content in cifar[1].items() if name != "data_batch_3"})])
    with pytest.raises(HashbenchError, match="data_batch_3 is missing"):
        cifar10.load(source)
