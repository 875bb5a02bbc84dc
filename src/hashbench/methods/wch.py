"""Weighted Contrastive Hashing: its equations as pure functions, and the method."""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Mapping
from functools import partial
from typing import Any, ClassVar, Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from hashbench.learning.binarize import straight_through_sign
from hashbench.learning.hyperparameters import Count, NotNegative, Positive
from hashbench.learning.networks import HeadMethod, linear
from hashbench.learning.standardise import input_layer
from hashbench.learning.training import Recipe, Training
from hashbench.learning.views import images_of
from hashbench.types import Paper, TrainView

_COSINES_AT_ONCE = 2**20


def mutual_attention(tokens1: Tensor, tokens2: Tensor, temperature: float = 1.0) -> tuple[Tensor, Tensor]:
    """Each view's patch tokens, mixed by their likeness to the other view's tokens (sec. 3.2 of the paper).

    `tokens1`, `tokens2` (N, P, D). With Q[n] = cos(tokens1[n], tokens2[n]) (P, P), the first result is
    softmax(Q[n]^T / temperature) tokens1[n] and the second softmax(Q[n] / temperature) tokens2[n], softmax over the
    last axis, both (N, P, D). The order of the two factors is that of the published code.
    """
    likeness = F.normalize(tokens1, dim=2) @ F.normalize(tokens2, dim=2).transpose(1, 2) / temperature
    attended1 = torch.softmax(likeness.transpose(1, 2), dim=2) @ tokens1
    attended2 = torch.softmax(likeness, dim=2) @ tokens2
    return attended1, attended2


def patch_similarity(attended1: Tensor, attended2: Tensor) -> Tensor:
    """R[n, m] = mean over patches i of image n of the max over patches j of image m of their cosine: (N, N).

    `attended1`, `attended2` (N, P, D). The N x N x P x P cosines are never held whole.
    """
    similarity: Tensor = _MeanOfNearest.apply(F.normalize(attended1, dim=2), F.normalize(attended2, dim=2))[0]
    return similarity


class _MeanOfNearest(torch.autograd.Function):
    """`patch_similarity` of tokens of length 1, which remembers of all cosines only where the largest ones are.

    A patch of one view has a gradient from its nearest patches alone, one in each image: the gradient is a product with
    a sparse matrix of N entries a row, instead of the dense products that gave the cosines.
    """

    generate_vmap_rule = True

    @staticmethod
    def forward(unit1: Tensor, unit2: Tensor) -> tuple[Tensor, Tensor]:
        n, patches, _ = unit1.shape
        similarities, nearest = [], []
        for block in torch.split(unit1, max(1, _COSINES_AT_ONCE // (n * patches * patches))):
            cosines = (block.flatten(0, 1) @ unit2.flatten(0, 1).T).view(-1, patches, n, patches)
            largest, places = cosines.max(dim=3)
            similarities.append(largest.mean(dim=1))
            nearest.append(places)
        return torch.cat(similarities), torch.cat(nearest)

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Tensor, Tensor], output: tuple[Tensor, Tensor]) -> None:
        ctx.save_for_backward(*inputs, output[1])
        ctx.mark_non_differentiable(output[1])

    @staticmethod
    def backward(ctx: Any, *grad_outputs: Tensor) -> tuple[Tensor, Tensor]:
        given1, given2, nearest = ctx.saved_tensors
        dtype = torch.promote_types(given1.dtype, torch.float32)  # sparse products have no lower precision
        unit1, unit2 = given1.to(dtype), given2.to(dtype)
        n, patches, _ = unit1.shape
        rows = torch.arange(n * patches + 1, device=unit1.device) * n
        columns = nearest + torch.arange(n, device=unit1.device) * patches
        values = (grad_outputs[0].to(dtype) / patches)[:, None, :].expand(n, patches, n).flatten()
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", message="Sparse CSR tensor support is in beta")
            weights = torch.sparse_csr_tensor(
                rows, columns.flatten(), values, (n * patches,) * 2, check_invariants=False
            )
            gradient1 = weights @ unit2.flatten(0, 1)
            gradient2 = weights.transpose(0, 1).to_sparse_csr() @ unit1.flatten(0, 1)
        return gradient1.view_as(unit1).to(given1.dtype), gradient2.view_as(unit2).to(given2.dtype)


