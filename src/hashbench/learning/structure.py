"""The structure of the train items' distances: two half Gaussians that meet at the fullest histogram bin."""

from __future__ import annotations

import numpy as np

from hashbench.types import Array

_BIN_WIDTH = 0.01


def cosine_distances(features: Array) -> Array:
    """1 - cosine of every two rows of `features` (n, d): float32 (n, n), in [0, 2], symmetric, zero diagonal.

    A row of zeros has no direction: its cosine to every other row counts 0.
    """
    features = np.asarray(features, dtype=np.float32)
    norms = np.linalg.norm(features, axis=1, keepdims=True)
    unit = features / np.where(norms > 0, norms, 1)
    distances: Array = np.clip(1 - unit @ unit.T, 0, 2)
    np.fill_diagonal(distances, 0)
    return distances


def half_gaussians(distances: Array) -> tuple[float, float, float, float]:
    """Fit a Gaussian to each side of the mode of `distances`, an array of any shape with values in [0, 2].

    The mode is the left edge of the fullest histogram bin of width 0.01. The values up to it and their mirror images
    about it give the left Gaussian, those beyond it the right one (Yang et al., SSDH, IJCAI 2018). Mirroring makes
    both means the mode and each standard deviation the root mean square distance from it: 0 for a side without values.

    Returns (mean_left, std_left, mean_right, std_right).
    """
    counts, edges = np.histogram(distances, bins=round(2 / _BIN_WIDTH), range=(0, 2))
    mode = float(edges[counts.argmax()])
    left = distances <= mode
    return mode, _spread(distances[left], mode), mode, _spread(distances[~left], mode)


def _spread(values: Array, mode: float) -> float:
    return float(np.sqrt(np.square(values - mode).mean(dtype=np.float64))) if values.size else 0.0
