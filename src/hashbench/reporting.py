"""What the report of a profile is made from, read from its results and joined with the words of params.yaml."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from importlib.metadata import version

import numpy as np

from hashbench.artefacts.codes import StoredCodes
from hashbench.artefacts.layout import Layout
from hashbench.artefacts.records import read_queries, read_records
from hashbench.artefacts.seconds import read_seconds
from hashbench.artefacts.split import read_split
from hashbench.artefacts.submissions import read_notes, read_submitted, submission_folders
from hashbench.config.selection import MethodTexts, ReportParams
from hashbench.data.base import Dataset
from hashbench.evaluation import code_statistics
from hashbench.evaluation.ties import compared_with, holm, rank_groups, tied_with_best
from hashbench.fitting import new_method
from hashbench.learning.texts import MARKS
from hashbench.methods.base import Method
from hashbench.methods.registry import load_method
from hashbench.records import Cell, RunRecord
from hashbench.report.build import Write, render_ablation, render_tuning
from hashbench.report.bundle import (
    Ablation,
    Gallery,
    HyperparameterNote,
    MethodCard,
    PerClass,
    ReportBundle,
    Submission,
    Variant,
)
from hashbench.report.published import open_published
from hashbench.report.standings import Compared
from hashbench.report.tables.model import Table
from hashbench.types import Array, Codes, Split

GALLERY_QUERIES, GALLERY_ITEMS = 6, 10
THUMBNAIL = 96  # pixels


def tables_bundle_of(params: ReportParams, layout: Layout) -> ReportBundle:
    """Everything that the tables of a profile's methods are made from: no codes and no images are read."""
    return ReportBundle(
        profile=layout.profile,
        version=version("hashbench"),
        command=f"nox -s reproduce_table1 -- --profile {layout.profile}",
        records=tuple(read_records(layout.records)),
        ap={cell: arrays["ap"] for cell, arrays in read_queries(layout.queries).items()},
        methods=cards_of(params),
        dataset_titles=params.dataset_titles,
        backbone_titles=params.backbone_titles,
        tied=lambda ap: tied_with_best(ap, seed=params.base_seed),
        seconds=read_seconds(layout.seconds),
        controls=tuple(params.controls),
        published=open_published(layout.root / "results" / "published.csv"),
        references=tuple(params.references),
        compared=_compared(params),
        left_out=params.left_out,
        submissions=submissions_of(layout),
    )


def _compared(params: ReportParams) -> Compared:
    return lambda ap, method: holm(compared_with(ap, method, seed=params.base_seed))


def submissions_of(layout: Layout) -> tuple[Submission, ...]:
    """What others submitted to the tables of a profile."""
    found = []
    for folder in submission_folders(layout.root):
        notes = read_notes(folder)
        runs = tuple(record for record in read_submitted(folder) if record.profile == layout.profile)
        found.append(Submission(folder.name, notes.title, notes.paper, runs))
    return tuple(each for each in found if each.runs)


def bundle_of(
    params: ReportParams, layout: Layout, images: Mapping[str, Dataset], class_names: Mapping[str, tuple[str, ...]]
) -> ReportBundle:
    """Everything that the report of a profile's methods is made from.

    `images` by data set; where they are not at hand, the galleries show grey squares.
    """
    splits = {dataset: read_split(layout.split(dataset)) for dataset in params.dataset_titles}
    codes = StoredCodes(layout, splits)
    last, first = max(params.bits), params.seeds[0]
    drawn = [cell for cell in params.cells() if (cell.bits, cell.seed) == (last, first)]
    correlations: dict[Cell, Array] = {}
    galleries = []
    for cell in sorted(drawn, key=lambda cell: cell.method):
        pair = codes.read(cell)
        correlations[cell] = code_statistics(pair[1]).correlation
        if params.methods[cell.method].under_study:
            dataset = images.get(cell.dataset)
            galleries.append(gallery_of(cell, pair, splits[cell.dataset], class_names[cell.dataset], dataset))
    per_class = [
        PerClass(name, class_names[name], np.asarray(split.labels[split.query])) for name, split in splits.items()
    ]
    return replace(
        tables_bundle_of(params, layout),
        rank_groups=lambda ap: rank_groups(ap, seed=params.base_seed),
        correlations=correlations,
        galleries=tuple(galleries),
        per_class=tuple(per_class),
    )


def ablation_bundle_of(params: ReportParams, layout: Layout) -> ReportBundle:
    """Everything that the report of a profile's ablations is made from; `layout` is that of the ablations."""
    return replace(
        _bundle_beside(params, layout, [layout, _of_methods(layout)]),
        ablations=tuple(
            Ablation(base, tuple(_variant(name, params.methods[name]) for name in names))
            for base, names in params.variants.items()
        ),
    )


def tuning_bundles_of(params: ReportParams, layout: Layout) -> tuple[ReportBundle, ReportBundle]:
    """The methods with official and with searched settings; `layout` is that of the official ones. A method without
    anything to search has the same runs in both."""
    main = _of_methods(layout)
    return _bundle_beside(params, layout, [layout, main]), _bundle_beside(params, layout, [main])


