"""The records of runs: every number again, from the stored codes and labels alone, and every claim of how it came."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from hashbench.artefacts.codes import MissingCodesError, StoredCodes
from hashbench.artefacts.fits import codes_digest, logits_digest, read_fit
from hashbench.artefacts.layout import Layout
from hashbench.artefacts.manifest import Manifest
from hashbench.artefacts.records import AP, ASYMMETRIC_AP, read_queries, read_records
from hashbench.cells import Cell
from hashbench.config.params import Params
from hashbench.config.selection import EvaluateParams, FitParams, evaluate_params, fit_params
from hashbench.errors import HashbenchError
from hashbench.evaluation.summary import EvaluationRules, ap_of_queries, evaluate_codes, evaluate_logits, summarise
from hashbench.fingerprint import Program, program_of
from hashbench.fitter import Fitter
from hashbench.fitting import wasted_bits
from hashbench.methods.registry import module_of
from hashbench.progress import track
from hashbench.records import EvaluationSummary, RunRecord
from hashbench.types import Array, Split
from hashbench.verification.dvclock import is_in_cache
from hashbench.verification.findings import Findings
from hashbench.verification.inputs import check_versions


@dataclass
class RunChecker:
    """Checks the records of one group of a profile against its codes, splits and params."""

    params: Params
    layout: Layout
    manifest: Manifest
    splits: Mapping[str, Split]
    features: Mapping[tuple[str, str], str]
    findings: Findings

    def __post_init__(self) -> None:
        self.rules: EvaluateParams = evaluate_params(self.params, self.layout.profile, self.layout.group)
        self.codes = StoredCodes(self.layout, self.splits)
        self.evaluator = program_of("hashbench.stages.evaluate")
        self._of_method: dict[str, tuple[FitParams, Program]] = {}

    def run(self) -> tuple[int, int]:
        """Check every cell that params.yaml asks for; how many were recomputed from codes, and how many there are."""
        cells = sorted(self.rules.cells())
        records = self._records(cells)
        try:
            ap = read_queries(self.layout.queries)
        except HashbenchError as error:
            self.findings.fault(str(error))
            ap = {}
        for cell in sorted(set(ap) - set(cells)):
            self.findings.fault(f"{self.layout.queries}: {cell.name} is no cell of params.yaml", self.layout.queries)
        recomputed = 0
        for cell in track(cells, "verify"):
            if cell in records and cell.dataset in self.splits:
                self._provenance(records[cell])
                recomputed += self._numbers(records[cell], ap.get(cell))
        if recomputed < len(cells):
            how = "were checked by the average precision of their queries alone, for their codes are not here"
            self.findings.note(f"{len(cells) - recomputed} runs {how}; `dvc pull` or `dvc repro` brings them")
        self._mixtures(records)
        return recomputed, len(cells)

    def _records(self, cells: list[Cell]) -> dict[Cell, RunRecord]:
        """The records by cell; faults where one is missing, not asked for, or stands twice."""
        records: dict[Cell, RunRecord] = {}
        listed = read_records(self.layout.records)
        for record in listed:
            if record.cell in records:
                self._fault(record.cell, "two records")
            records[record.cell] = record
        if list(records) != sorted(records):
            self.findings.fault(f"{self.layout.records}: the records are not in order")
        for cell in cells:
            if cell not in records:
                self._fault(cell, "no record")
        for cell in sorted(set(records) - set(cells)):
            self._fault(cell, "a record that params.yaml does not ask for")
        return records

    def _provenance(self, record: RunRecord) -> None:
        """What a record says of how it was made, against params, split, features and today's sources."""
        cell, split = record.cell, self.splits[record.dataset]
        params, program = self._fit_of(cell.method)
        of_split = {
            "profile": self.layout.profile,
            "split": split.name,
            "split_digest": split.digest,
            "n_query": len(split.query),
            "n_database": len(split.database),
            "n_train": len(split.train),
        }
        of_fit = {
            "hyperparameters": params.hyperparameters_for(len(split.train)),
            "split": split.digest,
            "features": self.features.get((cell.dataset, cell.backbone)),
            "seed": cell.derived_seed(params.base_seed),
            "device": params.device,
            "precision": params.precision,
            "backbone_training": Fitter(self.layout.profile, params).backbone_training(cell.dataset, cell.backbone),
        }
        self._differences(cell, record.model_dump(include=set(of_split)), of_split)
        self._differences(cell, record.fit.model_dump(include=set(of_fit)), of_fit)
        if record.fingerprint != record.fit.fingerprint(cell.bits):
            self._fault(cell, "its fingerprint is not that of what it says it was made from")
        self._as_fitted(record)
        self._is_current(cell, "codes", record.fit.code, program)
        self._is_current(cell, "evaluation", record.evaluator, self.evaluator)
        check_versions(cell.method, record.fit.versions, program.versions, self.findings)

    def _as_fitted(self, record: RunRecord) -> None:
        """What a record says of its fit against what the fit left in artefacts, where it lies there."""
        cell = record.cell
        if not self.layout.codes(cell).is_file():
            return
        try:
            stored = read_fit(self.layout, cell)
        except HashbenchError as error:
            self.findings.fault(str(error), self._records_of(cell))
            return
        for name, value in stored.record.model_dump().items():
            if getattr(record.fit, name) != value:
                self._fault(cell, f"{name} is not what its fit left in {self.layout.codes(cell)}.json")
        if (stored.codes_digest, stored.logits_digest) != (record.codes, record.logits):
            self._fault(cell, f"the record was made from other codes than {self.layout.codes(cell)}")

    def _differences(self, cell: Cell, found: Mapping[str, Any], expected: Mapping[str, Any]) -> None:
        for name, value in expected.items():
            if not same(found[name], value):
                self._fault(cell, f"{name} is {_short(found[name])} in the record, {_short(value)} by params and split")

    def _is_current(self, cell: Cell, what: str, digest: str, program: Program) -> None:
        """A fault, with the files that changed where the manifest tells, unless `digest` is that of today's program."""
        if digest == program.digest:
            return
        then = self.manifest.programs.get(digest, {})
        changed = [name for name in sorted({*then, *program.sources}) if then.get(name) != program.sources.get(name)]
        files = f" ({', '.join(changed)} changed)" if then else ""
        by = f"by sources of digest {digest}, today's are {program.digest}{files}"
        self._fault(cell, f"stale, the {what} {'were' if what == 'codes' else 'was'} made {by}")

    def _fault(self, cell: Cell, what: str) -> None:
        self.findings.fault(f"{cell.name}: {what}", self._records_of(cell))

    def _records_of(self, cell: Cell) -> str:
        """What the faults of a cell are counted by: a method's records, for they are often all wrong or none."""
        return f"{self.layout.records}, {cell.method}"

    def _fit_of(self, method: str) -> tuple[FitParams, Program]:
        if method not in self._of_method:
            params = fit_params(self.params, self.layout.profile, self.layout.group, method)
            self._of_method[method] = params, program_of("hashbench.stages.fit", module_of(params.code))
        return self._of_method[method]

    def _numbers(self, record: RunRecord, ap: Mapping[str, Array] | None) -> bool:
        """Every number of a record and its per-query values against the codes; whether these were at hand."""
        cell, split = record.cell, self.splits[record.dataset]
        cut, rules = self.rules.cutoffs[cell.dataset], self.rules.rules
        try:
            query, database = self.codes.read(cell)
        except MissingCodesError as error:
            if self._must_be_kept(cell):
                self.findings.fault(str(error), self.layout.kept_codes(cell.method))
            self._without_codes(record, ap)
            return False
        except HashbenchError as error:
            self._fault(cell, str(error))
            return False
        if codes_digest(query, database) != record.codes:
            self._fault(cell, "the codes are not those that the record was made from")
        if logits_digest(query) != record.logits:
            self._fault(cell, "the logits of its queries are not those that the record was made from")
        if self._must_be_kept(cell) and self.codes.kept(cell) is None:
            self._fault(cell, f"{self.layout.kept_codes(cell.method)} lacks its codes")
        for remark in wasted_bits(database):
            if remark not in record.fit.remarks:
                self._fault(cell, f"the record does not say that {remark}")
        by = EvaluationRules(cut, rules.denominator, rules.empty, rules.ranks)
        evaluation = evaluate_codes(query, database, split, by)
        asymmetric = evaluate_logits(query, database, split, by)
        again = summarise(evaluation, database, record.fit.seed, asymmetric)
        found, expected = _by_name(record.evaluation), _by_name(again)
        for name in sorted({*found, *expected}):
            if not same(found.get(name), expected.get(name)):
                said = f"{name} is {_short(found.get(name))} in the record"
                self._fault(cell, f"{said}, {_short(expected.get(name))} from codes and labels")
        of_queries = ap_of_queries(evaluation, asymmetric)
        for name, values in of_queries.items():
            if ap is None or name not in ap or not same(ap[name].tolist(), values.tolist()):
                self._fault(cell, f"{name} of the queries is not what the codes and labels give")
        for name in sorted(set(ap or ()) - set(of_queries)):
            self._fault(cell, f"{name} of the queries is stored, and its codes give none")
        return True

    def _must_be_kept(self, cell: Cell) -> bool:
        """Whether the results must hold the codes of a cell; a file in DVC's cache need not be here."""
        path = self.layout.kept_codes(cell.method)
        return cell.seed in self.rules.keep_codes and (path.is_file() or not is_in_cache(self.layout, path))

    def _without_codes(self, record: RunRecord, ap: Mapping[str, Array] | None) -> None:
        """What can be said of a record whose codes are not here: its rules, and its means over queries."""
        cell, said, rules = record.cell, record.evaluation, self.rules.rules
        by_params = {"k": self.rules.cutoffs[cell.dataset], "denominator": rules.denominator, "empty": rules.empty}
        self._differences(cell, said.model_dump(), by_params)
        means = dict(zip(AP, (said.map, said.map_optimistic, said.map_pessimistic), strict=True))
        if said.asymmetric is not None:
            means[ASYMMETRIC_AP] = said.asymmetric.map
        if ap is None or set(ap) != set(means):
            self._fault(cell, "no average precision of its queries")
            return
        for name, of_record in means.items():
            values = [0.0 if math.isnan(x) else x for x in ap[name].tolist() if rules.empty == "zero" or x == x]
            if not math.isclose(math.fsum(values) / max(len(values), 1), of_record, abs_tol=1e-12):
                self._fault(cell, f"{name} is not the mean over its queries")

    def _mixtures(self, records: Mapping[Cell, RunRecord]) -> None:
        """Notes where the rows of a table were made by different versions or on different processors."""
        for name, of in (("versions", _versions), ("processors", _processor)):
            groups: dict[str, list[str]] = {}
            for cell, record in records.items():
                for value in of(record):
                    groups.setdefault(value, []).append(cell.name)
            for value, cells in _minorities(groups):
                self.findings.note(f"mixed {name}: {value} in {', '.join(cells)}")


