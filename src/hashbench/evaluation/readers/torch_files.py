"""PyTorch's `.pt` and `.pth` files: tensors and NumPy arrays alone, never code."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from hashbench.errors import HashbenchError
from hashbench.evaluation.readers.found import shown


def read(path: Path) -> dict[str, Any]:
    """The tensors of a file, by name; those of a dict in a dict as `outer.inner`, those of a list by their number."""
    import torch

    try:
        with torch.serialization.safe_globals(_makers_of_arrays()):
            content = torch.load(path, map_location="cpu", weights_only=True)
    except Exception:  # a damaged pickle raises nearly anything
        raise HashbenchError(
            f"{shown(path.name)} holds other things than tensors and NumPy arrays, or is damaged, and such a file can "
            "run code: save a dict of tensors by torch.save"
        ) from None
    found: dict[str, Any] = {}
    _collect(content, "", found)
    return found


def _makers_of_arrays() -> list[Any]:
    """What makes a pickled NumPy array, under the names of NumPy 1 and 2; none of it runs code of a file."""
    from numpy._core import multiarray

    functions = [multiarray._reconstruct, multiarray.scalar]
    old_names = [(function, f"numpy.core.multiarray.{function.__name__}") for function in functions]
    dtypes = [getattr(np.dtypes, name) for name in np.dtypes.__all__]
    return [np.ndarray, np.dtype, *functions, *old_names, *dtypes]


def _collect(value: Any, name: str, found: dict[str, Any]) -> None:
    import torch

    if isinstance(value, torch.Tensor):
        found[name] = _array(value)
    elif isinstance(value, np.ndarray):
        found[name] = value
    elif isinstance(value, dict):
        for key, each in value.items():
            _collect(each, f"{name}.{key}" if name else str(key), found)
    elif isinstance(value, list | tuple) and value and all(isinstance(row, list | tuple | str) for row in value):
        found[name] = np.array(value) if isinstance(value[0], str) else [list(row) for row in value]
    elif isinstance(value, list | tuple) and value and all(isinstance(each, int | float) for each in value):
        found[name] = np.array(value)
    elif isinstance(value, list | tuple):
        for number, each in enumerate(value):
            _collect(each, f"{name}.{number}" if name else str(number), found)


def _array(tensor: Any) -> Any:
    if tensor.is_sparse or tensor.layout != _strided():
        tensor = tensor.to_dense()
    tensor = tensor.detach()
    return (tensor.float() if tensor.is_floating_point() else tensor).numpy()


def _strided() -> Any:
    import torch

    return torch.strided
