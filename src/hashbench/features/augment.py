"""Random views of images, every one a function of (seed, row, view) alone.

The numbers that decide a view come from hashing those three, not from a generator that remembers what it drew before:
any view of any image can be made again by itself, whatever the batch, the order or the number of workers.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from hashbench.features.resample import Images, resample
from hashbench.features.specs import Augmentation
from hashbench.seeding import run_seed
from hashbench.types import Array

_GOLDEN = np.uint64(0x9E3779B97F4A7C15)
_CROP_TRIES = 10


def augment(
    images: Images,
    rows: Array,
    views: Array | int,
    *,
    recipe: Augmentation,
    seed: int,
    size: int,
    interpolation: str,
    device: str | torch.device = "cpu",
) -> Tensor:
    """One view of each image: float32 (m, 3, size, size) in [0, 1].

    `images`: uint8 (m, h, w, 3), or m arrays (h, w, 3) of different sizes; `rows` (m,): which rows of the data set
    they are; `views`: which of its views to draw, one number for all or (m,).
    """

    def draw(name: str, n: int) -> Array:
        return uniforms(run_seed(seed, name), rows, views, n)

    heights, widths = np.array([image.shape[:2] for image in images]).T
    windows = crop_windows(recipe, draw("crop", 2 * _CROP_TRIES + 2), heights, widths)
    _mirror(windows, draw("flip", 1)[:, 0] < recipe.flip)
    pictures = resample(images, windows, size, interpolation, device)

    jittered = np.flatnonzero(draw("jitter", 1)[:, 0] < recipe.jitter)
    if len(jittered):
        order, amount = draw("jitter order", 4)[jittered].argsort(axis=1), draw("jitter amount", 4)[jittered]
        chosen = _index(jittered, device)
        pictures[chosen] = _jitter(pictures[chosen], recipe, order, amount)

    grey = _index(np.flatnonzero(draw("grey", 1)[:, 0] < recipe.grey), device)
    pictures[grey] = luma(pictures[grey]).expand(-1, 3, -1, -1)

    blurred = np.flatnonzero(draw("blur", 1)[:, 0] < recipe.blur)
    if len(blurred):
        low, high = recipe.blur_sigma
        sigma = torch.from_numpy(low + (high - low) * draw("blur sigma", 1)[blurred, 0]).to(device, torch.float32)
        chosen = _index(blurred, device)
        pictures[chosen] = gaussian_blur(pictures[chosen], sigma, recipe.blur_width)
    return pictures


def uniforms(seed: int, rows: Array, views: Array | int, n: int) -> Array:
    """n numbers in [0, 1) for each (row, view): float64 (m, n), by hashing with SplitMix64.

    Steele, Lea & Flood, Fast splittable pseudorandom number generators (OOPSLA 2014): number k is the output of the
    generator whose state is the hash of (seed, row, view), moved on k + 1 times.
    """
    state = np.full(len(rows), seed, dtype=np.uint64)
    for part in (rows, views):
        state = _splitmix64(state ^ np.asarray(part).astype(np.uint64))
    steps = np.arange(n, dtype=np.uint64) * _GOLDEN
    return (_splitmix64(state[:, None] + steps) >> np.uint64(11)) * 2.0**-53


def _splitmix64(state: Array) -> Array:
    z = state + _GOLDEN
    z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return np.asarray(z ^ (z >> np.uint64(31)))


def crop_windows(recipe: Augmentation, draws: Array, heights: Array, widths: Array) -> Array:
    """Windows (m, 4) of a random area and aspect ratio at a random place: top, left, height, width.

    As torchvision's RandomResizedCrop draws them, except that they are real-valued: the first of ten tries that fits
    into the image, or else the middle of the image, as large as its ratio allows.
    """
    scale, ratio = draws[:, :_CROP_TRIES], draws[:, _CROP_TRIES : 2 * _CROP_TRIES]
    low, high = np.log(recipe.crop_ratio)
    roots = np.exp((low + (high - low) * ratio) / 2)
    areas = recipe.crop_scale[0] + (recipe.crop_scale[1] - recipe.crop_scale[0]) * scale
    sides = np.sqrt(areas * (heights * widths)[:, None])
    fits = (sides / roots <= heights[:, None]) & (sides * roots <= widths[:, None])
    first = np.arange(len(draws)), fits.argmax(axis=1)
    whole_ratio = np.clip(widths / heights, *recipe.crop_ratio)
    height = np.where(fits.any(axis=1), (sides / roots)[first], np.minimum(heights, widths / whole_ratio))
    width = np.where(fits.any(axis=1), (sides * roots)[first], np.minimum(widths, heights * whole_ratio))
    place = np.where(fits.any(axis=1)[:, None], draws[:, -2:], 0.5)
    return np.stack([place[:, 0] * (heights - height), place[:, 1] * (widths - width), height, width], axis=1)


def _mirror(windows: Array, flipped: Array) -> None:
    windows[flipped, 1] += windows[flipped, 3]
    windows[flipped, 3] *= -1


def _jitter(pictures: Tensor, recipe: Augmentation, order: Array, amount: Array) -> Tensor:
    """Brightness, contrast, saturation and hue, in each picture's own `order` (m, 4), by `amount` (m, 4) in [0, 1)."""
    strengths = np.array([recipe.brightness, recipe.contrast, recipe.saturation, recipe.hue])
    changes = torch.from_numpy((2 * amount - 1) * strengths).to(pictures.device, torch.float32)[:, :, None, None, None]
    for step in range(4):
        for number, adjust in enumerate(_ADJUSTMENTS):
            now = np.flatnonzero(order[:, step] == number)
            if strengths[number] and len(now):
                chosen = _index(now, pictures.device)
                pictures[chosen] = adjust(pictures[chosen], changes[chosen, number])
    return pictures


