"""Evaluate every cell of a profile from its stored codes: one run record and one per-query file a cell.

A record that was made from the same codes by the same rules is kept. Files of cells that params.yaml no longer asks
for are removed, so that the folder holds the table and nothing else.
"""

from __future__ import annotations

import time
from collections.abc import Iterable
from pathlib import Path
from typing import Any, Literal

import numpy as np
from pydantic import ValidationError

import hashbench.evaluation
from hashbench import store
from hashbench.errors import HashbenchError
from hashbench.evaluation import bootstrap_interval, code_statistics, evaluate
from hashbench.layout import Cell, Layout, cells_of
from hashbench.params import Params, first_error, load_params
from hashbench.progress import track
from hashbench.stages.command import log, run_stage
from hashbench.types import Codes, Evaluation, RunRecord, Seconds, Split

FROM_FIT = ("method_title", "hyperparameters", "deviations", "curves", "remarks", "versions", "device")


def main(profile: str, group: Literal["methods", "ablations"]) -> None:
    """Evaluate the cells of `group` (methods or ablations) in `profile` that are not up to date."""
    params, layout = load_params(), Layout(profile, group)
    names: Iterable[str] = getattr(params, group)
    cells = [cell for name in names for cell in cells_of(params, profile, name)]
    splits = {cell.dataset: store.read_split(layout.split(cell.dataset)) for cell in cells}
    rules = digest_of_rules(params)
    evaluated = 0
    for cell in track(cells, "evaluate"):
        evaluated += evaluate_cell(cell, params, layout, splits[cell.dataset], rules)
    removed = remove_others(layout, {cell.name for cell in cells})
    log.info("evaluate: %d cells evaluated, %d kept, %d removed", evaluated, len(cells) - evaluated, removed)


def digest_of_rules(params: Params) -> str:
    """A digest of the evaluation code and of the rules it is given."""
    files = sorted(Path(hashbench.evaluation.__file__).parent.glob("*.py"))
    return store.digest_of([store.digest_of_files(files), params.evaluation.model_dump()])


def evaluate_cell(cell: Cell, params: Params, layout: Layout, split: Split, rules: str) -> bool:
    """Evaluate one cell unless its record is up to date; say whether there was anything to do."""
    said = store.about(layout.codes(cell))
    k = params.datasets[cell.dataset].k
    program = store.digest_of([said["fingerprint"], rules, k])
    record_path, per_query_path = layout.record(cell), layout.per_query(cell)
    record_is_whole = _is_record_of(record_path, program, said["sha256"])
    per_query_is_whole = store.is_whole(per_query_path, program=program)
    if record_is_whole and per_query_is_whole:
        return False
    start = time.perf_counter()
    codes = read_codes(layout, cell, split)
    ranks = [rank for rank in params.evaluation.ranks if rank <= len(split.database)]
    evaluation = evaluate_codes(codes, split, k, params.evaluation.denominator, params.evaluation.empty, ranks)
    seconds = time.perf_counter() - start
    store.write_tensors(
        per_query_path,
        {"ap": evaluation.ap, "optimistic": evaluation.ap_optimistic, "pessimistic": evaluation.ap_pessimistic},
        {"program": program},
    )
    if not record_is_whole:
        numbers = measurements(codes[1], evaluation, said["made_from"]["seed"])
        record = make_record(cell, params, layout, split, said, numbers, seconds, program)
        store.write_sealed(record_path, record.model_dump(mode="json"))
    return True


def _is_record_of(path: Path, program: str, codes_sha256: str) -> bool:
    """Whether an undamaged record lies at `path` that was made by `program` from these codes."""
    try:
        record = RunRecord.model_validate(store.read_sealed_if_whole(path))
    except ValidationError:  # none, or one of another version
        return False
    return (record.program_digest, record.codes_sha256) == (program, codes_sha256)


def read_record(path: Path) -> RunRecord:
    """A run record. Raises HashbenchError where it is no valid one."""
    try:
        return RunRecord.model_validate(store.read_sealed(path))
    except ValidationError as error:
        reason = first_error(error, RunRecord.model_json_schema())
        raise HashbenchError(f"{path}: {reason}; delete the file and run `dvc repro`") from None


