"""Files of DVC that a kill left half written: DVC writes them in place, and refuses to start with half of one."""

from __future__ import annotations

import json
import logging
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import yaml

log = logging.getLogger("hashbench")
SETTLING_SECONDS = 1.0


def remove_half_written(root: Path = Path()) -> list[Path]:
    """Remove, and name in the log, what of DVC's files below `root` is half written; DVC makes them anew.

    The table of its locks is worth nothing after a kill. Without `dvc.lock` every stage runs once more, and keeps what
    is finished.
    """
    suspects: list[tuple[Path, Callable[[str], Any]]] = [(root / ".dvc" / "tmp" / "rwlock", json.loads)]
    suspects += [(path, yaml.safe_load) for path in (root / "dvc.lock", *root.glob("pipelines/*/dvc.lock"))]
    removed = []
    for path, parse in suspects:
        if _is_half_written(path, parse):
            time.sleep(SETTLING_SECONDS)  # a living process may be writing it now
            if _is_half_written(path, parse):
                path.unlink()
                log.warning("%s was left half written by a run that was killed; it is removed and made anew", path)
                removed.append(path)
    return removed


def _is_half_written(path: Path, parse: Callable[[str], Any]) -> bool:
    try:
        return not isinstance(parse(path.read_text(encoding="utf-8")), dict)
    except FileNotFoundError:
        return False
    except (ValueError, yaml.YAMLError):
        return True
