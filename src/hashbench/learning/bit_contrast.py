"""Bits that tell the same in both views, codes as similar as features: the objective of HashSIM.

Luo et al., "Improve Deep Unsupervised Hashing via Structural and Intrinsic Similarity Learning" (IEEE Signal Processing
Letters 2022), as the authors' code has it. N images, K bits, d features.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from hashbench.learning.contrast import nt_xent


def target_similarities(features: Tensor) -> Tensor:
    """S_ij = 2 cos(f_i, f_j) - 1 of `features` (N, d): (N, N) in [-3, 1], 1 on the diagonal."""
    unit = F.normalize(features, dim=1)
    return 2 * unit @ unit.T - 1


def bit_contrast(v1: Tensor, v2: Tensor, temperature: float) -> Tensor:
    """NT-Xent between bits instead of images: a bit is the column of its values over the batch. A scalar.

    `v1`, `v2` (N, K) are the outputs on two views. The positive of a bit is itself in the other view, its negatives
    are all other bits of both views. The mean over the 2K anchors.
    """
    return nt_xent(v1.T, v2.T, temperature)


def pair_loss(outputs: Tensor, similarities: Tensor) -> Tensor:
    """mean_ij (v_iᵀv_j / K - S_ij)² of `outputs` v (N, K) and their targets S (N, N), the diagonal included."""
    return F.mse_loss(outputs @ outputs.T / outputs.shape[1], similarities)


def hashsim_terms(
    v1: Tensor, v2: Tensor, similarity1: Tensor, similarity2: Tensor, temperature: float
) -> dict[str, Tensor]:
    """The three terms of the objective, each of weight 1; see `hashsim_loss`."""
    return {
        "bit contrast": bit_contrast(v1, v2, temperature),
        "pairs of the first view": pair_loss(v1, similarity1),
        "pairs of the second view": pair_loss(v2, similarity2),
    }


def hashsim_loss(v1: Tensor, v2: Tensor, similarity1: Tensor, similarity2: Tensor, temperature: float) -> Tensor:
    """`bit_contrast` of both views + `pair_loss` of each. A scalar.

    `v1`, `v2` (N, K): outputs in (-1, 1) on two views of the batch; `similarity1`, `similarity2` (N, N): their constant
    targets in [-3, 1], the entries of the batch among those of all train images; `temperature` > 0.
    """
    terms = hashsim_terms(v1, v2, similarity1, similarity2, temperature)
    return torch.stack(list(terms.values())).sum()
