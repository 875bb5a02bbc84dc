"""The environment variables that hashbench reads: `HASHBENCH_` and a field's name. docs/command-line.md lists them."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Literal

from pydantic import Field, PositiveInt, ValidationError
from pydantic_settings import BaseSettings, SettingsConfigDict

from hashbench.errors import HashbenchError

PREFIX = "HASHBENCH_"
EMBEDDED = Path("embedded")  # files that the repository brings along


class Settings(BaseSettings):
    """Where files lie and where a run takes place. An empty variable counts as unset."""

    model_config = SettingsConfigDict(env_prefix=PREFIX, env_ignore_empty=True, frozen=True)

    data: Path | None = Field(default=None, description="folder with data sets, searched before `data/`")
    weights: Path | None = Field(default=None, description="folder with backbone weights, searched before `weights/`")
    offline: bool = Field(default=False, description="`1`: no network")
    cores: PositiveInt | None = Field(
        default=None, description="how many cells are fitted side by side; else all cores"
    )
    executor: Literal["local", "ray"] = Field(default="local", description="where cells are fitted: `local` or `ray`")
    ray_address: str = Field(default="auto", description="the Ray cluster: `auto` or `HOST:PORT`")
    params: Path = Field(default=Path("params.yaml"), description="the file of parameters")
    tensorboard: Path | None = Field(
        default=None, description="folder for TensorBoard event files of every training step"
    )
    log: Literal["quiet", "normal", "verbose"] = Field(default="normal", description="`quiet`, `normal` or `verbose`")

    @property
    def data_folders(self) -> tuple[Path, ...]:
        """Where users keep data sets, in the order of search; what is fetched goes to the first."""
        return (*([self.data] if self.data else []), Path("data"))

    @property
    def weights_folders(self) -> tuple[Path, ...]:
        """Where users keep weights, in the order of search."""
        return (*([self.weights] if self.weights else []), Path("weights"))


def places(folders: Iterable[Path], name: str) -> list[Path]:
    """Where a file may lie: in one of the user's folders, or among the files that the repository brings along."""
    return [folder / name for folder in (*folders, EMBEDDED)]


def settings() -> Settings:
    """What the environment says now. Raises HashbenchError that names a variable with a value that it cannot have."""
    try:
        return Settings()
    except ValidationError as error:
        detail = error.errors(include_url=False)[0]
        variable = PREFIX + str(detail["loc"][0]).upper()
        is_flag = detail["type"].startswith("bool")
        expected = "0 or 1" if is_flag else "a whole number of at least 1"
        allowed = detail.get("ctx", {}).get("expected", expected)
        raise HashbenchError(f"{variable} must be {allowed}, got '{detail['input']}'; mend or unset it") from None
