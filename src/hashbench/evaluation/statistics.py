"""How a set of codes uses its bits."""

from __future__ import annotations

from typing import Any

import numpy as np
from scipy.special import entr  # type: ignore[import-untyped]

from hashbench.evaluation.packing import pack_codes, unpack_codes
from hashbench.evaluation.results import CodeStatistics
from hashbench.types import Array

_ROWS_AT_A_TIME = 1 << 15


def code_statistics(codes: Any) -> CodeStatistics:
    """Bit balance, bit entropy, pairwise bit correlation, distinct codes and the largest bucket of codes (m, b).

    Accepts what `evaluate` accepts as codes; raises HashbenchError on anything else.

    >>> code_statistics(np.array([[0, 1], [1, 1], [0, 1], [1, 0]])).balance
    array([0.5 , 0.75])
    """
    words, n_bits = pack_codes(codes, "codes")
    balance, joint = _moments(words, n_bits)
    spread = np.sqrt(balance * (1 - balance))
    scale = np.outer(spread, spread)
    correlation = np.divide(joint - np.outer(balance, balance), scale, out=np.zeros_like(joint), where=scale > 0)
    buckets = np.unique(words, axis=0, return_counts=True)[1]
    return CodeStatistics(
        balance=balance,
        entropy=(entr(balance) + entr(1 - balance)) / np.log(2),
        correlation=correlation,
        distinct=len(buckets),
        largest_bucket=int(buckets.max()),
    )


def _moments(words: Array, n_bits: int) -> tuple[Array, Array]:
    """The shares of ones (b,) and of ones in both of two bits (b, b), exact up to the last division."""
    both = np.zeros((n_bits, n_bits))
    for start in range(0, len(words), _ROWS_AT_A_TIME):
        bits = unpack_codes(words[start : start + _ROWS_AT_A_TIME], n_bits).astype(np.float32)
        both += bits.T @ bits
    return np.diag(both) / len(words), both / len(words)
