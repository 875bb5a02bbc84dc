"""Labels from whatever form a file has them in, query and database together, since one explains the other."""

from __future__ import annotations

from typing import Any

import numpy as np

from hashbench.evaluation.readers.found import Found, rows_where, some
from hashbench.evaluation.readers.label_sets import Labels, of_lists, of_matrices, of_numbers
from hashbench.evaluation.readers.label_texts import as_texts, split_texts
from hashbench.evaluation.readers.request import LabelForm, Reading
from hashbench.types import Array


def read_labels(query: Found, database: Found, n_query: int, n_database: int, how: Reading) -> Labels:
    """The labels of so many items. Raises HashbenchError where they can be read in no way, or in two."""
    sides = [_plain(query, n_query, how), _plain(database, n_database, how)]
    form = _common_form(sides, how.label_form)
    if form == "class-numbers":
        return of_numbers([side.with_value(side.value.reshape(-1)) for side in sides])
    if form == "one-hot":
        return of_matrices(sides)
    return of_lists([side.value for side in sides], "lists of labels")


def _plain(found: Found, n: int, how: Reading) -> Found:
    """Numbers (n,) or (n, c), texts (n,), a scipy.sparse matrix, or lists; (1, n) of MATLAB as (n, 1)."""
    value: Any = found.value
    if isinstance(value, list):
        return found
    if value.shape[0] == 1 and n > 1:
        value = value.T
    if hasattr(value, "tocsr"):
        return found.with_value(value.tocsr())
    if value.dtype.kind in "USO":
        return found.with_value(split_texts(found, as_texts(found, value), how.separator))
    if value.dtype.kind not in "biuf":
        raise found.refuse(f"is an array of {value.dtype}: labels must be bool, numbers or texts")
    if value.dtype.kind == "f" and not np.isfinite(value).all():
        raise found.refuse(f"holds a NaN or an infinity in {rows_where(~np.isfinite(value))}: give every item a label")
    return found.with_value(value)


def _common_form(sides: list[Found], wanted: LabelForm | None) -> LabelForm:
    """The one form in which both arrays can be read."""
    forms = [_forms(side) for side in sides]
    common = set.intersection(*forms)
    if wanted is not None and wanted not in common:
        side = sides[0] if wanted not in forms[0] else sides[1]
        raise side.refuse(f"of shape {side.shape} cannot be read as --label-form {wanted}; leave it out")
    if wanted is not None:
        return wanted
    if not common:
        query, database = sides
        raise query.refuse(
            f"is {_named(forms[0])}, shape {query.shape}, and {database.role} ({database.place}) is "
            f"{_named(forms[1])}, shape {database.shape}: give both in one form, by {query.flag} and {database.flag}"
        )
    if len(common) > 1:
        side = sides[0]
        raise side.refuse(
            f"of shape {side.shape} holds 0 and 1 alone, the first {_first(side.value)}: {_named(common)}? Say which "
            f"by --label-form {' or '.join(sorted(common))}"
        )
    return common.pop()


def _first(value: Any, most: int = 5) -> str:
    rows = value[:most] if isinstance(value, list) else np.asarray(value[:most]).tolist()
    return ", ".join(map(str, rows))


def _named(forms: set[LabelForm]) -> str:
    words = {"one-hot": "one-hot", "class-numbers": "class numbers or names", "lists": "lists of labels"}
    return " or ".join(words[form] for form in sorted(forms))


def _forms(side: Found) -> set[LabelForm]:
    """Every form that an array can have."""
    value: Any = side.value
    if isinstance(value, list):
        return _forms_of_lists(value)
    if hasattr(value, "tocsr"):
        _check_zero_one(side, value.data)
        return {"one-hot"}
    if value.ndim == 1:
        return {"class-numbers"}
    is_zero_one = value.dtype == np.bool_ or bool(np.isin(value, [0, 1]).all())
    if value.shape[1] == 1:
        return {"class-numbers", "one-hot"} if is_zero_one else {"class-numbers"}
    if is_zero_one:
        return {"one-hot"}
    wrong = ~np.isin(value, [0, 1])
    raise side.refuse(
        f"of shape {value.shape} holds {value[wrong][0].item()!r} and other values in {rows_where(wrong)}: a matrix of "
        "labels must be one- or multi-hot, 0 and 1; give class numbers as a vector, or lists of labels as lists"
    )


def _forms_of_lists(rows: list[list[Any]]) -> set[LabelForm]:
    """Rows of one length that hold 0 and 1 may be one-hot; as a list of labels, such a row names none of them twice."""
    is_matrix = len({len(row) for row in rows}) == 1 and all(each in (0, 1) for row in rows for each in row)
    if not is_matrix or not rows[0]:
        return {"lists"}
    return {"lists", "one-hot"} if all(len(set(row)) == len(row) for row in rows) else {"one-hot"}


def _check_zero_one(side: Found, values: Array) -> None:
    if not np.isin(values, [0, 1]).all():
        other = values[~np.isin(values, [0, 1])]
        raise side.refuse(
            f"is sparse and holds {len(other):,} values beyond 0 and 1, the first {some(other.tolist(), 5)}: labels "
            "must be 0 and 1"
        )
