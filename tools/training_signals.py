"""What moves the bits of NSH and WCH in training: `python tools/training_signals.py cifar10-jpeg`.

Trains both on the features of a profile that has run, with its settings and the seed of its first repetition, and
prints the two tables that docs/methods.md tells of. No label, no query and no row of the database is looked at.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from statistics import fmean

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from hashbench.artefacts.features import open_features
from hashbench.cells import Cell
from hashbench.fitter import Fitter
from hashbench.learning.binarize import sign
from hashbench.learning.networks import HeadMethod, sign_bits
from hashbench.learning.session import Session
from hashbench.learning.training import Training, minimise
from hashbench.learning.views import images_of
from hashbench.methods.nsh import NSH, code_similarities, sorted_nce, sorted_similarities
from hashbench.types import TrainView

BATCHES = 50
SIGNALS = ("own view is first", "and ties with others", "its mass in place 1", "in place 2", "is pushed away")


def main(profile: str) -> None:
    """Print both tables, as Markdown."""
    print(line("NSH", "bits", *SIGNALS))
    print(line(*["---"] * (2 + len(SIGNALS))))
    for fitter, cell, train in cells_of(profile, "nsh"):
        method = method_of(fitter, cell)
        for when, training in before_and_after(method, train, fitter, cell):
            shares = signals_of_batches(method, training, train, cell.bits)
            print(line(when, str(cell.bits), *(f"{share:.0%}" for share in shares)))
    print()
    print(line("WCH, quantisation term", "bits", "bits of train images that end as they begin"))
    print(line(*["---"] * 3))
    for fitter, cell, train in cells_of(profile, "wch"):
        for weight in (1.0, 0.0):
            method = method_of(fitter, cell, quantisation=weight)
            moments = before_and_after(method, train, fitter, cell)
            first, last = [sign_bits(method.head, method.features_now(train)) for _ in moments]
            print(line(str(weight), str(cell.bits), f"{(first == last).mean():.0%}"))


def line(*fields: str) -> str:
    """A line of a Markdown table."""
    return f"| {' | '.join(fields)} |"


def cells_of(profile: str, name: str) -> Iterator[tuple[Fitter, Cell, TrainView]]:
    """The first repetition of a method at each code length, on the first data set and backbone of the profile."""
    fitter = Fitter.read(profile, "methods", name)
    cells = sorted(fitter.params.cells())
    for cell in cells:
        if cell == cells[0]._replace(bits=cell.bits):
            needs = fitter.method_class.needs
            yield fitter, cell, open_features(fitter.layout, cell.dataset, cell.backbone, needs).train


def method_of(fitter: Fitter, cell: Cell, **other: float) -> HeadMethod:
    """The method with the profile's settings, some of them replaced."""
    method = fitter.method_class(**{**fitter.hyperparameters(cell.dataset), **other})
    assert isinstance(method, HeadMethod)
    return method


def before_and_after(
    method: HeadMethod, train: TrainView, fitter: Fitter, cell: Cell
) -> Iterator[tuple[str, Training]]:
    """The training of a method as it begins, and as it has ended."""
    (training,) = method.begin(train, cell.bits, cell.derived_seed(fitter.params.base_seed), "cpu")
    yield "begins", training
    minimise([training], Session())
    yield "ends", training


@torch.no_grad()
def signals_of_batches(method: HeadMethod, training: Training, train: TrainView, n_bits: int) -> list[float]:
    """`signals` of NSH, each its mean over batches of the train rows."""
    assert isinstance(method, NSH)
    head, latent_head = training.network.children()
    assert isinstance(head, nn.Sequential)
    standardise, to_bits = head[0], head[1:]
    images, generator = images_of(train, "cpu"), torch.Generator().manual_seed(0)
    found = []
    for _ in range(BATCHES):
        batch = torch.randperm(len(train), generator=generator)[: method.batch_size]
        views = [standardise(view) for view in images.two(batch, generator)]
        codes = [sign(to_bits(view)) for view in views]
        latents = [F.normalize(latent_head(view), dim=1) for view in views]
        found.append(signals(method, codes, latents, method.sorter_temperature / n_bits))
    return [fmean(values) for values in zip(*found, strict=True)]


def signals(method: NSH, codes: list[Tensor], latents: list[Tensor], softness: float) -> list[float]:
    """The `SIGNALS` of a batch of n images: codes (n, K) and latents (n, d) of its two views.

    Shares of the images whose own other view has no nearer image before it, and of those where others are as near; the
    mean share that the own view has of the first and of the second place of the soft order; the share of images for
    which a step down the loss makes the similarity of the two codes smaller.
    """
    similarities = code_similarities(*codes)
    with torch.enable_grad():
        permutations = method.sort(similarities.requires_grad_(), softness)
        loss = sorted_nce(sorted_similarities(permutations, *latents), method.m, method.temperature)
        (gradient,) = torch.autograd.grad(loss, similarities)
    own = similarities.diagonal()[:, None]
    first = (own >= similarities).all(dim=1)
    tied = first & ((own == similarities).sum(dim=1) > 1)
    places = permutations.diagonal(dim1=0, dim2=2)
    away = gradient.diagonal() > 0
    return [each.double().mean().item() for each in (first, tied, places[0], places[1], away)]


if __name__ == "__main__":
    main(*sys.argv[1:])
