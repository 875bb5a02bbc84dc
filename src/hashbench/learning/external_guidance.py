"""Images described by generic nouns, and the loss that brings codes of images to those descriptions: DUH-EG.

Song et al., "Deep Unsupervised Hashing via External Guidance" (ICML 2025), as the authors' code has it. Image
embeddings x (n, e) and noun embeddings w (M, e) of one vision-language model.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

_EPSILON = 1e-12
_ROWS_AT_ONCE = 8192


def noun_guidance(images: Tensor, nouns: Tensor, temperature: float) -> Tensor:
    """What nouns say of each of `images` (n, e): norm(Σ_m softmax_m(cos(x, w_m) / temperature) w_m), (n, e).

    `nouns` (M, e), in any order; both are brought to norm 1, and so is the result.
    """
    nouns = F.normalize(nouns, dim=1)
    blocks = torch.split(F.normalize(images, dim=1), _ROWS_AT_ONCE)
    return torch.cat([F.normalize(torch.softmax(rows @ nouns.T / temperature, dim=1) @ nouns) for rows in blocks])


def alike(guidance: Tensor, threshold: float) -> Tensor:
    """Which pairs of images nouns describe alike: bool (N, N), cosine of `guidance` (N, e) above `threshold` < 1."""
    unit = F.normalize(guidance, dim=1)
    # An image is like itself, however its own product is rounded.
    return (unit @ unit.T > threshold) | torch.eye(len(unit), dtype=torch.bool, device=unit.device)


def guided_contrast(codes1: Tensor, codes2: Tensor, positive: Tensor, temperature: float) -> Tensor:
    """-mean_i log Σ_j Y_ij p_ij, p the softmax over j of cos(a_i, b_j) / temperature: a scalar >= 0.

    `codes1` a, `codes2` b (N, K); `positive` Y (N, N) is true for one j or more in each row. p is clipped to
    [1e-12, 1 - 1e-12].
    """
    cosines = F.normalize(codes1, dim=1) @ F.normalize(codes2, dim=1).T
    shares = torch.softmax(cosines / temperature, dim=1).clamp(_EPSILON, 1 - _EPSILON)
    return -(positive * shares).sum(dim=1).log().mean()


def duheg_terms(
    codes_view1: Tensor, codes_view2: Tensor, codes_text: Tensor, positive: Tensor, temperature: float
) -> dict[str, Tensor]:
    """The three terms of the objective, `guided_contrast` of each two of three relaxed codes (N, K) of N images.

    `codes_view1`, `codes_view2`: of two views; `codes_text`: of their descriptions. `positive` (N, N): see `alike`.
    """
    return {
        "view 1 to text": guided_contrast(codes_view1, codes_text, positive, temperature),
        "view 2 to text": guided_contrast(codes_view2, codes_text, positive, temperature),
        "view 1 to view 2": guided_contrast(codes_view1, codes_view2, positive, temperature),
    }


def duheg_loss(
    codes_view1: Tensor, codes_view2: Tensor, codes_text: Tensor, positive: Tensor, temperature: float
) -> Tensor:
    """The sum of `duheg_terms`: a scalar."""
    terms = duheg_terms(codes_view1, codes_view2, codes_text, positive, temperature)
    return torch.stack(list(terms.values())).sum()
