"""Measure feature extraction and augmentation against what they are made of, in one run on one machine.

    python benchmarks/features.py

Writes results/bench/features.md. Extraction from JPEG files in memory is compared with a bare loop of the
same network over pictures that are already decoded, resized and normalised, in whichever of several batch sizes is
fastest; augmentation with kornia's and torchvision's. The runs that are compared take turns, and the best of several
counts. On one core seconds are those of the processor, which others on the machine hardly disturb; on all cores, and
on a GPU where there is one, they are those of the clock. The weights are random: speed does not depend on them. Takes
two to three minutes.
"""

from __future__ import annotations

import io
import os
import platform
import time
from collections.abc import Callable
from functools import partial
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image

from hashbench.config.params import load_params
from hashbench.features.augment import augment
from hashbench.features.backbones import Backbone, new_network
from hashbench.features.extract import extract, extract_views
from hashbench.features.specs import BackboneSpec

OUT = Path("results/bench")
N_IMAGES = 256
BATCH = 16
BARE_BATCHES = (16, 64)
SIZE = 128
REPEATS = 6
BUSY = 0.5
GOAL_RATIO = 0.9
GOAL_MINUTES = 12.0

RECIPE = load_params().augmentations["simclr_crop20"]


def backbone(precision: str, device: str) -> Backbone:
    """EfficientNet-Lite0 at 128 px, as the cpu profile uses it, with random weights."""
    block = {
        "title": "EfficientNet-Lite0",
        "model": "tf_efficientnet_lite0",
        "weights": {"file": "none.safetensors"},
        "size": SIZE,
        "interpolation": "bicubic",
        "mean": [0.5] * 3,
        "std": [0.5] * 3,
        "pool": "avg",
        "precision": precision,
    }
    spec = BackboneSpec.read("backbones.bench", block)
    return Backbone(new_network(spec), spec).to(device)


def jpeg_files(n: int) -> list[bytes]:
    """Pictures of 32 x 32 pixels as CIFAR-10's would be as files: coarse structure and some noise."""
    generator = np.random.default_rng(0)
    coarse = generator.integers(0, 200, (n, 4, 4, 3)).repeat(8, axis=1).repeat(8, axis=2)
    files = []
    for picture in (coarse + generator.integers(0, 56, coarse.shape)).astype(np.uint8):
        file = io.BytesIO()
        Image.fromarray(picture).save(file, format="JPEG", quality=95)
        files.append(file.getvalue())
    return files


def decode(file: bytes) -> np.ndarray:
    """One picture: uint8 (32, 32, 3)."""
    return np.asarray(Image.open(io.BytesIO(file)).convert("RGB"))


def take_turns(works: dict[str, Callable[[], Any]], cores: int) -> dict[str, float]:
    """The shortest of several runs of each after one to warm up, in seconds, one after the other in every round."""
    clock = time.process_time if cores == 1 else time.perf_counter
    seconds: dict[str, list[float]] = {name: [] for name in works}
    before = torch.get_num_threads()
    torch.set_num_threads(cores)
    try:
        for _ in range(REPEATS + 1):
            for name, work in works.items():
                start = clock()
                work()
                seconds[name].append(clock() - start)
    finally:
        torch.set_num_threads(before)
    return {name: min(measured[1:]) for name, measured in seconds.items()}


def measure_extraction(precision: str, cores: int, device: str) -> dict[str, float]:
    """Milliseconds an image of extraction (from JPEG), of augmented views, and of the fastest bare loop."""
    network, files = backbone(precision, device), jpeg_files(N_IMAGES)
    # A GPU is asked for as many times the images as make a run long enough to time.
    rows = np.arange(N_IMAGES).repeat(1 if device == "cpu" else 16)

    def read(chosen: np.ndarray) -> np.ndarray:
        return np.stack([decode(files[row]) for row in chosen])

    pictures = network.prepare(read(rows))

    @torch.inference_mode()
    def bare(size: int) -> None:
        for batch in pictures.split(size):
            network.describe(batch).pooled.cpu()

    works: dict[str, Callable[[], Any]] = {
        "extract": lambda: list(extract(network, read, rows)),
        "extract_views": lambda: list(extract_views(network, read, rows, RECIPE, 1, seed=0)),
    }
    works |= {f"bare loop of {size}": partial(bare, size) for size in BARE_BATCHES}
    ms = {name: 1000 * seconds / len(rows) for name, seconds in take_turns(works, cores).items()}
    bare_loops = [ms.pop(f"bare loop of {size}") for size in BARE_BATCHES]
    return {"bare loop": min(bare_loops), **ms}


