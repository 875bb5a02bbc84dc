"""Train methods again and compare their codes with the stored ones, bit for bit."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from statistics import fmean, stdev
from tempfile import TemporaryDirectory
from typing import Any

from hashbench.artefacts import store
from hashbench.artefacts.fits import codes_digest
from hashbench.artefacts.layout import Layout
from hashbench.artefacts.records import read_records
from hashbench.artefacts.split import read_split
from hashbench.cells import Cell
from hashbench.config.params import Params, known
from hashbench.config.selection import evaluate_params, fit_params
from hashbench.errors import HashbenchError
from hashbench.evaluation.summary import EvaluationRules, evaluate_codes, evaluate_logits
from hashbench.execution.machine import processor_name
from hashbench.execution.processes import run_side_by_side
from hashbench.fingerprint import digest_of
from hashbench.fitter import Fitter
from hashbench.progress import track
from hashbench.records import AsymmetricSummary, RunRecord
from hashbench.types import Split
from hashbench.verification.findings import Findings

# Codes of the same bits may come with logits that round otherwise, by other versions; so far may their mAP be apart.
LOGITS_TOLERANCE = 1e-3
SPREADS, LEAST = 3.0, 0.01  # how far from the mean over seeds a mAP may be, in standard deviations and at least


def cells_to_refit(wanted: str, params: Params, layout: Layout, digest: str) -> list[Cell]:
    """The cells that `--refit WANTED` names: those of a method, or `sample:N` of all.

    A sample holds the N cells whose names, hashed with the `digest` of the table's content, come first: whoever made
    the table could not choose them.
    """
    rules = evaluate_params(params, layout.profile, layout.group)
    cells = sorted(rules.cells())
    kind, _, count = wanted.partition(":")
    if kind == "sample":
        if not count.isascii() or not count.isdigit() or not 0 < int(count) <= len(cells):
            raise HashbenchError(f"--refit sample:N takes a number of cells from 1 to {len(cells)}, got '{wanted}'")
        return sorted(sorted(cells, key=lambda cell: digest_of([digest, cell.name]))[: int(count)])
    known("--refit", wanted, dict.fromkeys(rules.methods))
    return [cell for cell in cells if cell.method == wanted]


def check_refit(
    cells: Sequence[Cell], params: Params, layout: Layout, splits: Mapping[str, Split], findings: Findings
) -> None:
    """Fit these cells again and name each whose codes, mAP, or what is told of the fit, are others.

    On the kind of processor that the record names the codes must be the same bits, whatever versions it claims;
    elsewhere the mAP must lie within the spread of the recorded seeds.
    """
    records = {record.cell: record for record in read_records(layout.records)}
    chosen = [cell for cell in cells if cell in records and cell.dataset in splits]
    for cell in cells:
        if cell not in chosen:
            findings.fault(f"{cell.name}: not trained again, it lacks a record or a split")
    with TemporaryDirectory() as folder:
        again = partial(fit_again, Path(folder), params, layout)
        for cell in track(run_side_by_side(again, chosen), "refit", total=len(chosen)):
            seeds = [
                record.evaluation.map for other, record in records.items() if other._replace(seed=cell.seed) == cell
            ]
            _compare(records[cell], store.read_sealed(Path(folder) / f"{cell.name}.json"), seeds, findings)


def fit_again(folder: Path, params: Params, layout: Layout, cell: Cell) -> None:
    """Fit one cell as the fit stage does, and leave in `folder` what came out."""
    fitter = Fitter(layout.profile, fit_params(params, layout.profile, layout.group, cell.method))
    fitted, rules = fitter.fitted((cell,))[0], evaluate_params(params, layout.profile, layout.group)
    query, database = fitted.codes["query"], fitted.codes["database"]
    by = EvaluationRules(rules.cutoffs[cell.dataset], rules.rules.denominator, rules.rules.empty, [1])
    split = read_split(layout.split(cell.dataset))
    asymmetric = evaluate_logits(query, database, split, by)
    told = {
        "processor": processor_name(fitter.params.device if fitter.on_gpu else "cpu"),
        "codes": codes_digest(query, database),
        "map": evaluate_codes(query, database, split, by).map,
        "asymmetric_map": None if asymmetric is None else asymmetric.map,
        "curves": {name: list(values) for name, values in fitted.log.curves.items()},
        "remarks": list(fitted.log.remarks),
    }
    store.write_sealed(folder / f"{cell.name}.json", told)


def _compare(record: RunRecord, again: Mapping[str, Any], seeds: Sequence[float], findings: Findings) -> None:
    """Hold a record against a fit `again` of the same cell; `seeds`: the recorded mAP of all its repetitions."""
    name, value = f"{record.cell.name}: trained again", float(again["map"])
    same_codes, here = again["codes"] == record.codes, str(again["processor"])
    if same_codes and not math.isclose(value, record.evaluation.map, rel_tol=1e-12, abs_tol=1e-12):
        findings.fault(f"{name}, mAP is {value:.4f}, the record says {record.evaluation.map:.4f}")
    if same_codes and not _close(again["asymmetric_map"], record.evaluation.asymmetric):
        findings.fault(f"{name}, its asymmetric mAP is {again['asymmetric_map']}, not that of the record")
    if here == record.fit.processor:
        if not same_codes:
            findings.fault(f"{name}, its codes are others than those of the record, mAP is {value:.4f}")
        elif (again["curves"], again["remarks"]) != (record.fit.curves, record.fit.remarks):
            findings.fault(f"{name}, its curves or remarks are others than those of the record")
        return
    where = f"on {here}, not on {record.fit.processor} as the record says"
    allowed = max(SPREADS * stdev(seeds) if len(seeds) > 1 else 0.0, LEAST)
    if abs(value - fmean(seeds)) > allowed:
        findings.fault(
            f"{name} {where}, mAP is {value:.4f}, not within {allowed:.4f} of the mean {fmean(seeds):.4f} of the "
            "recorded seeds"
        )
    else:
        bits = "the same" if same_codes else "others"
        findings.note(f"{name} {where}; the codes are {bits}, mAP is {value:.4f}, recorded {record.evaluation.map:.4f}")


def _close(again: float | None, recorded: AsymmetricSummary | None) -> bool:
    """Whether an asymmetric mAP is that of the record, but for what rounding may do; None where there is none."""
    if again is None or recorded is None:
        return again is None and recorded is None
    return math.isclose(again, recorded.map, abs_tol=LOGITS_TOLERANCE)
