"""A cell of a table, and what is kept of its fit: validated JSON values, content only."""

from __future__ import annotations

from typing import Any, Literal, NamedTuple

from pydantic import BaseModel, ConfigDict

from hashbench.fingerprint import digest_of
from hashbench.seeding import run_seed

Value = bool | int | float | str | None


class Cell(NamedTuple):
    """One run: its five coordinates. `seed` is the number of the repetition."""

    dataset: str
    backbone: str
    method: str
    bits: int
    seed: int

    @property
    def name(self) -> str:
        """The cell's file name without ending."""
        return f"{self.dataset}-{self.backbone}-{self.method}-{self.bits}-{self.seed}"

    def derived_seed(self, base: int) -> int:
        """The seed of every random draw of the cell's fit."""
        return run_seed(base, self.dataset, self.backbone, self.method, self.bits, self.seed)


class Frozen(BaseModel):
    """A value that never changes and has no other fields than its own."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class MadeFrom(Frozen):
    """Everything that decides the codes of a cell, its code length aside.

    `code`: digest of the source files that compute; `versions` of the packages that do; `hyperparameters`: the
    arguments of the method's constructor; `split`, `features`: digests of what it is fitted on; `seed`: what the
    repetition's number was turned into; `backbone_training`: how the backbone was trained along, None where it stayed
    frozen.
    """

    code: str
    versions: dict[str, str]
    hyperparameters: dict[str, Value]
    split: str
    features: str
    seed: int
    device: Literal["cpu", "cuda"]
    precision: Literal["fp32", "bf16"]
    backbone_training: dict[str, Any] | None = None

    def fingerprint(self, bits: int) -> str:
        """The digest of all of this, for one code length."""
        return digest_of([self.model_dump(mode="json", include=set(MadeFrom.model_fields)), bits])


class FitRecord(MadeFrom):
    """What a fit was made from, and what it says of itself.

    `processor`: the device's name; `curves`: one list per named term, one value an epoch or iteration.
    """

    processor: str
    curves: dict[str, list[float]]
    remarks: list[str]
