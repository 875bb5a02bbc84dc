"""`hashbench submit FILE`: codes that were made elsewhere become a row of the tables, marked `submitted`."""

from __future__ import annotations

import argparse
import re
from pathlib import Path
from typing import TYPE_CHECKING

from hashbench.commands.options import add_profile, whole_number

if TYPE_CHECKING:
    from hashbench.artefacts.submissions import SubmissionNotes
    from hashbench.cells import Cell
    from hashbench.config.params import Params
    from hashbench.records import SubmittedRecord
    from hashbench.types import Codes, Split

HELP = "evaluate codes made elsewhere on a split of the tables, and keep them as a submission"
_NEEDED = ("method", "paper", "protocol", "backbone", "bits", "seed")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare what the command takes."""
    parser.add_argument(
        "file",
        metavar="FILE.npz",
        type=Path,
        help="codes and labels in the order of the split's rows; a folder of submissions/: evaluate it again",
    )
    parser.add_argument("--method", help="a short name, of small letters, digits and _")
    parser.add_argument("--paper", help="where the method was published: authors, title, venue, year, address")
    parser.add_argument("--protocol", help="the split's protocol, such as digits_200_500_1097")
    parser.add_argument("--backbone", help="what the images went through: a backbone of params.yaml, or another name")
    parser.add_argument("--bits", type=whole_number, help="code length")
    parser.add_argument("--seed", type=int, help="number of the repetition, from 0")
    parser.add_argument("--title", default="", help="the method's name in print (default: its short name)")
    parser.add_argument("--code", default="", help="where its code can be had")
    parser.add_argument("--note", default="", help="remarks")
    add_profile(parser)


def run(arguments: argparse.Namespace) -> None:
    """Check, evaluate and keep the codes; or evaluate those of a submission again."""
    from hashbench.config.params import load_params

    params = load_params()
    if arguments.file.is_dir():
        _renew(params, arguments.file)
    else:
        _submit(params, arguments)


def _submit(params: Params, arguments: argparse.Namespace) -> None:
    from hashbench.artefacts.submissions import SUBMISSIONS, write_submission
    from hashbench.cells import Cell
    from hashbench.errors import HashbenchError
    from hashbench.verification.submissions import record_of, splits_of

    _require_options(params, arguments)
    splits = splits_of(params, arguments.profile)
    named = {split.name: dataset for dataset, split in splits.items()}
    if arguments.protocol not in named:
        known = ", ".join(named)
        raise HashbenchError(f"profile {arguments.profile} has the protocols {known}, not {arguments.protocol}")
    dataset = named[arguments.protocol]
    pair = _codes_of(arguments.file, splits[dataset], arguments.bits)
    cell = Cell(dataset, arguments.backbone, arguments.method, arguments.bits, arguments.seed)
    folder, notes = Path(SUBMISSIONS) / arguments.method, _notes(arguments)
    records, codes = _submitted_before(params, folder, notes, cell)
    record = record_of(params, arguments.profile, cell, pair, splits[dataset])
    write_submission(folder, notes, [*records, record], {**codes, cell: pair})
    found = record.evaluation
    by_ties = f"{found.map_pessimistic:.4f} to {found.map_optimistic:.4f} by the order of ties"
    print(f"{cell.name}: mAP@{found.k or 'all'} {found.map:.4f}, {by_ties}")
    print(f"  {folder}\nshow it with `hashbench table table1`, check it with `hashbench verify submissions`")


def _submitted_before(
    params: Params, folder: Path, notes: SubmissionNotes, cell: Cell
) -> tuple[list[SubmittedRecord], dict[Cell, tuple[Codes, Codes]]]:
    """The other runs of a method. Raises HashbenchError where the cell is among them or other notes lie there."""
    from hashbench.artefacts.submissions import read_notes, read_submitted, read_submitted_codes
    from hashbench.errors import HashbenchError
    from hashbench.verification.submissions import splits_of_records

    if not folder.is_dir():
        return [], {}
    if read_notes(folder) != notes:
        raise HashbenchError(f"{folder}/metadata.yaml says something else of the method: change it, or the call")
    records = read_submitted(folder)
    if cell in [each.cell for each in records]:
        raise HashbenchError(f"{folder} has codes of {cell.name}: a submission stays as it is, take another seed")
    return records, read_submitted_codes(folder, splits_of_records(params, records))


def _renew(params: Params, folder: Path) -> None:
    """Evaluate the codes of a submission again, by today's sources and rules."""
    from hashbench.artefacts.submissions import read_notes, read_submitted, read_submitted_codes, write_submission
    from hashbench.errors import HashbenchError
    from hashbench.verification.submissions import record_of, splits_of_records

    notes, records = read_notes(folder), read_submitted(folder)
    splits = splits_of_records(params, records)
    codes = read_submitted_codes(folder, splits)
    if lacking := [each.cell.name for each in records if each.cell not in codes]:
        raise HashbenchError(f"{folder} lacks the codes of {lacking[0]}; restore them from git")
    again = [record_of(params, each.profile, each.cell, codes[each.cell], splits[each.dataset]) for each in records]
    write_submission(folder, notes, again, codes)
    print(f"{folder}: {len(again)} runs evaluated again")


