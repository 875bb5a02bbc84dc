"""Weighted Contrastive Hashing: its equations as pure functions, and the method."""

from __future__ import annotations

import dataclasses
import warnings
from collections.abc import Iterator, Mapping
from functools import partial
from typing import Any, ClassVar, Literal

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from hashbench.errors import HashbenchError
from hashbench.learning.binarize import straight_through_sign
from hashbench.learning.hyperparameters import Count, Positive
from hashbench.learning.inputs import features_of
from hashbench.learning.networks import HeadMethod, linear
from hashbench.learning.standardise import Standardise
from hashbench.learning.training import Recipe, Training
from hashbench.learning.views import StoredViews, draw_view_pairs
from hashbench.types import Array, ItemView, Paper, TrainableBackbone, TrainView

_COSINES_AT_ONCE = 2**20

_OF_THE_HEAD = (
    "Tokens pass through a fixed layer that centres them and gives them unit scale, before attention and head.",
    "The head starts from PyTorch's default initialisation; the published code draws Kaiming-uniform weights and "
    "N(0, 1) biases.",
)


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


def patch_weights(attended1: Tensor, attended2: Tensor, temperature: float = 0.2) -> Tensor:
    """How much image m of the second view counts as a positive of image n of the first: W (N, N), W[n, n] = 1.

    `attended1`, `attended2` (N, P, D). With R = `patch_similarity` and G = softmax over m of R / temperature,
    W[n, m] = G[n, m] / G[m, m]: column m is divided by its own diagonal entry, as the published code broadcasts.
    """
    shares = torch.softmax(patch_similarity(attended1, attended2) / temperature, dim=1)
    return shares / shares.diagonal()


def weighted_contrastive_loss(codes1: Tensor, codes2: Tensor, weights: Tensor, temperature: float = 0.3) -> Tensor:
    """The loss of WCH: cross-entropy against soft positives, plus bit balance and quantisation. A scalar.

    `codes1`, `codes2` (N, K): codes of the two views in [-1, 1]; `weights` (N, N) as of `patch_weights`. With
    logits[n] = codes1[n] . codes2 / (K temperature),

        -mean_n sum_m weights[n, m] log softmax_m(logits[n])
        + mean_k (mean_n codes1[n, k])^2 - mean_{n, k} codes1[n, k]^2.

    The last term is constant for codes of -1 and +1; through the straight-through sign its gradient drives the
    network's outputs away from 0. Both it and the balance look at the first view alone, as in the published code.
    """
    logits = codes1 @ codes2.T / (codes1.shape[1] * temperature)
    contrast = -(weights * torch.log_softmax(logits, dim=1)).sum(dim=1).mean()
    balance = codes1.mean(dim=0).square().mean()
    return contrast + balance - codes1.square().mean()


class PreExtractedTokens:
    """Patch tokens of views that the frozen backbone of the run extracted once; nothing of it is trained."""

    needs = frozenset({"token_mean", "view_tokens"})
    deviations = (
        "The backbone is frozen and views are drawn from a fixed number of pre-extracted ones; the paper trains a "
        "ViT-B/16 end to end on fresh augmentations, with dropout 0.1.",
        *_OF_THE_HEAD,
    )

    def start(self, train: TrainView, device: str) -> nn.Module:
        """Begin to draw from `train`, on `device`; what makes patch tokens (N, P, D) of a drawn view, to be trained."""
        self._views = StoredViews(train, "view_tokens", device)
        return nn.Identity()

    def draw(self, batch: Tensor, generator: torch.Generator) -> tuple[Tensor, Tensor]:
        """Two random views of the images of `batch`."""
        return self._views.two(batch, generator)

    def with_token_mean(self, items: ItemView) -> ItemView:
        """`items` with the mean patch token that the head shall encode."""
        return items

    def state_dict(self) -> dict[str, Array]:
        """What was trained."""
        return {}

    def load_state_dict(self, state: Mapping[str, Array]) -> None:
        """Become what was trained."""