def patch_weights(
    attended1: Tensor, attended2: Tensor, temperature: float = 0.2, normalise: Literal["column", "row"] = "column"
) -> Tensor:
    """How much image m of the second view counts as a positive of image n of the first: W (N, N), W[n, n] = 1.

    `attended1`, `attended2` (N, P, D). With R = `patch_similarity` and G = softmax over m of R / temperature,
    W[n, m] = G[n, m] / G[m, m]: each `column` is divided by its own diagonal entry, as the published code broadcasts;
    or each `row`, W[n, m] = G[n, m] / G[n, n].
    """
    shares = torch.softmax(patch_similarity(attended1, attended2) / temperature, dim=1)
    own = shares.diagonal()
    return shares / (own if normalise == "column" else own[:, None])


def weighted_contrastive_loss(
    codes1: Tensor,
    codes2: Tensor,
    weights: Tensor,
    temperature: float = 0.3,
    balance: float = 1.0,
    quantisation: float = 1.0,
) -> Tensor:
    """The loss of WCH: cross-entropy against soft positives, plus bit balance and quantisation. A scalar.

    `codes1`, `codes2` (N, K): codes of the two views in [-1, 1]; `weights` (N, N) as of `patch_weights`. With
    logits[n] = codes1[n] . codes2 / (K temperature),

        -mean_n sum_m weights[n, m] log softmax_m(logits[n])
        + balance * mean_k (mean_n codes1[n, k])^2 - quantisation * mean_{n, k} codes1[n, k]^2.

    The last term is constant for codes of -1 and +1; through the straight-through sign its gradient drives the
    network's outputs away from 0. Both it and the balance look at the first view alone, as in the published code.
    """
    logits = codes1 @ codes2.T / (codes1.shape[1] * temperature)
    contrast = -(weights * torch.log_softmax(logits, dim=1)).sum(dim=1).mean()
    evenness = codes1.mean(dim=0).square().mean()
    return contrast + balance * evenness - quantisation * codes1.square().mean()


