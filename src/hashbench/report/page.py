"""The pages: `report.html`, and the short ones of costs and ablations; each one file that opens without a network."""

from __future__ import annotations

import base64
import io
import warnings
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from markupsafe import Markup

from hashbench.records import Value
from hashbench.report.bundle import Gallery, HyperparameterNote, PerClass, ReportBundle
from hashbench.report.citing import bibtex
from hashbench.report.results import Results, Setting
from hashbench.report.standings import Pair, leaders, standings_of, undecided, under_study
from hashbench.report.tables import rendering
from hashbench.report.tables.model import Table
from hashbench.report.tables.published import Comparison, comparison_rows
from hashbench.report.templating import asset, template
from hashbench.types import Array, Paper

_REMARKS = 4  # of one method on the page


@dataclass(frozen=True)
class Figure:
    """A drawn figure as the page needs it."""

    name: str
    title: str
    caption: str
    alt: str
    svg: str

    @property
    def source(self) -> str:
        """The figure as a data URI; an image of its own, so that ids of two figures never meet."""
        return "data:image/svg+xml;base64," + base64.b64encode(self.svg.encode()).decode()


@dataclass(frozen=True)
class Tile:
    """One image of a gallery: its data URI, and of a found item the distance and whether it is right."""

    source: str
    distance: int = 0
    right: bool = True


@dataclass(frozen=True)
class Strip:
    """A query and what was found first."""

    label: str
    query: Tile
    found: list[Tile]


@dataclass(frozen=True)
class GalleryView:
    """A gallery as the page shows it."""

    title: str
    strips: list[Strip]


@dataclass(frozen=True)
class ClassRow:
    """A method's mAP in each class; None where a class has no query that counts."""

    method: str
    values: list[float | None]


@dataclass(frozen=True)
class ClassView:
    """mAP by class of one setting at one code length."""

    name: str
    title: str
    classes: tuple[str, ...]
    rows: list[ClassRow]


@dataclass(frozen=True)
class MethodView:
    """What the page says of one method."""

    title: str
    paper: Paper | None
    code: str
    hyperparameters: list[tuple[str, str, str, str]]
    deviations: tuple[str, ...]
    remarks: list[str]


@dataclass(frozen=True)
class ComparisonGroup:
    """Published numbers of one method and source beside the same runs: what differs is the code length."""

    method: str
    dataset: str
    rows: list[dict[str, str]]

    @property
    def size(self) -> int:
        """How many numbers."""
        return len(self.rows)


def report_page(
    bundle: ReportBundle,
    results: Results,
    tables: Sequence[Table],
    figures: Sequence[Figure],
    comparisons: Sequence[Comparison],
    pairs: Sequence[Pair],
) -> str:
    """The report as one HTML file."""
    ran = [comparison for comparison in comparisons if comparison.setting]
    found = standings_of(pairs)
    standings = {method: found[method] for method in results.ranked if method in found}
    return template("report.html.j2").render(
        bundle=bundle,
        results=results,
        **_look(),
        tables=_fragments(tables),
        figures=figures,
        published=_comparisons(ran, bundle),
        not_run=len(comparisons) - len(ran),
        galleries=[_gallery(gallery, results) for gallery in bundle.galleries],
        per_class=[view for classes in bundle.per_class for view in _per_class(classes, results)],
        methods=[_method(method, bundle, results) for method in results.ran],
        finding=[leaders(results, bundle.tied), under_study(results, standings)],
        standings=standings,
        undecided=undecided(results, pairs),
        against=list(dict.fromkeys(each.against for each in pairs)),
        cited=tables[0],
        citation=bibtex(tables[0], bundle.profile, bundle.version, bundle.methods),
    )


def short_page(
    bundle: ReportBundle, heading: str, lead: str, tables: Sequence[Table], figures: Sequence[Figure] = ()
) -> str:
    """A page of a few tables and figures, in a folder below the report's; `lead` says what they are."""
    return template("short.html.j2").render(
        bundle=bundle, heading=heading, lead=lead, **_look(), tables=_fragments(tables), figures=figures
    )


def _look() -> dict[str, Markup]:
    return {"style": Markup(asset("report.css")), "script": Markup(asset("report.js"))}


