"""Measure what training a backbone costs beside a pass forward through it, on one core, in one run.

    python benchmarks/finetuning.py

EfficientNet-Lite0 at 64 px on 128 views, as the profile `cifar10-jpeg-finetuned` trains it: the network as timm makes
it, in evaluation mode, and the copy that methods train, with BatchNorm folded into the convolutions and depthwise
convolutions of our own. Forward passes are without gradients, as in encoding; a step is forward, backward and Adam.
What is compared takes turns, the median of several rounds counts. Weights are random, the statistics those of the
views. Writes results/bench/finetuning.md.
"""

from __future__ import annotations

import copy
import os
import platform
from collections.abc import Callable, Iterator
from importlib.metadata import version
from pathlib import Path

import torch
from torch import nn
from training import ROUNDS, medians

from hashbench.config.params import load_params
from hashbench.features.backbones import Backbone, new_network
from hashbench.features.finetune import TrainedCopy
from hashbench.features.specs import BackboneSpec, BackboneTraining

PROFILE, VIEWS, GOAL = "cifar10-jpeg-finetuned", 128, 3.0
PAGE = Path("results/bench/finetuning.md")


def with_statistics(network: nn.Module, pictures: torch.Tensor) -> nn.Module:
    """The network with the statistics of these pictures; else features vanish in denormal numbers, which are slow."""
    for module in network.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.momentum = 1.0
    with torch.no_grad():
        network.train()(pictures)
    return network.eval()


def step(network: nn.Module, pictures: torch.Tensor) -> Callable[[], object]:
    """A step of training on the squares of the features."""
    optimiser = torch.optim.Adam(network.parameters(), lr=1e-6, fused=True)

    def run() -> None:
        optimiser.zero_grad()
        network(pictures).pooled.square().mean().backward()
        optimiser.step()

    return run


def forward(network: nn.Module, pictures: torch.Tensor) -> Callable[[], object]:
    """A pass that keeps nothing for a gradient."""
    return torch.no_grad()(lambda: network(pictures))


def main() -> None:
    """Measure and write the page."""
    torch.set_num_threads(1)
    params = load_params()
    (name,) = params.profile(PROFILE).backbones
    spec, training = params.backbones[name], BackboneTraining(learning_rate=1e-4, batch_norm="evaluation")
    pictures = torch.randn(VIEWS, 3, spec.size, spec.size).to(memory_format=torch.channels_last)
    network = with_statistics(new_network(spec), pictures)
    plain, trained = Backbone(network, spec), TrainedCopy(copy.deepcopy(network), spec, training).train()
    plain.requires_grad_(True)
    found = medians(
        {
            "forward, as timm makes it": forward(plain, pictures),
            "forward, the copy": forward(trained, pictures),
            "step, as timm makes it": step(plain, pictures),
            "step, the copy": step(trained, pictures),
        },
        "cpu",
    )
    page = "\n".join(report(found, spec)) + "\n"
    PAGE.write_text(page)
    print(page)


def report(found: dict[str, float], spec: BackboneSpec) -> Iterator[str]:
    """The lines of the page."""
    base, own, plain, trained = found.values()
    packages = ", ".join(f"{package} {version(package)}" for package in ("torch", "timm"))
    machine = f"One core of {os.cpu_count()}, {platform.machine()}; {packages}; load average {os.getloadavg()[0]:.2f}"
    yield "# Cost of training a backbone\n"
    yield f"{machine}. Medians of {ROUNDS} rounds. Made by `python benchmarks/finetuning.py`.\n"
    yield f"{spec.model} at {spec.size} px, {VIEWS} views, BatchNorm with the statistics of the weights.\n"
    yield "| | ms | of the first |"
    yield "|---|---:|---:|"
    for what, spent in found.items():
        yield f"| {what} | {1000 * spent:.0f} | {spent / base:.2f} |"
    said = "met" if trained / base <= GOAL else "NOT met"
    yield f"\n- {said}: a step takes at most {GOAL:.0f} times a forward pass of the network as timm makes it"
    yield (
        f"- beside the network as timm makes it, the copy's pass forward is {base / own:.1f} and its step "
        f"{plain / trained:.1f} times as fast"
    )


if __name__ == "__main__":
    main()
