"""All checks of a folder of results, in order."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from hashbench.artefacts.layout import Group, Layout
from hashbench.artefacts.manifest import read_manifest
from hashbench.config.params import Params, load_params
from hashbench.config.selection import report_params
from hashbench.errors import HashbenchError
from hashbench.report.build import tables_of
from hashbench.reporting import render_beside, tables_bundle_of
from hashbench.types import Split
from hashbench.verification.files import check_lock, check_manifest, check_report
from hashbench.verification.findings import Findings
from hashbench.verification.inputs import check_datasets, check_features, check_splits
from hashbench.verification.refit import cells_to_refit, check_refit
from hashbench.verification.runs import RunChecker

_BESIDE: dict[str, Group] = {"ablations": "ablations", "official": "official"}  # folders below that of a profile


def verify(folder: str, refit: str | None) -> int:
    """Print what is wrong with the results in `folder`; return 0 if nothing is, else 1."""
    params = load_params()
    layout = layout_of(folder, params)
    checked = check(params, layout)
    findings = checked.findings
    if refit is not None:
        _refit(refit, params, layout, checked)
    for line in findings.lines():
        print(line)
    count = len(findings.faults)
    differences = f"{count or 'no'} difference{'s' if count != 1 else ''}"
    print(f"{folder}: {checked.recomputed} of {checked.cells} runs recomputed from their codes, {differences}")
    return 1 if count else 0


@dataclass(frozen=True)
class Checked:
    """What is found in the results of a group, how many of its `cells` were `recomputed` from codes, and its splits."""

    findings: Findings
    recomputed: int
    cells: int
    splits: dict[str, Split]


def check(params: Params, layout: Layout) -> Checked:
    """Check the results of a group."""
    findings = Findings()
    manifest = read_manifest(layout)
    datasets = check_datasets(params, layout, manifest, findings)
    splits = check_splits(params, layout, datasets, findings)
    features = check_features(params, layout, manifest, splits, findings)
    checker = RunChecker(params, layout, manifest, splits, features, findings)
    recomputed, cells = checker.run()
    check_manifest(layout, manifest, findings)
    check_lock(layout, manifest, findings)
    check_report(params, layout, datasets, manifest, findings)
    return Checked(findings, recomputed, cells, splits)


def layout_of(folder: str, params: Params) -> Layout:
    """The profile and group whose results lie in `folder`. Raises HashbenchError where that is none."""
    place = Path(folder).resolve()
    group: Group = _BESIDE.get(place.name, "methods")
    profile = place.name if group == "methods" else place.parent.name
    params.profile(profile)
    layout = Layout(profile, group)
    if layout.results.resolve() != place:
        raise HashbenchError(f"{folder} is not {layout.results} below params.yaml; run from the folder that holds both")
    if not layout.records.is_file():
        command = "reproduce_table1" if group == "methods" else group
        raise HashbenchError(f"{folder} holds no run records; make them with `nox -s {command} -- --profile {profile}`")
    return layout


def _refit(wanted: str, params: Params, layout: Layout, checked: Checked) -> None:
    chosen = report_params(params, layout.profile, layout.group)
    if layout.group == "methods":
        table = tables_of(tables_bundle_of(chosen, layout))[0]
    else:
        found = render_beside(chosen, layout, lambda name, content: None)
        if found is None:
            raise HashbenchError(f"{layout.results} holds no table to draw a sample for")
        table = found
    cells = cells_to_refit(wanted, params, layout, table.digest)
    print(f"refit: {', '.join(cell.name for cell in cells)}")
    check_refit(cells, params, layout, checked.splits, checked.findings)
