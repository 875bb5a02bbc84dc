"""Figures: who has which look, what the data behind them says, and that names do not collide."""

from __future__ import annotations

import math
from dataclasses import replace
from itertools import combinations, pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hashbench.records import CellSeconds
from hashbench.report.figures import labels, ranks, registry, style, training
from hashbench.report.results import Results, Setting


def test_the_methods_that_matter_come_first_and_the_rest_is_grey(make_bundle):
    looks = style.looks(Results(make_bundle(12, controls=("eta", "absent"))))
    assert list(looks)[:5] == ["beta", "gamma", "eta", "alpha", "delta"]  # two under study, a control, best, next best
    coloured = [look for look in looks.values() if not look.muted]
    assert len(coloured) == len({look.colour for look in coloured}) == len(style.PALETTE)
    assert len({(look.colour, look.marker, look.line) for look in looks.values()}) == 12
    assert looks["gamma"].width > looks["alpha"].width > looks["mu"].width


def test_the_best_of_every_panel_has_a_look_of_its_own(make_bundle, change):
    """However many methods are best somewhere: none of them is grey."""
    bundle = make_bundle(20)
    panels = [(dataset, bits) for dataset in ("toys", "mosaic") for bits in (16, 32, 64)]
    best = dict(zip(panels, ("tau", "sigma", "rho", "pi", "omi", "xi"), strict=True))
    records = tuple(
        change(run, map=0.99) if best[run.dataset, run.bits] == run.method else run for run in bundle.records
    )
    looks = style.looks(Results(replace(bundle, records=records, controls=("mu",))))
    named = {"beta", "gamma", "mu", *best.values()}
    assert {method for method, look in looks.items() if not look.muted} == named
    assert len({(looks[method].colour, looks[method].line) for method in named}) == len(named) > len(style.PALETTE)
    assert looks["alpha"].muted


def luminance(colour):
    channels = [int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)]
    linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in channels]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


@pytest.mark.parametrize("colour", [*style.TEXT_PALETTE, style.MUTED_TEXT, style.INK])
def test_names_in_figures_can_be_read_on_white(colour):
    assert 1.05 / (luminance(colour) + 0.05) >= 4.5


@given(st.lists(st.floats(0, 1), min_size=1, max_size=25), st.floats(0.001, 0.1))
def test_names_are_moved_apart_and_keep_their_order(values, gap):
    placed = labels.spread_out(values, gap, -5, 5)
    order = sorted(range(len(values)), key=lambda i: (values[i], placed[i]))
    assert all(placed[b] - placed[a] >= gap - 1e-9 for a, b in pairwise(order))
    if all(values[b] - values[a] >= gap for a, b in pairwise(order)):
        assert placed == pytest.approx(values)


def test_names_stay_on_the_panel_as_far_as_there_is_room():
    assert labels.spread_out([0.97, 0.98, 0.99], 0.1, 0, 1) == pytest.approx([0.8, 0.9, 1])
    assert labels.spread_out([0.01, 0.02], 0.1, 0, 1) == pytest.approx([0, 0.1])
    assert labels.spread_out([0.5] * 4, 0.5, 0, 1) == pytest.approx([0, 0.5, 1, 1.5])


