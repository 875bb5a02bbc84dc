"""A file of a known format becomes arrays by name; a damaged or hostile one becomes one sentence."""

from __future__ import annotations

from collections.abc import Callable
from importlib import import_module
from pathlib import Path
from typing import Any

from hashbench.errors import HashbenchError
from hashbench.evaluation.readers.found import shown

Arrays = dict[str, Any]
"""Name -> NumPy array, scipy.sparse matrix, or list of lists. A file with one nameless array has it under ""."""

_FORMATS = {
    ".npz": "numpy_files",
    ".npy": "numpy_files",
    ".mat": "matlab",
    ".h5": "hdf5",
    ".hdf5": "hdf5",
    ".pt": "torch_files",
    ".pth": "torch_files",
    ".safetensors": "safetensors_files",
    ".csv": "tables",
    ".tsv": "tables",
    ".parquet": "tables",
}
FORMATS = tuple(_FORMATS)


def read_file(path: Path) -> Arrays:
    """All arrays of a file, by name. Raises HashbenchError where it is missing, damaged, or of no known format."""
    if not path.is_file():
        raise HashbenchError(
            f"{str(path)!a} is missing or no plain file: give a file that ends in {', '.join(FORMATS)}"
        )
    module = _FORMATS.get(path.suffix.lower())
    if module is None:
        raise HashbenchError(f"{str(path)!a} is of no known format: its name must end in {', '.join(FORMATS)}")
    read: Callable[[Path], Arrays] = import_module(f"{__package__}.{module}").read
    try:
        arrays = read(path)
    except HashbenchError:
        raise
    except ModuleNotFoundError as error:
        raise HashbenchError(_install(path, error.name or "")) from None
    except (Exception, RecursionError) as error:  # parsers of foreign files can raise nearly anything
        reason = " ".join(str(error).split())[:300] or type(error).__name__
        raise HashbenchError(f"{shown(path.name)} cannot be read as plain arrays ({reason!a}): write it anew") from None
    if not arrays:
        raise HashbenchError(f"{shown(path.name)} holds no array: write it anew with codes and labels in it")
    return arrays


_EXTRAS = {"torch": "suite", "pyarrow": "parquet"}


def _install(path: Path, package: str) -> str:
    extra = _EXTRAS.get(package.partition(".")[0])
    remedy = f"pip install 'hashbench[{extra}]'" if extra else f"pip install {package}"
    return f"{shown(path.name)} needs the package {package}, which is not installed: `{remedy}`, or save it as .npz"