def _of_methods(layout: Layout) -> Layout:
    return Layout(layout.profile, root=layout.root)


def _bundle_beside(params: ReportParams, layout: Layout, sources: Sequence[Layout]) -> ReportBundle:
    """What the report of a group that stands beside the methods has in common with that of others: the runs of its
    methods and code lengths, each from the first of the `sources` that has it."""
    records: dict[Cell, RunRecord] = {}
    ap: dict[Cell, Array] = {}
    for source in reversed(sources):
        wanted = [each for each in read_records(source.records) if each.method in params.methods]
        records |= {each.cell: each for each in wanted if each.bits in params.bits}
        ap |= {cell: arrays["ap"] for cell, arrays in read_queries(source.queries).items() if cell in records}
    return ReportBundle(
        profile=layout.profile,
        version=version("hashbench"),
        command=f"nox -s {layout.group} -- --profile {layout.profile}",
        records=tuple(records.values()),
        ap=ap,
        methods=cards_of(params),
        dataset_titles=params.dataset_titles,
        backbone_titles=params.backbone_titles,
        tied=lambda ap: tied_with_best(ap, seed=params.base_seed),
        compared=_compared(params),
        controls=tuple(params.controls),
        left_out=params.left_out if layout.group == "official" else {},
    )


def render_beside(params: ReportParams, layout: Layout, write: Write) -> Table | None:
    """Make the report of a group that stands beside the methods; its table, or None where nothing was run."""
    if layout.group == "official":
        return render_tuning(*tuning_bundles_of(params, layout), write)
    return render_ablation(ablation_bundle_of(params, layout), write)


def _variant(name: str, texts: MethodTexts) -> Variant:
    return Variant(name, texts.label or name.replace("_", " "), str(texts.against))


def cards_of(params: ReportParams) -> dict[str, MethodCard]:
    """What the report says of each method."""
    return {name: _card(name, texts) for name, texts in params.methods.items()}


def _card(name: str, texts: MethodTexts) -> MethodCard:
    method_class = load_method(texts.code)
    values = {key: entry.value for key, entry in texts.hyperparameters.items()}
    mark = MARKS.get(getattr(method_class, "texts", "none"), "")
    return MethodCard(
        title=f"{method_class.title} ({mark})" if mark else method_class.title,
        paper=method_class.paper,
        deviations=deviations_of(new_method(name, method_class, values), texts.backbone_is_trained),
        hyperparameters=tuple(
            HyperparameterNote(
                key, entry.value, entry.source, entry.note, texts.most_steps if key in texts.lengths else None
            )
            for key, entry in texts.hyperparameters.items()
        ),
        under_study=texts.under_study,
        external_text=mark,
    )


def deviations_of(method: Method, backbone_is_trained: bool) -> tuple[str, ...]:
    """Where a method differs from what was published, in a run that trains the backbone or in one that does not."""
    if backbone_is_trained and getattr(method, "trains_backbone", False):
        return tuple(method.deviations)
    return (*method.deviations, *getattr(method, "if_frozen", ()))


def gallery_of(
    cell: Cell, codes: tuple[Codes, Codes], split: Split, class_names: tuple[str, ...], dataset: Dataset | None
) -> Gallery:
    """The first queries and what a cell's codes find first for them, ties in the database's (shuffled) order."""
    query, database = codes
    packed = query.packed[:GALLERY_QUERIES, None] ^ database.packed[None]
    distances = np.bitwise_count(packed).sum(axis=2, dtype=np.int64)
    first = distances.argsort(axis=1, kind="stable")[:, :GALLERY_ITEMS]
    query_rows, found_rows = split.query[:GALLERY_QUERIES], split.database[first]
    names = np.array(class_names)
    return Gallery(
        dataset=cell.dataset,
        backbone=cell.backbone,
        method=cell.method,
        bits=cell.bits,
        query_images=thumbnails(dataset, query_rows),
        query_labels=tuple(", ".join(names[split.labels[row]].tolist()) for row in query_rows),
        images=np.stack([thumbnails(dataset, rows) for rows in found_rows]),
        distances=np.take_along_axis(distances, first, axis=1),
        relevant=(split.labels[query_rows][:, None] & split.labels[found_rows]).any(axis=2),
    )


def thumbnails(dataset: Dataset | None, rows: Array) -> Array:
    """The images of some rows as small squares, uint8 (m, s, s, 3), s at most `THUMBNAIL`; grey without a data set."""
    if dataset is None:
        return np.full((len(rows), 8, 8, 3), 128, dtype=np.uint8)
    images = dataset.read(rows)
    if isinstance(images, np.ndarray) and images.shape[1] == images.shape[2] <= THUMBNAIL:
        return images
    from PIL import Image, ImageOps

    square = (THUMBNAIL, THUMBNAIL)
    return np.stack([np.asarray(ImageOps.fit(Image.fromarray(image), square)) for image in images])
