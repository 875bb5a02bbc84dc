"""Linear layers that start as other frameworks and papers have them; `networks.linear` starts as PyTorch does."""

from __future__ import annotations

import torch
from torch import nn


def glorot_linear(n_in: int, n_out: int, generator: torch.Generator) -> nn.Linear:
    """A linear layer as Keras starts it: Glorot's uniform weights, biases 0. Drawn from `generator`."""
    layer: nn.Linear = nn.utils.skip_init(nn.Linear, n_in, n_out)  # type: ignore[no-untyped-call]
    nn.init.xavier_uniform_(layer.weight, generator=generator)
    nn.init.zeros_(layer.bias)
    return layer


def truncated_normal_linear(
    n_in: int, n_out: int, std: float, generator: torch.Generator, bias: bool = True
) -> nn.Linear:
    """A linear layer with weights of N(0, std²) cut at ±2, biases 0. Drawn from `generator`."""
    layer: nn.Linear = nn.utils.skip_init(nn.Linear, n_in, n_out, bias=bias)  # type: ignore[no-untyped-call]
    nn.init.trunc_normal_(layer.weight, std=std, generator=generator)
    if bias:
        nn.init.zeros_(layer.bias)
    return layer