def read_codes(layout: Layout, cell: Cell, split: Split) -> tuple[Codes, Codes]:
    """The stored query and database codes of a cell. Raises HashbenchError where their file is damaged."""
    path = layout.codes(cell)
    arrays = store.read_tensors(path)
    for part in ("query", "database"):
        if part not in arrays:
            raise store.DamagedError(path, f"it has no '{part}'")
    return Codes(arrays["query"], cell.bits, split.query), Codes(arrays["database"], cell.bits, split.database)


def evaluate_codes(
    codes: tuple[Codes, Codes], split: Split, k: int | None, denominator: str, empty: str, ranks: list[int]
) -> Evaluation:
    """Evaluate query and database codes against the labels of their rows."""
    query, database = codes
    labels = split.labels[split.query], split.labels[split.database]
    return evaluate(query, database, *labels, k=k, denominator=denominator, empty=empty, ranks=ranks)


def measurements(database: Codes, evaluation: Evaluation, seed: int) -> dict[str, Any]:
    """Every number of a record that follows from codes and labels; `seed` draws the bootstrap's resamples."""
    statistics = code_statistics(database)
    ap = np.nan_to_num(evaluation.ap) if evaluation.empty == "zero" else evaluation.ap
    off_diagonal = ~np.eye(database.n_bits, dtype=np.bool_)
    return {
        "k": evaluation.k,
        "denominator": evaluation.denominator,
        "empty": evaluation.empty,
        "map": evaluation.map,
        "map_optimistic": evaluation.map_optimistic,
        "map_pessimistic": evaluation.map_pessimistic,
        "map_ci95": bootstrap_interval(ap, seed=seed, resamples=2000),
        "ndcg": evaluation.mean_ndcg,
        "ranks": evaluation.ranks.tolist(),
        "precision_at": evaluation.precision_at.tolist(),
        "recall_at": evaluation.recall_at.tolist(),
        "radius_precision": evaluation.radius_precision.tolist(),
        "radius_recall": evaluation.radius_recall.tolist(),
        "precision_within_2": evaluation.precision_within_2,
        "found_nothing_within_2": evaluation.found_nothing_within_2,
        "relevant_histogram": evaluation.relevant_histogram.tolist(),
        "other_histogram": evaluation.other_histogram.tolist(),
        "bit_balance": statistics.balance.tolist(),
        "bit_entropy": statistics.entropy.tolist(),
        "bit_correlation": float(np.abs(statistics.correlation[off_diagonal]).mean()),
        "distinct_codes": statistics.distinct,
        "largest_bucket": statistics.largest_bucket,
    }


def make_record(
    cell: Cell,
    params: Params,
    layout: Layout,
    split: Split,
    said: dict[str, Any],
    numbers: dict[str, Any],
    seconds: float,
    program: str,
) -> RunRecord:
    """A cell's numbers with all that made them; `said` is what the fit stage wrote beside the codes."""
    features = store.read_sealed(layout.features_record(cell.dataset, cell.backbone))
    return RunRecord(
        profile=layout.profile,
        dataset=cell.dataset,
        dataset_title=params.datasets[cell.dataset].title,
        split=split.name,
        split_digest=split.digest,
        n_query=len(split.query),
        n_database=len(split.database),
        n_train=len(split.train),
        backbone=cell.backbone,
        backbone_title=features["title"],
        features_digest=features["digest"],
        method=cell.method,
        bits=cell.bits,
        seed=cell.seed,
        derived_seed=said["made_from"]["seed"],
        seconds=Seconds(**said["seconds"], evaluate=seconds),
        codes_sha256=said["sha256"],
        program_digest=program,
        **{name: said[name] for name in FROM_FIT},
        **numbers,
    )


def remove_others(layout: Layout, names: set[str]) -> int:
    """Remove the records and per-query files of cells that are not named; return how many cells that were."""
    removed = {path.name.partition(".")[0] for path in layout.runs.glob("*.json")} - names
    for name in removed:
        for path in [*layout.runs.glob(f"{name}.*"), *layout.queries.glob(f"{name}.*")]:
            path.unlink()
    return len(removed)


if __name__ == "__main__":
    run_stage(main, "profile", "group")