def _fragments(tables: Sequence[Table]) -> list[Markup]:
    return [Markup(rendering.html(table)) for table in tables]


def _png(image: Array) -> str:
    from PIL import Image

    buffer = io.BytesIO()
    Image.fromarray(np.ascontiguousarray(image)).save(buffer, format="PNG", optimize=True)
    return "data:image/png;base64," + base64.b64encode(buffer.getvalue()).decode()


def _comparisons(ran: Sequence[Comparison], bundle: ReportBundle) -> dict[str, list[ComparisonGroup]]:
    """By whether they are comparable, "yes" or "no": what is the same in all but numbers stands together."""
    groups: dict[tuple[str, ...], list[dict[str, str]]] = {}
    for row in comparison_rows(ran):
        same = tuple(row[name] for name in ("comparable", "method", "dataset", "source", "note", "why_not"))
        groups.setdefault(same, []).append(row)
    found: dict[str, list[ComparisonGroup]] = {"yes": [], "no": []}
    for (comparable, method, *_), rows in groups.items():
        title = bundle.dataset_titles[rows[0]["dataset"]]
        found[comparable].append(ComparisonGroup(bundle.methods[method].title, title, rows))
    return found


def _gallery(gallery: Gallery, results: Results) -> GalleryView:
    where = results.setting_title(Setting(gallery.dataset, gallery.backbone))
    strips = []
    for row, label in enumerate(gallery.query_labels):
        found = [
            Tile(_png(image), int(distance), bool(right))
            for image, distance, right in zip(
                gallery.images[row], gallery.distances[row], gallery.relevant[row], strict=True
            )
        ]
        strips.append(Strip(label, Tile(_png(gallery.query_images[row])), found))
    return GalleryView(f"{where}, {results.title(gallery.method)}, {gallery.bits} bits", strips)


def _per_class(classes: PerClass, results: Results) -> list[ClassView]:
    """One view for each setting of the data set, at its longest codes."""
    views: list[ClassView] = []
    for setting in results.settings:
        if setting.dataset != classes.dataset:
            continue
        bits = results.bits(setting)[-1]
        zero = results.any_run(setting).evaluation.empty == "zero"
        rows = []
        for method in results.ran:
            ap = results.ap_of_queries(setting, method, bits)
            if ap is not None:
                rows.append(
                    ClassRow(results.title(method), _class_means(np.nan_to_num(ap) if zero else ap, classes.labels))
                )
        title = f"{results.setting_title(setting)}, {bits} bits"
        views.append(ClassView(f"classes-{len(views)}-{setting.dataset}", title, classes.names, rows))
    return views


def _class_means(ap: Array, labels: Array) -> list[float | None]:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)  # a class without a query that counts has no mean
        means = [float(np.nanmean(ap[members])) if members.any() else np.nan for members in labels.T]
    return [None if np.isnan(value) else value for value in means]


def _method(method: str, bundle: ReportBundle, results: Results) -> MethodView:
    card = bundle.methods[method]
    runs = [run for s in results.settings for bits in results.bits(s) for run in results.runs(s, method, bits)]
    notes = {note.name: note for note in card.hyperparameters}
    hyperparameters = [
        _hyperparameter(name, value, notes.get(name)) for name, value in sorted(runs[0].fit.hyperparameters.items())
    ]
    remarks = list(dict.fromkeys(remark for run in runs for remark in run.fit.remarks))
    if len(remarks) > _REMARKS:
        more = f"and {len(remarks) - _REMARKS + 1} more, in the run records"
        remarks = [*remarks[: _REMARKS - 1], more]
    return MethodView(card.title, card.paper, runs[0].fit.code, hyperparameters, card.deviations, remarks)


def _hyperparameter(name: str, value: Value, stated: HyperparameterNote | None) -> tuple[str, str, str, str]:
    """Name, value, source and note of what the runs had; source and note are those of the stated value alone."""
    if stated is not None and stated.value != value and stated.most_steps is not None:
        return name, str(value), stated.source, f"{stated.value}, cut to {stated.most_steps} steps"
    if stated is None or stated.value != value:
        return name, str(value), "", "" if stated is None else f"params.yaml now says {stated.value}"
    return name, str(value), stated.source, stated.note
