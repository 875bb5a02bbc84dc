"""`hashbench fit METHOD`: try a method on a profile's features and see its row beside those of the table.

Nothing is written: a method earns its place in the tables by a block in params.yaml.
"""

from __future__ import annotations

import contextlib
import inspect
import json
from collections import defaultdict
from statistics import fmean
from typing import Any

import yaml
from rich.console import Console
from rich.table import Table

from hashbench.errors import HashbenchError
from hashbench.layout import Cell, Layout, cells_of
from hashbench.methods.base import Method
from hashbench.methods.registry import load_method
from hashbench.params import MethodParams, Params, did_you_mean, load_params
from hashbench.progress import track
from hashbench.stages.evaluate import evaluate_codes, read_record
from hashbench.stages.fit import constructor, encode
from hashbench.stages.provide import open_features

Column = tuple[str, str, int]


def fit_and_show(method: str, profile: str, settings: list[str], bits: list[int] | None) -> None:
    """Fit `method` once for every data set, backbone and code length of `profile` and print its mAP.

    `settings` are KEY=VALUE arguments of the constructor; they go over those that params.yaml has for the method.
    """
    params = load_params()
    block = block_with(method, params, profile, settings)
    method_class = load_method(block.code)
    new_method = constructor(method, method_class, block)
    lengths = bits or params.profile(profile).bits
    measured: dict[Column, float] = {}
    columns = [(cell.dataset, cell.backbone) for cell in cells_of(params, profile, method)]
    for dataset, backbone in track(list(dict.fromkeys(columns)), f"fit {method}"):
        features = open_features(params, profile, dataset, backbone, new_method().needs)
        for n_bits in lengths:
            cell = Cell(dataset, backbone, method, n_bits, params.profile(profile).seeds[0])
            fitted: Method = new_method()
            fitted.fit(features.train, n_bits, cell.derived_seed(params.base_seed))
            codes = (encode(fitted, features, features.split.query), encode(fitted, features, features.split.database))
            rules, k = params.evaluation, params.datasets[dataset].k
            measured[dataset, backbone, n_bits] = evaluate_codes(
                codes, features.split, k, rules.denominator, rules.empty, [1]
            ).map
    _print(f"{method_class.title} (this run, one seed)", measured, _recorded(params, profile), profile)


def block_with(method: str, params: Params, profile: str, settings: list[str]) -> MethodParams:
    """The method's block of params.yaml, or a new one for code that params.yaml does not know."""
    named = {**params.methods, **params.ablations}
    if method in named:
        block = params.method(method, profile)
    elif ":" in method or method.endswith(".py"):
        block = MethodParams.model_validate({"code": method})
    else:
        raise HashbenchError(
            f"unknown method '{method}'{did_you_mean(method, named)}; your own is given as a Python file or as "
            "package.module:Class"
        )
    given = {key: {"value": value, "source": "ours"} for key, value in map(_parse, settings)}
    accepted = inspect.signature(load_method(block.code)).parameters
    defaults = {
        name: {"value": parameter.default, "source": "ours"}
        for name, parameter in accepted.items()
        if parameter.default is not parameter.empty
    }
    return MethodParams.model_validate({"code": block.code, **defaults, **block.hyperparameters, **given})


def _parse(setting: str) -> tuple[str, Any]:
    key, equals, text = setting.partition("=")
    if not key or not equals:
        raise HashbenchError(f"--set takes KEY=VALUE, got '{setting}'")
    with contextlib.suppress(ValueError):
        return key, json.loads(text)  # YAML takes 3e-3 for a word
    try:
        value = yaml.safe_load(text)
    except yaml.YAMLError:
        raise HashbenchError(f"--set {key}: '{text}' is no plain value") from None
    return key, value


def _recorded(params: Params, profile: str) -> dict[str, dict[Column, float]]:
    """Mean mAP over seeds of every method that has run records, by title."""
    layout = Layout(profile)
    values: dict[str, dict[Column, list[float]]] = defaultdict(lambda: defaultdict(list))
    for name in params.methods:
        for cell in cells_of(params, profile, name):
            path = layout.record(cell)
            if path.is_file():
                record = read_record(path)
                values[record.method_title][cell.dataset, cell.backbone, cell.bits].append(record.map)
    return {title: {column: fmean(maps) for column, maps in cells.items()} for title, cells in values.items()}


def _print(title: str, measured: dict[Column, float], recorded: dict[str, dict[Column, float]], profile: str) -> None:
    rows = {**{name: row for name, row in recorded.items() if set(measured) <= set(row)}, title: measured}
    table = Table(title=f"mAP on profile {profile}", title_justify="left", box=None, header_style="bold")
    table.add_column("method")
    for dataset, backbone, n_bits in measured:
        table.add_column(f"{dataset}\n{backbone}\n{n_bits} bits", justify="right")
    for name, row in sorted(rows.items(), key=lambda item: fmean(item[1][column] for column in measured)):
        style = "bold" if name == title else ""
        table.add_row(name, *(f"{row[column]:.4f}" for column in measured), style=style)
    Console().print(table)
