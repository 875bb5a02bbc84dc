"""Depthwise convolution between two activations on a processor, over maps whose channels lie side by side in memory.

oneDNN takes 15 to 50 times as long for the backward pass of small maps under wide kernels (5 x 5 over 4 x 4) as for
the forward pass, and activations by themselves cost a walk through memory each, and several on the way back. Here an
image is cut off, convolved and cut off again while it lies in the cache, and so are its gradients.
"""

from __future__ import annotations

from math import inf
from typing import Any

import numba
import numpy as np
import torch
from timm.layers.conv2d_same import Conv2dSame
from timm.layers.padding import get_same_padding
from torch import Tensor, nn

from hashbench.types import Array

_NONE = (-inf, inf)


def limits_of(activation: nn.Module) -> tuple[float, float] | None:
    """Between which values an activation lets a map through unchanged, cutting off the rest; None for other ones."""
    match activation:
        case nn.Identity():
            return _NONE
        case nn.ReLU():
            return 0.0, inf
        case nn.Hardtanh():  # nn.ReLU6 is one
            return activation.min_val, activation.max_val
    return None


def is_depthwise(convolution: nn.Conv2d) -> bool:
    """Whether `depthwise` can do the work of a convolution: a group a channel, up and down as left and right."""
    return (
        type(convolution) in (nn.Conv2d, Conv2dSame)
        and convolution.groups == convolution.in_channels == convolution.out_channels
        and len({*convolution.kernel_size}) == len({*convolution.stride}) == len({*convolution.padding}) == 1
        and convolution.padding != "same"
        and convolution.dilation == (1, 1)
        and convolution.padding_mode == "zeros"
    )


