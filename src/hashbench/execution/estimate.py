"""How long a profile is expected to take on one H100: arithmetic from its params, not a measurement.

What is counted: operations of the backbone, forward and backward, over the views that training sees and the items that
are encoded; and the steps of heads on stored features, which are too small to fill a GPU. What is not: reading and
augmenting pictures, what is computed before training starts, evaluation, and methods that train no network.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from hashbench.config.params import Params
from hashbench.data.splits import protocol
from hashbench.features.specs import BackboneSpec
from hashbench.methods.registry import load_method

OPERATIONS_A_SECOND = 1e14
"""What an H100 is taken to sustain in bfloat16: a tenth of its peak."""
SECONDS_A_STEP = 2e-3
"""What a step of a head on stored features is taken to last: the launches of its kernels."""
FORWARD_AND_BACKWARD = 3
"""Operations of a step in forward passes: the backward pass has two products for each of the forward one."""


@dataclass(frozen=True)
class Estimate:
    """`text` says what takes how long; `seconds` are those of all of it together."""

    text: str
    seconds: float


@dataclass(frozen=True)
class Length:
    """How long a training is: its steps, and the images that it sees, each as often as it is seen."""

    steps: int
    images: int


def length_of(n_train: int, epochs: int, batch_size: int, last_batch: str = "dropped") -> Length:
    """The length of `epochs` over `n_train` images; an epoch's incomplete last batch is `dropped` or `kept`."""
    size = min(batch_size, n_train)
    if last_batch == "kept":
        return Length(epochs * -(-n_train // size), epochs * n_train)
    steps = epochs * (n_train // size)
    return Length(steps, steps * size)


def estimates_of(params: Params, profile: str) -> Iterator[Estimate]:
    """What a profile's features and each method's cells are expected to take, data set by data set.

    A data set whose protocol takes its counts from the data is left out: nothing can be said beforehand.
    """
    chosen = params.profile(profile)
    operations = {name: forward_operations(params.backbones[name]) for name in chosen.backbones}
    for dataset in chosen.datasets:
        counts = protocol(params.datasets[dataset].protocol).counts
        if counts is None:
            continue
        title, (query, train, database) = params.datasets[dataset].title, counts
        pictures = query + train + database + chosen.views * train
        seconds = sum(pictures * each for each in operations.values()) / OPERATIONS_A_SECOND
        yield Estimate(f"features of {title}: {in_words(seconds)} for {pictures:,} pictures a backbone", seconds)
        for method in params.names(profile, "methods"):
            if "epochs" not in params.method(method, profile).values:
                continue
            if _trains_backbone(params, profile, method):
                yield _of_networks(params, profile, method, title, counts, operations)
            else:
                yield _of_heads(params, profile, method, title, train)


def lines_of(params: Params, profile: str) -> Iterator[str]:
    """The texts of `estimates_of` and their sum, for a profile that runs on a GPU; nothing for another."""
    if params.profile(profile).device == "cpu":
        return
    total = 0.0
    for estimate in estimates_of(params, profile):
        total += estimate.seconds
        yield estimate.text
    yield (
        f"{in_words(total)} in all on one H100 at {OPERATIONS_A_SECOND / 1e12:g} TFLOP/s, without reading and "
        "augmenting pictures, what is computed before training, evaluation, and methods that train no network"
    )


def _of_heads(params: Params, profile: str, method: str, title: str, n_train: int) -> Estimate:
    """All cells on stored features; those of a backbone are trained together."""
    length = _length(params, profile, method, n_train)
    seconds = length.steps * SECONDS_A_STEP
    text = f"{method} on {title}: {in_words(seconds)} for all cells of a backbone together, {length.steps:,} steps"
    return Estimate(text, seconds * len(params.profile(profile).backbones))


def _of_networks(
    params: Params, profile: str, method: str, title: str, counts: tuple[int, int, int], operations: dict[str, float]
) -> Estimate:
    """All cells that train a copy of the backbone, one by one."""
    query, train, database = counts
    length = _length(params, profile, method, train)
    needs = load_method(params.method(method, profile).code).needs
    views = 2 if needs & {"views", "view_tokens"} else 1
    passes = FORWARD_AND_BACKWARD * views * length.images + query + database
    seconds = {name: passes * each / OPERATIONS_A_SECOND for name, each in operations.items()}
    times = " or ".join(f"{in_words(each)} by {name}" for name, each in seconds.items())
    cells = len(params.bits(profile, "methods")) * len(params.profile(profile).seeds)
    text = f"{method} on {title}: {times} for each of {cells} cells, {length.steps:,} steps"
    return Estimate(text, cells * sum(seconds.values()))


def _length(params: Params, profile: str, method: str, n_train: int) -> Length:
    values = params.method(method, profile).values
    given = {name: values[name] for name in ("epochs", "batch_size", "last_batch") if name in values}
    return length_of(n_train, **given)  # type: ignore[arg-type]


def _trains_backbone(params: Params, profile: str, method: str) -> bool:
    found = load_method(params.method(method, profile).code)
    return params.backbone_training_of(method, profile) is not None and getattr(found, "trains_backbone", False)


def forward_operations(spec: BackboneSpec) -> float:
    """Operations (a multiplication and an addition are two) of a forward pass of one picture; no weight is made."""
    import torch
    from torch.utils.flop_counter import FlopCounterMode

    from hashbench.features.backbones import new_network

    with torch.device("meta"), torch.inference_mode(), FlopCounterMode(display=False) as counter:
        new_network(spec).eval()(torch.empty(1, 3, spec.size, spec.size))
    return float(counter.get_total_flops())


def in_words(seconds: float) -> str:
    """Seconds, minutes or hours, whichever reads best."""
    if seconds < 90:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 5400 else f"{seconds / 3600:.1f} h"
