from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torchvision.transforms.v2 import functional as tv

from hashbench.errors import HashbenchError
from hashbench.features.augment import augment, crop_windows, gaussian_blur, luma, turn_hue, uniforms
from hashbench.features.specs import Augmentation


def _views(images, rows, views, recipe, seed=5):
    return augment(images, rows, views, recipe=recipe, seed=seed, size=24, interpolation="bicubic")


def test_the_hash_is_splitmix64():
    """The first outputs of the reference implementation from state 0, by Vigna (prng.di.unimi.it/splitmix64.c)."""
    from hashbench.features.augment import _GOLDEN, _splitmix64

    states = np.arange(3, dtype=np.uint64) * _GOLDEN
    assert [hex(value) for value in _splitmix64(states)] == [
        "0xe220a8397b1dcdaf",
        "0x6e789e6aa1b965f4",
        "0x6c45d188009454f",
    ]


def test_uniforms_are_uniform_and_uncorrelated_between_rows_views_seeds_and_numbers():
    rows = np.arange(4000)
    draws = [uniforms(seed, rows, view, 3) for seed in (0, 1) for view in (0, 1)]
    columns = np.concatenate(draws, axis=1)
    assert columns.min() >= 0
    assert columns.max() < 1
    histogram = np.stack([np.histogram(column, bins=20, range=(0, 1))[0] for column in columns.T])
    chi_square = ((histogram - 200) ** 2 / 200).sum(axis=1)
    assert (chi_square < 50).all()  # 19 degrees of freedom: p < 0.0002
    correlation = np.corrcoef(columns.T) - np.eye(columns.shape[1])
    assert np.abs(correlation).max() < 0.06
    assert np.abs(np.corrcoef(columns[:-1, 0], columns[1:, 0])[0, 1]) < 0.06


def test_a_view_made_alone_is_the_view_made_in_a_batch(images, recipe):
    rows = np.arange(100, 140)
    together = _views(images, rows, 3, recipe)
    for number in range(len(rows)):
        alone = _views(images[number : number + 1], rows[number : number + 1], 3, recipe)
        assert torch.equal(alone[0], together[number])


def test_order_and_batch_of_views_do_not_matter(images, recipe):
    rows = np.arange(40)
    views = np.repeat([7, 8], 20)
    together = _views(images, rows, views, recipe)
    order = np.random.default_rng(0).permutation(40)
    assert torch.equal(_views(images[order], rows[order], views[order], recipe), together[order])
    assert torch.equal(_views(images[:20], rows[:20], 7, recipe), together[:20])


def test_views_differ_by_view_row_and_seed(images, recipe):
    same = np.repeat(images[:1], 2, axis=0)
    for rows, views, seed in [((0, 0), (0, 1), 5), ((0, 1), (0, 0), 5)]:
        first, second = _views(same, np.array(rows), np.array(views), recipe, seed)
        assert not torch.equal(first, second)
    assert not torch.equal(
        _views(images, np.arange(40), 0, recipe, seed=5), _views(images, np.arange(40), 0, recipe, seed=6)
    )


def test_pictures_are_finite_and_in_range_on_hard_edges_and_flat_colours(recipe):
    """Bicubic overshoot once gave NaN in the hue: black, white, pure colours and sharp edges are where it happened."""
    palette = np.array([[0, 0, 0], [255, 255, 255], [255, 0, 0], [0, 255, 0], [0, 0, 255], [9, 9, 9]], dtype=np.uint8)
    generator = np.random.default_rng(2)
    hard = palette[generator.integers(0, 6, (300, 8, 8))]
    flat = np.broadcast_to(palette[generator.integers(0, 6, 100)][:, None, None], (100, 8, 8, 3))
    always = recipe.model_copy(update={"jitter": 1.0, "hue": 0.5, "saturation": 1.0, "blur": 0.0, "grey": 0.0})
    for pixels in (hard, np.ascontiguousarray(flat)):
        pictures = _views(pixels, np.arange(len(pixels)), 0, always)
        assert torch.isfinite(pictures).all()
        assert pictures.min() >= 0
        assert pictures.max() <= 1


@pytest.mark.parametrize("change", [-0.5, -0.1, 0.0, 0.07, 0.3])
def test_hue_is_turned_as_torchvision_does(change):
    pictures = torch.rand(4, 3, 9, 9, generator=torch.Generator().manual_seed(0))
    turned = turn_hue(pictures, torch.full((4, 1, 1, 1), change))
    torch.testing.assert_close(turned, tv.adjust_hue(pictures, change), atol=2e-5, rtol=0)