class FineTunedTokens:
    """Patch tokens by a copy of the run's backbone that is trained along with the head, as the paper does."""

    needs = frozenset({"backbone", "images", "token_mean"})
    deviations = (
        "The backbone and its augmentation are those of the run; the paper trains a ViT-B/16 with dropout 0.1.",
        *_OF_THE_HEAD,
    )

    _network: nn.Module | None = None

    def start(self, train: TrainView, device: str) -> nn.Module:
        """See `PreExtractedTokens`."""
        self._train, self._images = train, features_of(train, "images")
        self._network = _backbone_of(train).build().train()
        return self._network

    def draw(self, batch: Tensor, generator: torch.Generator) -> tuple[Tensor, Tensor]:
        """See `PreExtractedTokens`; every call augments afresh."""
        chosen = batch.numpy()
        images, rows = self._images[chosen], self._train.rows[chosen]
        first, second = (int(number) for number in draw_view_pairs(2**31, 1, generator))
        augment = _backbone_of(self._train).augment
        return augment(images, rows, first), augment(images, rows, second)

    @torch.inference_mode()
    def with_token_mean(self, items: ItemView) -> ItemView:
        """See `PreExtractedTokens`. Images pass in blocks of one size: codes do not depend on other items."""
        backbone, images = _backbone_of(items), features_of(items, "images")
        if self._network is None:
            self._network = backbone.build()
            self._network.load_state_dict({name: torch.from_numpy(value) for name, value in self._loaded.items()})
        self._network.eval()
        means = []
        for start in range(0, len(images), _IMAGES_AT_ONCE):
            block = images[start : start + _IMAGES_AT_ONCE]
            padded = np.zeros((_IMAGES_AT_ONCE, *images.shape[1:]), dtype=images.dtype)
            padded[: len(block)] = block
            means.append(self._network(backbone.prepare(padded)).mean(dim=1)[: len(block)].float().cpu().numpy())
        return dataclasses.replace(items, token_mean=np.concatenate(means))

    def state_dict(self) -> dict[str, Array]:
        """See `PreExtractedTokens`."""
        if self._network is None:
            return dict(self._loaded)
        return {name: value.detach().cpu().numpy() for name, value in self._network.state_dict().items()}

    def load_state_dict(self, state: Mapping[str, Array]) -> None:
        """See `PreExtractedTokens`. The network is built at the first `with_token_mean`, which brings the backbone."""
        self._loaded, self._network = {name: np.array(value) for name, value in state.items()}, None


_TOKENS: dict[str, type[PreExtractedTokens] | type[FineTunedTokens]] = {
    "frozen": PreExtractedTokens,
    "finetune": FineTunedTokens,
}
_IMAGES_AT_ONCE = 32
_BACKBONE = "backbone."


