"""The one way to fit a cell: build its method, fit it, encode queries and database, and check all that comes back.

A method may be anyone's, so each fault of one is a HashbenchError of one sentence.
"""

from __future__ import annotations

import sys
import time
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from numbers import Real
from typing import Any, Protocol, cast

import numpy as np

from hashbench.cells import Value
from hashbench.config.hyperparameters import arguments_of, check_hyperparameters
from hashbench.errors import HashbenchError
from hashbench.learning.inputs import needs_of
from hashbench.learning.session import Session
from hashbench.learning.texts import MARKS, why_left_out
from hashbench.methods.base import GivesLogits, Method
from hashbench.methods.faults import own_code
from hashbench.types import Array, Codes, FitLog, ItemView, Split, TrainView

ROWS_AT_ONCE = 8192


class Features(Protocol):
    """What cells of one data set and backbone are fitted on, and what they encode."""

    @property
    def split(self) -> Split:
        """Which rows are queries and database."""

    @property
    def train(self) -> TrainView:
        """What a fit sees."""

    def items(self, rows: Array) -> ItemView:
        """What encoding sees of some rows, int64 (m,)."""


@dataclass(frozen=True)
class Fitted:
    """A fitted cell: `codes` of the split's 'query' and 'database' rows, and the seconds that it took."""

    method: Method
    log: FitLog
    codes: dict[str, Codes]
    fit_seconds: float
    encode_seconds: float


def new_method(name: str, method_class: type[Method], hyperparameters: Mapping[str, Value]) -> Method:
    """The method called `name` with its hyperparameters.

    Raises HashbenchError that names a hyperparameter which it does not take, lacks, or cannot be, and what is allowed.
    """
    check_hyperparameters(name, hyperparameters, arguments_of(method_class))
    with own_code(name, "its constructor", _files_of(method_class)):
        return method_class(**hyperparameters)


def fit_cells(
    methods: Sequence[Method], features: Features, bits: Sequence[int], seeds: Sequence[int], session: Session
) -> list[Fitted]:
    """Fit equal methods, each with its code length and seed, and encode queries and database.

    Several heads are trained side by side, each for an equal share of the seconds. Codes that waste bits are kept, with
    a remark. Raises HashbenchError where a method needs what the features do not provide, raises, ends the process,
    changes its input, or gives back what is no log, no state or no codes.
    """
    train = features.train
    for method in methods:
        _require_what_it_needs(method, train)
    before, start = _checksums(train), time.perf_counter()
    logs = _fit(methods, train, bits, seeds, session)
    seconds = (time.perf_counter() - start) / len(methods)
    changed = [name for name, checksum in _checksums(train).items() if checksum != before[name]]
    if changed:
        raise HashbenchError(f"{methods[0].title}: fit changed its input, {', '.join(changed)}; let it work on a copy")
    return [
        _applied(method, log, features, n_bits, seconds)
        for method, log, n_bits in zip(methods, logs, bits, strict=True)
    ]


def _require_what_it_needs(method: Method, train: TrainView) -> None:
    if not (lacking := sorted(needs_of(method, train.backbone is not None) - train.provides)):
        return
    kind: Any = getattr(method, "texts", None)
    if kind in MARKS:
        raise HashbenchError(why_left_out(method.title, kind, train.provides))
    given = ", ".join(sorted(train.provides)) or "nothing"
    raise HashbenchError(f"{method.title} needs {', '.join(lacking)}; these features provide {given}")


def encode(method: Method, features: Features, rows: Array, n_bits: int) -> Codes:
    """The codes of `rows`, a block at a time, so that the features of a large data set are never held whole.

    Raises HashbenchError where `method` raises, or gives back anything but bool (items, n_bits).
    """
    blocks = [rows[start : start + ROWS_AT_ONCE] for start in range(0, len(rows), ROWS_AT_ONCE)]
    return Codes.pack(np.concatenate([_bits(method, features.items(block), n_bits) for block in blocks]), rows)


def wasted_bits(codes: Codes) -> tuple[str, ...]:
    """A sentence each on bits that are the same for all items, and on bits that say what another says."""
    # Where a bit differs from that of item 0: (b, m), so that a bit and its opposite are the same.
    flipped: Array = codes.packed ^ codes.packed[:1]
    differs = np.unpackbits(flipped, axis=1, count=codes.n_bits).T
    varying = [plane.tobytes() for plane in np.packbits(differs, axis=1) if plane.any()]
    constant, repeated = codes.n_bits - len(varying), len(varying) - len(set(varying))
    counts = {"the same for every item": constant, "another bit or its opposite": repeated}
    return tuple(f"{count} of {codes.n_bits} bits are {what}" for what, count in counts.items() if count)


