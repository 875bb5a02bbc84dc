"""Training a small backbone from nothing, without labels, where no published weights are at hand."""

from __future__ import annotations

import math

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from hashbench.errors import HashbenchError
from hashbench.features.augment import augment
from hashbench.features.backbones import Backbone, new_network
from hashbench.features.specs import Augmentation, BackboneSpec, Pretraining
from hashbench.progress import track
from hashbench.seeding import run_seed, torch_generator
from hashbench.types import Array, FitLog


def pretrain(
    spec: BackboneSpec, images: Array, rows: Array, recipe: Augmentation, seed: int
) -> tuple[dict[str, Array], FitLog]:
    """Train the network of `spec` on `images` uint8 (m, h, w, 3) of the train rows `rows` (m,).

    `spec.weights` says how (SimCLR; see `Pretraining`). Returns the weights by their names in timm, and the loss of
    every epoch. The same seed gives the same weights on the same machine; no global generator is touched.

    Raises HashbenchError where `spec` has published weights, or the loss is not finite.
    """
    how = spec.weights
    if not isinstance(how, Pretraining):
        raise HashbenchError(f"{spec.title} has published weights; only a backbone without them is pretrained here")
    backbone = Backbone(new_network(spec, run_seed(seed, "network")), spec)
    backbone.network.train().requires_grad_(True)
    projection = _projection(backbone, how, run_seed(seed, "projection"))
    learned = nn.ModuleList([backbone.network, projection])
    optimizer = torch.optim.AdamW(learned.parameters(), lr=how.learning_rate, weight_decay=how.weight_decay)
    schedule = torch.optim.lr_scheduler.LambdaLR(optimizer, lambda epoch: _warm_cosine(epoch, how))
    generator = torch_generator(run_seed(seed, "batches"))

    def two_views(batch: Array, epoch: int) -> Tensor:
        repeated = np.concatenate([batch, batch])
        views = np.repeat([2 * epoch, 2 * epoch + 1], len(batch))
        return backbone.normalise(
            augment(
                images[repeated],
                rows[repeated],
                views,
                recipe=recipe,
                seed=run_seed(seed, "views"),
                size=spec.size,
                interpolation=spec.interpolation,
            )
        )

    losses = []
    for epoch in track(range(how.epochs), f"pretraining {spec.title}"):
        order = torch.randperm(len(images), generator=generator).numpy()
        total = 0.0
        batches = np.array_split(order, math.ceil(len(order) / how.batch_size))
        for batch in batches:
            codes = projection(backbone.describe(two_views(batch, epoch)).pooled)
            loss = _nt_xent(codes, how.temperature)
            optimizer.zero_grad(set_to_none=True)
            loss.backward()  # type: ignore[no-untyped-call]
            optimizer.step()
            total += float(loss.detach())
        schedule.step()
        losses.append(total / len(batches))
        if not math.isfinite(losses[-1]):
            raise HashbenchError(
                f"pretraining {spec.title}: the loss is not finite in epoch {epoch}; lower learning_rate"
            )
    state = {name: value.detach().numpy().copy() for name, value in backbone.network.state_dict().items()}
    return state, FitLog({"nt_xent": losses})


def _projection(backbone: Backbone, how: Pretraining, seed: int) -> nn.Sequential:
    """SimCLR's projection head, thrown away after training: Linear, ReLU, Linear."""
    width = backbone.network.num_features
    with torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(seed)
        return nn.Sequential(nn.Linear(width, width), nn.ReLU(), nn.Linear(width, how.projection))


def _warm_cosine(epoch: int, how: Pretraining) -> float:
    if epoch < how.warmup_epochs:
        return (epoch + 1) / (how.warmup_epochs + 1)
    return (1 + math.cos(math.pi * (epoch - how.warmup_epochs) / (how.epochs - how.warmup_epochs))) / 2


def _nt_xent(codes: Tensor, temperature: float) -> Tensor:
    """SimCLR, eq. 1: codes (2n, d), rows i and n + i are two views of one image."""
    unit = F.normalize(codes, dim=1)
    logits = unit @ unit.T / temperature
    itself = torch.eye(len(codes), dtype=torch.bool)
    return F.cross_entropy(logits.masked_fill(itself, -torch.inf), torch.arange(len(codes)).roll(len(codes) // 2))