class WCH(HeadMethod):
    """Weighted Contrastive Hashing (Yu, Qiu, Chen, Zhang, ACCV 2022): contrast between views, softened by patches.

    For each batch of N images, P patch tokens (P, D) of two views an image. `mutual_attention` mixes them,
    `patch_weights` compares them across images: W (N, N). The codes of the two views, H1 and H2 (N, K), are the
    straight-through sign of head(mean of the attended tokens), head = LayerNorm, Linear(D, hidden), ReLU,
    Linear(hidden, K), tanh; the objective is `weighted_contrastive_loss`(H1, H2, W). Minimised by Adam with a cosine
    schedule. An item's code is the sign of the head on the mean of its tokens, without attention.

    `backbone`: `frozen` uses pre-extracted tokens of the run's backbone, `finetune` trains a copy of it (weights and
    attention then pass gradients to it: the published code detaches nothing). `temperature` and `weight_temperature`
    are those of the loss and of the weights. `attention` False leaves the tokens as they are, `weights` False counts
    only the other view of the same image as positive (W = identity): the ablations of the paper's table 3.
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
    needs: ClassVar[frozenset[str]] = PreExtractedTokens.needs
    deviations: ClassVar[tuple[str, ...]] = PreExtractedTokens.deviations
    encodes: ClassVar[str] = "token_mean"

    def __init__(
        self,
        *,
        backbone: Literal["frozen", "finetune"],
        attention: bool,
        weights: bool,
        temperature: Positive,
        weight_temperature: Positive,
        hidden: Count,
        learning_rate: Positive,
        batch_size: Count,
        epochs: Count,
    ) -> None:
        if backbone not in _TOKENS:
            raise HashbenchError(f"backbone must be one of {', '.join(_TOKENS)}, got '{backbone}'")
        self._tokens = _TOKENS[backbone]()
        self.needs = self._tokens.needs  # type: ignore[misc]
        self.deviations = self._tokens.deviations  # type: ignore[misc]
        self._attend = mutual_attention if attention else _leave
        self._weigh = partial(patch_weights, temperature=weight_temperature) if weights else _itself_alone
        self.temperature = temperature
        self.hidden = hidden
        self.learning_rate = learning_rate
        self.batch_size = batch_size
        self.epochs = epochs

    def network(self, n_features: int, n_bits: int, generator: torch.Generator) -> nn.Module:
        """See `HeadMethod`."""
        return nn.Sequential(
            Standardise(n_features),
            nn.LayerNorm(n_features, eps=1e-6),
            linear(n_features, self.hidden, generator),
            nn.ReLU(),
            linear(self.hidden, n_bits, generator),
            nn.Tanh(),
        )

    def training(
        self, head: nn.Module, train: TrainView, n_bits: int, generator: torch.Generator, device: str
    ) -> Iterator[Training]:
        """See `HeadMethod.training`."""
        assert isinstance(head, nn.Sequential)
        standardise, to_bits, to_tokens = head[0], head[1:], self._tokens.start(train, device)

        def loss_terms(view1: Tensor, view2: Tensor) -> Mapping[str, Tensor]:
            tokens1, tokens2 = standardise(to_tokens(torch.cat([view1, view2]))).chunk(2)
            attended1, attended2 = self._attend(tokens1, tokens2)
            weights = self._weigh(attended1, attended2)
            codes1, codes2 = (straight_through_sign(to_bits(tokens.mean(dim=1))) for tokens in (attended1, attended2))
            return {"loss": weighted_contrastive_loss(codes1, codes2, weights, self.temperature)}

        yield Training(
            nn.ModuleList([head, to_tokens]),
            lambda batch: self._tokens.draw(batch, generator),
            loss_terms,
            len(train),
            Recipe("adam", self.learning_rate, self.batch_size, self.epochs, schedule="cosine"),
            generator,
            f"{self.title} {n_bits} bits",
        )

    def encode(self, items: ItemView) -> Array:
        """See `Method.encode`."""
        return super().encode(self._tokens.with_token_mean(items))

    def state_dict(self) -> dict[str, Array]:
        """See `Method.state_dict`."""
        backbone = {_BACKBONE + name: value for name, value in self._tokens.state_dict().items()}
        return {**super().state_dict(), **backbone}

    def load_state_dict(self, state: Mapping[str, Array]) -> None:
        """See `Method.load_state_dict`."""
        backbone = {name: value for name, value in state.items() if name.startswith(_BACKBONE)}
        self._tokens.load_state_dict({name.removeprefix(_BACKBONE): value for name, value in backbone.items()})
        super().load_state_dict({name: value for name, value in state.items() if name not in backbone})


def _leave(tokens1: Tensor, tokens2: Tensor) -> tuple[Tensor, Tensor]:
    return tokens1, tokens2


def _itself_alone(tokens1: Tensor, tokens2: Tensor) -> Tensor:
    return torch.eye(len(tokens1), dtype=tokens1.dtype, device=tokens1.device)


def _backbone_of(view: ItemView) -> TrainableBackbone:
    if view.backbone is None:
        raise HashbenchError("fine-tuning needs the run's backbone and images; use a backbone that can be trained")
    return view.backbone