def luma(pictures: Tensor) -> Tensor:
    """Brightness as ITU-R BT.601 weighs the colours: (m, 1, h, w)."""
    red, green, blue = pictures[:, :1], pictures[:, 1:2], pictures[:, 2:]
    return 0.299 * red + 0.587 * green + 0.114 * blue


def _brightness(pictures: Tensor, change: Tensor) -> Tensor:
    return (pictures * (1 + change)).clamp(0, 1)


def _contrast(pictures: Tensor, change: Tensor) -> Tensor:
    mean = luma(pictures).mean((2, 3), keepdim=True)
    return (mean + (pictures - mean) * (1 + change)).clamp(0, 1)


def _saturation(pictures: Tensor, change: Tensor) -> Tensor:
    grey = luma(pictures)
    return (grey + (pictures - grey) * (1 + change)).clamp(0, 1)


def turn_hue(pictures: Tensor, change: Tensor) -> Tensor:
    """Turn the hue by `change` (m, 1, 1, 1) full circles, value and saturation (of HSV) unchanged."""
    red, green, blue = pictures[:, :1], pictures[:, 1:2], pictures[:, 2:]
    value = pictures.amax(1, keepdim=True)
    chroma = value - pictures.amin(1, keepdim=True)
    span = torch.where(chroma == 0, 1, chroma)
    sector = torch.where(
        value == red,
        (green - blue) / span,
        torch.where(value == green, 2 + (blue - red) / span, 4 + (red - green) / span),
    )
    offsets = torch.tensor([5.0, 3.0, 1.0], device=pictures.device)[:, None, None]
    k = (offsets + sector + 6 * change) % 6
    return value - chroma * torch.minimum(k, 4 - k).clamp(0, 1)


_ADJUSTMENTS: tuple[Callable[[Tensor, Tensor], Tensor], ...] = (_brightness, _contrast, _saturation, turn_hue)


def gaussian_blur(pictures: Tensor, sigma: Tensor, width: int) -> Tensor:
    """Blur each picture by a Gaussian of its own `sigma` (m,) pixels, `width` pixels wide, mirrored at the edges."""
    m, channels, size, _ = pictures.shape
    reach = min(width // 2, size - 1)
    offsets = torch.arange(-reach, reach + 1, device=pictures.device)
    taps = torch.exp(-((offsets / sigma[:, None]) ** 2) / 2)
    taps = (taps / taps.sum(1, keepdim=True)).repeat_interleave(channels, dim=0)[:, None]
    padded = F.pad(pictures, (reach,) * 4, mode="reflect").reshape(1, m * channels, *(size + 2 * reach,) * 2)
    blurred = F.conv2d(padded, taps[:, :, :, None], groups=m * channels)
    blurred = F.conv2d(blurred, taps[:, :, None, :], groups=m * channels)
    return blurred.reshape(pictures.shape)


def _index(numbers: Array, device: str | torch.device) -> Tensor:
    return torch.from_numpy(numbers).to(device)
