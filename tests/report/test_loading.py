"""`hashbench.results`: what a researcher gets as pandas tables, and the page that shows it."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from hashbench import results
from hashbench.artefacts.records import write_queries, write_records
from hashbench.errors import HashbenchError
from hashbench.report.frame import frame_of

PAGE = Path(__file__).resolve().parents[2] / "docs" / "results.md"


@pytest.fixture
def folder(tmp_path, monkeypatch, make_bundle, change):
    """The working directory of a project with the runs of two methods on one data set in results/quick."""
    names = {"alpha": "wch", "beta": "nsh"}
    runs = [run for run in make_bundle(2).records if run.dataset == "toys"]
    runs = [change(run, dataset="cifar10_6000", method=names[run.method]) for run in runs]
    path = tmp_path / "results" / "quick"
    path.mkdir(parents=True)
    write_records(path / "records.jsonl", runs[::-1])
    ap = {run.cell: np.linspace(0.0, run.evaluation.map, 5) for run in runs}
    for values in ap.values():
        values[0] = np.nan
    bounds = {"ap": 0.0, "ap_optimistic": 0.1, "ap_pessimistic": -0.1}
    write_queries(
        path / "queries.safetensors",
        {cell: {name: values + shift for name, shift in bounds.items()} for cell, values in ap.items()},
    )
    monkeypatch.chdir(tmp_path)
    return runs


def test_runs_are_read_as_the_frame_of_their_records(folder):
    pd.testing.assert_frame_equal(results.load("results/quick"), frame_of(folder))
    pd.testing.assert_frame_equal(results.load(Path("results/quick")), frame_of(folder))


def test_queries_are_a_row_each_with_the_keys_of_their_run(folder):
    queries = results.load_queries("results/quick")
    assert queries.columns.tolist() == [
        "dataset", "backbone", "method", "bits", "seed", "query", "ap", "ap_optimistic", "ap_pessimistic",
        "ap_asymmetric",
    ]  # fmt: skip
    assert len(queries) == 5 * len(folder)
    cells = dict(iter(queries.groupby(["dataset", "backbone", "method", "bits", "seed"])))
    for run in folder:
        rows = cells[run.cell]
        assert rows["query"].tolist() == [0, 1, 2, 3, 4]
        np.testing.assert_array_equal(rows["ap"], [np.nan, *np.linspace(0.0, run.evaluation.map, 5)[1:]])
        np.testing.assert_allclose(rows["ap_optimistic"] - rows["ap_pessimistic"], [np.nan, 0.2, 0.2, 0.2, 0.2])
    order = queries.drop_duplicates(["method", "bits", "seed"])[["method", "bits", "seed"]]
    assert order.values.tolist() == results.load("results/quick")[["method", "bits", "seed"]].values.tolist()


@pytest.mark.parametrize("load", [results.load, results.load_queries])
def test_a_folder_without_results_is_named_with_the_remedy(load, tmp_path):
    with pytest.raises(HashbenchError, match=rf"{tmp_path}.* is missing; name a folder of results.*`dvc repro`"):
        load(tmp_path)


def test_the_examples_of_the_page_run_and_say_what_it_says(folder):
    names = {}
    text = PAGE.read_text(encoding="utf-8")
    blocks = re.findall(r"^```python\n(.*?)^```$", text, re.MULTILINE | re.DOTALL)
    assert len(blocks) == 5
    for code in blocks:
        exec(compile(code, PAGE.name, "exec"), names)
    maps = [run.evaluation.map for run in folder if (run.method, run.bits) == ("nsh", 32)]
    row = names["table"].loc["cifar10_6000", "tiny-vit", "nsh"]
    assert row["mean", 32] == pytest.approx(np.mean(maps))
    assert row["std", 32] == pytest.approx(np.std(maps, ddof=1))
    assert names["luckiest"].index.tolist() == ["nsh", "wch"]
    assert names["better"] == 0
    comment = next(line for line in text.splitlines() if line.startswith("# ['dataset'"))
    assert comment == f"# {names['queries'].columns.tolist()}"


def test_the_page_names_every_column(folder):
    named = set(re.findall(r"`(\w+?)(?:<rank>)?`", PAGE.read_text(encoding="utf-8")))
    columns = {re.sub(r"(?<=_at_)\d+$", "", column) for column in results.load("results/quick")}
    assert columns <= named
