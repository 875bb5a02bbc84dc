"""The types of hyperparameters: what a constructor's annotations say is allowed, in words that methods share.

params.yaml is checked against these annotations before any method is imported, so they stand for themselves: an
annotation is built from the names of this file, `Annotated`, `Field` and `Literal`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

from pydantic import Field

Count = Annotated[int, Field(ge=1)]
Natural = Annotated[int, Field(ge=0)]
Positive = Annotated[float, Field(gt=0)]
NotNegative = Annotated[float, Field(ge=0)]
Share = Annotated[float, Field(gt=0, le=1)]
Damping = Annotated[float, Field(ge=0, lt=1)]
"""A momentum, or another factor whose powers must vanish."""


@dataclass(frozen=True)
class LessThan:
    """`Annotated[int, LessThan("batch_size")]`: below another hyperparameter of the same method."""

    other: str


@dataclass(frozen=True)
class AtMost:
    """`Annotated[int, AtMost("anchors")]`: not above another hyperparameter of the same method."""

    other: str
