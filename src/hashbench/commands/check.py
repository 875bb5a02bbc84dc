"""`hashbench check PROFILE`: what a profile lacks, in one sentence, before any work starts."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from urllib.request import Request, urlopen

from hashbench.commands.mend import remove_half_written
from hashbench.data.registry import load_dataset_module
from hashbench.errors import HashbenchError
from hashbench.features.specs import BackboneSpec, PublishedWeights
from hashbench.params import Params, load_params
from hashbench.stages.executors import check_executor
from hashbench.stages.provide import source_of


def check_profile(profile: str) -> None:
    """Raise HashbenchError that names everything `profile` lacks: a GPU, weights, data files, the Ray cluster.

    What a killed run left half written is cleared first.
    """
    remove_half_written()
    params = load_params()
    missing = [*_gpu(params, profile), *_weights(params, profile), *_data(params, profile), *_executor(params, profile)]
    if missing:
        raise HashbenchError(f"profile {profile} cannot start: " + "; ".join(missing))
    print(f"profile {profile}: nothing is missing")


def _gpu(params: Params, profile: str) -> Iterator[str]:
    if params.profile(profile).device == "cuda":
        import torch

        if not torch.cuda.is_available():
            yield "no CUDA GPU is visible"


def _weights(params: Params, profile: str) -> Iterator[str]:
    for name in params.profile(profile).backbones:
        weights = BackboneSpec.read(f"backbones.{name}", params.backbones[name]).weights
        if not isinstance(weights, PublishedWeights):
            continue
        folders = [Path(folder) for folder in (os.environ.get("HASHBENCH_WEIGHTS"), "weights") if folder]
        if any((folder / weights.file).is_file() for folder in folders):
            continue
        where = " or ".join(map(str, folders))
        if weights.hub is None:
            yield f"weights {weights.file} are not in {where}"
        elif offline() or not reachable(f"https://huggingface.co/{weights.hub}"):
            yield f"weights {weights.file} are not in {where} and {weights.hub} cannot be reached"


def _data(params: Params, profile: str) -> Iterator[str]:
    for name in params.profile(profile).datasets:
        block = params.datasets[name]
        source = source_of(name, block)
        for spec in load_dataset_module(block.kind).FILES:
            if any((folder / spec.name).exists() for folder in source.folders):
                continue
            if not spec.urls:
                yield f"{block.title}: {source.folders[0] / spec.name} is missing ({spec.by_hand})"
            elif offline() or not any(map(reachable, spec.urls)):
                yield f"{block.title}: {source.folders[0] / spec.name} is missing and none of its addresses answers"
        file = block.load_options.get("file")
        if file is not None and not any((folder / file).exists() for folder in source.folders):
            yield f"{block.title}: {file} is not in {' or '.join(map(str, source.folders))} (set HASHBENCH_DATA)"


def _executor(params: Params, profile: str) -> Iterator[str]:
    try:
        check_executor(gpus=1.0 if params.profile(profile).device == "cuda" else 0.0)
    except HashbenchError as error:
        yield str(error)


def offline() -> bool:
    """Whether HASHBENCH_OFFLINE forbids the network."""
    return os.environ.get("HASHBENCH_OFFLINE", "0") not in ("", "0")


def reachable(url: str) -> bool:
    """Whether an address answers a request for its head."""
    try:
        with urlopen(Request(url, method="HEAD"), timeout=10):
            return True
    except OSError:
        return False
