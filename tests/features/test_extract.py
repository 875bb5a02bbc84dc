from __future__ import annotations

import numpy as np
import pytest
import torch

from hashbench.errors import HashbenchError
from hashbench.features import extract as module
from hashbench.features.backbones import load_backbone, prepare_view
from hashbench.features.extract import extract, extract_views, feature_shapes
from hashbench.features.finetune import FineTuning
from hashbench.features.specs import BackboneSpec
from hashbench.types import TrainableBackbone


@pytest.fixture(autouse=True)
def _small_blocks(monkeypatch):
    """Blocks of 24 and batches of 8, so that forty images make two blocks, the second one incomplete."""
    monkeypatch.setattr(module, "BLOCK", 24)
    monkeypatch.setattr(module, "_BATCH", {"cpu": 8})


def _reader(images):
    return lambda rows: images[rows]


def _joined(blocks) -> dict[str, np.ndarray]:
    blocks = list(blocks)
    assert [block.start for block in blocks[1:]] == [block.stop for block in blocks[:-1]]
    return {name: np.concatenate([block.arrays[name] for block in blocks]) for name in blocks[0].arrays}


def test_features_are_those_of_a_plain_loop(small_vit, images):
    rows = np.random.default_rng(0).permutation(40)
    found = _joined(extract(small_vit, _reader(images), rows))
    pooled, tokens = small_vit(small_vit.prepare(images[rows]))
    np.testing.assert_allclose(found["pooled"], pooled.numpy(), atol=1e-5)
    np.testing.assert_allclose(found["token_mean"], tokens.mean(dim=1).numpy(), atol=1e-5)
    assert {name: array.dtype for name, array in found.items()} == {"pooled": np.float32, "token_mean": np.float32}


@pytest.mark.parametrize("precision", ["fp32", "bf16", "fp16"])
@pytest.mark.parametrize("pool", ["avg", "cls", "pre_logits"])
def test_every_precision_and_pool_is_extracted_as_a_plain_loop_would(vit_block, save_network, images, precision, pool):
    spec = BackboneSpec.read("backbones.small", {**vit_block, "precision": precision, "pool": pool})
    backbone = load_backbone(spec, save_network(spec)[0])
    found = _joined(extract(backbone, _reader(images), np.arange(40)))
    pooled, tokens = backbone(backbone.prepare(images))
    tolerance = {"fp32": 1e-5, "fp16": 1e-2, "bf16": 5e-2}[precision]
    np.testing.assert_allclose(found["pooled"], pooled.numpy(), atol=tolerance)
    np.testing.assert_allclose(found["token_mean"], tokens.mean(dim=1).numpy(), atol=tolerance)
    assert found["pooled"].dtype == np.float32


def test_one_view_is_extracted_alone_as_among_all(small_vit, images, recipe):
    rows = np.arange(40)
    found = _joined(extract_views(small_vit, _reader(images), rows, recipe, n_views=3, seed=9))
    for view, row in ((0, 39), (2, 5)):
        picture = prepare_view(images[row : row + 1], np.array([row]), view, small_vit.spec, recipe, 9, "cpu")
        expected = small_vit(picture).pooled[0]
        np.testing.assert_allclose(found["views"].reshape(3, 40, -1)[view, row], expected.numpy(), atol=1e-5)


def test_views_are_those_of_a_plain_loop_view_after_view(small_vit, images, recipe):
    rows = np.arange(5, 35)
    found = _joined(extract_views(small_vit, _reader(images), rows, recipe, n_views=3, seed=9))
    assert found["view_tokens"].dtype == np.float16
    views, tokens = (found[name].reshape(3, 30, *found[name].shape[1:]) for name in ("views", "view_tokens"))
    for view in range(3):
        pictures = prepare_view(images[rows], rows, view, small_vit.spec, recipe, 9, "cpu")
        expected = small_vit(pictures)
        np.testing.assert_allclose(views[view], expected.pooled.numpy(), atol=1e-5)
        np.testing.assert_allclose(tokens[view], expected.tokens.numpy(), atol=2e-2)


def test_one_image_has_the_same_feature_whatever_is_extracted_with_it(small_vit, images):
    everything = _joined(extract(small_vit, _reader(images), np.arange(40)))["pooled"]
    for row in (0, 7, 39):
        alone = _joined(extract(small_vit, _reader(images), np.array([row])))["pooled"]
        np.testing.assert_array_equal(alone[0], everything[row])
    backwards = _joined(extract(small_vit, _reader(images), np.arange(40)[::-1]))["pooled"]
    np.testing.assert_array_equal(backwards[::-1], everything)