@pytest.mark.parametrize(
    ("name", "reference"),
    [("_brightness", tv.adjust_brightness), ("_contrast", tv.adjust_contrast), ("_saturation", tv.adjust_saturation)],
)
def test_brightness_contrast_and_saturation_are_torchvisions(name, reference):
    from hashbench.features import augment as module

    pictures = torch.rand(3, 3, 9, 9, generator=torch.Generator().manual_seed(0))
    changes = [-0.4, 0.1, 0.4]
    ours = getattr(module, name)(pictures, torch.tensor(changes)[:, None, None, None])
    # torchvision rounds its grey weights to four digits.
    expected = torch.stack([reference(p, 1 + change) for p, change in zip(pictures, changes, strict=True)])
    torch.testing.assert_close(ours, expected, atol=2e-4, rtol=0)


def test_blur_is_torchvisions_with_a_sigma_for_each_picture():
    pictures = torch.rand(3, 3, 20, 20, generator=torch.Generator().manual_seed(0))
    sigmas = [0.1, 0.8, 2.0]
    expected = torch.stack([tv.gaussian_blur(p, [7, 7], [s, s]) for p, s in zip(pictures, sigmas, strict=True)])
    torch.testing.assert_close(gaussian_blur(pictures, torch.tensor(sigmas), 7), expected, atol=1e-5, rtol=0)


@settings(max_examples=50, deadline=None)
@given(
    low=st.floats(0.05, 1),
    height=st.integers(4, 500),
    width=st.integers(4, 500),
    seed=st.integers(0, 2**63 - 1),
)
def test_windows_lie_inside_the_image_with_the_area_and_ratio_asked_for(low, height, width, seed):
    recipe = Augmentation.model_construct(crop_scale=(low, 1.0), crop_ratio=(3 / 4, 4 / 3))
    n = 50
    draws = uniforms(seed, np.arange(n), 0, 22)
    top, left, h, w = crop_windows(recipe, draws, np.full(n, height), np.full(n, width)).T
    assert (top >= 0).all()
    assert (left >= 0).all()
    assert (top + h <= height + 1e-9).all()
    assert (left + w <= width + 1e-9).all()
    assert ((w / h >= 3 / 4 - 1e-9) & (w / h <= 4 / 3 + 1e-9)).all()
    fell_back = ~((h * w >= low * height * width - 1e-6) & (h * w <= height * width + 1e-6))
    assert np.isclose(h[fell_back], height).all() or np.isclose(w[fell_back], width).all()


def test_the_shares_of_flips_grey_and_blur_are_the_recipes(recipe):
    image = np.zeros((12, 12, 3), dtype=np.uint8)
    image[:, :6, 0] = 255
    still = recipe.model_copy(update={"crop_scale": (1.0, 1.0), "crop_ratio": (1.0, 1.0), "jitter": 0.0, "blur": 0.0})
    pictures = _views(np.repeat(image[None], 600, axis=0), np.arange(600), 0, still)
    left, right = luma(pictures)[..., :10].mean((1, 2, 3)), luma(pictures)[..., -10:].mean((1, 2, 3))
    assert 0.43 < (right > left).float().mean() < 0.57
    grey = (pictures.amax(1) - pictures.amin(1)).amax((1, 2)) < 1e-6
    assert 0.14 < grey.float().mean() < 0.26


def test_a_recipe_without_flip_and_hue_keeps_sides_and_greyness(images, recipe):
    digits = recipe.model_copy(update={"flip": 0.0, "hue": 0.0, "saturation": 0.0, "grey": 0.0})
    grey = images[..., :1].repeat(3, axis=3)
    pictures = _views(grey, np.arange(40), 0, digits)
    torch.testing.assert_close(pictures[:, :1].expand(-1, 3, -1, -1), pictures, atol=1e-6, rtol=0)


@pytest.mark.parametrize(
    ("key", "value", "sentence"),
    [
        ("crop_scale", [0.9, 0.2], r"augmentations\.mine: crop_scale must be \[least, most\]"),
        ("crop_scale", [0.5, 2], "share of the image's area"),
        ("flip", 1.5, r"augmentations\.mine\.flip: input should be less than or equal to 1"),
        ("blur_width", 4, "blur_width must be odd, got 4"),
        ("blurr", 4, r"augmentations\.mine\.blurr: extra inputs are not permitted"),
    ],
)
def test_a_wrong_recipe_is_turned_down_in_one_sentence(recipe, key, value, sentence):
    with pytest.raises(HashbenchError, match=sentence):
        Augmentation.read("augmentations.mine", {**recipe.model_dump(), key: value})