def depthwise(
    convolution: nn.Conv2d,
    maps: Tensor,
    weight: Tensor,
    bias: Tensor,
    before: tuple[float, float],
    after: tuple[float, float],
) -> Tensor:
    """What a depthwise convolution with other weights makes of float32 maps (m, c, h, h): (m, c, h', h').

    `weight` (c, 1, k, k), `bias` (c,). `before`, `after`: limits at which its maps and its results are cut off.
    """
    size, kernel, stride = maps.shape[-1], convolution.kernel_size[0], convolution.stride[0]
    same = isinstance(convolution, Conv2dSame)
    zeros = get_same_padding(size, kernel, stride, 1) if same else 2 * int(convolution.padding[0])
    place = (stride, zeros // 2, (size + zeros - kernel) // stride + 1)
    result: Tensor = _Depthwise.apply(maps, weight, bias, place, before, after)
    return result


class _Depthwise(torch.autograd.Function):
    """`place`: stride, zeros before the first row and column, height and width of the result."""

    @staticmethod
    def forward(context: Any, *given: Any) -> Tensor:
        maps, weight, bias, (stride, padding, size), before, after = given
        maps = maps.contiguous(memory_format=torch.channels_last)
        found = torch.empty((*maps.shape[:2], size, size), memory_format=torch.channels_last)
        _convolve(_last(maps), _kernel(weight), bias.detach().numpy(), stride, padding, before, after, _last(found))
        # What follows may change in place what was not cut off, and then its values are not needed.
        context.save_for_backward(maps, weight, *([] if after == _NONE else [found]))
        context.settings = (stride, padding, before, after)
        return found

    @staticmethod
    def backward(context: Any, *gradients: Tensor) -> tuple[Tensor | None, ...]:
        gradient = gradients[0].contiguous(memory_format=torch.channels_last)
        maps, weight, found = (*context.saved_tensors, gradient)[:3]
        stride, padding, before, after = context.settings
        of_maps, of_weight, of_bias = torch.empty_like(maps), np.zeros_like(_kernel(weight)), torch.zeros(len(weight))
        given = (_last(maps), _kernel(weight), _last(found), _last(gradient))
        _convolve_back(*given, stride, padding, before, after, _last(of_maps), of_weight, of_bias.numpy())
        return of_maps, torch.from_numpy(of_weight).permute(2, 0, 1)[:, None], of_bias, None, None, None


def _last(maps: Tensor) -> Array:
    """Maps (m, c, h, w) as an array (m, h, w, c) over the same memory."""
    return maps.detach().permute(0, 2, 3, 1).numpy()


def _kernel(weight: Tensor) -> Array:
    return np.ascontiguousarray(weight.detach().numpy()[:, 0].transpose(1, 2, 0))


@numba.njit(nogil=True, cache=True)
def _convolve(
    maps: Array, weight: Array, bias: Array, stride: int, padding: int, before: Any, after: Any, found: Array
) -> None:
    height, width, kernel = maps.shape[1], maps.shape[2], len(weight)
    seen = np.empty_like(maps[0])
    for image in range(len(maps)):
        _cut_off(maps[image], before, seen)
        for y in range(found.shape[1]):
            for x in range(found.shape[2]):
                top, left, total = y * stride - padding, x * stride - padding, found[image, y, x]
                total[:] = bias
                for dy in range(max(0, -top), min(kernel, height - top)):
                    for dx in range(max(0, -left), min(kernel, width - left)):
                        place, factor = seen[top + dy, left + dx], weight[dy, dx]
                        for channel in range(len(total)):
                            total[channel] += place[channel] * factor[channel]
        _cut_off(found[image], after, found[image])


@numba.njit(nogil=True, cache=True)
def _convolve_back(
    maps: Array, weight: Array, found: Array, gradient: Array,
    stride: int, padding: int, before: Any, after: Any,
    of_maps: Array, of_weight: Array, of_bias: Array,
) -> None:  # fmt: skip
    height, width, kernel = maps.shape[1], maps.shape[2], len(weight)
    seen, slopes = np.empty_like(maps[0]), np.empty_like(found[0])
    to_weight, to_bias = np.empty_like(of_weight), np.empty_like(of_bias)
    for image in range(len(maps)):
        _cut_off(maps[image], before, seen)
        slopes[:] = gradient[image]
        _stop(found[image], after, slopes)
        # An image's terms are added up first: added to the sum of all images they would be rounded off.
        to_weight[:], to_bias[:], of_maps[image] = 0, 0, 0
        for y in range(found.shape[1]):
            for x in range(found.shape[2]):
                top, left, slope = y * stride - padding, x * stride - padding, slopes[y, x]
                to_bias += slope
                for dy in range(max(0, -top), min(kernel, height - top)):
                    for dx in range(max(0, -left), min(kernel, width - left)):
                        place, to_place = seen[top + dy, left + dx], of_maps[image, top + dy, left + dx]
                        factor, to_factor = weight[dy, dx], to_weight[dy, dx]
                        for channel in range(len(slope)):
                            to_place[channel] += factor[channel] * slope[channel]
                            to_factor[channel] += place[channel] * slope[channel]
        of_weight += to_weight
        of_bias += to_bias
        _stop(seen, before, of_maps[image])


@numba.njit(nogil=True)
def _cut_off(maps: Array, limits: Any, result: Array) -> None:
    """Cut values off below the first and above the second limit."""
    low, high, given, wanted = np.float32(limits[0]), np.float32(limits[1]), maps.ravel(), result.ravel()
    for place in range(len(given)):
        wanted[place] = min(max(given[place], low), high)


@numba.njit(nogil=True)
def _stop(cut_off: Array, limits: Any, gradient: Array) -> None:
    """Let no gradient pass where a value was cut off, as in torch at the limits themselves too."""
    low, high, given, wanted = np.float32(limits[0]), np.float32(limits[1]), cut_off.ravel(), gradient.ravel()
    if np.isinf(low) and np.isinf(high):
        return
    for place in range(len(given)):
        wanted[place] = np.float32(0) if (given[place] <= low) | (given[place] >= high) else wanted[place]
