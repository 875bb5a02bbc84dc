"""How far the cosines of codes are from those of the features that they encode."""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor


def pairwise_cosine_error(codes: Tensor, features: Tensor) -> Tensor:
    """Mean squared difference between the cosines of codes and of features over the pairs (i, i + n // 2).

    GreedyHash (Su et al., NeurIPS 2018) and Bi-half Net (Li & van Gemert, AAAI 2021). `codes` (n, b), `features`
    (n, d); the last row of an odd batch has no partner and is left out.
    """
    half = len(codes) // 2
    code_cosine = F.cosine_similarity(codes[:half], codes[half : 2 * half])
    feature_cosine = F.cosine_similarity(features[:half], features[half : 2 * half])
    return F.mse_loss(code_cosine, feature_cosine)
