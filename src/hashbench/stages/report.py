"""Tables, figures and the page of a profile, from its records; and the manifest of all its results.

Seconds are gathered here, and not where records are, so that the tables of cost always show what `cost/seconds.csv`
says: no stage is stale when a repair took other seconds.
"""

from __future__ import annotations

from pathlib import Path

from hashbench.artefacts import store
from hashbench.artefacts.dataset import pixels_digest, read_dataset
from hashbench.artefacts.features import read_record
from hashbench.artefacts.layout import Group, Layout
from hashbench.artefacts.manifest import DatasetNote, Manifest, digests_of_files, write_manifest
from hashbench.artefacts.params import read_params
from hashbench.artefacts.records import read_records
from hashbench.artefacts.seconds import gather_seconds
from hashbench.artefacts.weights import read_weights_record
from hashbench.config.selection import ReportParams
from hashbench.execution.command import log, run_stage
from hashbench.fingerprint import program_of
from hashbench.methods.registry import module_of
from hashbench.report.build import render_report
from hashbench.reporting import bundle_of, render_beside


def main(profile: str, group: Group) -> None:
    """Write every file of the report of the `group` of `profile`; remove those of older ones."""
    layout = Layout(profile, group)
    params = read_params(layout, f"report/{group}", ReportParams)
    gather_seconds(layout, {run.cell: run.fingerprint for run in read_records(layout.records)})
    writer = Writer(layout)
    if group == "methods":
        images = {name: read_dataset(layout, name) for name in params.dataset_titles}
        bundle = bundle_of(params, layout, images, {n: d.class_names for n, d in images.items()})
        render_report(bundle, writer.write)
    else:
        render_beside(params, layout, writer.write)
    writer.remove_others()
    write_manifest_of(params, layout)
    log.info("report: see %s", layout.results / "report.html")


class Writer:
    """Writes the files of a report; remembers which."""

    def __init__(self, layout: Layout) -> None:
        self._layout = layout
        self._written: set[Path] = set()

    def write(self, name: str, content: str | bytes) -> None:
        """Write one file, unless it lies there with this content."""
        path = self._layout.results / name
        self._written.add(path)
        new = content.encode("utf-8") if isinstance(content, str) else content
        if not path.is_file() or path.read_bytes() != new:
            with store.replacing(path) as temporary:
                temporary.write_bytes(new)

    def remove_others(self) -> None:
        """Remove what an older report left and this one did not write; data of earlier stages stay."""
        folders = [self._layout.results / name for name in ("figures", "metrics")]
        for path in [path for folder in folders for path in folder.rglob("*") if path.is_file()]:
            if path not in self._written:
                path.unlink()


def write_manifest_of(params: ReportParams, layout: Layout) -> None:
    """Write the manifest: every file of the results, and the programs and inputs that their records name."""
    modules = [module_of(method.code) for method in params.methods.values()]
    programs = [program_of("hashbench.stages.fit", module) for module in modules]
    programs += [program_of("hashbench.stages.evaluate")]
    named = {name for run in read_records(layout.records) for name in (run.fit.code, run.evaluator)}
    pairs = sorted((dataset, backbone) for dataset in params.dataset_titles for backbone in params.backbone_titles)
    manifest = Manifest(
        files=digests_of_files(layout),
        programs={p.digest: p.sources for p in sorted(programs, key=lambda p: p.digest) if p.digest in named},
        datasets={
            name: DatasetNote(classes=list(read_dataset(layout, name).class_names), pixels=pixels_digest(layout, name))
            for name in sorted(params.dataset_titles)
        },
        weights={
            f"{dataset}-{backbone}": read_weights_record(layout, dataset, backbone) for dataset, backbone in pairs
        },
        features={f"{dataset}-{backbone}": read_record(layout, dataset, backbone) for dataset, backbone in pairs},
    )
    write_manifest(layout, manifest)


if __name__ == "__main__":
    run_stage(main, "profile", "group")
