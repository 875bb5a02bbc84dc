"""Finding a data set by the file that holds it: the one place where a name becomes a module."""

from __future__ import annotations

import importlib
import inspect
import pkgutil
from collections.abc import Mapping
from typing import Any, Protocol, cast

import hashbench.data
from hashbench.data.base import Dataset, Source
from hashbench.data.fetch import FileSpec
from hashbench.errors import HashbenchError

_SHARED = {
    "archives",
    "base",
    "drawing",
    "fetch",
    "image_lists",
    "images",
    "lists",
    "mosaics",
    "recognition",
    "registry",
    "splits",
    "transfer",
}


class DatasetModule(Protocol):
    """What a data set's file defines.

    `FILES` are the files that can be fetched or must be put in place by hand, and `BY_HAND`, where there is one, says
    of further files and folders how to get them (a name may hold an option of `load` in braces); `load` gives the data
    set, fetching what is missing; keys of its block in params.yaml become keyword arguments of `load`.
    """

    TITLE: str
    LICENCE: str
    CITATION: str
    FILES: tuple[FileSpec, ...]

    def load(self, source: Source, **options: Any) -> Dataset:
        """Load the data set."""


def dataset_kinds() -> list[str]:
    """The names of all data set files, sorted."""
    return sorted(module.name for module in pkgutil.iter_modules(hashbench.data.__path__) if module.name not in _SHARED)


def load_dataset_module(kind: str) -> DatasetModule:
    """The data set file `kind`. Raises HashbenchError that lists the known ones."""
    if kind not in dataset_kinds():
        raise HashbenchError(f"unknown data set kind '{kind}' (allowed: {', '.join(dataset_kinds())})")
    return cast(DatasetModule, importlib.import_module(f"hashbench.data.{kind}"))


def files_by_hand(kind: str, options: Mapping[str, Any]) -> dict[str, str]:
    """What has to be put in place by hand for a data set with these options: names below the data folder, and how."""
    module = load_dataset_module(kind)
    more: Mapping[str, str] = getattr(module, "BY_HAND", {})
    files = {spec.name: spec.by_hand for spec in module.FILES if not spec.urls}
    return files | {name.format_map(options): how for name, how in more.items()}


def load_dataset(kind: str, source: Source, options: Mapping[str, Any]) -> Dataset:
    """Load a data set with the options of its block in params.yaml.

    Raises HashbenchError for an option that the data set does not take or one it needs.
    """
    module = load_dataset_module(kind)
    try:
        inspect.signature(module.load).bind(source, **options)
    except TypeError as error:
        allowed = [name for name in inspect.signature(module.load).parameters if name != "source"]
        raise HashbenchError(
            f"data set {source.name} (kind {kind}): {error} (its options: {', '.join(allowed) or 'none'})"
        ) from None
    return module.load(source, **options)
