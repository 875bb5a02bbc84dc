"""`hashbench explain A B`: which settings make two numbers differ, and what each of them moves."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Sequence

    from hashbench.evaluation.explanation import Explanation, Side
    from hashbench.evaluation.search import Candidate, Search

HELP = "say why two numbers differ: by conventions, codes or splits; or which conventions give a number"
_SHOWN = 20  # conventions in the table
_UNTOLD = (
    "another split, backbone or choice of the epoch (such as the best on the test queries); without query_outputs in "
    "the file, asymmetric ranking"
)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare what the command takes."""
    parser.add_argument(
        "sides",
        nargs="+",
        metavar="A [B]",
        help="FILE.npz, a .json of `hashbench evaluate`, RESULTS:RUN such as results/quick:RUN, or a number; rules may "
        "follow a file of codes or a number, such as @k=1000,order=database",
    )
    parser.add_argument("--number", metavar="0.704", help="list the conventions that give this number from FILE")
    parser.add_argument("--json", action="store_true", help="print JSON")


def run(arguments: argparse.Namespace) -> None:
    """Print what moves one number to the other, or which conventions give it."""
    from hashbench.errors import HashbenchError
    from hashbench.evaluation.explanation import explain
    from hashbench.evaluation.operands import is_number, side_of_number, split_operand
    from hashbench.evaluation.search import search

    sides = [*arguments.sides, *([arguments.number] if arguments.number else [])]
    if len(sides) != 2:
        raise HashbenchError(f"explain takes two: a file and a file, a run or a number; got {len(sides)}")
    a = _side(sides[0])
    if not arguments.number and not is_number(split_operand(sides[1])[0]):
        b = _side(sides[1])
        found = explain(a, b)
        print(_json(found, found.unexplained) if arguments.json else _explained(a, b, found))
        return
    number = side_of_number(sides[1])
    if a.codes is None:
        raise HashbenchError(f"the codes of {a.name} are not at hand: conventions are tried on codes")
    stated = {**split_operand(sides[0])[1], **number.convention}
    candidates = search(a.codes, number.name, stated)
    print(_json(candidates) if arguments.json else _searched(a, number.name, candidates))


def _side(text: str) -> Side:
    """A file by its rules, or a run of a folder of results."""
    from hashbench.errors import HashbenchError
    from hashbench.evaluation.operands import is_number, side_of_file

    folder, colon, name = text.rpartition(":")
    if colon and Path(folder).is_dir():
        return _side_of_run(Path(folder), name)
    if is_number(text.partition("@")[0]):
        raise HashbenchError(f"{text} is a number: give the file first, and then the number")
    return side_of_file(text)


def _side_of_run(folder: Path, name: str) -> Side:
    """A run's record, with the labels of its split and its codes where the results hold them."""
    from dataclasses import replace

    from hashbench.artefacts.records import read_kept_codes, read_records
    from hashbench.artefacts.split import read_split
    from hashbench.config.messages import known
    from hashbench.evaluation.conventions import Convention
    from hashbench.evaluation.explanation import Side
    from hashbench.evaluation.given import GivenCodes, GivenLabels

    record = known("run", name, {each.cell.name: each for each in read_records(folder / "records.jsonl")})
    said = record.evaluation
    side = Side(
        name,
        said.map,
        vars(Convention(k=said.k, denominator=said.denominator, empty=said.empty)),  # type: ignore[arg-type]
        facts={
            "split": f"{record.split}, digest {record.split_digest}",
            "backbone": record.backbone,
            "features": record.fit.features,
            "method": record.method,
            "bits": str(record.bits),
            "seed": str(record.seed),
            "epoch": "the last",
        },
    )
    root = folder if (folder / "splits").is_dir() else folder.parent
    splits = {path.stem: read_split(path) for path in (root / "splits").glob("*.safetensors")}
    if record.dataset not in splits:
        return side
    split = splits[record.dataset]
    labels = GivenLabels(split.labels[split.query], split.labels[split.database])
    codes_path = folder / "codes" / f"{record.method}.safetensors"
    kept = read_kept_codes(codes_path, splits) if codes_path.is_file() else {}
    pair = kept.get(record.cell)
    codes = None if pair is None else GivenCodes(labels.query_labels, labels.database_labels, *pair)
    return replace(side, labels=labels, codes=codes)


def _json(found: Explanation | Search, unexplained: float | None = None) -> str:
    import json
    from dataclasses import asdict

    rest = {} if unexplained is None else {"unexplained": unexplained}
    return json.dumps(asdict(found) | rest, indent=1)


def _explained(a: Side, b: Side, found: Explanation) -> str:
    width = max(len(a.name), len(b.name))
    lines = [f"{a.name:<{width}}  mAP {found.start:.4f}", f"{b.name:<{width}}  mAP {found.end:.4f}", ""]
    if found.steps:
        rows = [(each.setting, each.a, each.b, f"{each.value:.4f}", f"{each.moved:+.4f}") for each in found.steps]
        lines += aligned([("setting", "from", "to", "mAP", "moved"), *rows])
    else:
        lines.append("no setting that can be tried on these codes differs")
    lines += [f"unexplained: {found.unexplained:+.4f}"]
    if found.untried:
        lines += ["", "What codes cannot show, and differs or is not known:"]
        lines += aligned([("setting", a.name, b.name), *((each.setting, each.a, each.b) for each in found.untried)])
    return "\n".join(lines)


def _searched(a: Side, number: str, found: Search) -> str:
    lines = [f"{a.name}: {found.tried} conventions tried that can differ on these codes"]
    if found.matches:
        lines += [f"these give {number}:", *_candidates(found.matches[:_SHOWN])]
        left = len(found.matches) - _SHOWN
        lines += [f"and {left} that depart further from the suite's: --json"] if left > 0 else []
    else:
        lines += [f"none gives {number}; the nearest:", *_candidates(found.nearest)]
    return "\n".join([*lines, f"What codes cannot show: {_UNTOLD}."])


def _candidates(found: Sequence[Candidate]) -> list[str]:
    rows: list[tuple[Any, ...]] = []
    for each in found:
        words = ", ".join(f"{name} {value}" for name, value in each.convention.departures.items())
        rows.append((f"{each.value:.6f}", each.convention.k or "all", words or "the suite's own"))
    return aligned([("mAP", "k", "convention"), *rows])


def aligned(rows: Sequence[Sequence[Any]]) -> list[str]:
    """Rows of values as lines of a table, columns as wide as their widest value."""
    widths = [max(len(str(row[column])) for row in rows) for column in range(len(rows[0]))]
    return ["  ".join(f"{value!s:<{width}}" for value, width in zip(row, widths, strict=True)).rstrip() for row in rows]
