"""Cutting a window out of every image and resizing it, in one step for a whole batch.

Resizing is separable and linear, so a batch is resampled by two matrix products, rows then columns, in which every
image may have a window of its own. The matrices are those of antialiased resizing in Pillow and PyTorch.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import torch
from torch import Tensor

from hashbench.types import Array

Images = Array | Sequence[Array]


def _bilinear(t: Tensor) -> Tensor:
    return (1 - t).clamp(min=0)


def _bicubic(t: Tensor) -> Tensor:
    """Keys' cubic convolution (IEEE TASSP 1981, eq. 15), a = -1/2."""
    near = (1.5 * t - 2.5) * t * t + 1
    far = ((-0.5 * t + 2.5) * t - 4) * t + 2
    return torch.where(t < 1, near, torch.where(t < 2, far, 0))


_KERNELS: dict[str, Callable[[Tensor], Tensor]] = {"bilinear": _bilinear, "bicubic": _bicubic}


def resample(images: Images, windows: Array, size: int, interpolation: str, device: str | torch.device) -> Tensor:
    """Each image's window, resized to size x size: float32 (m, 3, size, size) in [0, 1].

    `images`: uint8 (m, h, w, 3), or m arrays (h, w, 3) of different sizes. `windows` (m, 4): top, left, height,
    width in pixels, real-valued; a negative width mirrors, with `left` the window's right edge. Near its edge a window
    sees the pixels beyond, as if the image had been enlarged first and cut afterwards.
    """
    if not isinstance(images, np.ndarray):
        parts = [
            resample(image[None], window[None], size, interpolation, device)
            for image, window in zip(images, windows, strict=True)
        ]
        return torch.cat(parts)
    pixels = torch.from_numpy(np.ascontiguousarray(images.transpose(0, 3, 1, 2))).to(device).float() / 255
    top, left, height, width = torch.from_numpy(np.ascontiguousarray(windows.T, dtype=np.float32)).to(device)
    rows = _weights(top, height, pixels.shape[2], size, _KERNELS[interpolation])
    columns = _weights(left, width, pixels.shape[3], size, _KERNELS[interpolation])
    # Bicubic weights overshoot, and colour operations are defined on [0, 1] alone.
    return (rows[:, None] @ pixels @ columns[:, None].mT).clamp_(0, 1)


def _weights(start: Tensor, length: Tensor, n_in: int, n_out: int, kernel: Callable[[Tensor], Tensor]) -> Tensor:
    """What each input pixel gives to each output pixel: (m, n_out, n_in), rows sum to 1."""
    scale = length[:, None] / n_out
    centres = start[:, None] + (torch.arange(n_out, device=start.device) + 0.5) * scale
    distances = (torch.arange(n_in, device=start.device) + 0.5 - centres[..., None]).abs()
    weights = kernel(distances / scale.abs().clamp(min=1)[..., None])
    return weights / weights.sum(-1, keepdim=True)
