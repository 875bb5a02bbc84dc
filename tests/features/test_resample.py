from __future__ import annotations

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from hashbench.features.resample import resample


def _whole(images: np.ndarray) -> np.ndarray:
    height, width = images.shape[1:3]
    return np.tile(np.array([0.0, 0.0, height, width]), (len(images), 1))


@pytest.mark.parametrize("interpolation", ["bicubic", "bilinear"])
@pytest.mark.parametrize(("shape", "size"), [((12, 12), 48), ((12, 12), 12), ((90, 61), 32), ((7, 50), 16)])
def test_the_whole_image_is_resized_as_torch_does_with_antialiasing(interpolation, shape, size):
    images = np.random.default_rng(1).integers(0, 256, (3, *shape, 3), dtype=np.uint8)
    pixels = torch.from_numpy(images).permute(0, 3, 1, 2).float() / 255
    expected = F.interpolate(pixels, (size, size), mode=interpolation, antialias=True, align_corners=False).clamp(0, 1)
    torch.testing.assert_close(
        resample(images, _whole(images), size, interpolation, "cpu"), expected, atol=2e-6, rtol=0
    )


def test_a_window_of_whole_pixels_at_their_own_size_is_cut_out_unchanged(images):
    windows = np.tile(np.array([2.0, 5.0, 6.0, 6.0]), (len(images), 1))
    cut = (resample(images, windows, 6, "bicubic", "cpu") * 255).round().byte().permute(0, 2, 3, 1).numpy()
    np.testing.assert_array_equal(cut, images[:, 2:8, 5:11])


def test_a_negative_width_mirrors(images):
    windows = np.tile(np.array([1.0, 2.0, 7.0, 8.0]), (len(images), 1))
    mirrored = windows.copy()
    mirrored[:, 1] += mirrored[:, 3]
    mirrored[:, 3] *= -1
    straight = resample(images, windows, 9, "bicubic", "cpu")
    torch.testing.assert_close(resample(images, mirrored, 9, "bicubic", "cpu"), straight.flip(3), atol=5e-6, rtol=0)


def test_overshoot_is_clamped_to_the_range_of_colours(images):
    pictures = resample((images > 127).astype(np.uint8) * 255, _whole(images), 48, "bicubic", "cpu")
    assert pictures.min() == 0
    assert pictures.max() == 1


def test_images_of_different_sizes_are_resampled_as_each_alone(images):
    mixed = [images[0], images[1, :9], images[2, :, :5]]
    windows = np.array([[0.0, 0.0, 12, 12], [1.0, 2.0, 5.5, 7.25], [0.5, 0.5, 4, 4]])
    together = resample(mixed, windows, 16, "bicubic", "cpu")
    for number, image in enumerate(mixed):
        alone = resample(image[None], windows[number : number + 1], 16, "bicubic", "cpu")
        assert torch.equal(together[number], alone[0])
