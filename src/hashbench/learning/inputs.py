"""The checks that every method makes of its input."""

from __future__ import annotations

from typing import Any

import numpy as np

from hashbench.errors import HashbenchError
from hashbench.types import Array, ItemView


def needs_of(method: Any, backbone_is_trained: bool) -> frozenset[str]:
    """The fields of its views that a method reads, in a run that trains the backbone or in one that does not.

    A method that trains its own copy reads images in place of stored views, but for those that it names in `stored`.
    """
    needs: frozenset[str] = method.needs
    if not backbone_is_trained or not getattr(method, "trains_backbone", False):
        return needs
    stored: frozenset[str] = method.stored
    return (needs - {"views", "view_tokens"}) | stored | {"images", "backbone"}


def features_of(view: ItemView, name: str) -> Array:
    """The array `name` (`pooled`, `token_mean`, `views`, `view_tokens`) of a view, checked.

    Raises HashbenchError where the view has no such array, or holds a value that is not finite.
    """
    array: Array | None = getattr(view, name)
    if array is None:
        raise HashbenchError(
            f"this run provides no {name}; it provides {', '.join(sorted(view.provides)) or 'nothing'}"
        )
    # One block at a time: a memory-mapped array is never held whole.
    for start in range(0, len(array), 4096):
        if not np.isfinite(array[start : start + 4096]).all():
            raise HashbenchError(f"{name} holds values that are not finite; extract the features again")
    return array


def require_bits(n_bits: int, at_most: int | None = None, reason: str = "") -> None:
    """Refuse a code length that is no whole number of at least 1, or that is more than `at_most` for `reason`."""
    if not isinstance(n_bits, int | np.integer) or n_bits < 1:
        raise HashbenchError(f"bits must be a whole number of at least 1, got {n_bits!r}")
    if at_most is not None and n_bits > at_most:
        raise HashbenchError(f"bits must be at most {at_most} here ({reason}), got {n_bits}")
