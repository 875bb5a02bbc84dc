"""What the stage `params` leaves for each other stage to read."""

from __future__ import annotations

from pathlib import Path
from typing import TypeVar

from pydantic import BaseModel, ValidationError

from hashbench.artefacts import store
from hashbench.artefacts.layout import Layout
from hashbench.errors import HashbenchError

Model = TypeVar("Model", bound=BaseModel)


def write_params(folder: Path, params: dict[str, BaseModel]) -> None:
    """Write each of `params` under its name in `folder`, and remove what lies there under other names."""
    paths = {folder / f"{name}.json": value for name, value in params.items()}
    for path, value in paths.items():
        text = value.model_dump_json(indent=1) + "\n"
        if not path.is_file() or path.read_text(encoding="utf-8") != text:
            store.write_text(path, text)
    for path in folder.rglob("*.json"):
        if path not in paths:
            path.unlink()


def read_params(layout: Layout, name: str, model: type[Model]) -> Model:
    """What was written under `name`. Raises HashbenchError where it is missing or is not what was written."""
    path = params_path(layout, name)
    try:
        return model.model_validate_json(path.read_bytes())
    except FileNotFoundError:
        raise HashbenchError(f"{path} is missing; run `dvc repro` to make it") from None
    except ValidationError as error:
        raise store.DamagedError(path, str(error).splitlines()[0]) from None


def params_path(layout: Layout, name: str) -> Path:
    """Where what was written under `name` lies."""
    return layout.params / f"{name}.json"
