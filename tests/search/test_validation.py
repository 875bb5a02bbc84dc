"""One fit of a search: watching it changes nothing of what it gives, and it ends where it is told to."""

from __future__ import annotations

from pathlib import Path

import pytest
from search.conftest import search_of

from hashbench.search.trials import Outcome, Place
from hashbench.search.validation import LagsBehind, validated

PLACE = Place("digits", "vit_micro", 0, 12, 0)


def outcome(method: str, lags: LagsBehind | None) -> Outcome:
    search = search_of(method)
    return validated(search.fitter, search.params, PLACE, search.begin[1], lags)


@pytest.mark.parametrize("method", ["contrastive", "deepbit"])
def test_a_fit_that_is_watched_gives_the_same(project: Path, method: str) -> None:
    alone = outcome(method, None)
    seen: list[tuple[int, float]] = []
    watched = outcome(method, lambda steps, found: bool(seen.append((steps, found))))
    assert (watched.map, watched.steps, watched.state) == (alone.map, alone.steps, "complete")
    assert alone.checks == {}
    assert watched.checks == dict(seen)
    assert [steps for steps, _ in seen] == [6, 12, 18, 24][: watched.steps // 6]
    assert all(0 < found <= 1 for _, found in seen)


def test_a_fit_ends_where_it_lags_behind(project: Path) -> None:
    found = outcome("contrastive", lambda steps, value: steps >= 12)
    assert (found.state, found.map, found.steps) == ("pruned", None, 12)
    assert list(found.checks) == [6, 12]


def test_a_method_that_is_not_trained_is_never_looked_at(project: Path) -> None:
    found = outcome("dsh", lambda steps, value: True)
    assert (found.state, found.checks, found.steps) == ("complete", {}, 0)
