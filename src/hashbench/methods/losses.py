"""Losses that more than one method uses, as pure functions."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor


def nt_xent(codes1: Tensor, codes2: Tensor, temperature: float) -> Tensor:
    """NT-Xent over the 2n codes of two views (Chen et al., SimCLR, ICML 2020, eq. 1), cosine similarity.

    `codes1`, `codes2` (n, b): row i of one is the positive of row i of the other; the other 2n - 2 are negatives.
    Returns the mean over all 2n anchors.
    """
    n = len(codes1)
    unit = F.normalize(torch.cat([codes1, codes2]), dim=1)
    logits = unit @ unit.T / temperature
    itself = torch.eye(2 * n, dtype=torch.bool, device=unit.device)
    positive = torch.arange(2 * n, device=unit.device).roll(n)
    return F.cross_entropy(logits.masked_fill(itself, -torch.inf), positive)


def pairwise_cosine_error(codes: Tensor, features: Tensor) -> Tensor:
    """Mean squared difference between the cosines of codes and of features over the pairs (i, i + n // 2).

    GreedyHash (Su et al., NeurIPS 2018) and Bi-half Net (Li & van Gemert, AAAI 2021). `codes` (n, b), `features`
    (n, d); the last row of an odd batch has no partner and is left out.
    """
    half = len(codes) // 2
    code_cosine = F.cosine_similarity(codes[:half], codes[half : 2 * half])
    feature_cosine = F.cosine_similarity(features[:half], features[half : 2 * half])
    return F.mse_loss(code_cosine, feature_cosine)
