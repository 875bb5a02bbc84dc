"""Tables, figures and the page of a profile, from its run records and per-query files."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, replace
from functools import partial
from importlib.metadata import version
from pathlib import Path
from typing import cast

import numpy as np

from hashbench import store
from hashbench.evaluation import code_statistics, paired_bootstrap
from hashbench.layout import Cell, Layout, cells_of
from hashbench.methods.registry import load_method
from hashbench.params import MethodParams, Params, load_params
from hashbench.report.build import render_report
from hashbench.report.bundle import Ablation, Contest, Gallery, PaperFields, PerClass, ReportBundle
from hashbench.report.published import open_published
from hashbench.report.results import CellKey, same_rules
from hashbench.stages.command import log, run_stage
from hashbench.stages.evaluate import read_codes, read_record
from hashbench.stages.provide import open_dataset
from hashbench.types import Array, RunRecord, Split

GALLERY_QUERIES, GALLERY_ITEMS = 6, 10
UNDER_STUDY = "src/hashbench/methods/"


def main(profile: str) -> None:
    """Write every file of the report of `profile`."""
    params, layout = load_params(), Layout(profile)
    bundle = bundle_of(params, layout)
    render_report(bundle, partial(write, layout.results))
    log.info(
        "report: %d runs, see %s and %s",
        len(bundle.records),
        layout.results / "table1.md",
        layout.results / "report.html",
    )


def write(folder: Path, name: str, content: str | bytes) -> None:
    """Write one file of the report."""
    if isinstance(content, str):
        store.write_text(folder / name, content)
    else:
        with store.replacing(folder / name) as temporary:
            temporary.write_bytes(content)


def bundle_of(params: Params, layout: Layout) -> ReportBundle:
    """Everything that the report is made from."""
    profile = params.profile(layout.profile)
    cells = [cell for method in params.methods for cell in cells_of(params, layout.profile, method)]
    splits = {dataset: store.read_split(layout.split(dataset)) for dataset in profile.datasets}
    highlighted = tuple(name for name, block in params.methods.items() if block.code.startswith(UNDER_STUDY))
    shown = [
        Cell(dataset, backbone, method, max(profile.bits), profile.seeds[0])
        for dataset in profile.datasets
        for backbone in profile.backbones
        for method in highlighted
    ]
    ap: dict[CellKey, Array] = {cell: store.read_tensors(layout.per_query(cell))["ap"] for cell in cells}
    correlations: dict[CellKey, Array] = {
        cell: code_statistics(read_codes(layout, cell, splits[cell.dataset])[1]).correlation
        for cell in cells
        if cell.bits == max(profile.bits) and cell.seed == profile.seeds[0]
    }
    published = layout.results.parent / "published.csv"
    records = [read_record(layout.record(cell)) for cell in cells]
    variants = ablation_records(params, layout, records)
    return ReportBundle(
        profile=layout.profile,
        version=version("hashbench"),
        command=f"nox -s reproduce_table1 -- --profile {layout.profile}",
        records=(*records, *variants),
        ap=ap,
        methods=tuple(params.methods),
        datasets=tuple(profile.datasets),
        highlighted=highlighted,
        papers=papers_of(params.methods),
        paired_pvalue=lambda a, b: paired_bootstrap(a, b, seed=params.base_seed).p_value,
        published=open_published(published),
        ablations=ablations_of(params) if variants else (),
        correlations=correlations,
        galleries=tuple(gallery_of(cell, params, layout, splits[cell.dataset]) for cell in shown),
        contests=tuple(Contest(tuple(claim.winners), tuple(claim.losers)) for claim in params.claims),
        per_class=tuple(per_class_of(dataset, params, layout, splits[dataset]) for dataset in profile.datasets),
    )


def ablations_of(params: Params) -> tuple[Ablation, ...]:
    """The variants by the method that they change: the one of the same code."""
    variants: dict[str, list[str]] = {}
    for name, block in params.ablations.items():
        base = next(method for method, other in params.methods.items() if other.code == block.code)
        variants.setdefault(base, []).append(name)
    return tuple(Ablation(base, tuple(names), tuple(params.controls)) for base, names in variants.items())


def ablation_records(params: Params, layout: Layout, records: Sequence[RunRecord]) -> list[RunRecord]:
    """The records of all variants, which a pipeline of their own makes; none where any is missing or out of date."""
    group = replace(layout, group="ablations")
    cells = [cell for name in params.ablations for cell in cells_of(params, layout.profile, name)]
    if not cells or not all(group.record(cell).is_file() for cell in cells):
        return []
    variants = [read_record(group.record(cell)) for cell in cells]
    if not same_rules([*records, *variants]):
        log.warning(
            "the ablations are left out, as they were not run on the features, splits and rules of these methods; run "
            "`nox -s ablations -- --profile %s`",
            layout.profile,
        )
        return []
    return variants


def papers_of(methods: Mapping[str, MethodParams]) -> dict[str, PaperFields]:
    """The paper of each method, as plain data."""
    return {name: cast(PaperFields, asdict(load_method(block.code).paper)) for name, block in methods.items()}


def gallery_of(cell: Cell, params: Params, layout: Layout, split: Split) -> Gallery:
    """The first queries and what a cell's codes find first for them, ties in the database's (shuffled) order."""
    query, database = read_codes(layout, cell, split)
    packed = query.packed[:GALLERY_QUERIES, None] ^ database.packed[None]
    distances = np.bitwise_count(packed).sum(axis=2, dtype=np.int64)
    first = distances.argsort(axis=1, kind="stable")[:, :GALLERY_ITEMS]
    query_rows, found_rows = split.query[:GALLERY_QUERIES], split.database[first]
    images = open_dataset(params, layout.profile, cell.dataset)
    relevant = (split.labels[query_rows][:, None] & split.labels[found_rows]).any(axis=2)
    return Gallery(
        dataset=cell.dataset,
        backbone=cell.backbone,
        method=cell.method,
        bits=cell.bits,
        query_images=thumbnails(images.read(query_rows)),
        query_labels=tuple(", ".join(np.array(images.class_names)[split.labels[row]].tolist()) for row in query_rows),
        images=np.stack([thumbnails(images.read(rows)) for rows in found_rows]),
        distances=np.take_along_axis(distances, first, axis=1),
        relevant=relevant,
    )


def thumbnails(images: Array | list[Array], side: int = 96) -> Array:
    """Images of any size as small squares, uint8 (m, s, s, 3), s at most `side`."""
    if isinstance(images, np.ndarray) and images.shape[1] == images.shape[2] <= side:
        return images
    from PIL import Image, ImageOps

    return np.stack([np.asarray(ImageOps.fit(Image.fromarray(image), (side, side))) for image in images])


def per_class_of(dataset: str, params: Params, layout: Layout, split: Split) -> PerClass:
    """The classes that the queries of a data set show."""
    names = open_dataset(params, layout.profile, dataset).class_names
    return PerClass(dataset, tuple(names), np.asarray(split.labels[split.query]))


if __name__ == "__main__":
    run_stage(main, "profile")
