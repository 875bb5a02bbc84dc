"""`hashbench splits`: compare split files, write them for other programs, read lists and say what they are."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from hashbench.data.base import Dataset
    from hashbench.types import Split

HELP = "compare, export, import and recognise splits"
_LISTS = "a folder with test.txt, train.txt and database.txt, or a .csv, .npz or .safetensors file"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare what each of the actions takes."""
    actions = parser.add_subparsers(dest="action", required=True, metavar="ACTION")
    diff = actions.add_parser("diff", help="say where two split files differ")
    diff.add_argument("a", metavar="A", type=Path, help="a split file (.safetensors)")
    diff.add_argument("b", metavar="B", type=Path)
    export = actions.add_parser("export", help="write a split as lists that other programs take")
    export.add_argument("name", metavar="NAME", help="a protocol, or a split file (.safetensors)")
    export.add_argument("--format", choices=["txt", "csv", "npz", "hashnet"], default="txt", help="default: txt")
    export.add_argument("--out", type=Path, required=True, help="a folder for txt and hashnet, else a file")
    take = actions.add_parser("import", help="make a split file of lists")
    take.add_argument("lists", metavar="LISTS", type=Path, help=_LISTS)
    take.add_argument("--out", type=Path, required=True, help="the split file to write (.safetensors)")
    check = actions.add_parser("check", help="say which known protocol lists are, and what they are short of")
    check.add_argument("lists", metavar="LISTS", type=Path, help=_LISTS)
    for action in (export, take, check):
        action.add_argument("--dataset", metavar="NAME", help="a data set of params.yaml: file names and labels")


def run(arguments: argparse.Namespace) -> None:
    """Do what was asked for."""
    actions = {"diff": _diff, "export": _export, "import": _import, "check": _check}
    actions[arguments.action](arguments)


def _diff(arguments: argparse.Namespace) -> None:
    """Print how two split files differ."""
    from hashbench.artefacts.split import read_split
    from hashbench.data.splits import diff_splits

    print(diff_splits(read_split(arguments.a), read_split(arguments.b)))


def _export(arguments: argparse.Namespace) -> None:
    """Write a split file, or the split of a protocol with the seed of params.yaml, as lists."""
    from hashbench.artefacts.split import read_split
    from hashbench.artefacts.split_lists import write_lists
    from hashbench.errors import HashbenchError

    path = Path(arguments.name)
    if path.is_file():
        split, dataset = read_split(path), _dataset(arguments.dataset)
    else:
        split, dataset = _drawn(arguments.name, arguments.dataset)
    if dataset is not None and dataset.labels.shape != split.labels.shape:
        raise HashbenchError(f"{path} is no split of {dataset.name}: {len(split.labels):,} rows, not {len(dataset):,}")
    written = write_lists(arguments.out, split, dataset.files if dataset else (), arguments.format)
    print(f"{split.name}, digest {split.digest}:", *(f"  {path}" for path in written), sep="\n")


def _import(arguments: argparse.Namespace) -> None:
    """Write the split file of lists."""
    from hashbench.artefacts.listed_split import read_listed
    from hashbench.artefacts.split import write_split

    split = read_listed(arguments.lists, _dataset(arguments.dataset))
    write_split(arguments.out, split)
    print(f"{_description(split)}\n  {arguments.out}")


def _check(arguments: argparse.Namespace) -> None:
    """Print what lists hold, the protocols that they may be, and the results here that have the same split."""
    from hashbench.artefacts.listed_split import read_listed
    from hashbench.artefacts.split import read_split
    from hashbench.data.recognition import protocols_like

    split = read_listed(arguments.lists, _dataset(arguments.dataset))
    print(_description(split))
    likely = protocols_like(split)
    print("protocols with these counts:" if not likely[0].total else "no protocol has these counts; the nearest:")
    for each in likely:
        print(f"  {each.protocol.name}: {each.words}; {each.protocol.describes}")
    for path in sorted(Path("results").glob("*/splits/*.safetensors")):
        if read_split(path).digest == split.digest:
            print(f"the same rows, order and labels as {path}")


def _description(split: Split) -> str:
    """Counts, classes and where the train rows are."""
    import numpy as np

    within = int(np.isin(split.train, split.database).sum())
    held = {0: "none", len(split.train): "all"}.get(within, f"{within:,}")
    per_class = split.labels[split.query].sum(axis=0)
    shown = f"{per_class.min()} to {per_class.max()} queries a class" if len(per_class) else "no labels"
    return (
        f"{split.name}, digest {split.digest}: {len(split.query):,} query, {len(split.train):,} train and "
        f"{len(split.database):,} database rows of {len(split.labels):,}; {held} of the train rows in the database; "
        f"{split.labels.shape[1]} classes, {shown}"
    )


def _dataset(name: str | None) -> Dataset | None:
    """A data set of params.yaml, loaded from its files; None for no name."""
    from hashbench.config.params import known, load_params
    from hashbench.data.base import Source
    from hashbench.data.registry import load_dataset

    if name is None:
        return None
    block = known("data set", name, load_params().datasets)
    return load_dataset(block.kind, Source.default(name), block.load_options)


def _drawn(protocol: str, name: str | None) -> tuple[Split, Dataset]:
    """The split that the pipeline draws of the data set called so, or of the one that params.yaml divides so."""
    from hashbench.config.params import load_params
    from hashbench.data.splits import protocol as find_protocol
    from hashbench.errors import HashbenchError
    from hashbench.stages.split import draw

    find_protocol(protocol)
    params = load_params()
    candidates = [name] if name else [each for each, block in params.datasets.items() if block.protocol == protocol]
    if len(candidates) != 1:
        which = f"{', '.join(candidates)} of params.yaml have" if candidates else "no data set of params.yaml has"
        raise HashbenchError(f"{which} the protocol {protocol}: name one by --dataset ({', '.join(params.datasets)})")
    dataset = _dataset(candidates[0])
    assert dataset is not None
    return draw(dataset, protocol, params.base_seed), dataset
