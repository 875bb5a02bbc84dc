"""The files of the results: none missing, none added, none changed since the pipeline made it."""

from __future__ import annotations

from collections.abc import Mapping

from hashbench.artefacts.codes import MissingCodesError
from hashbench.artefacts.layout import Layout
from hashbench.artefacts.manifest import Manifest, digests_of_files, result_files
from hashbench.config.params import Params
from hashbench.config.selection import evaluate_params, report_params
from hashbench.data.base import Dataset
from hashbench.errors import HashbenchError
from hashbench.fingerprint import digest_of
from hashbench.report.build import Write, render_report, render_tables, tables_of
from hashbench.report.checking import differences
from hashbench.report.tables.model import Table
from hashbench.reporting import bundle_of, render_beside, tables_bundle_of
from hashbench.verification.dvclock import differing_outputs, is_in_cache, lock_path, outputs
from hashbench.verification.findings import Findings


def check_manifest(layout: Layout, manifest: Manifest, findings: Findings) -> None:
    """Every file of the results against the manifest; a bare clone lacks what is in DVC's cache."""
    here = digests_of_files(layout)
    for name in sorted({*here, *manifest.files}):
        path = layout.results / name
        if name not in here:
            if not is_in_cache(layout, path):
                findings.fault(f"{path} is missing", path)
        elif name not in manifest.files:
            findings.fault(f"{path} is no file of these results; {layout.manifest.name} has none such", path)
        elif here[name] != manifest.files[name]:
            findings.fault(f"{path} is not the file that {layout.manifest.name} names", path)
    for digest, sources in manifest.programs.items():
        if digest_of(sources) != digest:
            told = f"{layout.manifest}: the sources of the program {digest} are not those of this digest"
            findings.fault(told, layout.manifest)


def check_lock(layout: Layout, manifest: Manifest, findings: Findings) -> None:
    """Every output that is here against `dvc.lock`, which DVC wrote when it ran the pipeline."""
    try:
        for place in differing_outputs(layout):
            told = f"{place} was changed after the pipeline made it: dvc.lock names another content"
            findings.fault(told, layout.root / place)
        named = {layout.root / place for place, _ in outputs(lock_path(layout))}
    except HashbenchError as error:
        findings.fault(f"nothing says what the pipeline made: {error}")
        return
    for path in (layout.results / name for name in manifest.files):
        if named.isdisjoint({path, *path.parents}):
            findings.fault(f"{path} is no output that dvc.lock names", path)


def check_report(
    params: Params, layout: Layout, datasets: Mapping[str, Dataset], manifest: Manifest, findings: Findings
) -> None:
    """Every file of the report against what the records give; which files there are."""
    made: dict[str, str | bytes] = {}
    tables, is_whole = _render(params, layout, datasets, manifest, made.__setitem__, findings)
    pictures = []
    for name, expected in made.items():
        path = layout.results / name
        if isinstance(expected, bytes) or name.endswith(".svg"):
            drawn = expected if isinstance(expected, bytes) else expected.encode()
            pictures += [name] if path.is_file() and path.read_bytes() != drawn else []
        elif path.is_file() or not is_in_cache(layout, path):
            found = path.read_text(encoding="utf-8", errors="replace") if path.is_file() else ""
            for told in differences(name, found, expected, tables):
                findings.fault(told, path)
    if pictures:
        findings.note(f"drawn here, these pictures are other bytes, as on another machine: {', '.join(pictures)}")
    if is_whole:
        _check_names(params, layout, set(made), findings)


def _check_names(params: Params, layout: Layout, of_report: set[str], findings: Findings) -> None:
    """Faults for files of the results that no stage makes, and for pictures that are not there."""
    chosen = evaluate_params(params, layout.profile, layout.group)
    expected = {layout.results / name for name in of_report} | {layout.records, layout.queries}
    expected |= {layout.kept_codes(cell.method) for cell in chosen.cells() if cell.seed in chosen.keep_codes}
    if layout.group == "methods":
        expected |= {layout.split(dataset) for dataset in chosen.cutoffs}
    for path in result_files(layout):
        if path not in expected:
            findings.fault(f"{path} is no file that the pipeline makes", path)
    for path in sorted(expected):
        if not (path.is_file() or is_in_cache(layout, path)):
            findings.fault(f"{path} is missing", path)


def _render(
    params: Params, layout: Layout, datasets: Mapping[str, Dataset], manifest: Manifest, keep: Write, findings: Findings
) -> tuple[list[Table], bool]:
    """Make the report anew; its tables, and whether it is whole: without codes only these are made, without records
    nothing."""
    chosen = report_params(params, layout.profile, layout.group)
    try:
        if layout.group != "methods":
            table = render_beside(chosen, layout, keep)
            return [] if table is None else [table], True
        try:
            classes = {name: tuple(note.classes) for name, note in manifest.datasets.items()}
            bundle = bundle_of(chosen, layout, datasets, classes)
            render_report(bundle, keep)
            is_whole = True
        except MissingCodesError as error:
            findings.note(f"page and figures were not compared, only the tables ({error})")
            bundle = tables_bundle_of(chosen, layout)
            render_tables(bundle, keep)
            is_whole = False
        return tables_of(bundle), is_whole
    except (HashbenchError, KeyError) as error:
        findings.fault(f"the report cannot be made from these records: {error}")
        return [], False