@pytest.mark.parametrize("threads", [1, 2, 3])
def test_the_number_of_threads_does_not_matter(small_vit, images, recipe, threads):
    once = _joined(extract_views(small_vit, _reader(images), np.arange(40), recipe, 2, seed=1))
    before = torch.get_num_threads()
    torch.set_num_threads(threads)
    try:
        again = _joined(extract_views(small_vit, _reader(images), np.arange(40), recipe, 2, seed=1))
        assert torch.get_num_threads() == threads
    finally:
        torch.set_num_threads(before)
    for name, array in once.items():
        np.testing.assert_array_equal(array, again[name])


def test_interrupted_after_any_block_and_resumed_equals_uninterrupted(small_vit, images, recipe):
    rows = np.arange(40)
    whole = list(extract_views(small_vit, _reader(images), rows, recipe, 2, seed=1))
    for n_done in range(1, len(whole)):
        interrupted = extract_views(small_vit, _reader(images), rows, recipe, 2, seed=1)
        done = [next(interrupted) for _ in range(n_done)]
        interrupted.close()
        rest = list(extract_views(small_vit, _reader(images), rows, recipe, 2, seed=1, start=done[-1].stop))
        resumed, expected = _joined(done + rest), _joined(whole)
        for name, array in expected.items():
            np.testing.assert_array_equal(resumed[name], array)


def test_nothing_is_left_to_do_at_the_end(small_vit, images):
    assert list(extract(small_vit, _reader(images), np.arange(40), start=40)) == []


def test_images_are_read_a_few_batches_ahead_and_no_further(small_vit, images):
    read_rows = []

    def read(rows):
        read_rows.extend(rows)
        return images[rows % 40]

    blocks = extract(small_vit, read, np.arange(2000))
    next(blocks)
    assert len(read_rows) <= 24 + 8 * (2 * torch.get_num_threads() + 1)
    blocks.close()


def test_images_of_different_sizes_are_extracted(small_vit, images):
    mixed = [image[: 5 + number % 7] for number, image in enumerate(images)]
    found = _joined(extract(small_vit, lambda rows: [mixed[row] for row in rows], np.arange(40)))["pooled"]
    pooled = small_vit(small_vit.prepare(mixed)).pooled
    np.testing.assert_allclose(found, pooled.numpy(), atol=1e-5)


def test_an_error_of_the_reader_reaches_the_caller(small_vit):
    def read(rows):
        raise HashbenchError(f"image {rows[0]} is truncated")

    with pytest.raises(HashbenchError, match="image 0 is truncated"):
        list(extract(small_vit, read, np.arange(40)))


def test_a_feature_that_is_not_finite_is_named_with_its_row(small_vit, images):
    small_vit.network.norm.bias.fill_(1e6)  # beyond float16, in which tokens are kept
    one = small_vit.spec.model_copy(update={"title": "ViT"})
    small_vit.spec = one
    recipe_free = extract(small_vit, _reader(images), np.arange(40))
    assert np.isfinite(next(recipe_free).arrays["pooled"]).all()
    small_vit.network.norm.bias.fill_(float("nan"))
    with pytest.raises(HashbenchError, match="ViT: pooled of row 17 is not finite in fp32"):
        list(extract(small_vit, _reader(images), np.array([17, 3])))


def test_tokens_that_overflow_half_precision_are_refused(small_vit, images, recipe):
    small_vit.network.norm.bias.fill_(1e6)
    with pytest.raises(HashbenchError, match="view_tokens of row 0 is not finite"):
        list(extract_views(small_vit, _reader(images), np.arange(40), recipe, 2, seed=0))


def test_the_shapes_are_known_before_anything_is_extracted(small_vit, images, recipe):
    shapes = feature_shapes(small_vit)
    found = _joined(extract(small_vit, _reader(images), np.arange(3)))
    found |= _joined(extract_views(small_vit, _reader(images), np.arange(3), recipe, 2, seed=0))
    assert {name: array.shape[1:] for name, array in found.items()} == shapes


def test_a_copy_for_fine_tuning_sees_the_extracted_views_and_learns_alone(
    small_vit, images, recipe, save_network, tmp_path
):
    tuning = FineTuning(small_vit.spec, tmp_path / "small.safetensors", recipe, seed=9)
    assert isinstance(tuning, TrainableBackbone)
    rows = np.arange(40)
    extracted = _joined(extract_views(small_vit, _reader(images), rows, recipe, 2, seed=9))["view_tokens"]
    network = tuning.build()
    tokens = network(tuning.augment(images, rows, 1))
    np.testing.assert_allclose(extracted[40:], tokens.detach().numpy(), atol=2e-2)
    torch.testing.assert_close(tuning.prepare(images), small_vit.prepare(images))
    tokens.square().sum().backward()
    assert all(parameter.grad is not None for parameter in network.network.blocks.parameters())
    torch.optim.SGD(network.parameters(), lr=0.1).step()
    original = load_backbone(small_vit.spec, tmp_path / "small.safetensors")
    for mine, theirs in zip(tuning.build().parameters(), original.parameters(), strict=True):
        assert torch.equal(mine, theirs)