def _fit(
    methods: Sequence[Method], train: TrainView, bits: Sequence[int], seeds: Sequence[int], session: Session
) -> list[FitLog]:
    title = methods[0].title
    with own_code(title, "fit", _files_of(type(methods[0]))):
        if len(methods) == 1:
            logs = [methods[0].fit(train, bits[0], seeds[0], session)]
        else:
            from hashbench.learning.networks import HeadMethod, fit_side_by_side

            logs = fit_side_by_side(cast(Sequence[HeadMethod], methods), train, bits, seeds, session)
    for log in logs:
        if not _is_log(log):
            raise HashbenchError(
                f"{title}: fit must return a FitLog of curves (lists of numbers by name) and remarks (texts), got "
                f"{_described(log)}"
            )
    return logs


def _is_log(log: Any) -> bool:
    return (
        isinstance(log, FitLog)
        and isinstance(log.curves, Mapping)
        and all(isinstance(values, list) for values in log.curves.values())
        and all(isinstance(value, Real) for values in log.curves.values() for value in values)
        and all(isinstance(remark, str) for remark in log.remarks)
    )


def _applied(method: Method, log: FitLog, features: Features, n_bits: int, fit_seconds: float) -> Fitted:
    """A cell after its fit: its state checked, its queries and database encoded."""
    _check_state(method)
    start = time.perf_counter()
    rows = {"query": features.split.query, "database": features.split.database}
    codes = {part: encode(method, features, chosen, n_bits) for part, chosen in rows.items()}
    if isinstance(method, GivesLogits):
        codes["query"] = _with_logits(method, codes["query"], features)
    seconds = time.perf_counter() - start
    remarks = (*log.remarks, *wasted_bits(codes["database"]))
    return Fitted(method, replace(log, remarks=remarks), codes, fit_seconds, seconds)


def _check_state(method: Method) -> None:
    with own_code(method.title, "state_dict", _files_of(type(method))):
        state = method.state_dict()
    if not isinstance(state, Mapping) or not all(isinstance(array, np.ndarray) for array in state.values()):
        raise HashbenchError(f"{method.title}: state_dict must return arrays by name, got {_described(state)}")
    for name, array in state.items():
        if array.dtype.kind in "fc" and np.isnan(array).any():
            raise HashbenchError(
                f"{method.title}: '{name}' of the fitted state holds NaN; check the features, or lower a learning rate"
            )


def _bits(method: Method, items: ItemView, n_bits: int) -> Array:
    with own_code(method.title, "encode", _files_of(type(method))):
        bits = method.encode(items)
    wanted = (len(items), n_bits)
    if not isinstance(bits, np.ndarray) or bits.dtype != np.bool_ or bits.shape != wanted:
        raise HashbenchError(f"{method.title}: encode must return bool {wanted} here, got {_described(bits)}")
    return bits


def _with_logits(method: Method, codes: Codes, features: Features) -> Codes:
    """The same codes with the real values behind their bits."""
    blocks = [codes.rows[start : start + ROWS_AT_ONCE] for start in range(0, len(codes), ROWS_AT_ONCE)]
    with own_code(method.title, "logits", _files_of(type(method))):
        found = [cast(GivesLogits, method).logits(features.items(block)) for block in blocks]
    if not all(isinstance(logits, np.ndarray) for logits in found):
        raise HashbenchError(f"{method.title}: logits must return float32 (items, bits), got {_described(found[0])}")
    try:
        return replace(codes, logits=np.concatenate(found))
    except (HashbenchError, ValueError) as error:
        raise HashbenchError(f"{method.title}: {error}") from None


def _described(value: Any) -> str:
    if isinstance(value, np.ndarray):
        return f"{value.dtype} {value.shape}"
    if isinstance(value, FitLog):
        return f"curves {value.curves!r} and remarks {value.remarks!r}"[:200]
    return "None" if value is None else f"a {type(value).__name__}"


def _checksums(train: TrainView) -> dict[str, int]:
    """Of every array that a fit could change; one that is mapped from a file to be read is none."""
    arrays = {name: getattr(train, name) for name in ("rows", *sorted(train.provides - {"backbone"}))}
    return {
        name: zlib.crc32(np.ascontiguousarray(array).data)
        for name, array in arrays.items()
        if not isinstance(array, np.memmap)
    }


def _files_of(method_class: type[Any]) -> list[str]:
    """The files that hold a method and what it inherits of its author's, not of hashbench's."""
    modules = {
        base.__module__ for base in method_class.__mro__ if not base.__module__.startswith("hashbench.learning.")
    }
    return [file for name in modules if (file := getattr(sys.modules.get(name), "__file__", None))]
