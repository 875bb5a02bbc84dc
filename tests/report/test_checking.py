"""What is told of a file that does not say what the records give."""

from __future__ import annotations

import re

import pytest

from hashbench.report.checking import differences
from hashbench.report.tables.rendering import RENDERERS


def altered(text, pattern):
    """The text with another last digit in the first place that the pattern finds."""
    found = re.search(pattern, text)
    place = max(m.end() for m in re.finditer(r"\d", found[0])) + found.start() - 1
    return f"{text[:place]}{(int(text[place]) + 1) % 10}{text[place + 1 :]}"


@pytest.mark.parametrize(
    ("number", "ending", "pattern", "where"),
    [
        (0, "md", r"\| Delta \|.*", "Delta, Toy mosaic, mAP@100, 64 bits"),
        (0, "tex", r"Delta~.*", "Delta, Toy mosaic, mAP@100, 64 bits"),
        (0, "html", r">Delta</th><td[^>]*", "Delta, Toys, mAP@100, 16 bits"),
        (0, "csv", r"mosaic,tiny-vit,delta,64,mAP@100,[\d.]+", "mosaic, tiny-vit, delta, 64 bits, mAP@100, value"),
        (1, "md", r"\| Delta \|.*", "Toys, 16 bits, Delta, mAP by order inside ties, best"),
        (2, "tex", r"Delta~.*", "Toys, Delta, Evaluate, seconds, 64 bits"),
        (3, "tex", r"beta & [^&]* & [^&]*", "Alpha, beta, Toys, mAP@100, 16 bits"),
    ],
)
def test_an_altered_digit_is_named_by_its_cell(tables, number, ending, pattern, where):
    name = f"{tables[number].name}.{ending}"
    expected = RENDERERS[ending](tables[number])
    assert list(differences(name, expected, expected, tables)) == []
    (told,) = differences(name, altered(expected, pattern), expected, tables)
    assert told.startswith(f"{name}, {where}: is ")
    assert ", the run records give " in told


def test_a_file_in_a_folder_is_known_by_its_name(tables):
    expected = RENDERERS["md"](tables[2])
    (told,) = differences("cost/table3.md", altered(expected, r"\| Delta \|.*"), expected, tables)
    assert told.startswith("cost/table3.md, Toys, Delta, Evaluate, seconds, 64 bits: is ")


def test_a_page_is_told_by_the_tables_that_it_shows(tables, small_bundle, small_report):
    from hashbench.report.build import tables_of

    shown = tables_of(small_bundle)
    for name, row in (("report.html", "Alpha, Toys, mAP@100, 16 bits"), ("cost/cost.html", "Toys, Alpha, Fit")):
        expected = small_report[name]
        (told,) = differences(
            name, altered(expected, r'">Alpha</th><td class="number" data-value="[\d.]+'), expected, shown
        )
        assert told.startswith(f"{name}, {row}")


def test_a_missing_and_an_added_line_are_told_once(tables):
    expected = RENDERERS["md"](tables[0])
    lines = expected.splitlines(keepends=True)
    assert len(list(differences("table1.md", "".join(lines[:8]), expected, tables))) == 1
    (told,) = differences("table1.md", expected + "one more\n", expected, tables)
    assert told == f"table1.md, line {len(lines) + 1}: is there, but the run records give no such line"
