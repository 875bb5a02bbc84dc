"""Measure the training steps of WCH and NSH, in one run on one machine.

    python benchmarks/training.py

WCH end to end, batches of 32: hashbench's step against a plain float32 re-statement of the published one (attention
written out, the N x N x P x P similarities held whole, views made by PIL in worker processes), on a small ViT on the
CPU and on ViT-B/16 at 224 px where there is a CUDA device. NSH: how much of its step goes to sorting and SortedNCE.
Heads of several code lengths and seeds: side by side against one after the other. What is compared takes turns, the
median of several rounds counts. Weights are random. What bfloat16 does to mAP is measured on the features of quick,
where `dvc repro` has left them. Writes results/bench/training.md.
"""

from __future__ import annotations

import os
import platform
import statistics
import time
from collections.abc import Callable, Iterator
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from PIL import Image
from torch import Tensor, nn
from torch.utils.data import DataLoader, Dataset
from torch.utils.flop_counter import FlopCounterMode
from torchvision import transforms

from hashbench.artefacts.layout import Layout
from hashbench.config.params import load_params
from hashbench.config.selection import fit_params
from hashbench.evaluation.summary import EvaluationRules, evaluate_codes
from hashbench.features.backbones import new_network, prepare, prepare_view
from hashbench.features.finetune import TrainedCopy
from hashbench.features.specs import BackboneSpec, BackboneTraining
from hashbench.fitter import Fitter
from hashbench.learning.binarize import straight_through_sign
from hashbench.learning.networks import fit_side_by_side
from hashbench.learning.session import Session
from hashbench.learning.sorting import softsort
from hashbench.methods.nsh import NSH, code_similarities, sorted_nce, sorted_similarities
from hashbench.methods.registry import load_method
from hashbench.methods.wch import WCH
from hashbench.types import TrainView

OUT, BATCH, BITS, ROUNDS = Path("results/bench"), 32, 64, 5
GOALS, NSH_GOAL, MAP_GOAL = {"cpu": 1.5, "cuda": 5.0}, 0.2, 0.01
PEAK_TFLOPS = {"H100": 989.0, "H200": 989.0, "A100": 312.0}  # dense bf16, as NVIDIA's data sheets give it
DEVICE = "cuda" if torch.cuda.is_available() else "cpu"
RECIPE = load_params().augmentations["simclr_crop20"]
HEAD = {"temperature": 0.3, "hidden": 1024, "learning_rate": 1e-5}


def backbone_spec(device: str) -> BackboneSpec:
    """ViT-B/16 at 224 px on a GPU; on a CPU a ViT of 2 blocks, 64 wide, on as many patches of as many pixels."""
    small = {"embed_dim": 64, "depth": 2, "num_heads": 4}
    block = {
        "title": "ViT-B/16, 224 px" if device == "cuda" else "ViT of 2 blocks, 64 wide, 224 px in 196 patches",
        "model": "vit_base_patch16_224" if device == "cuda" else "vit_tiny_patch16_224",
        "arguments": {} if device == "cuda" else small,
        "weights": {"file": "none.safetensors"},
        "size": 224,
        "interpolation": "bicubic",
        "mean": [0.5] * 3,
        "std": [0.5] * 3,
        "pool": "avg",
        "precision": "fp32",
    }
    return BackboneSpec.read("backbones.bench", block)


class FreshBackbone:
    """A `TrainableBackbone` with random weights."""

    learning_rate = HEAD["learning_rate"]

    def __init__(self, device: str) -> None:
        self.spec, self.device = backbone_spec(device), device

    def build(self) -> TrainedCopy:
        training = BackboneTraining(learning_rate=self.learning_rate, batch_norm="training")
        return TrainedCopy(new_network(self.spec), self.spec, training).to(self.device)

    def augment(self, images: Any, rows: Any, view: int) -> Tensor:
        return prepare_view(images, rows, view, self.spec, RECIPE, 0, self.device)

    def prepare(self, images: Any) -> Tensor:
        return prepare(images, self.spec, self.device)


def pictures(n: int) -> np.ndarray:
    """uint8 (n, 32, 32, 3)."""
    return np.random.default_rng(0).integers(0, 256, (n, 32, 32, 3), dtype=np.uint8)


def hashbench_steps(device: str, n_steps: int, precision: str) -> Callable[[], object]:
    """An epoch of `n_steps` by the method itself."""
    images = pictures(BATCH * n_steps)
    backbone = FreshBackbone(device)
    width = backbone.build().network.num_features
    train = TrainView(
        np.arange(len(images)), token_mean=np.zeros((len(images), width), np.float32), images=images, backbone=backbone
    )
    method = WCH(
        attention=True,
        weights="column",
        weight_temperature=0.2,
        balance=1.0,
        quantisation=1.0,
        standardise=False,
        initialisation="default",
        batch_size=BATCH,
        last_batch="kept",
        epochs=1,
        **HEAD,
    )

    def run() -> None:
        method.fit(train, BITS, 0, Session(device=device, precision=precision))

    return run


