"""The hyperparameter search as params.yaml has it: one budget for all methods, and what may be tried of each.

What may be tried stands in a block of its own, apart from the values that a fit is made from: it decides no fit.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

from hashbench.cells import Value
from hashbench.config.checks import check_ends
from hashbench.config.lengths import BATCH
from hashbench.config.messages import known
from hashbench.errors import HashbenchError

Number = Annotated[int, Field(strict=True)] | Annotated[float, Field(strict=True, allow_inf_nan=False)]
Count = Annotated[int, Field(strict=True, ge=1)]


class Range(BaseModel):
    """From `low` to `high`, both included, on a logarithmic scale where `log`; whole numbers where both ends are."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    low: Number
    high: Number
    log: Annotated[bool, Field(strict=True)] = False

    @model_validator(mode="after")
    def _is_a_range(self) -> Range:
        if self.low >= self.high:
            raise ValueError(f"low must be below high, which is {self.high}, got {self.low}")
        if self.log and self.low <= 0:
            raise ValueError(f"low must be above 0 on a logarithmic scale, got {self.low}")
        return self

    @property
    def is_whole(self) -> bool:
        """Whether it holds whole numbers alone."""
        return isinstance(self.low, int) and isinstance(self.high, int)


Choices = Annotated[list[Value], Field(min_length=2)]
Space = Range | Choices | Literal["steps"]
"""What may be tried of a hyperparameter: a range, a list of values, or, of a length of training in epochs, whatever
takes a number of steps within the range that all methods share."""


class Budget(BaseModel):
    """What the search may spend on a method, the same for every one.

    Round 1: `trials` settings of a method, proposed `at_once` by what the earlier ones reached, are fitted with `bits`
    bits on one hold-out of the train rows. Round 2: the best `finalists` of them, the official and the present setting
    are fitted at every code length of the profile, on `hold_outs` hold-outs with `seeds` seeds each; after each of them
    the better half goes on. No fit is trained for more than `steps.high` steps. docs/methods.md tells the whole.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    trials: Annotated[int, Field(strict=True, ge=2, le=10_000)]
    at_once: Count
    finalists: Count
    bits: Annotated[int, Field(strict=True, ge=4, le=1024)]
    hold_outs: Annotated[int, Field(strict=True, ge=1, le=10)]
    seeds: Count
    steps: Range

    @model_validator(mode="after")
    def _steps_are_counted(self) -> Budget:
        if not self.steps.is_whole or self.steps.low < 1:
            raise ValueError(f"steps must be whole numbers from 1 on, got {self.steps.low} to {self.steps.high}")
        return self


class SearchParams(Budget):
    """The budget, and what may be tried of each method's hyperparameters."""

    spaces: dict[str, dict[str, Space]]

    def budget_of(self, most_steps: int | None) -> Budget:
        """The budget alone, of a profile that has a limit of its own or none."""
        steps = self.steps if most_steps is None else self.steps.model_copy(update={"high": most_steps})
        return Budget(**{**self.model_dump(exclude={"spaces"}), "steps": steps})


def lengths_of(space: Mapping[str, Space]) -> list[str]:
    """The hyperparameters of a space that are lengths of training in epochs."""
    return sorted(name for name, allowed in space.items() if allowed == "steps")


def check_space(where: str, code: str, values: Mapping[str, Value], space: Mapping[str, Space]) -> None:
    """Check that a method, whose hyperparameters are `values`, accepts all of its space.

    Raises HashbenchError that names the key, the value and what is allowed.
    """
    for name in space:
        known(where, name, values)
    if lengths_of(space) and BATCH not in values:
        raise HashbenchError(f"key '{where}' has a length in steps, which takes a method with a {BATCH}")
    ends = {name: _ends(allowed) for name, allowed in space.items() if allowed != "steps"}
    check_ends(where, code, values, ends)


def _ends(allowed: Range | list[Value]) -> tuple[Value, Value]:
    if isinstance(allowed, Range):
        return allowed.low, allowed.high
    ordered = sorted(allowed, key=lambda value: (isinstance(value, str), value))
    return ordered[0], ordered[-1]
