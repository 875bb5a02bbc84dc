"""NT-Xent, the contrastive loss that several methods build on."""

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


def one_sided_contrast(codes1: Tensor, codes2: Tensor, temperature: float) -> Tensor:
    """Cross-entropy of each code of view 1 among all codes of view 2, by cosine: no negatives inside a view.

    `codes1`, `codes2` (n, b). The contrast of WCH without its weights; the mean over n anchors.
    """
    logits = F.normalize(codes1, dim=1) @ F.normalize(codes2, dim=1).T / temperature
    return F.cross_entropy(logits, torch.arange(len(codes1), device=logits.device))
