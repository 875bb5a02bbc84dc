"""The real values of the queries of which their bits are the signs, for a ranking by these."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from hashbench.errors import HashbenchError
from hashbench.evaluation.readers.files import read_file
from hashbench.evaluation.readers.found import some
from hashbench.evaluation.readers.names import split_source
from hashbench.evaluation.readers.reading import Items
from hashbench.types import Codes

_FLAG = "--query-logits"


def read_query_logits(text: str, file: str | None, items: Items) -> Codes:
    """The query codes with their logits, real values (n_q, b), from `FILE[:KEY]` or `:KEY` of `file`.

    Raises HashbenchError where they are no such values, or contradict the bits.
    """
    path, key = split_source(text, file, _FLAG)
    arrays = read_file(path)
    key = key or (next(iter(arrays)) if len(arrays) == 1 else "")
    if key not in arrays:
        raise HashbenchError(
            f"{path.name} has {some(list(arrays))}: say which holds the logits by {_FLAG} {path.name}:KEY"
        )
    logits = np.asarray(arrays[key])
    where = f"{_FLAG} {path.name}{':' * bool(key)}{key}"
    if logits.dtype.kind not in "iuf":
        raise HashbenchError(f"{where} must hold real values (queries, bits), got {logits.dtype} {logits.shape}")
    try:
        return replace(items.query_codes, logits=logits.astype(np.float32))
    except HashbenchError as error:
        raise HashbenchError(f"{where}: {error}") from None
