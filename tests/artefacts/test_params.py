"""What the stage `params` leaves for the others: written where it changed, read as what it was."""

from __future__ import annotations

import pytest

from hashbench.artefacts import store
from hashbench.artefacts.layout import Layout
from hashbench.artefacts.params import params_path, read_params, write_params
from hashbench.config.selection import DatasetSource, FetchParams, SplitParams
from hashbench.errors import HashbenchError

FETCH = FetchParams(datasets={"digits": DatasetSource(kind="digits", options={"file": "µ.zip", "n": 3})})
SPLIT = SplitParams(base_seed=2**63, protocols={"digits": "digits_200_500_1097"})


@pytest.fixture(autouse=True)
def written(layout: Layout) -> None:
    write_params(layout.params, {"fetch": FETCH, "fit/split": SPLIT})


def test_values_come_back(layout: Layout) -> None:
    assert read_params(layout, "fetch", FetchParams) == FETCH
    assert read_params(layout, "fit/split", SplitParams) == SPLIT


def test_what_did_not_change_is_left_as_it_lies_and_what_is_gone_is_removed(layout: Layout) -> None:
    before = params_path(layout, "fetch").stat().st_ino
    write_params(layout.params, {"fetch": FETCH, "fit/other": SPLIT})
    assert params_path(layout, "fetch").stat().st_ino == before
    assert sorted(path.name for path in layout.params.rglob("*.json")) == ["fetch.json", "other.json"]


def test_what_was_not_written_is_told_with_its_remedy(layout: Layout) -> None:
    with pytest.raises(HashbenchError, match=r"params/features\.json is missing; run `dvc repro` to make it"):
        read_params(layout, "features", FetchParams)


NO_PARAMS = {
    "nothing": b"",
    "no text": b"\xff{",
    "null": b"null",
    "no data sets": b"{}",
    "no options": b'{"datasets": {"digits": {"kind": "digits"}}}',
    "brackets": b"[" * 100_000,
    "half": FETCH.model_dump_json()[:-1].encode(),
}


@pytest.mark.parametrize("content", NO_PARAMS.values(), ids=NO_PARAMS)
def test_anything_else_is_told_as_damage(layout: Layout, content: bytes) -> None:
    path = params_path(layout, "fetch")
    path.write_bytes(content)
    with pytest.raises(store.DamagedError) as caught:
        read_params(layout, "fetch", FetchParams)
    assert str(caught.value).startswith(f"{path} is damaged (")
    assert str(caught.value).isprintable()


def test_values_of_another_stage_are_no_values_of_this_one(layout: Layout) -> None:
    with pytest.raises(store.DamagedError):
        read_params(layout, "fit/split", FetchParams)
