"""Batch normalisation that keeps its precision where a loss is computed in a lower one."""

from __future__ import annotations

from torch import Tensor, nn


class BatchNorm(nn.BatchNorm1d):
    """`nn.BatchNorm1d` in the precision of its own weights, whatever that of its input (n, k).

    Under autocast its input may be bfloat16: means and variances of a batch would lose most of their digits, and
    networks that are stacked cannot mix the two.
    """

    def forward(self, input: Tensor) -> Tensor:
        """The normalised input, (n, k)."""
        return super().forward(input.to(self.weight.dtype))
