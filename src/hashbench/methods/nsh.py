"""Learning to Hash Naturally Sorts: its equations as pure functions, and the method."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Annotated, ClassVar, Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from hashbench.errors import HashbenchError
from hashbench.learning.batch_norm import BatchNorm
from hashbench.learning.binarize import sign, straight_through_sign
from hashbench.learning.hyperparameters import Count, LessThan, NotNegative, Positive
from hashbench.learning.inputs import features_of
from hashbench.learning.networks import HeadMethod, hash_head, linear
from hashbench.learning.sorting import sorter_named
from hashbench.learning.training import Recipe, Training
from hashbench.learning.views import images_of
from hashbench.types import Paper, TrainView


def code_similarities(codes1: Tensor, codes2: Tensor) -> Tensor:
    """1 - Hamming distance / K between the codes of two views: (n, n) in [0, 1], from (n, K) in {-1, +1}."""
    return (codes1 @ codes2.T / codes1.shape[1] + 1) / 2


def sorted_similarities(permutations: Tensor, latents1: Tensor, latents2: Tensor) -> Tensor:
    """q[i, r]: cosine of image i's latent of view 2 with the r-th of the latents of view 1 in i's sorted order: (n, n).

    `permutations` P (n, n, n): P[i] sorts the batch for image i; `latents1`, `latents2` Z1, Z2 (n, d), rows of length
    1. The r-th sorted latent is E[i, r] = sum_c P[i, r, c] Z1[c]. The n x n x d array E is never formed:
    E[i, r] . Z2[i] = P[i, r] . (Z1 Z2^T)[:, i] and |E[i, r]|^2 = P[i, r] (Z1 Z1^T) P[i, r]^T.
    """
    across = torch.einsum("irc,ci->ir", permutations, latents1 @ latents2.T)
    squared_norm = (permutations @ (latents1 @ latents1.T) * permutations).sum(dim=2)
    # Latents of opposite direction can cancel out; what is left has no direction, as a cosine of 0 says.
    return across / squared_norm.clamp_min(1e-12).sqrt()


def own_view_first(permutations: Tensor) -> Tensor:
    """Permutations P (n, n, n) in which image i's own view, column i of P[i], has no place after the first.

    Rows of length 1 stay so: what others have there is scaled up.
    """
    n = permutations.shape[0]
    own = torch.eye(n, dtype=torch.bool, device=permutations.device)[:, None, :]
    later = (torch.arange(n, device=permutations.device) > 0)[None, :, None]
    kept = permutations.masked_fill(own & later, 0)
    return kept / kept.sum(dim=2, keepdim=True).clamp_min(1e-12)


def sorted_nce(similarities: Tensor, m: int, temperature: float) -> Tensor:
    """SortedNCE: each of the first m in sorted order against all that come after the m-th. A scalar.

    `similarities` q (n, n): row i in the sorted order of image i; 1 <= m < n. With t = `temperature`,

        -mean over i and r <= m of log( exp(q[i, r] / t) / (exp(q[i, r] / t) + sum_{s > m} exp(q[i, s] / t)) ).

    Raises HashbenchError for any other m.
    """
    n = similarities.shape[1]
    if not 1 <= m < n:
        raise HashbenchError(f"m must lie in 1..{n - 1}, below the {n} images of a batch, got {m}")
    logits = similarities / temperature
    others = torch.logsumexp(logits[:, m:], dim=1, keepdim=True)
    # -log(e^a / (e^a + e^b)) = softplus(b - a): one softmax, taken once.
    return F.softplus(others - logits[:, :m]).mean()


class NSH(HeadMethod):
    """Learning to Hash Naturally Sorts (Yu, Shen, Wang, Zhang, Torr, IJCAI 2022): neighbours by Hamming order.

    For each batch, two views of n images; their codes B1, B2 (n, K), the straight-through sign of
    tanh(hash head(x)), and latents Z1, Z2 (n, latent), rows of unit length of a linear latent head; both heads see the
    same features. For each image i the similarities `code_similarities`(B1, B2)[i] are sorted softly, in
    descending order, by `sorter`: P[i] (n, n). The objective is

        `sorted_nce`(`sorted_similarities`(P, Z1, Z2), m, temperature) + quantisation * mean((tanh - sign)^2)
        + balance * mean_k (mean_n tanh)^2,

    so that the m images nearest in Hamming order serve as positives, and the hash head learns through P alone
    (and the last two terms, over both views). Minimised by Adam with a cosine schedule. An item's code is the sign of
    the hash head; latent head and sorter serve training alone.

    `sorter_temperature` is in Hamming steps (divided by K), or in similarity, as `sorter_unit` says. `sorted_codes`:
    what is sorted by, the `binary` codes or the `continuous` tanh. `own_view`: whether an image's own other view may
    stand `anywhere` in its order or in the `first` place alone, see `own_view_first`. `directions`: `both` also sorts
    view 1 for each code of view 2, and takes the mean. `batch_norm` puts a BatchNorm before the tanh,
    `standardise` a fixed layer that centres features and gives them unit scale before both heads.
    """

    title: ClassVar[str] = "NSH"
    paper: ClassVar[Paper] = Paper(
        key="yu2022nsh",
        authors="Jiaguo Yu and Yuming Shen and Menghan Wang and Haofeng Zhang and Philip H. S. Torr",
        title="Learning to Hash Naturally Sorts",
        venue="International Joint Conference on Artificial Intelligence (IJCAI)",
        year=2022,
        url="https://arxiv.org/abs/2201.13322",
    )
    needs: ClassVar[frozenset[str]] = frozenset({"pooled", "views"})
    deviations: ClassVar[tuple[str, ...]] = (
        "No official code is public: heads, sorter temperature and quantisation term follow re-implementations or "
        "were chosen here, each as its source says.",
        "The public re-implementations apply the softmax of SortedNCE twice; here it is applied once, as the loss is "
        "defined.",
        "The learning rate falls along a cosine and weights do not decay; the one public configuration has a weight "
        "decay of 1e-5 and a step schedule.",
        "An epoch's incomplete last batch is left out.",
    )
    if_frozen: ClassVar[tuple[str, ...]] = (
        "The backbone is frozen and views are drawn from a fixed number of pre-extracted ones, not augmented afresh.",
    )

    def __init__(
        self,
        *,
        sorter: Literal["softsort", "neuralsort", "sinkhorn", "diffsort", "torchsort"],
        sorter_temperature: Positive,
        sorter_unit: Literal["step", "similarity"],
        sorted_codes: Literal["binary", "continuous"],
        own_view: Literal["anywhere", "first"],
        directions: Literal["one", "both"],
        m: Annotated[Count, LessThan("batch_size")],
        temperature: Positive,
        latent: Count,
        hidden: Count,
        batch_norm: bool,
        standardise: bool,
        quantisation: NotNegative,
        balance: NotNegative,
        learning_rate: Positive,
        batch_size: Count,
        epochs: Count,
    ) -> None:
        self.sort = sorter_named(sorter)
        self.sorter_temperature = sorter_temperature
        self.sorter_unit = sorter_unit
        self._codes = straight_through_sign if sorted_codes == "binary" else _as_they_are
        self._ordered = own_view_first if own_view == "first" else _as_they_are
        self.directions = directions
        self.m = m
        self.temperature = temperature
        self.latent = latent
        self.hidden = hidden
        self.batch_norm = batch_norm
        self.standardise = standardise
        self.quantisation = quantisation
        self.balance = balance
        self.learning_rate = learning_rate
        self.batch_size = batch_size
        self.epochs = epochs

    def network(self, n_features: int, n_bits: int, generator: torch.Generator) -> nn.Module:
        """See `HeadMethod`."""
        head = hash_head(n_features, self.hidden, n_bits, generator, self.standardise)
        if self.batch_norm:
            head.append(BatchNorm(n_bits))
        return head

    def training(
        self, head: nn.Module, train: TrainView, n_bits: int, generator: torch.Generator, device: str
    ) -> Iterator[Training]:
        """See `HeadMethod.training`."""
        images = images_of(train, device)
        assert isinstance(head, nn.Sequential)
        standardise, to_bits = head[0], head[1:]
        latent_head = linear(features_of(train, self.encodes).shape[1], self.latent, generator)
        softness = self.sorter_temperature / (n_bits if self.sorter_unit == "step" else 1)

        def contrast(codes1: Tensor, codes2: Tensor, latents1: Tensor, latents2: Tensor) -> Tensor:
            permutations = self._ordered(self.sort(code_similarities(codes1, codes2), softness))
            return sorted_nce(sorted_similarities(permutations, latents1, latents2), self.m, self.temperature)

        def loss_terms(first: Tensor, second: Tensor) -> Mapping[str, Tensor]:
            views = standardise(first), standardise(second)
            outputs = [torch.tanh(to_bits(view)) for view in views]
            codes = [self._codes(each) for each in outputs]
            latents = [F.normalize(latent_head(view), dim=1) for view in views]
            contrasts = [contrast(*codes, *latents)]
            if self.directions == "both":
                contrasts.append(contrast(*reversed(codes), *reversed(latents)))
            joined = torch.cat(outputs)
            return {
                "sorted_nce": torch.stack(contrasts).mean(),
                "quantisation": self.quantisation * (joined - sign(joined)).square().mean(),
                "balance": self.balance * joined.mean(dim=0).square().mean(),
            }

        yield Training(
            nn.ModuleList([head, latent_head]),
            lambda batch: images.two(batch, generator),
            loss_terms,
            len(train),
            Recipe("adam", self.learning_rate, self.batch_size, self.epochs, schedule="cosine"),
            generator,
            f"{self.title} {n_bits} bits",
        )


def _as_they_are(values: Tensor) -> Tensor:
    return values
