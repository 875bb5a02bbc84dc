"""One image seen with many: overviews, their queues, and the losses of Overview Hashing (OH).

Yu, Shen, Zhang, "Hashing One With All" (ACM Multimedia 2023), as the authors' code has it. N images, K bits, features
of width D, queues of length Q.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

Encode = Callable[[Mapping[str, Tensor], Tensor], tuple[Tensor, Tensor]]
"""encode(weights, images) -> bits in {0, 1} (N, K), features of norm 1 (N, D)."""


class OverviewState(NamedTuple):
    """What lives from one step to the next and gets no gradient.

    `key_weights`: the weights of the key network, by the names that `Encode` takes; the queues of what it made of the
    last images, newest first: `overviews` (Q, D), `bits` (Q, K), `features` (Q, D).
    """

    key_weights: Mapping[str, Tensor]
    overviews: Tensor
    bits: Tensor
    features: Tensor


def overview(bits: Tensor, features: Tensor, state: OverviewState, temperature: float, context: float) -> Tensor:
    """Each image as the mean of what is queued, by agreement in bits, and of itself: (N, D), of norm 1.

    With s_j = bᵀB_j + (1 - b)ᵀ(1 - B_j), the number of bits in which an image agrees with row j of the queue, and
    a = softmax_j(s_j / (K temperature)): norm(norm(Σ_j a_j C_j) + context · c), norm(u) = u / ‖u‖.
    """
    agreements = bits @ state.bits.T + (1 - bits) @ (1 - state.bits).T
    attention = torch.softmax(agreements / (bits.shape[1] * temperature), dim=1)
    return F.normalize(F.normalize(attention @ state.features, dim=1) + context * features, dim=1)


def oh_losses(
    encode: Encode,
    weights: Mapping[str, Tensor],
    state: OverviewState,
    view1: Tensor,
    view2: Tensor,
    temperature: float,
    momentum: float,
    context: float,
) -> tuple[dict[str, Tensor], OverviewState]:
    """One step of OH: its two losses of a batch in two views, (N, ...) each, and the state after it.

    The gradient flows into `weights`, the query network's, by the first view alone. In this order: the query network
    sees the first view with the queues as they are; the key network, first moved to momentum · key + (1 - momentum) ·
    query, sees the second view with the same queues, and what it made enters them; the query network sees the second
    view with the new queues. `queue` is the cross-entropy of recognising an image's key among the old queue's Q
    overviews; `batch` that of recognising its second view among those of the batch: inner products / temperature.
    """
    query = overview(*encode(weights, view1), state, temperature, context)
    with torch.no_grad():
        key_weights = {
            name: momentum * state.key_weights[name] + (1 - momentum) * value for name, value in weights.items()
        }
        key_bits, key_features = encode(key_weights, view2)
        key = overview(key_bits, key_features, state, temperature, context)
        after = OverviewState(
            key_weights,
            _pushed(state.overviews, key),
            _pushed(state.bits, key_bits),
            _pushed(state.features, key_features),
        )
        second = overview(*encode(weights, view2), after, temperature, context)
    to_queue = torch.cat([(query * key).sum(dim=1, keepdim=True), query @ state.overviews.T], dim=1)
    rows = torch.arange(len(query), device=query.device)
    losses = {
        "queue": F.cross_entropy(to_queue / temperature, torch.zeros_like(rows)),
        "batch": F.cross_entropy(query @ second.T / temperature, rows),
    }
    return losses, after


def _pushed(queue: Tensor, rows: Tensor) -> Tensor:
    """The queue (Q, ...) with new rows (N, ...) in front, its oldest ones dropped."""
    return torch.cat([rows, queue])[: len(queue)]
