"""Training a small backbone from nothing, without labels, where no published weights are at hand."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from hashbench.errors import HashbenchError
from hashbench.features.backbones import Backbone, new_network, prepare_view
from hashbench.features.specs import Augmentation, BackboneSpec, Pretraining
from hashbench.progress import track
from hashbench.seeding import run_seed, torch_generator
from hashbench.types import Array, FitLog


def pretrain(
    spec: BackboneSpec, images: Array, rows: Array, recipe: Augmentation, seed: int
) -> tuple[dict[str, Array], FitLog]:
    """Train the network of `spec` as a denoising autoencoder (Vincent et al., ICML 2008) on the train rows.

    From the pooled feature of an augmented view of `images` uint8 (m, h, w, 3), rows `rows` (m,) of the data set, a
    linear decoder must rebuild the image as it was before: the feature has to keep what is shown and to forget how
    the view was drawn. It needs fewer images and steps than a contrastive loss to reach useful features.

    Returns the weights by their names in timm, and the loss (mean squared error, in variances of a pixel) of every
    epoch. The same seed gives the same weights on the same machine; no global generator ends up changed.

    Raises HashbenchError where `spec` has published weights, or the loss is not finite.
    """
    how = spec.weights
    if not isinstance(how, Pretraining):
        raise HashbenchError(f"{spec.title} has published weights; only a backbone without them is pretrained here")
    backbone = Backbone(new_network(spec, run_seed(seed, "network")), spec)
    backbone.train().requires_grad_(True)
    _place_patches(backbone.network)
    targets = _standardised(images)
    decoder = nn.Parameter(torch.zeros(_width(backbone), targets.shape[1]))

    optimizer = torch.optim.AdamW(
        [*backbone.parameters(), decoder], lr=how.learning_rate, weight_decay=how.weight_decay
    )
    n_batches = math.ceil(len(images) / how.batch_size)
    schedule = torch.optim.lr_scheduler.OneCycleLR(
        optimizer, how.learning_rate, total_steps=how.epochs * n_batches, pct_start=how.warmup
    )
    generator = torch_generator(run_seed(seed, "batches"))
    losses = []
    for epoch in track(range(how.epochs), f"{spec.title}: pretraining"):
        order = torch.randperm(len(images), generator=generator).numpy()
        total = 0.0
        for batch in np.array_split(order, n_batches):
            view = prepare_view(images[batch], rows[batch], epoch, spec, recipe, run_seed(seed, "views"), "cpu")
            loss = F.mse_loss(backbone(view).pooled @ decoder, targets[torch.from_numpy(batch)])
            optimizer.zero_grad(set_to_none=True)
            loss.backward()  # type: ignore[no-untyped-call]
            optimizer.step()
            schedule.step()
            total += float(loss.detach()) / n_batches
        if not math.isfinite(total):
            raise HashbenchError(f"{spec.title}: the loss is not finite in epoch {epoch}; lower learning_rate")
        losses.append(total)
    return {name: value.numpy().copy() for name, value in backbone.network.state_dict().items()}, FitLog(
        {"mse": losses}
    )


def _place_patches(network: Any) -> None:
    """Start a ViT's position embedding from the 2-D sine-cosine one (Chen et al., MoCo v3, ICCV 2021, section 4.2).

    timm's own is nearly zero: a short training would hardly learn where a patch lies.
    """
    from timm.layers.pos_embed_sincos import build_sincos2d_pos_embed

    if getattr(network, "pos_embed", None) is not None:
        grid = build_sincos2d_pos_embed(list(network.patch_embed.grid_size), dim=network.embed_dim)
        with torch.no_grad():
            network.pos_embed[0, -len(grid) :] = grid


def _standardised(images: Array) -> Tensor:
    """Pixels (m, h * w * 3) minus the mean image, over the standard deviation of all pixels."""
    pixels = torch.from_numpy(images.reshape(len(images), -1)).float()
    centred = pixels - pixels.mean(dim=0)
    return centred / centred.std()


def _width(backbone: Backbone) -> int:
    size = backbone.spec.size
    with torch.no_grad():
        pooled: Tensor = backbone(torch.zeros(2, 3, size, size)).pooled
    return pooled.shape[1]
