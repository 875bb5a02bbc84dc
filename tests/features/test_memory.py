"""Data larger than memory: what extraction and encoding take does not grow with the number of images."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

MIB = 1 << 20

# Images and features are files without content, as large as a data set's: they are mapped, and read as zeros.
PROGRAM = """
import sys, threading
from pathlib import Path
import numpy as np, torch
from hashbench.features.backbones import Backbone, new_network
from hashbench.features.extract import extract
from hashbench.features.specs import BackboneSpec
from hashbench.methods.base import Method
from hashbench.artefacts.features import Features, write_blocks
from hashbench.fitting import encode
from hashbench.types import Split, TrainView

folder, what = Path(sys.argv[1]), sys.argv[2]
torch.set_num_threads(1)

def anonymous():
    status = Path("/proc/self/status").read_text()
    return int(status.partition("RssAnon:")[2].split()[0]) * 1024

def mapped(name, shape, dtype):
    np.lib.format.open_memmap(folder / name, mode="w+", dtype=dtype, shape=shape)
    return np.load(folder / name, mmap_mode="r")

def extraction():
    arguments = dict(img_size=16, patch_size=8, embed_dim=16, depth=1, num_heads=1)
    spec = BackboneSpec(title="tiny", model="vit_tiny_patch16_224", arguments=arguments, size=16,
        interpolation="bilinear", weights=dict(file="none.safetensors"), mean=[0.5] * 3, std=[0.5] * 3, pool="avg",
        precision="fp32")
    network, n = Backbone(new_network(spec), spec), 1200
    images = mapped("images.npy", (n, 400, 400, 3), np.uint8)
    def blocks(start):
        return (block.arrays for block in extract(network, lambda rows: images[rows], np.arange(n), start))
    def work():
        write_blocks(folder, {"pooled": (16,)}, n, {}, blocks)
    return images.nbytes, work

class Signs:
    title = "Signs"
    def encode(self, items):
        return np.asarray(items.pooled[:, :16]) > 0

def encoding():
    rows = np.arange(195_834)
    pooled = mapped("pooled.npy", (len(rows), 1024), np.float32)
    split = Split("large", rows[:2100], rows[2100:], rows[2100:12600], np.ones((len(rows), 1), np.bool_))
    features = Features(split, TrainView(split.train), pooled, pooled, None, None)
    return pooled.nbytes, lambda: encode(Signs(), features, split.database, 16)

size, work = {"extraction": extraction, "encoding": encoding}[what]()
before = peak = anonymous()
done = threading.Event()

def watch():
    global peak
    while not done.wait(0.002):
        peak = max(peak, anonymous())

watcher = threading.Thread(target=watch)
watcher.start()
work()
done.set()
watcher.join()
print(size, peak - before)
"""


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="memory is measured as Linux tells it")
@pytest.mark.parametrize("what", ["extraction", "encoding"])
def test_the_data_are_never_in_memory_as_a_whole(what, tmp_path):
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM, str(tmp_path), what], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    size, taken = map(int, done.stdout.split())
    assert size > 500 * MIB
    assert taken < 256 * MIB, f"{taken / MIB:.0f} MiB of memory for {size / MIB:.0f} MiB of data"
