"""Lengths of training in optimiser steps, the unit in which methods of different batch sizes compare."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from hashbench.cells import Value

BATCH = "batch_size"  # what every trained method calls the number of images of a step


def steps_an_epoch(values: Mapping[str, Value], n_train: int) -> int:
    """The steps of an epoch over `n_train` rows: whole batches, or one of all rows where there is no whole one."""
    return max(1, n_train // int(values[BATCH] or 1))


def steps_of(values: Mapping[str, Value], lengths: Sequence[str], n_train: int) -> int:
    """The steps of a training whose hyperparameters `lengths` count epochs."""
    return sum(_epochs(values, lengths)) * steps_an_epoch(values, n_train)


def cut(values: Mapping[str, Value], lengths: Sequence[str], n_train: int, most: int) -> dict[str, Value]:
    """The same hyperparameters with `lengths`, in epochs, shortened in proportion to at most `most` steps in all.

    Each keeps one epoch at least, which may take more steps than that.
    """
    if not lengths or steps_of(values, lengths, n_train) <= most:
        return dict(values)
    allowed, wanted = most // steps_an_epoch(values, n_train), _epochs(values, lengths)
    shortened = [max(1, epochs * allowed // sum(wanted)) for epochs in wanted]
    return {**values, **dict(zip(lengths, shortened, strict=True))}


def rows_of_a_search(n_train: int) -> int:
    """On how many of `n_train` train rows a fit of the search is made: on all but the three tenths of a hold-out."""
    return n_train - 3 * (n_train // 10)


def _epochs(values: Mapping[str, Value], lengths: Sequence[str]) -> list[int]:
    return [int(values[name] or 0) for name in lengths]
