"""Evaluate every cell of a profile from its stored codes, and gather the results.

A cell that was evaluated from the same codes and labels, by the same rules and program, is kept. The results hold the
cells that params.yaml asks for and no others.
"""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass

from hashbench.artefacts import fits, records
from hashbench.artefacts.layout import Group, Layout
from hashbench.artefacts.params import read_params
from hashbench.artefacts.records import StoredEvaluation
from hashbench.artefacts.seconds import write_evaluation_seconds
from hashbench.artefacts.split import read_split
from hashbench.config.selection import EvaluateParams
from hashbench.evaluation.summary import EvaluationRules, ap_of_queries, evaluate_codes, evaluate_logits, summarise
from hashbench.execution.command import log, run_stage
from hashbench.fingerprint import digest_of, program_of
from hashbench.progress import track
from hashbench.records import Cell, RunRecord
from hashbench.types import Codes, Split


def main(profile: str, group: Group) -> None:
    """Evaluate the cells of `group` in `profile` that are not up to date, and gather all."""
    layout = Layout(profile, group)
    params = read_params(layout, f"evaluate/{group}", EvaluateParams)
    cells = sorted(params.cells())
    splits = {dataset: read_split(layout.split(dataset)) for dataset in params.cutoffs}
    evaluator = Evaluator(layout, params, splits)
    evaluated = sum([evaluator.evaluate(cell) for cell in track(cells, "evaluate")])
    removed = records.remove_other_evaluations(layout, cells)
    gather(layout, params, cells, splits)
    log.info("evaluate: %d cells evaluated, %d kept, %d removed", evaluated, len(cells) - evaluated, removed)


@dataclass(frozen=True)
class Evaluator:
    """Evaluates cells of one group of a profile by the rules of params.yaml."""

    layout: Layout
    params: EvaluateParams
    splits: dict[str, Split]

    def evaluate(self, cell: Cell) -> bool:
        """Evaluate one cell unless that is up to date; say whether there was anything to do."""
        fit, split = fits.read_fit(self.layout, cell), self.splits[cell.dataset]
        rules, program = rules_of(self.params, cell.dataset), program_of("hashbench.stages.evaluate")
        made_from = {
            "code": program.digest,
            "versions": program.versions,
            "codes": [fit.codes_digest, fit.logits_digest],
            "split": split.digest,
            "rules": {**vars(rules), "ranks": list(rules.ranks)},
            "seed": fit.record.seed,
        }
        fingerprint = digest_of(made_from)
        if records.is_evaluated(self.layout, cell, fingerprint):
            return False
        start = time.perf_counter()
        query, database = fits.read_codes(self.layout, cell, split)
        evaluation = evaluate_codes(query, database, split, rules)
        asymmetric = evaluate_logits(query, database, split, rules)
        summary = summarise(evaluation, database, fit.record.seed, asymmetric)
        write_evaluation_seconds(self.layout, cell, fit.fingerprint, time.perf_counter() - start)
        stored = StoredEvaluation(fingerprint=fingerprint, summary=summary, evaluator=program.digest)
        records.write_evaluation(self.layout, cell, ap_of_queries(evaluation, asymmetric), stored)
        return True


def rules_of(params: EvaluateParams, dataset: str) -> EvaluationRules:
    """The rules by which the cells of a data set are evaluated."""
    rules = params.rules
    return EvaluationRules(params.cutoffs[dataset], rules.denominator, rules.empty, tuple(rules.ranks))


def gather(layout: Layout, params: EvaluateParams, cells: Sequence[Cell], splits: dict[str, Split]) -> None:
    """Write the results of all cells: records, per-query values, and codes where these are kept."""
    runs = []
    for cell in cells:
        fit, evaluation = fits.read_fit(layout, cell), records.read_evaluation(layout, cell)
        runs.append(record_of(layout.profile, cell, splits[cell.dataset], fit, evaluation))
    records.write_records(layout.records, runs)
    records.write_queries(layout.queries, records.read_ap(layout, cells))
    keep_codes(layout, [cell for cell in cells if cell.seed in params.keep_codes], splits)


def record_of(profile: str, cell: Cell, split: Split, fit: fits.StoredFit, evaluation: StoredEvaluation) -> RunRecord:
    """The record of one run."""
    return RunRecord(
        profile=profile,
        **cell._asdict(),
        split=split.name,
        split_digest=split.digest,
        n_query=len(split.query),
        n_database=len(split.database),
        n_train=len(split.train),
        codes=fit.codes_digest,
        logits=fit.logits_digest,
        fingerprint=fit.fingerprint,
        evaluator=evaluation.evaluator,
        fit=fit.record,
        evaluation=evaluation.summary,
    )


def keep_codes(layout: Layout, cells: Sequence[Cell], splits: dict[str, Split]) -> None:
    """Keep the codes of these cells with the results, a file a method, and none of others."""
    by_method: dict[str, dict[Cell, tuple[Codes, Codes]]] = defaultdict(dict)
    for cell in cells:
        by_method[cell.method][cell] = fits.read_codes(layout, cell, splits[cell.dataset])
    for method, codes in by_method.items():
        records.write_kept_codes(layout.kept_codes(method), codes)
    for path in layout.kept_codes("any").parent.glob("*.safetensors"):
        if path.stem not in by_method:
            path.unlink()


if __name__ == "__main__":
    run_stage(main, "profile", "group")