def _by_name(summary: EvaluationSummary) -> dict[str, Any]:
    """The numbers of a summary by name, those of the asymmetric ranking after that word."""
    found = summary.model_dump()
    asymmetric = found.pop("asymmetric") or {}
    return {**found, **{f"asymmetric {name}": value for name, value in asymmetric.items()}}


def _versions(record: RunRecord) -> Iterator[str]:
    yield from (f"{name} {version}" for name, version in record.fit.versions.items())


def _processor(record: RunRecord) -> Iterator[str]:
    yield f"processor {record.fit.processor}"


def _minorities(groups: Mapping[str, list[str]]) -> Iterator[tuple[str, list[str]]]:
    """Of values of the same thing (its first word), all but the one that most cells have."""
    by_name: dict[str, list[str]] = {}
    for value in groups:
        by_name.setdefault(value.partition(" ")[0], []).append(value)
    for values in by_name.values():
        most = max(values, key=lambda value: len(groups[value]))
        yield from ((value, groups[value]) for value in sorted(values) if value != most)


def same(a: Any, b: Any) -> bool:
    """Whether two numbers, or lists or dicts of numbers, agree to 1e-12 (sums may round differently elsewhere)."""
    if isinstance(a, list | tuple):
        return isinstance(b, list | tuple) and len(a) == len(b) and all(map(same, a, b))
    if isinstance(a, dict):
        return isinstance(b, dict) and a.keys() == b.keys() and all(same(a[key], b[key]) for key in a)
    if isinstance(a, float) and isinstance(b, float):
        return math.isclose(a, b, rel_tol=1e-12, abs_tol=1e-12) or (math.isnan(a) and math.isnan(b))
    return bool(a == b)


def _short(value: Any) -> str:
    text = str(value)
    return text if len(text) <= 40 else text[:37] + "..."
