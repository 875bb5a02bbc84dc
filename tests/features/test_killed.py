"""kill -9 in the middle of an extraction, twenty times: the same bytes in the end, and little work twice."""

from __future__ import annotations

import contextlib
import hashlib
import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

N_ROWS, N_VIEWS, BLOCK, BATCH = 200, 2, 8, 4

# Runs the extraction stage's own loop over a tiny network, in a process of its own for every folder that it is told.
# Forking one that has imported torch saves two seconds a time.
PROGRAM = f"""
import os, sys
from pathlib import Path
import numpy as np, torch
from hashbench.features import extract as module
from hashbench.features.backbones import Backbone, new_network
from hashbench.features.specs import Augmentation, BackboneSpec
from hashbench.artefacts.features import missing_arrays, write_blocks

torch.set_num_threads(1)
module.BLOCK, module._BATCH = {BLOCK}, {{"cpu": {BATCH}}}
arguments = dict(img_size=16, patch_size=8, embed_dim=16, depth=1, num_heads=1)
spec = BackboneSpec(title="tiny", model="vit_tiny_patch16_224", arguments=arguments, size=16, interpolation="bilinear",
    weights=dict(file="none.safetensors"), mean=[0.5] * 3, std=[0.5] * 3, pool="avg", precision="fp32")
recipe = Augmentation(crop_scale=(0.2, 1), crop_ratio=(0.75, 1.33), flip=0.5, jitter=0.8, brightness=0.4, contrast=0.4,
    saturation=0.4, hue=0.1, grey=0.2, blur=0.5, blur_sigma=(0.1, 2), blur_width=5)
network, rows = Backbone(new_network(spec), spec), np.arange({N_ROWS})
images = np.random.default_rng(0).integers(0, 256, ({N_ROWS}, 8, 8, 3), dtype=np.uint8)

def extract(folder):
    folder.mkdir(exist_ok=True)
    log = os.open(folder / "read", os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    def read(chosen):
        os.write(log, bytes(len(chosen)))
        return images[chosen]
    def views(start):
        return module.extract_views(network, read, rows, recipe, {N_VIEWS}, 7, start)
    def pooled(start):
        return module.extract(network, read, rows, start)
    for names, n, what, blocks in ((("views", "view_tokens"), {N_VIEWS} * len(rows), "views", views),
                                   (("pooled",), len(rows), "rows", pooled)):
        missing = missing_arrays(folder, names, {{"what": what}})
        if missing:
            shapes = module.feature_shapes(network)
            arrays = lambda start: (block.arrays for block in blocks(start))
            write_blocks(folder, {{name: shapes[name] for name in missing}}, n, {{"what": what}}, arrays)

for line in sys.stdin:
    child = os.fork()
    if not child:
        extract(Path(line.strip()))
        os._exit(0)
    print(child, flush=True)
    print(os.waitpid(child, 0)[1], flush=True)
"""


class Extractor:
    """Starts extractions, one at a time."""

    def __init__(self) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-c", PROGRAM], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, bufsize=1
        )

    def start(self, folder: Path) -> int:
        self.process.stdin.write(f"{folder}\n")
        return int(self.process.stdout.readline())

    def wait(self) -> int:
        return int(self.process.stdout.readline())

    def close(self) -> None:
        self.process.stdin.close()
        self.process.wait()
        self.process.stdout.close()


@pytest.fixture
def extractor():
    running = Extractor()
    yield running
    running.close()


def images_read(folder: Path) -> int:
    log = folder / "read"
    return log.stat().st_size if log.exists() else 0


def wait_for(folder: Path, n: int, seconds: float) -> None:
    """Return some `seconds` after the extraction into `folder` has read n images."""
    while images_read(folder) < n:
        time.sleep(0.001)
    time.sleep(seconds)


def artefacts(folder: Path) -> dict[str, str]:
    return {
        path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in folder.iterdir() if path.name != "read"
    }


@pytest.mark.slow
def test_killed_at_random_moments_it_ends_with_the_same_bytes_and_keeps_what_was_done(extractor, tmp_path):
    whole = tmp_path / "whole"
    extractor.start(whole)
    assert extractor.wait() == 0
    total = N_ROWS * (1 + N_VIEWS)
    assert images_read(whole) == total
    expected = artefacts(whole)
    assert {name.partition(".")[0] for name in expected} == {"views", "view_tokens", "pooled"}

    moments, killed_midway, read_in_all, kept_in_all = random.Random(0), 0, 0, 0
    for trial in range(20):
        folder = tmp_path / str(trial)
        child = extractor.start(folder)
        wait_for(folder, moments.randrange(total), moments.uniform(0, 0.01))
        with contextlib.suppress(ProcessLookupError):  # it was quicker
            os.kill(child, signal.SIGKILL)
        extractor.wait()
        read = images_read(folder)
        extractor.start(folder)
        assert extractor.wait() == 0
        assert artefacts(folder) == expected
        kept = total - (images_read(folder) - read)
        # Lost are the block that was not yet whole and the batches that were read ahead for it.
        assert kept >= read - (BLOCK + 4 * BATCH)
        killed_midway += 0 < read < total
        read_in_all, kept_in_all = read_in_all + read, kept_in_all + kept
    assert killed_midway >= 15, "the moments must fall into the extraction, or the test shows nothing"
    assert kept_in_all >= 0.9 * read_in_all