def plain_weights(tokens1: Tensor, tokens2: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Attended tokens of both views and W, with every intermediate array held whole."""
    unit1, unit2 = F.normalize(tokens1, dim=2), F.normalize(tokens2, dim=2)
    likeness = unit1 @ unit2.transpose(1, 2)
    attended1 = torch.softmax(likeness.transpose(1, 2), dim=2) @ tokens1
    attended2 = torch.softmax(likeness, dim=2) @ tokens2
    unit1, unit2 = F.normalize(attended1, dim=2), F.normalize(attended2, dim=2)
    cosines = torch.einsum("nid,mjd->nmij", unit1, unit2)
    shares = torch.softmax(cosines.max(dim=3).values.mean(dim=2) / 0.2, dim=1)
    return attended1, attended2, shares / shares.diagonal()


def plain_loss(
    tokens_of: Callable[[Tensor], Tensor], head: nn.Module, view1: Tensor, view2: Tensor, temperature: float
) -> Tensor:
    """The published loss of two views, of which `tokens_of` gives the patch tokens."""
    attended1, attended2, weights = plain_weights(tokens_of(view1), tokens_of(view2))
    codes1, codes2 = (straight_through_sign(head(tokens.mean(dim=1))) for tokens in (attended1, attended2))
    logits = codes1 @ codes2.T / (codes1.shape[1] * temperature)
    contrast = F.cross_entropy(logits, weights)
    return contrast + codes1.mean(dim=0).square().mean() - codes1.square().mean()


class PilViews(Dataset):
    """Two views of each picture, by the transforms that public codes use."""

    def __init__(self, images: np.ndarray, size: int) -> None:
        self.images = images
        views, steps = (
            transforms,
            [transforms.RandomResizedCrop(size, scale=(0.2, 1.0)), transforms.RandomHorizontalFlip()],
        )
        steps += [views.RandomApply([views.ColorJitter(0.4, 0.4, 0.4, 0.1)], p=0.8), views.RandomGrayscale(0.2)]
        steps += [views.RandomApply([views.GaussianBlur(13, (0.1, 2.0))], p=0.5)]
        self.transform = views.Compose([*steps, views.ToTensor(), views.Normalize((0.5,) * 3, (0.5,) * 3)])

    def __len__(self) -> int:
        return len(self.images)

    def __getitem__(self, row: int) -> tuple[Tensor, Tensor]:
        image = Image.fromarray(self.images[row])
        return self.transform(image), self.transform(image)


def plain_steps(device: str, n_steps: int) -> Callable[[], object]:
    """An epoch of `n_steps` as published codes write it."""
    backbone = FreshBackbone(device)
    network = backbone.build().train()
    for block in network.network.blocks:
        block.attn.fused_attn = False
    width = network.network.num_features
    head = nn.Sequential(
        nn.LayerNorm(width, eps=1e-6), nn.Linear(width, 1024), nn.ReLU(), nn.Linear(1024, BITS), nn.Tanh()
    ).to(device)
    optimizer = torch.optim.Adam([*network.parameters(), *head.parameters()], lr=1e-5, foreach=False)
    workers = max(2, min(8, os.cpu_count() or 2))
    loader = DataLoader(
        PilViews(pictures(BATCH * n_steps), backbone.spec.size), BATCH, num_workers=workers, persistent_workers=True
    )

    def tokens_of(view: Tensor) -> Tensor:
        return network(view).tokens

    def run() -> None:
        for view1, view2 in loader:
            loss = plain_loss(tokens_of, head, view1.to(device), view2.to(device), 0.3)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()

    return run


def seconds(run: Callable[[], object], device: str) -> float:
    """Wall seconds of one call."""
    start = time.perf_counter()
    run()
    if device == "cuda":
        torch.cuda.synchronize()
    return time.perf_counter() - start


def medians(runs: dict[str, Callable[[], object]], device: str) -> dict[str, float]:
    """The median seconds of each of `runs`, which take turns, after one turn that does not count."""
    taken: dict[str, list[float]] = {name: [] for name in runs}
    for turn in range(ROUNDS + 1):
        for name, run in runs.items():
            spent = seconds(run, device)
            if turn:
                taken[name].append(spent)
    return {name: statistics.median(values) for name, values in taken.items()}


def measure_wch(device: str) -> dict[str, Any]:
    """Seconds of a step of WCH, plain and by hashbench."""
    n_steps = 20 if device == "cuda" else 8
    runs = {
        "plain, fp32": plain_steps(device, n_steps),
        "hashbench, fp32": hashbench_steps(device, n_steps, "fp32"),
        "hashbench, bf16": hashbench_steps(device, n_steps, "bf16"),
    }
    step = {name: taken / n_steps for name, taken in medians(runs, device).items()}
    found: dict[str, Any] = {"backbone": backbone_spec(device).title, "device": device, "seconds": step}
    with FlopCounterMode(display=False) as counter:
        hashbench_steps(device, 1, "fp32")()
    found["gflop"] = counter.get_total_flops() / 1e9
    if device == "cuda":
        for name, run in runs.items():
            torch.cuda.reset_peak_memory_stats()
            run()
            found.setdefault("peak_mib", {})[name] = torch.cuda.max_memory_allocated() / 2**20
    return found


def measure_nsh(device: str) -> dict[str, Any]:
    """Seconds of NSH's step at batch 64 on features of 1,280, and of sorting and SortedNCE alone, backward included."""
    batch, n_features, n_steps = 64, 1280, 30
    views = np.random.default_rng(0).normal(size=(2, batch * n_steps, n_features)).astype(np.float32)
    train = TrainView(np.arange(batch * n_steps), pooled=views[0], views=views)
    method = NSH(
        sorter="softsort",
        sorter_temperature=3.0,
        sorter_unit="step",
        sorted_codes="binary",
        own_view="anywhere",
        directions="one",
        m=2,
        latent=1024,
        batch_norm=False,
        standardise=True,
        quantisation=0.0,
        balance=0.0,
        batch_size=batch,
        epochs=1,
        **{**HEAD, "learning_rate": 1e-3},
    )
    codes = [torch.randn(batch, BITS, device=device).sign().requires_grad_(True) for _ in range(2)]
    latents = [F.normalize(torch.randn(batch, 1024, device=device), dim=1).requires_grad_(True) for _ in range(2)]

    def whole() -> None:
        method.fit(train, BITS, 0, Session(device=device))

    def sorting() -> None:
        for _ in range(n_steps):
            permutations = softsort(code_similarities(*codes), 3.0 / BITS)
            sorted_nce(sorted_similarities(permutations, *latents), 2, 0.3).backward()

    step = {name: taken / n_steps for name, taken in medians({"step": whole, "sorting": sorting}, device).items()}
    return {"seconds": step, "share": step["sorting"] / step["step"]}


def measure_side_by_side(device: str) -> dict[str, Any]:
    """Seconds to train the control's heads of 16, 32, 64 bits and three seeds, one by one and side by side."""
    rng = np.random.default_rng(0)
    views = rng.normal(size=(2, 640, 1280)).astype(np.float32)
    train = TrainView(np.arange(640), pooled=views[0], views=views)
    cells = [(bits, seed) for bits in (16, 32, 64) for seed in range(3)]
    control = load_method("baselines/contrastive.py")

    def methods() -> list[Any]:
        settings = {"negatives": "both_views", "temperature": 0.5, "hidden": 1024, "learning_rate": 1e-3}
        return [control(**settings, batch_size=64, epochs=1) for _ in cells]

    def one_by_one() -> None:
        for method, (bits, seed) in zip(methods(), cells, strict=True):
            method.fit(train, bits, seed, Session(device=device))

    def side_by_side() -> None:
        fit_side_by_side(methods(), train, *zip(*cells, strict=True), Session(device=device))

    return medians({"one by one": one_by_one, "side by side": side_by_side}, device)


def measure_precision(method: str) -> dict[str, float]:
    """Mean mAP of `method` over the cells of profile quick, with losses in float32 and under autocast to bfloat16."""
    params = load_params()
    found: dict[str, list[float]] = {"fp32": [], "bf16": []}
    for precision, values in found.items():
        fitter = Fitter(
            "quick", fit_params(params, "quick", "methods", method).model_copy(update={"precision": precision})
        )
        for cell in fitter.params.cells():
            (fitted,) = fitter.fitted((cell,))
            split = fitter.features(cell.dataset, cell.backbone).split
            k, denominator, empty = (
                params.datasets[cell.dataset].k,
                params.evaluation.denominator,
                params.evaluation.empty,
            )
            rules = EvaluationRules(k, denominator, empty, [1])
            values.append(evaluate_codes(fitted.codes["query"], fitted.codes["database"], split, rules).map)
    return {precision: statistics.fmean(values) for precision, values in found.items()}


def has_features() -> bool:
    """Whether the features of profile quick are here."""
    return all(
        (Layout("quick").features(dataset, backbone) / "features.json").is_file()
        for dataset in load_params().profile("quick").datasets
        for backbone in load_params().profile("quick").backbones
    )


def utilisation(wch: dict[str, Any]) -> float | None:
    """Model FLOP utilisation of hashbench's bf16 step, where the device's peak is known."""
    name = torch.cuda.get_device_name() if wch["device"] == "cuda" else ""
    peak = next((value for key, value in PEAK_TFLOPS.items() if key in name), None)
    return None if peak is None else wch["gflop"] / wch["seconds"]["hashbench, bf16"] / 1e3 / peak


def report(found: dict[str, Any]) -> Iterator[str]:
    """The lines of the Markdown page."""
    wch, nsh, side = found["wch"], found["nsh"], found["side_by_side"]
    plain, goal = wch["seconds"]["plain, fp32"], GOALS[wch["device"]]
    yield "# Speed of training\n"
    yield f"{found['machine']}. Medians of {ROUNDS} rounds. Made by `python benchmarks/training.py`.\n"
    yield f"## A step of WCH end to end: {wch['backbone']}, batch {BATCH}, on {wch['device']}\n"
    yield "| step | ms | plain / this |"
    yield "|---|---:|---:|"
    for name, spent in wch["seconds"].items():
        yield f"| {name} | {1000 * spent:.1f} | {plain / spent:.2f} |"
    best = max(plain / spent for spent in wch["seconds"].values())
    yield f"\n- {'met' if best >= goal else 'NOT met'}: at least {goal} times faster than the plain step"
    yield f"- {wch['gflop']:.1f} GFLOP a step"
    if (share := utilisation(wch)) is not None:
        yield f"- {share:.1%} of the device's bf16 peak (model FLOP utilisation)"
    for name, peak in wch.get("peak_mib", {}).items():
        yield f"- peak memory, {name}: {peak:,.0f} MiB"
    yield "\n## NSH: what sorting costs\n"
    yield (
        f"A step at batch 64 on features of 1,280 takes {1000 * nsh['seconds']['step']:.2f} ms; sorting, similarities "
        f"and SortedNCE, both ways, {1000 * nsh['seconds']['sorting']:.2f} ms: {nsh['share']:.1%}.\n"
    )
    yield f"- {'met' if nsh['share'] < NSH_GOAL else 'NOT met'}: under {NSH_GOAL:.0%} of the step"
    yield "\n## Losses in bfloat16: mean mAP over the cells of `quick`\n"
    if not found["precision"]:
        yield "Not measured: the features of `quick` are not here.\n"
    else:
        yield "| method | fp32 | bf16 | difference |"
        yield "|---|---:|---:|---:|"
    for method, maps in found["precision"].items():
        difference = maps["bf16"] - maps["fp32"]
        yield f"| {method} | {maps['fp32']:.4f} | {maps['bf16']:.4f} | {difference:+.4f} |"
    if found["precision"]:
        largest = max(abs(maps["bf16"] - maps["fp32"]) for maps in found["precision"].values())
        yield f"\n- {'met' if largest <= MAP_GOAL else 'NOT met'}: within {MAP_GOAL}"
    yield "\n## Nine heads of the control (16, 32, 64 bits, three seeds)\n"
    ratio = side["one by one"] / side["side by side"]
    yield (
        f"One by one {side['one by one']:.2f} s, side by side {side['side by side']:.2f} s: {ratio:.2f} times as fast. "
        "Side by side is for a GPU, which one head does not fill; on a CPU every cell has a core of its own.\n"
    )


def main() -> None:
    """Measure and write the results."""
    device = torch.cuda.get_device_name() if DEVICE == "cuda" else f"{os.cpu_count()} cores, {platform.machine()}"
    packages = ", ".join(f"{name} {version(name)}" for name in ("torch", "torchvision", "timm"))
    found = {
        "machine": f"{device}; Python {platform.python_version()}, {packages}; load average {os.getloadavg()[0]:.2f}",
        "wch": measure_wch(DEVICE),
        "nsh": measure_nsh(DEVICE),
        "side_by_side": measure_side_by_side(DEVICE),
        "precision": {method: measure_precision(method) for method in ("wch", "nsh")} if has_features() else {},
    }
    OUT.mkdir(parents=True, exist_ok=True)
    name, page = "training-gpu" if DEVICE == "cuda" else "training", "\n".join(report(found))
    (OUT / f"{name}.md").write_text(page)
    print(page)


if __name__ == "__main__":
    main()
