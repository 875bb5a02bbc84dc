"""BatchNorm that keeps its statistics, folded into the convolutions before it: the same function, in fewer passes.

With fixed statistics a layer of BatchNorm multiplies and shifts each channel, and so does a convolution with other
weights and a bias. These are computed anew in each pass, so that all that was trained still is, under its own name
(Jacob et al., "Quantization and Training of Neural Networks for Efficient Integer-Arithmetic-Only Inference",
CVPR 2018, section 3.2).
"""

from __future__ import annotations

import copy
from collections.abc import Iterator
from itertools import pairwise

import torch
from torch import Tensor, nn
from torch.func import functional_call

from hashbench.features.depthwise import depthwise, is_depthwise, limits_of

_TOLERANCE = 1e-4


def folded(network: nn.Module, size: int) -> nn.Module:
    """A copy of a network for pictures (m, 3, size, size) whose convolutions do the work of the BatchNorm after them.

    The network itself where its convolutions are not followed by the BatchNorm that is registered after them: the two
    are compared on a picture.
    """
    copied = copy.deepcopy(network)
    for parent, first, second in list(_neighbours(copied)):
        rest = _Rest(getattr(parent, second))
        setattr(parent, first, _Convolution(getattr(parent, first), rest))
        setattr(parent, second, rest)
    for previous, convolution, rest in _depthwise_convolutions(copied):
        convolution.take_in(previous, rest)
    picture = torch.linspace(-1, 1, 3 * size * size).reshape(1, 3, size, size).to(next(network.parameters()))
    with torch.no_grad():
        expected, found = (each.eval().forward_features(picture) for each in (network, copied))  # type: ignore[operator]
    close = torch.allclose(found, expected, rtol=_TOLERANCE, atol=_TOLERANCE * float(expected.abs().max()))
    return copied if close else network


def _neighbours(network: nn.Module) -> Iterator[tuple[nn.Module, str, str]]:
    """Each convolution with BatchNorm of as many channels beside it, by the names that their parent gives them."""
    for parent in network.modules():
        for (first, convolution), (second, norm) in pairwise(parent.named_children()):
            is_pair = isinstance(convolution, nn.Conv2d) and isinstance(norm, nn.BatchNorm2d)
            if is_pair and norm.affine and norm.track_running_stats and norm.num_features == convolution.out_channels:
                yield parent, first, second


def _depthwise_convolutions(network: nn.Module) -> Iterator[tuple[nn.Module | None, _Convolution, _Rest]]:
    """Each depthwise convolution with what is left of the BatchNorm after it, and what its parent has before it."""
    for parent in network.modules():
        children: list[nn.Module | None] = [None, *parent.children()]
        for before, convolution, after in zip(children, children[1:], children[2:], strict=False):
            if isinstance(convolution, _Convolution) and convolution.is_depthwise and isinstance(after, _Rest):
                yield before, convolution, after


class _Convolution(nn.Module):
    """A convolution that also multiplies and shifts, by the weights and statistics that `norm` owns."""

    def __init__(self, convolution: nn.Conv2d, norm: _Rest) -> None:
        super().__init__()
        self.weight, self.bias = convolution.weight, convolution.bias
        convolution.bias = nn.Parameter(torch.zeros_like(norm.bias), requires_grad=False)  # a place for another
        self._not_its_own = (convolution, norm)
        self._before: nn.Module = nn.Identity()
        self._after: nn.Module = nn.Identity()
        self.is_depthwise = is_depthwise(convolution)

    def take_in(self, previous: nn.Module | None, rest: _Rest) -> None:
        """Do the work of the activations around it too, where `depthwise` can."""
        if isinstance(previous, _Rest) and limits_of(previous.act):
            self._before, previous.act = previous.act, self._before
        if isinstance(rest.drop, nn.Identity) and limits_of(rest.act):
            self._after, rest.act = rest.act, self._after

    def forward(self, maps: Tensor) -> Tensor:
        """Normalised feature maps (m, c, h, w); activated ones where it took that in."""
        convolution, norm = self._not_its_own
        scale = norm.weight * torch.rsqrt(norm.running_var + norm.eps)
        mean = norm.running_mean if self.bias is None else norm.running_mean - self.bias
        weight, bias = self.weight * scale[:, None, None, None], norm.bias - mean * scale
        before, after = limits_of(self._before), limits_of(self._after)
        if self.is_depthwise and before and after and (maps.device.type, maps.dtype) == ("cpu", torch.float32):
            return depthwise(convolution, maps, weight, bias, before, after)
        maps = functional_call(convolution, {"weight": weight, "bias": bias}, (self._before(maps),))
        return self._after(maps)  # type: ignore[no-any-return]


class _Rest(nn.Module):
    """What is left of a layer of BatchNorm: its weights and statistics, and what timm does after it in that layer."""

    bias: Tensor
    running_mean: Tensor
    running_var: Tensor
    weight: Tensor

    def __init__(self, norm: nn.BatchNorm2d) -> None:
        super().__init__()
        for name, weight in norm.named_parameters(recurse=False):
            self.register_parameter(name, weight)
        for name, statistic in norm.named_buffers(recurse=False):
            self.register_buffer(name, statistic)
        self.eps = norm.eps
        self.drop, self.act = (getattr(norm, name, nn.Identity()) for name in ("drop", "act"))

    def forward(self, maps: Tensor) -> Tensor:
        """Activated feature maps."""
        return self.act(self.drop(maps))  # type: ignore[no-any-return]
