"""`.safetensors` files."""

from __future__ import annotations

from pathlib import Path
from typing import Any


def read(path: Path) -> dict[str, Any]:
    """The tensors of a file, by name."""
    from safetensors.numpy import load_file

    return dict(load_file(path))
