"""Fashion-MNIST through its own download."""

from __future__ import annotations

import gzip

import numpy as np
import pytest

from hashbench.data import fashion_mnist
from hashbench.errors import HashbenchError

from .publishers import idx


def test_fashion_mnist(publish, source):
    images = np.random.default_rng(0).integers(0, 256, (15, 28, 28))
    labels = np.arange(15) % 10
    publish(fashion_mnist, [idx(images[:10]), idx(labels[:10]), idx(images[10:]), idx(labels[10:])])
    dataset = fashion_mnist.load(source)
    np.testing.assert_array_equal(dataset.images, np.repeat(images[..., None], 3, axis=3))
    assert dataset.labels.argmax(axis=1).tolist() == labels.tolist()
    assert dataset.fold.tolist() == [0] * 10 + [1] * 5


@pytest.mark.parametrize(
    "damaged", [b"", b"no gzip", gzip.compress(b"\0\0\x08", mtime=0), gzip.compress(b"\0\0\x0d\x01\0\0\0\1a", mtime=0)]
)
def test_fashion_mnist_names_a_damaged_file(publish, source, damaged):
    good = idx(np.zeros((1, 28, 28)))
    publish(fashion_mnist, [good, damaged, good, damaged])
    with pytest.raises(HashbenchError, match=r"train-labels-idx1-ubyte\.gz: damaged"):
        fashion_mnist.load(source)