def measure_augmentation() -> dict[str, float]:
    """Milliseconds an image of one augmented view, on one core, by three implementations of one recipe."""
    import kornia.augmentation as K
    from torchvision.transforms import v2

    rows = np.arange(N_IMAGES // 4)
    images = np.stack([decode(file) for file in jpeg_files(len(rows))])
    tensors = torch.from_numpy(images).permute(0, 3, 1, 2)
    r = RECIPE
    in_kornia = torch.nn.Sequential(
        K.RandomResizedCrop((SIZE, SIZE), r.crop_scale, r.crop_ratio, resample="bicubic", cropping_mode="resample"),
        K.RandomHorizontalFlip(r.flip),
        K.ColorJitter(r.brightness, r.contrast, r.saturation, r.hue, p=r.jitter),
        K.RandomGrayscale(p=r.grey),
        K.RandomGaussianBlur((r.blur_width, r.blur_width), r.blur_sigma, p=r.blur),
    )
    in_torchvision = v2.Compose(
        [
            v2.RandomResizedCrop(SIZE, r.crop_scale, r.crop_ratio, v2.InterpolationMode.BICUBIC, antialias=True),
            v2.RandomHorizontalFlip(r.flip),
            v2.RandomApply([v2.ColorJitter(r.brightness, r.contrast, r.saturation, r.hue)], r.jitter),
            v2.RandomGrayscale(r.grey),
            v2.RandomApply([v2.GaussianBlur(r.blur_width, list(r.blur_sigma))], r.blur),
        ]
    )

    def by_hashbench() -> None:
        for start in range(0, len(rows), BATCH):
            part = slice(start, start + BATCH)
            augment(images[part], rows[part], 0, recipe=r, seed=0, size=SIZE, interpolation="bicubic")

    def by_kornia() -> None:
        for batch in tensors.split(BATCH):
            in_kornia(batch.float().div(255)).clamp(0, 1)

    def by_torchvision() -> None:
        for image in tensors:
            in_torchvision(image.float().div(255).clamp(0, 1))

    works = {"hashbench": by_hashbench, "kornia": by_kornia, "torchvision v2": by_torchvision}
    return {name: 1000 * seconds / len(rows) for name, seconds in take_turns(works, 1).items()}


def machine() -> dict[str, Any]:
    """What the figures were measured on."""
    return {
        "cores": torch.get_num_threads(),
        "capability": torch.backends.cpu.get_cpu_capability(),
        "system": f"{platform.system()} {platform.machine()}",
        "python": platform.python_version(),
        "versions": {name: version(name) for name in ("torch", "torchvision", "timm", "kornia", "numpy")},
        "load_average_at_start": round(os.getloadavg()[0], 2),
    }


def as_markdown(result: dict[str, Any]) -> str:
    """The tables and goals as a page."""
    where = result["machine"]
    packages = ", ".join(f"{name} {number}" for name, number in where["versions"].items())
    lines = [
        "# Speed of feature extraction and augmentation",
        "",
        f"{where['cores']} cores ({where['capability']}); {where['system']}; Python {where['python']}, {packages}; "
        f"load average at the start {where['load_average_at_start']}. Best of {REPEATS} runs each, taking turns, in ms "
        "an image. Made by `python benchmarks/features.py`.",
        "",
        f"## EfficientNet-Lite0, 32 → {SIZE} px, JPEG in memory",
        "",
        "| precision, on | bare loop | extract | ratio | extract_views | 60,000 images |",
        "|---|---:|---:|---:|---:|---:|",
    ]
    for name, row in result["extraction"].items():
        ms = row["milliseconds"]
        lines.append(
            f"| {name} | {ms['bare loop']:.2f} | {ms['extract']:.2f} | {row['ratio']:.2f} "
            f"| {ms['extract_views']:.2f} | {row['minutes_60000']:.1f} min |"
        )
    lines += [
        "",
        f"The bare loop runs over tensors in memory, in batches of {', '.join(map(str, BARE_BATCHES))}, whichever is "
        "fastest. The ratio is its time over extraction's: 1 means that decoding and resizing cost nothing, and more "
        "that one thread a core beats all cores at one batch.",
        "",
    ]
    if where["load_average_at_start"] > BUSY:
        lines += ["Other programs were at work: the rows on all cores say how they share, not how fast this is.", ""]
    lines += [f"- {'met' if met else 'NOT met'}: {goal}" for goal, met in result["goals"].items()]
    lines += ["", "## One augmented view, one core", "", "| by | ms an image |", "|---|---:|"]
    lines += [f"| {name} | {value:.2f} |" for name, value in result["augmentation"].items()]
    return "\n".join(lines) + "\n"


def main() -> None:
    """Measure, print and write."""
    where, extraction, goals = machine(), {}, {}
    runs = [("fp32", 1, "cpu"), ("fp32", where["cores"], "cpu"), ("bf16", where["cores"], "cpu")]
    if torch.cuda.is_available():
        runs += [(precision, where["cores"], "cuda") for precision in ("fp32", "bf16")]
    for precision, cores, device in runs:
        name = f"{precision}, " + (torch.cuda.get_device_name() if device == "cuda" else f"{cores} core(s)")
        ms = measure_extraction(precision, cores, device)
        ratio, minutes = ms["bare loop"] / ms["extract"], ms["extract"] * 60_000 / 1000 / 60
        extraction[name] = {"milliseconds": ms, "ratio": ratio, "minutes_60000": minutes}
        goals[f"{name}: at least {GOAL_RATIO} of the bare loop's throughput"] = ratio >= GOAL_RATIO
        if (precision, cores, device) == runs[1]:
            goals[f"{name}: 60,000 images within {GOAL_MINUTES:.0f} min"] = minutes <= GOAL_MINUTES
    result = {"machine": where, "extraction": extraction, "goals": goals, "augmentation": measure_augmentation()}
    OUT.mkdir(parents=True, exist_ok=True)
    (OUT / "features.md").write_text(as_markdown(result))
    print(as_markdown(result))


if __name__ == "__main__":
    main()
