"""What a user asks to be read, and how what a file leaves open is to be taken."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal, get_args

from hashbench.errors import HashbenchError

Role = Literal["query_codes", "database_codes", "query_labels", "database_labels"]
ROLES: tuple[Role, ...] = get_args(Role)
LabelForm = Literal["one-hot", "class-numbers", "lists"]
LABEL_FORMS: tuple[LabelForm, ...] = get_args(LabelForm)


def flag_of(role: Role) -> str:
    """The option of `hashbench evaluate` that names an array's file and key."""
    return "--" + role.replace("_", "-")


@dataclass(frozen=True)
class Sources:
    """Where the four arrays are: `file` holds those that `named` leaves out.

    `named`: for each role `FILE`, `FILE:KEY`, or `:KEY` of `file`.
    """

    file: str | None = None
    named: dict[Role, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        open_roles = [role for role in ROLES if role not in self.named]
        if self.file is None and open_roles:
            raise HashbenchError(
                f"no file is named for {', '.join(open_roles)}: give one FILE that holds them, or "
                f"{' '.join(f'{flag_of(role)} FILE[:KEY]' for role in open_roles)}"
            )


@dataclass(frozen=True)
class Reading:
    """What decides where arrays can be read in several ways; the options of `hashbench evaluate` of the same names.

    `packed`: the number of bits of codes that are stored as packed bytes or hex strings. `binarize`: "sign" makes bits
    of real values, 1 where a value is above 0. `label_form`: how labels are to be taken. `separator`: what stands
    between the labels of one text; "none": nothing does. `transpose`: arrays whose items are columns.
    """

    packed: int | None = None
    binarize: Literal["sign"] | None = None
    label_form: LabelForm | None = None
    separator: str | None = None
    transpose: frozenset[Role] = frozenset()
