"""Text embeddings that were made elsewhere, by the vision-language model whose image side a backbone is."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from hashbench.errors import HashbenchError
from hashbench.features.weights import tensors_digest
from hashbench.settings import places, settings
from hashbench.types import Array


def find_texts(file: str) -> Path | None:
    """Where the file called `file` lies, if anywhere."""
    return next((path for path in places(settings().weights_folders, file) if path.is_file()), None)


def digest_of_texts(file: str) -> str:
    """The digest of what the file called `file` holds. Raises HashbenchError where it is missing or damaged."""
    return tensors_digest(_found(file))


def read_texts(file: str, weights: str, width: int) -> Array:
    """The embeddings in a file, float32 (m, width), m at least 2.

    The file is safetensors with the one tensor `embeddings` and, in its metadata, `weights`: the digest
    (`tensors_digest`) of the weights of the image side, so that texts of another model are never taken for those of
    this one. Raises HashbenchError where the file is missing or anything else than this.
    """
    from safetensors import SafetensorError, safe_open

    path = _found(file)
    try:
        with safe_open(path, framework="numpy") as opened:
            said, embeddings = opened.metadata() or {}, opened.get_tensor("embeddings")
    except (OSError, SafetensorError) as error:
        raise HashbenchError(f"{path} cannot be read as safetensors with the tensor embeddings ({error})") from None
    if said.get("weights") != weights:
        raise HashbenchError(
            f"{path}: its texts were embedded with image weights of the digest {said.get('weights')}, this run's "
            f"backbone has {weights}; embed them by the backbone's own model and say so in the metadata"
        )
    _check(path, embeddings, width)
    found: Array = np.ascontiguousarray(embeddings)
    return found


def _found(file: str) -> Path:
    path = find_texts(file)
    if path is None:
        folders = " or ".join(map(str, settings().weights_folders))
        raise HashbenchError(f"text embeddings {file} are missing; put the file into {folders}")
    return path


def _check(path: Path, embeddings: Array, width: int) -> None:
    shape = embeddings.shape
    if embeddings.dtype != np.float32 or embeddings.ndim != 2 or shape[0] < 2 or shape[1] != width:
        raise HashbenchError(
            f"{path}: embeddings must be float32 (m, {width}) of 2 texts or more, as wide as the backbone's image "
            f"embeddings, got {embeddings.dtype} {shape}"
        )
    if not np.isfinite(embeddings).all():
        raise HashbenchError(f"{path}: embeddings hold values that are not finite; embed the texts again")