def _require_options(params: Params, arguments: argparse.Namespace) -> None:
    """Raise HashbenchError for an option that is missing, or a name that is none or a method's already."""
    from hashbench.errors import HashbenchError

    missing = [f"--{name}" for name in _NEEDED if getattr(arguments, name) is None]
    if missing:
        raise HashbenchError(f"submit needs {', '.join(missing)} beside the file")
    for option in ("method", "backbone"):
        name = getattr(arguments, option)
        if not re.fullmatch(r"[a-z0-9][a-z0-9_]{0,63}", name):
            raise HashbenchError(f"--{option} '{name}' is not a name of small letters, digits and _")
    if arguments.method in {**params.methods, **params.ablations}:
        raise HashbenchError(f"params.yaml has a method {arguments.method}: give the submission a name of its own")
    if arguments.seed < 0:
        raise HashbenchError(f"--seed must be a whole number from 0, got {arguments.seed}")


def _codes_of(path: Path, split: Split, n_bits: int) -> tuple[Codes, Codes]:
    """The query and database codes of a file. Raises HashbenchError where they are not those of the split's rows."""
    import numpy as np

    from hashbench.errors import HashbenchError
    from hashbench.evaluation.given import GivenLabels, read_given, split_difference
    from hashbench.evaluation.packing import pack_codes, unpack_codes
    from hashbench.types import Codes

    given = read_given(path)
    if difference := split_difference(given, GivenLabels(split.labels[split.query], split.labels[split.database])):
        raise HashbenchError(
            f"{path} is not of the split {split.name} ({difference}): codes and labels must follow the rows of the "
            "split; `hashbench splits export` writes them"
        )
    pair = []
    for part in ("query", "database"):
        rows, said = getattr(split, part), getattr(given, f"{part}_rows")
        if said is not None and not np.array_equal(said, rows):
            raise HashbenchError(f"{path}: its {part} rows are not those of the split {split.name}, in its order")
        words, found = pack_codes(getattr(given, f"{part}_codes"), f"{part}_codes")
        if found != n_bits:
            raise HashbenchError(f"{path}: its {part} codes have {found} bits, not {n_bits} as --bits says")
        pair.append(Codes.pack(unpack_codes(words, found).astype(np.bool_), rows))
    return pair[0], pair[1]


def _notes(arguments: argparse.Namespace) -> SubmissionNotes:
    """What the call says of the method. Raises HashbenchError where a text is too long or of several lines."""
    from pydantic import ValidationError

    from hashbench.artefacts.submissions import SubmissionNotes
    from hashbench.config.messages import first_error
    from hashbench.errors import HashbenchError

    said = {name: getattr(arguments, name) for name in ("paper", "code", "note")}
    try:
        return SubmissionNotes(title=arguments.title or arguments.method, **said)
    except ValidationError as error:
        raise HashbenchError(f"submit: {first_error(error, SubmissionNotes.model_json_schema())}") from None
