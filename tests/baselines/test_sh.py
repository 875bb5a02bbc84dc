"""SH: the eigenfunctions of lowest frequency of a uniform box."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hashbench.baselines.sh import SH, lowest_modes
from hashbench.learning.session import Session


def test_a_long_side_gets_its_higher_modes_before_a_short_side_gets_any():
    axes, modes = lowest_modes(np.array([4.0, 1.5, 0.1]), 5)
    assert list(zip(axes.tolist(), modes.tolist(), strict=True)) == [(0, 1), (0, 2), (1, 1), (0, 3), (0, 4)]


@given(st.lists(st.floats(0.01, 10), min_size=1, max_size=6), st.integers(1, 40))
def test_modes_are_those_of_smallest_frequency(sides, n_bits):
    axes, modes = lowest_modes(np.array(sides), n_bits)
    frequencies = sorted(k / side for side in sides for k in range(1, n_bits + 2))[:n_bits]
    np.testing.assert_allclose(modes / np.array(sides)[axes], frequencies)
    assert len({(a, k) for a, k in zip(axes.tolist(), modes.tolist(), strict=True)}) == n_bits


@pytest.mark.parametrize("n_bits", [5, 12, 40])
def test_a_bit_is_the_sign_of_the_product_of_sines_on_the_train_box(features, train, items, n_bits):
    method = SH()
    method.fit(train(features), n_bits, seed=0, session=Session())
    rows = features.astype(np.float64)
    mean = rows.mean(axis=0)
    vectors = np.linalg.eigh(np.cov(rows.T))[1][:, ::-1][:, : min(n_bits, 12)]
    components = (rows - mean) @ vectors
    low, side = components.min(axis=0), np.ptp(components, axis=0)
    axes, modes = lowest_modes(side, n_bits)
    bits = method.encode(items(features))
    for i in range(len(rows)):
        for k in range(n_bits):
            product = 1.0
            for j in range(components.shape[1]):
                mode = modes[k] if axes[k] == j else 0
                product *= np.sin(np.pi / 2 + mode * np.pi / side[j] * (components[i, j] - low[j]))
            if abs(product) > 1e-9:
                # An eigenvector's sign is free, and turning its axis round turns the odd modes over.
                turned = method.state["directions"][:, k] @ vectors[:, axes[k]] < 0 and modes[k] % 2
                assert bits[i, k] == ((product >= 0) != turned)


def test_the_first_mode_cuts_the_longest_axis_in_the_middle_and_the_second_into_quarters(train, items):
    line = np.zeros((101, 2), dtype=np.float32)
    line[:, 0] = np.linspace(0, 100, 101)
    method = SH()
    method.fit(train(line), 2, seed=0, session=Session())
    probe = np.array([[-30, 0], [10, 0], [40, 0], [60, 0], [90, 0], [110, 0], [130, 0]], dtype=np.float32)
    assert method.encode(items(probe)).astype(int).tolist() == [
        [1, 0],  # outside the box the cosine goes on: 30 below the corner is as 30 above it
        [1, 1],
        [1, 0],
        [0, 0],
        [0, 1],
        [0, 1],
        [0, 0],
    ]


def test_box_and_modes_are_those_of_the_train_rows(features, train, items):
    method = SH()
    method.fit(train(features[:100]), 10, seed=0, session=Session())
    before = {name: value.copy() for name, value in method.state_dict().items()}
    method.encode(items(features * 100))
    assert all(np.array_equal(before[name], value) for name, value in method.state_dict().items())
    assert set(before) == {"mean", "directions", "low", "frequencies"}
