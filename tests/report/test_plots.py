"""Figures: who has which look, what the data behind them says, and that names do not collide."""

from __future__ import annotations

import math
from dataclasses import replace
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hashbench.report import curves, labels, plots, style
from hashbench.report.results import Setting


def test_highlighted_methods_come_first_then_the_strongest_and_the_rest_is_grey(make_bundle, results_of):
    looks = style.looks(results_of(make_bundle(12)), ("gamma", "beta", "absent"))
    assert list(looks)[:4] == ["gamma", "beta", "alpha", "delta"]
    coloured = [look for look in looks.values() if not look.muted]
    assert len(coloured) == len({look.colour for look in coloured}) == len(style.PALETTE)
    assert len({(look.colour, look.marker, look.line) for look in looks.values()}) == 12
    assert looks["gamma"].width > looks["alpha"].width > looks["mu"].width


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


def draw(bundle, results):
    with style.drawing():
        return {
            plot.name: plot
            for plot in plots.all_plots(
                results, style.looks(results, bundle.highlighted), bundle.correlations, bundle.galleries
            )
        }


def test_figures_carry_the_means_that_they_show(small_bundle, results_of):
    results = results_of(small_bundle)
    drawn = draw(small_bundle, results)
    head, *points = drawn["map_by_bits"].data
    assert head == ("dataset", "backbone", "method", "bits", "map", "spread")
    setting = Setting("toys", "tiny-vit")
    assert {p[2:5] for p in points} == {
        (method, bits, results.mean_map(setting, method, bits)) for method in results.ran for bits in (16, 32)
    }
    _, *points = drawn["distances"].data
    for method in results.ran:
        assert math.fsum(p[5] for p in points if p[3] == method) == pytest.approx(1)
    _, *points = drawn["pr_by_radius"].data
    assert len(points) == 3 * (17 + 33)
    assert {"pr_by_rank", "precision_at_k", "tie_spread", "time_quality", "bit_usage", "training"} <= drawn.keys()
    assert all(plot.alt for plot in drawn.values())


def test_a_gallery_figure_says_how_many_are_right(small_bundle, results_of):
    gallery = small_bundle.galleries[0]
    plot = plots.gallery_figure(gallery, results_of(small_bundle))
    assert f"of 50 items shown, {int(gallery.relevant.sum())} are right" in plot.alt
    assert sum(line[3] for line in plot.data[1:]) == gallery.relevant.sum()


def test_no_training_curves_no_figure(small_bundle, results_of):
    silent = tuple(r.model_copy(update={"curves": {}}) for r in small_bundle.records)
    results = results_of(replace(small_bundle, records=silent))
    assert curves.training_curves(results, style.looks(results, ())) is None


def test_one_method_one_cell_without_extras_is_enough(record, results_of, small_bundle):
    instant = record(0, ("toys", "Toys"), 8, 0).seconds.model_copy(update={"fit": 0.0})
    run = record(0, ("toys", "Toys"), 8, 0, seconds=instant)
    bundle = replace(small_bundle, records=(run,), correlations={}, galleries=())
    assert "map_by_bits" in draw(bundle, results_of(bundle))


def test_drawing_leaves_matplotlib_as_it_was(small_bundle, results_of):
    import matplotlib as mpl

    before = dict(mpl.rcParams)
    draw(small_bundle, results_of(small_bundle))
    assert dict(mpl.rcParams) == before
