"""Codes that others submitted: their record, and the check that it is what codes and split give."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from hashbench.artefacts.fits import codes_digest
from hashbench.artefacts.layout import Layout
from hashbench.artefacts.split import read_split
from hashbench.artefacts.submissions import read_notes, read_submitted, read_submitted_codes, submission_folders
from hashbench.cells import Cell
from hashbench.config.params import Params, load_params
from hashbench.config.selection import evaluate_params
from hashbench.errors import HashbenchError
from hashbench.evaluation.summary import EvaluationRules, evaluate_codes, summarise
from hashbench.fingerprint import program_of
from hashbench.records import SubmittedRecord
from hashbench.types import Codes, Split
from hashbench.verification.findings import Findings
from hashbench.verification.runs import same


def splits_of(params: Params, profile: str) -> dict[str, Split]:
    """The splits of a profile's results, by data set. Raises HashbenchError where there are none."""
    layout = Layout(profile)
    paths = {name: layout.split(name) for name in params.profile(profile).datasets}
    found = {name: read_split(path) for name, path in paths.items() if path.is_file()}
    if not found:
        raise HashbenchError(f"profile {profile} has no splits in {layout.results}; name another by --profile")
    return found


def splits_of_records(params: Params, records: Sequence[SubmittedRecord]) -> dict[str, Split]:
    """The splits of the profiles that records name, by data set, which has one split whatever the profile."""
    profiles = sorted({each.profile for each in records})
    return {name: split for profile in profiles for name, split in splits_of(params, profile).items()}


def record_of(params: Params, profile: str, cell: Cell, pair: tuple[Codes, Codes], split: Split) -> SubmittedRecord:
    """What codes give by the rules of the profile, told as a record."""
    chosen = evaluate_params(params, profile, "methods")
    rules = EvaluationRules(
        chosen.cutoffs[cell.dataset], chosen.rules.denominator, chosen.rules.empty, chosen.rules.ranks
    )
    evaluation = evaluate_codes(*pair, split, rules)
    return SubmittedRecord(
        profile=profile,
        **cell._asdict(),
        split=split.name,
        split_digest=split.digest,
        n_query=len(split.query),
        n_database=len(split.database),
        n_train=len(split.train),
        codes=codes_digest(*pair),
        evaluator=program_of("hashbench.stages.evaluate").digest,
        evaluation=summarise(evaluation, pair[1], cell.derived_seed(params.base_seed)),
    )


def verify_submissions(root: Path) -> int:
    """Print what is wrong with the submissions below the project's root; return 0 if nothing is, else 1."""
    params, findings, recomputed = load_params(), Findings(), 0
    folders = submission_folders(root)
    for folder in folders:
        try:
            recomputed += _check(params, folder, findings)
        except HashbenchError as error:
            findings.fault(str(error))
    for sentence in findings.faults:
        print(sentence)
    count = len(findings.faults)
    differences = f"{count or 'no'} difference{'s' if count != 1 else ''}"
    print(f"submissions: {recomputed} runs of {len(folders)} methods recomputed from their codes, {differences}")
    return 1 if findings.faults else 0


def _check(params: Params, folder: Path, findings: Findings) -> int:
    """Compare each record of a submission with what its codes give; how many were recomputed."""
    read_notes(folder)
    if folder.name in {**params.methods, **params.ablations}:
        findings.fault(f"{folder}: params.yaml has a method of this name; a submission needs a name of its own")
    records = read_submitted(folder)
    if [each.cell for each in records] != sorted({each.cell for each in records}):
        findings.fault(f"{folder}: its records are not in order, or two are of the same cell")
    splits = splits_of_records(params, records)
    codes = read_submitted_codes(folder, splits)
    for cell in sorted(codes.keys() - {each.cell for each in records}):
        findings.fault(f"{folder}: codes of {cell.name} without a record")
    for record in records:
        _compare(params, record, codes, splits.get(record.dataset), findings)
    return len(records)


def _compare(
    params: Params,
    record: SubmittedRecord,
    codes: Mapping[Cell, tuple[Codes, Codes]],
    split: Split | None,
    findings: Findings,
) -> None:
    """Faults for each thing that a record says and its codes, split and params do not."""
    name = record.cell.name
    if split is None or record.cell not in codes:
        findings.fault(f"{name}: no {'split' if split is None else 'codes'} to check it by")
        return
    found = record_of(params, record.profile, record.cell, codes[record.cell], split)
    if found.evaluator != record.evaluator:
        findings.fault(
            f"{name}: stale, evaluated by sources of digest {record.evaluator}, today's are {found.evaluator}; "
            f"`hashbench submit submissions/{record.method}` evaluates it again"
        )
    if found.codes != record.codes:
        findings.fault(f"{name}: the codes are not those that the record was made from")
    said, given = record.model_dump(), found.model_dump()
    for field in ("split", "split_digest", "n_query", "n_database", "n_train"):
        if said[field] != given[field]:
            findings.fault(f"{name}: {field} is {said[field]} in the record, {given[field]} by the split")
    for field, value in given["evaluation"].items():
        if not same(said["evaluation"][field], value):
            findings.fault(f"{name}: {field} is not what codes and labels give")
