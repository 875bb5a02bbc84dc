"""One fit of a search: a setting on one hold-out, watched while it trains and ended early where it lags behind."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from hashbench.cells import Cell, Value
from hashbench.config.selection import MethodSearchParams
from hashbench.errors import HashbenchError
from hashbench.execution.command import log
from hashbench.execution.sessions import session_of
from hashbench.fitter import Fitter
from hashbench.fitting import encode, fit_cells, new_method
from hashbench.learning.session import Stopped
from hashbench.methods.base import Method
from hashbench.search.hold_outs import HoldOut, cut_off, hold_out, validation_map
from hashbench.search.trials import Outcome, Place, State
from hashbench.seeding import run_seed

CHECKS = 4  # how often the longest training is looked at, its end included
LagsBehind = Callable[[int, float], bool]
"""Whether the mAP after so many steps is so low that the fit shall end."""


def opened(fitter: Fitter, place: Place) -> HoldOut:
    """The hold-out of a place, opened once for all fits on it, in this process or in the one from which it forked.

    Only hold-outs of one number are held at a time: they may take gigabytes.
    """
    base, needs = fitter.params.base_seed, fitter.needs
    key = (Path.cwd(), fitter.profile, place.dataset, place.backbone, needs, place.hold_out)
    if key not in _opened:
        for other in [each for each in _opened if each[-1] != place.hold_out]:
            del _opened[other]
        features = fitter.features(place.dataset, place.backbone)
        _opened[key] = hold_out(features, run_seed(base, "validation", place.dataset), place.hold_out)
    return _opened[key]


_opened: dict[tuple[Any, ...], HoldOut] = {}


def validated(
    fitter: Fitter, params: MethodSearchParams, place: Place, values: dict[str, Value], lags: LagsBehind | None
) -> Outcome:
    """Fit a setting and measure it on the held-out rows.

    `lags`: who decides on the way whether to go on; without one the fit is not looked at before its end. A setting
    with which the method fails is an outcome, not an error.
    """
    held, most = opened(fitter, place), int(params.budget.steps.high)
    k = cut_off(params.cutoffs[place.dataset], held)
    cell = Cell(place.dataset, place.backbone, fitter.params.method, place.bits, place.seed)
    start = time.perf_counter()
    watch = Watch(held, place.bits, k, max(1, most // CHECKS), lags)
    found: float | None = None
    state: State = "complete"
    try:
        watch.method = new_method(fitter.params.method, fitter.method_class, values)
        session = session_of(fitter.params, cell.name, None, watch.stopping)
        seed = cell.derived_seed(fitter.params.base_seed)
        (fitted,) = fit_cells([watch.method], held, [place.bits], [seed], session)
        found = validation_map(fitted.codes["query"], fitted.codes["database"], held.split, k)
    except Stopped:
        state = "pruned"
    except HashbenchError as error:
        log.debug("%s with %s failed: %s", cell.name, values, error)
        state = "failed"
    seconds = time.perf_counter() - start
    return Outcome(state=state, map=found, checks=watch.checks, steps=watch.steps, seconds=seconds)


@dataclass
class Watch:
    """Counts the steps of a training, and every `every` steps asks `lags` whether it shall go on."""

    held: HoldOut
    bits: int
    k: int
    every: int
    lags: LagsBehind | None
    method: Method | None = None
    steps: int = 0
    checks: dict[int, float] = field(default_factory=dict)

    def stopping(self) -> bool:
        """What the training loop asks after every step."""
        self.steps += 1
        if self.lags is None or self.steps % self.every:
            return False
        self.checks[self.steps] = self._measured()
        return self.lags(self.steps, self.checks[self.steps])

    def _measured(self) -> float:
        assert self.method is not None
        with _evaluating(self.method):
            query, database = (
                encode(self.method, self.held, rows, self.bits)
                for rows in (self.held.split.query, self.held.split.database)
            )
        return validation_map(query, database, self.held.split, self.k)


@contextmanager
def _evaluating(method: Method) -> Iterator[None]:
    """A network that is being trained as it would encode, and afterwards as it was."""
    from hashbench.learning.networks import HeadMethod

    assert isinstance(method, HeadMethod)  # no other method asks its session whether to stop
    modes = [(module, module.training) for module in method.head.modules()]
    method.head.eval()
    try:
        yield
    finally:
        for module, training in modes:
            module.training = training
