"""From real outputs to bits, with a gradient. sign(0) is +1 everywhere in hashbench: there is no third symbol."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor


def sign(values: Tensor) -> Tensor:
    """+1 where `values` >= 0, else -1. No gradient."""
    return torch.where(values >= 0, 1.0, -1.0).to(values.dtype)


class _StraightThrough(torch.autograd.Function):
    generate_vmap_rule = True

    @staticmethod
    def forward(values: Tensor) -> Tensor:
        return sign(values)

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Any, ...], output: Any) -> None:
        """Nothing is kept."""

    @staticmethod
    def backward(ctx: Any, *grad_outputs: Tensor) -> Tensor:
        return grad_outputs[0]


def straight_through_sign(values: Tensor) -> Tensor:
    """sign forward, identity backward (Bengio, Léonard, Courville 2013)."""
    result: Tensor = _StraightThrough.apply(values)
    return result


def binary_neuron(logits: Tensor) -> Tensor:
    """Bits 1[sigmoid(logits) >= 1/2] in {0, 1}; their gradient is that of sigmoid(logits).

    The doubly stochastic neuron of Dai et al. (Stochastic Generative Hashing, ICML 2017) with its threshold fixed at
    1/2, as the released code has it.
    """
    return (straight_through_sign(2 * torch.sigmoid(logits) - 1) + 1) / 2
