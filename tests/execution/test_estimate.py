"""The estimate of a profile's length is the arithmetic that it says it is."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hashbench.config.params import Params, load_params
from hashbench.execution.estimate import estimates_of, forward_operations, in_words, length_of, lines_of

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="module")
def params() -> Params:
    return load_params(ROOT / "params.yaml")


@given(st.integers(1, 60), st.integers(1, 3), st.integers(1, 70), st.sampled_from(["dropped", "kept"]))
def test_a_length_counts_batches_and_images_one_by_one(
    n_train: int, epochs: int, batch_size: int, last_batch: str
) -> None:
    batches = [min(batch_size, n_train - start) for start in range(0, n_train, batch_size)]
    if last_batch == "dropped" and len(batches) > 1 and batches[-1] < batch_size:
        batches.pop()
    length = length_of(n_train, epochs, batch_size, last_batch)
    assert (length.steps, length.images) == (epochs * len(batches), epochs * sum(batches))


@pytest.mark.parametrize(("backbone", "products"), [("vgg16", 15.47e9), ("vit_base_patch16_224", 17.5e9)])
def test_operations_of_a_forward_pass_are_the_known_ones(params: Params, backbone: str, products: float) -> None:
    """Multiplications with additions at 224 px, as published for both networks."""
    assert forward_operations(params.backbones[backbone]) == pytest.approx(2 * products, rel=0.03)


def test_a_method_that_trains_the_backbone_costs_three_passes_a_view_and_one_an_encoded_item(params: Params) -> None:
    (found,) = (each for each in estimates_of(params, "paper") if each.text.startswith("ssdh on CIFAR-10: "))
    operations = sum(forward_operations(params.backbones[name]) for name in ("vgg16", "vit_base_patch16_224"))
    images = 10 * (5000 // 24) * 24  # one view of each
    assert found.seconds == pytest.approx(9 * (3 * images + 1000 + 54000) * operations / 1e14)


def test_the_last_line_sums_up_and_profiles_of_a_cpu_have_none(params: Params) -> None:
    total = sum(each.seconds for each in estimates_of(params, "paper"))
    assert [*lines_of(params, "paper")][-1].startswith(f"{in_words(total)} in all")
    assert [*lines_of(params, "cpu")] == []


def test_seconds_are_told_in_the_unit_that_reads_best() -> None:
    assert [in_words(seconds) for seconds in (3.4, 89, 90, 5000, 5400)] == ["3 s", "89 s", "2 min", "83 min", "1.5 h"]
