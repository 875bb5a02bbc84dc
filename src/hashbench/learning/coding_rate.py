"""Codes that agree across views and fill their space: the objective of Cross-View Code Alignment (CroVCA).

Moummad et al., "Image Hashing via Cross-View Code Alignment in the Age of Foundation Models" (arXiv 2510.27584), as
the authors' code has it. N images, K bits, natural logarithms.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor


def coding_rate(logits: Tensor, eps: float) -> Tensor:
    """The negative, scaled coding rate of `logits` Z (N, K), to be minimised: a scalar below 0.

    R(Z) = -(K + N) / (K N) · ½ log det(I + K / (N eps) UᵀU), with U the rows of Z divided by their norms. It is lowest
    where UᵀU = N / K · I, and highest where all rows are parallel. `eps` > 0 enters in its first power; the coding
    rate of MCR² (Yu et al., NeurIPS 2020) has its square. A row of zeros has no direction and counts as zeros.
    """
    n, k = logits.shape
    # Half precision would round the small eigenvalues away, and has no Cholesky decomposition.
    with torch.autocast(logits.device.type, enabled=False):
        unit = F.normalize(logits.to(torch.promote_types(logits.dtype, torch.float32)), dim=1)
        identity = torch.eye(k, dtype=unit.dtype, device=unit.device)
        factor = torch.linalg.cholesky(identity + k / (n * eps) * (unit.T @ unit))
        half_log_det: Tensor = factor.diagonal().log().sum()
    return -(k + n) / (k * n) * half_log_det


def alignment_loss(logits1: Tensor, logits2: Tensor) -> Tensor:
    """Binary cross-entropy of each view's `logits` (N, K) with the bits [logits >= 0] of the other view. A scalar.

    The mean over images, bits and both directions. The bits are constants: each view is drawn towards the other's
    present code.
    """
    bits1, bits2 = ((logits >= 0).to(logits.dtype) for logits in (logits1, logits2))
    first = F.binary_cross_entropy_with_logits(logits1, bits2)
    return (first + F.binary_cross_entropy_with_logits(logits2, bits1)) / 2


def crovca_terms(
    logits1: Tensor, logits2: Tensor, eps: float, coeff_alignment: float, coeff_coding: float
) -> dict[str, Tensor]:
    """The two weighted terms of the objective for the logits of two views, (N, K) each."""
    coding = (coding_rate(logits1, eps) + coding_rate(logits2, eps)) / 2
    return {"alignment": coeff_alignment * alignment_loss(logits1, logits2), "coding": coeff_coding * coding}


def crovca_loss(logits1: Tensor, logits2: Tensor, eps: float, coeff_alignment: float, coeff_coding: float) -> Tensor:
    """coeff_alignment · `alignment_loss` + coeff_coding · mean `coding_rate` of two views, (N, K) each. A scalar."""
    terms = crovca_terms(logits1, logits2, eps, coeff_alignment, coeff_coding)
    return torch.stack(list(terms.values())).sum()
