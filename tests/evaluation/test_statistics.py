"""Code statistics against NumPy's own and against loops."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest

from hashbench.errors import HashbenchError
from hashbench.evaluation import code_statistics
from hashbench.evaluation import statistics as module
from hashbench.types import Codes


@pytest.mark.parametrize("n_bits", [4, 13, 64, 70])
def test_equals_the_definitions(n_bits, monkeypatch):
    monkeypatch.setattr(module, "_ROWS_AT_A_TIME", 100)
    rng = np.random.default_rng(n_bits)
    bits = rng.random((333, n_bits)) < rng.uniform(0.1, 0.9, n_bits)
    result = code_statistics(bits)
    share = bits.mean(axis=0)
    np.testing.assert_allclose(result.balance, share, rtol=1e-14)
    np.testing.assert_allclose(result.entropy, -share * np.log2(share) - (1 - share) * np.log2(1 - share))
    np.testing.assert_allclose(result.correlation, np.corrcoef(bits.T), atol=1e-12)
    buckets = Counter(map(tuple, bits.tolist()))
    assert result.distinct == len(buckets)
    assert result.largest_bucket == max(buckets.values())


def test_constant_bits_have_no_entropy_and_no_correlation():
    result = code_statistics(np.array([[1, 0, 1], [1, 0, 0]]))
    assert result.entropy.tolist() == [0, 0, 1]
    assert result.correlation.tolist() == [[0, 0, 0], [0, 0, 0], [0, 0, 1]]
    assert (result.distinct, result.largest_bucket) == (2, 1)


def test_packed_codes_and_signs_give_the_same():
    bits = np.random.default_rng(0).random((40, 12)) < 0.5
    for form in (Codes.pack(bits), bits * 2 - 1):
        np.testing.assert_array_equal(code_statistics(form).correlation, code_statistics(bits).correlation)


def test_refuses_real_values():
    with pytest.raises(HashbenchError, match="codes must hold bool or 0 and 1"):
        code_statistics(np.array([[0.5, 1.0]]))