def test_crowded_marks_get_names_that_do_not_touch():
    spots = {str(i): (150 + 11 * (i % 4), 100 + 10 * (i // 4)) for i in range(12)}
    sizes = dict.fromkeys(spots, (30, 8.5))
    placed = labels.place_names(spots, sizes, 300, 250)
    boxes = [labels._box(spots[name], sizes[name], placed[name]) for name in spots]
    assert all(labels._overlap(a, b) == 0 for i, a in enumerate(boxes) for b in boxes[:i])


def draw(bundle):
    with style.drawing():
        results = Results(bundle)
        plots = [*registry.report_plots(bundle, results), *registry.cost_plots(bundle, results)]
        return {plot.name: plot for plot in plots}


def test_a_figure_is_the_same_bytes_each_time_and_names_no_time_or_program(small_bundle):
    for first, second in zip(draw(small_bundle).values(), draw(small_bundle).values(), strict=True):
        for image_of in style.IMAGES.values():
            with style.drawing():
                image = image_of(first.figure)
                assert image == image_of(second.figure)
    with style.drawing():
        pdf = style.pdf_of(first.figure)
    assert pdf.startswith(b"%PDF")
    for word in (b"CreationDate", b"ModDate", b"Producer", b"Creator", b"Matplotlib", b"/Type3"):
        assert word not in pdf


def test_figures_carry_the_means_that_they_show(small_bundle):
    results = Results(small_bundle)
    drawn = draw(small_bundle)
    head, *points = drawn["map_by_bits"].data
    assert head == ("dataset", "backbone", "method", "bits", "map", "spread")
    setting = Setting("toys", "tiny-vit")
    assert {p[2:5] for p in points} == {
        (method, bits, results.mean(setting, method, bits, "map")) for method in results.ran for bits in (16, 32)
    }
    _, *points = drawn["rank_groups"].data
    by_column = {bits: {p[3]: p[4] for p in points if p[2] == bits} for bits in (16, 32)}
    for bits, groups in by_column.items():
        assert groups.keys() == set(results.ran)
        best = max(results.ran, key=lambda method: results.mean(setting, method, bits, "map"))
        assert groups[best] == min(groups.values()) == 1
    _, *points = drawn["distances"].data
    for method in results.ran:
        assert math.fsum(p[5] for p in points if p[3] == method) == pytest.approx(1)
    _, *points = drawn["pr_by_radius"].data
    assert len(points) == 3 * (17 + 33)
    assert {
        "pr_by_rank",
        "precision_at_k",
        "tie_spread",
        "time_quality",
        "bit_usage",
        "training",
        "rank_groups",
    } <= drawn.keys()
    assert all(plot.alt for plot in drawn.values())


def test_no_training_curves_no_figure(small_bundle, change):
    silent = tuple(change(run, curves={}) for run in small_bundle.records)
    results = Results(replace(small_bundle, records=silent))
    assert training.training_curves(results, style.looks(results)) is None


def test_training_curves_of_different_size_have_axes_of_their_own(small_bundle, change):
    records = tuple(
        change(run, curves={"loss": [30000.0, 10000.0] if run.method == "beta" else [2.0, 1.0]})
        for run in small_bundle.records
    )
    results = Results(replace(small_bundle, records=records))
    with style.drawing():
        figure = training.training_curves(results, style.looks(results)).figure
    tops = {axes.get_title(loc="left"): axes.get_ylim()[1] for axes in figure.axes}
    assert tops["Beta_2"] > 20000
    assert tops["Alpha"] < 3


def test_one_method_one_cell_without_extras_is_enough(record, bundle_of):
    run = record(0, "toys", 8, 0)
    instant = CellSeconds(fit=0.0, encode=0.0, evaluate=0.0)
    bundle = bundle_of([run], seconds={run.cell: instant}, correlations={}, galleries=())
    assert {"map_by_bits", "time_quality"} <= draw(bundle).keys()


def test_drawing_leaves_matplotlib_as_it_was(small_bundle):
    import matplotlib as mpl

    before = dict(mpl.rcParams)
    draw(small_bundle)
    assert dict(mpl.rcParams) == before


def test_the_headings_of_rank_groups_do_not_run_into_each_other(make_bundle):
    bundle = make_bundle(4)
    titles = dict.fromkeys(bundle.dataset_titles, "A data set with a name of many words, of 6,000 images")
    results = Results(replace(bundle, dataset_titles=titles))
    figure = ranks.rank_groups(results, lambda ap: dict.fromkeys(ap, 1)).figure
    figure.draw_without_rendering()
    axes = figure.axes[0]
    texts = [text for text in (*axes.texts, *axes.get_xticklabels()) if not text.get_text().isdigit()]
    assert len(texts) == len(results.settings) + len(results.grid)
    boxes = [text.get_window_extent() for text in texts]
    assert not [(a, b) for a, b in combinations(boxes, 2) if a.overlaps(b)]
