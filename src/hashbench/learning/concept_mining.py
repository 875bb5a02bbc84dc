"""Which images share concepts, by a vision-language model, and the loss that brings codes to tell it: UHSCM.

Tu et al., "Unsupervised Hashing with Semantic Concept Mining" (Proc. ACM Manag. Data 2023), as the authors' code has
it. Image embeddings x (n, e) and embeddings t (M, e) of texts that name one concept each; natural logarithms.
"""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor

from hashbench.learning.binarize import sign


def frequent_concepts(images: Tensor, concepts: Tensor) -> Tensor:
    """Which of M `concepts` (M, e) are nearest by cosine to more than half of n / M of the n `images` (n, e): (M,).

    Bool; at least one is, as the most frequent concept is nearest to n / M images or more.
    """
    nearest = _cosines(images, concepts).argmax(dim=1)
    return torch.bincount(nearest, minlength=len(concepts)) > 0.5 * len(images) / len(concepts)


def concept_probabilities(images: Tensor, concepts: Tensor, sharpness: float) -> Tensor:
    """Of which `concepts` (M, e) each of `images` (n, e) tells: (n, M), rows sum to 1, 0 where not `frequent_concepts`.

    The softmax of M' · `sharpness` · cos(x, t) over the M' frequent concepts.
    """
    frequent = frequent_concepts(images, concepts)
    logits = frequent.sum() * sharpness * _cosines(images, concepts)
    return torch.softmax(logits.masked_fill(~frequent, -torch.inf), dim=1)


def concept_similarity(probabilities: Tensor) -> Tensor:
    """S = 2 cos(P_i, P_j) - 1 of the rows of `probabilities` P (n, M): (n, n), symmetric in (-1, 1], diagonal 1."""
    return 2 * _cosines(probabilities, probabilities) - 1


def uhscm_terms(
    codes: Tensor,
    similarity: Tensor,
    threshold: float,
    temperature: float,
    weight_contrast: float,
    weight_quantisation: float,
) -> dict[str, Tensor]:
    """The three terms of the objective, with their weights, of relaxed `codes` z (N, K) and `similarity` S (N, N).

    With C the cosines of the codes and Y_ij = 1[S_ij >= `threshold`], the diagonal included:

        similarity    mean_ij (C - S)²
        contrast      -1/ΣY Σ_ij Y_ij log(θ_ij / (Σ_m (1 - Y_im) θ_im + 1e-5)),  θ = exp(C / `temperature`)
        quantisation  mean_i ‖sign(z_i) - z_i‖²

    The contrast's denominator leaves out the positives: a row without negatives contributes down to
    -1/`temperature` - log 1e5.
    """
    cosines = _cosines(codes, codes)
    logits, positive = cosines / temperature, similarity >= threshold
    # 1e-5 stands among the negatives as one more of them.
    floor = logits.new_full((len(logits), 1), math.log(1e-5))
    negatives = torch.cat([logits.masked_fill(positive, -torch.inf), floor], dim=1).logsumexp(dim=1, keepdim=True)
    return {
        "similarity": (cosines - similarity).square().mean(),
        "contrast": weight_contrast * ((negatives - logits) * positive).sum() / positive.sum(),
        "quantisation": weight_quantisation * (sign(codes) - codes).square().sum(dim=1).mean(),
    }


def uhscm_loss(
    codes: Tensor,
    similarity: Tensor,
    threshold: float,
    temperature: float,
    weight_contrast: float,
    weight_quantisation: float,
) -> Tensor:
    """The sum of `uhscm_terms`: a scalar."""
    terms = uhscm_terms(codes, similarity, threshold, temperature, weight_contrast, weight_quantisation)
    return torch.stack(list(terms.values())).sum()


def _cosines(rows: Tensor, others: Tensor) -> Tensor:
    return F.normalize(rows, dim=1) @ F.normalize(others, dim=1).T