class WCH(HeadMethod):
    """Weighted Contrastive Hashing (Yu, Qiu, Chen, Zhang, ACCV 2022): contrast between views, softened by patches.

    For each batch of N images, P patch tokens (P, D) of two views an image. `mutual_attention` mixes them,
    `patch_weights` compares them across images: W (N, N). The codes of the two views, H1 and H2 (N, K), are the
    straight-through sign of head(mean of the attended tokens), head = LayerNorm, Linear(D, hidden), ReLU,
    Linear(hidden, K), tanh; the objective is `weighted_contrastive_loss`(H1, H2, W). Minimised by Adam with a cosine
    schedule. An item's code is the sign of the head on the mean of its tokens, without attention. Where the run trains
    the backbone, weights and attention pass gradients to it: the published code detaches nothing.

    `attention` False leaves the tokens as they are. `weights` is how W is normalised, see `patch_weights`; `none`
    counts only the other view of the same image as positive (W = identity): the ablations of the paper's table 3.
    `standardise` puts a fixed layer that centres tokens and gives them unit scale before attention and head.
    `initialisation` of the head: PyTorch's default, or as `published`: Kaiming-uniform weights (fan-out) and N(0, 1)
    biases. `last_batch`: whether an epoch's incomplete last batch counts.
    """

    title: ClassVar[str] = "WCH"
    paper: ClassVar[Paper] = Paper(
        key="yu2022wch",
        authors="Jiaguo Yu and Huming Qiu and Dubing Chen and Haofeng Zhang",
        title="Weighted Contrastive Hashing",
        venue="Asian Conference on Computer Vision (ACCV)",
        year=2022,
        url="https://arxiv.org/abs/2209.14099",
    )
    needs: ClassVar[frozenset[str]] = frozenset({"token_mean", "view_tokens"})
    deviations: ClassVar[tuple[str, ...]] = (
        "The last epoch is used; the official code keeps the best of every tenth epoch on the queries.",
        "On a convolutional backbone, which the paper has not, tokens are the places of the last feature maps: of 512 "
        "numbers each for VGG-16, where other methods read the 4,096 of fc7.",
        "Pictures are normalised as the weights of the backbone were trained; the official code normalises by the mean "
        "and deviation of ImageNet.",
    )
    if_frozen: ClassVar[tuple[str, ...]] = (
        "The backbone is frozen and views are drawn from a fixed number of pre-extracted ones; the paper trains a "
        "ViT-B/16 end to end on fresh augmentations, with dropout 0.1.",
    )
    encodes: ClassVar[Literal["pooled", "token_mean"]] = "token_mean"

    def __init__(
        self,
        *,
        attention: bool,
        weights: Literal["column", "row", "none"],
        temperature: Positive,
        weight_temperature: Positive,
        balance: NotNegative,
        quantisation: NotNegative,
        standardise: bool,
        initialisation: Literal["default", "published"],
        hidden: Count,
        learning_rate: Positive,
        batch_size: Count,
        last_batch: Literal["dropped", "kept"],
        epochs: Count,
    ) -> None:
        self._attend = mutual_attention if attention else _leave
        self._weigh = (
            _itself_alone
            if weights == "none"
            else partial(patch_weights, temperature=weight_temperature, normalise=weights)
        )
        self.temperature = temperature
        self.balance = balance
        self.quantisation = quantisation
        self.standardise = standardise
        self.initialisation = initialisation
        self.hidden = hidden
        self.recipe = Recipe(
            "adam", learning_rate, batch_size, epochs, schedule="cosine", keeps_last_batch=last_batch == "kept"
        )

    def network(self, n_features: int, n_bits: int, generator: torch.Generator) -> nn.Module:
        """See `HeadMethod`."""
        layer = linear if self.initialisation == "default" else published_linear
        return nn.Sequential(
            input_layer(n_features, self.standardise),
            nn.LayerNorm(n_features, eps=1e-6),
            layer(n_features, self.hidden, generator),
            nn.ReLU(),
            layer(self.hidden, n_bits, generator),
            nn.Tanh(),
        )

    def training(
        self, head: nn.Module, train: TrainView, n_bits: int, generator: torch.Generator, device: str
    ) -> Iterator[Training]:
        """See `HeadMethod.training`."""
        assert isinstance(head, nn.Sequential)
        standardise, to_bits, images = head[0], head[1:], images_of(train, device, "view_tokens")

        def loss_terms(view1: Tensor, view2: Tensor) -> Mapping[str, Tensor]:
            tokens1, tokens2 = standardise(torch.cat([view1, view2])).chunk(2)
            attended1, attended2 = self._attend(tokens1, tokens2)
            weights = self._weigh(attended1, attended2)
            codes1, codes2 = (straight_through_sign(to_bits(tokens.mean(dim=1))) for tokens in (attended1, attended2))
            terms = codes1, codes2, weights, self.temperature, self.balance, self.quantisation
            return {"loss": weighted_contrastive_loss(*terms)}

        yield Training(
            head,
            lambda batch: images.two(batch, generator),
            loss_terms,
            len(train),
            self.recipe,
            generator,
            f"{self.title} {n_bits} bits",
        )


def published_linear(n_in: int, n_out: int, generator: torch.Generator) -> nn.Linear:
    """A linear layer as the published code starts it: Kaiming-uniform weights by fan-out, N(0, 1) biases."""
    layer: nn.Linear = nn.utils.skip_init(nn.Linear, n_in, n_out)  # type: ignore[no-untyped-call]
    nn.init.kaiming_uniform_(layer.weight, mode="fan_out", generator=generator)
    nn.init.normal_(layer.bias, generator=generator)
    return layer


def _leave(tokens1: Tensor, tokens2: Tensor) -> tuple[Tensor, Tensor]:
    return tokens1, tokens2


def _itself_alone(tokens1: Tensor, tokens2: Tensor) -> Tensor:
    return torch.eye(len(tokens1), dtype=tokens1.dtype, device=tokens1.device)
