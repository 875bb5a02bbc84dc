"""Files that would unpack to far more than their size."""

from __future__ import annotations

from pathlib import Path

from hashbench.errors import HashbenchError
from hashbench.evaluation.readers.found import shown

_MAX_RATIO = 100  # unpacked over packed, where more than _RATIO_FROM bytes come out
_RATIO_FROM = 1 << 28


def refuse_bomb(path: Path, unpacked: int) -> None:
    """Raise HashbenchError where a small file would fill the memory: `unpacked` bytes come out of it."""
    if unpacked > _MAX_RATIO * max(path.stat().st_size, _RATIO_FROM / _MAX_RATIO):
        raise HashbenchError(
            f"{shown(path.name)} would unpack to {unpacked:,} bytes, more than {_MAX_RATIO} times its size: refused as "
            "a bomb; write it anew without compression"
        )
