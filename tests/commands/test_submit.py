"""Codes made by plain NumPy become a row of the tables, survive `verify`, and one flipped bit is named."""

from __future__ import annotations

import argparse
import shutil

import numpy as np
import pytest
from helpers import ROOT, flip_a_byte

from hashbench.artefacts.layout import Layout
from hashbench.artefacts.records import read_records, write_records
from hashbench.artefacts.split import read_split
from hashbench.artefacts.submissions import read_notes, read_submitted, read_submitted_codes, write_submission
from hashbench.commands import submit, table, verify
from hashbench.config.params import load_params
from hashbench.config.selection import report_params
from hashbench.errors import HashbenchError
from hashbench.evaluation import evaluate
from hashbench.fingerprint import program_of
from hashbench.report.build import tables_of
from hashbench.reporting import tables_bundle_of

PROTOCOL, BACKBONE = "cifar10_200_1000_4800", "tf_efficientnet_lite0_96px"
ARGUMENTS = {
    "--method": "mine", "--paper": "A. Author, My method, 2026", "--protocol": PROTOCOL, "--backbone": BACKBONE,
    "--bits": "16", "--seed": "0", "--title": "My method",
}  # fmt: skip


@pytest.fixture(scope="module")
def results(tmp_path_factory):
    """The results of `quick` as this program would evaluate them today."""
    folder = tmp_path_factory.mktemp("clone")
    shutil.copytree(ROOT / "results" / "quick", folder / "results" / "quick", ignore=shutil.ignore_patterns("figures"))
    for name in ("params.yaml", "results/published.csv"):
        shutil.copy(ROOT / name, folder / name)
    records = Layout("quick", root=folder).records
    today = program_of("hashbench.stages.evaluate").digest
    write_records(records, [each.model_copy(update={"evaluator": today}) for each in read_records(records)])
    return folder


@pytest.fixture
def clone(results, tmp_path, monkeypatch):
    monkeypatch.chdir(shutil.copytree(results, tmp_path / "clone"))
    return tmp_path / "clone"


def codes(bits=16, seed=0, dataset="cifar10_6000"):
    """A file's arrays as a researcher's own program makes them: random projections of noise and labels, by NumPy."""
    split = read_split(ROOT / "results" / "quick" / "splits" / f"{dataset}.safetensors")
    rng = np.random.default_rng(seed)
    projection = rng.standard_normal((split.labels.shape[1], bits))
    noise = 2.5 * rng.standard_normal((len(split.labels), bits))
    signs = np.sign(split.labels @ projection + noise).astype(np.int8)
    return {
        "query_codes": signs[split.query],
        "db_codes": signs[split.database],
        "query_labels": split.labels[split.query].argmax(axis=1)
        if dataset == "cifar10_6000"
        else split.labels[split.query],
        "db_labels": split.labels[split.database].argmax(axis=1)
        if dataset == "cifar10_6000"
        else split.labels[split.database],
    }


def call(command, *arguments):
    parser = argparse.ArgumentParser()
    command.add_arguments(parser)
    return command.run(parser.parse_args([str(each) for each in arguments]))


def submitted(arrays=None, **options):
    np.savez("codes.npz", **(codes() if arrays is None else arrays))
    given = ARGUMENTS | {f"--{name}": value for name, value in options.items()}
    return call(submit, "codes.npz", *(part for pair in given.items() for part in pair))


def test_submitted_codes_stand_in_the_table_survive_verify_and_a_flipped_bit_is_named(clone, capsys):
    submitted()
    submitted(codes(seed=1), seed="1")
    submitted(codes(32), bits="32")
    submitted(codes(dataset="cifar10_mosaic"), protocol="mosaic_200_1000_2000")
    assert call(verify, "submissions") == 0
    assert "submissions: 4 runs of 1 methods recomputed from their codes, no differences" in capsys.readouterr().out

    arrays = codes(), codes(seed=1)
    names = ("query_codes", "db_codes", "query_labels", "db_labels")
    maps = [evaluate(*(each[name] for name in names), k=100).map for each in arrays]
    call(table, "table1")
    printed = capsys.readouterr().out
    lines = [line for line in printed.splitlines() if line.startswith("| ")]
    assert "**Submitted: codes from others, evaluated here**" in lines[-2]
    assert lines[-1].startswith("| My method (")
    assert "; submitted) |" in lines[-1]
    assert f"{np.mean(maps):.3f} ± {np.std(maps, ddof=1):.3f}" in lines[-1]
    assert lines[-1].count("–") == 3  # 64 bits of CIFAR-10, 32 and 64 of mosaics: not submitted
    assert "My method: A. Author, My method, 2026" in printed

    path = clone / "submissions" / "mine" / "codes.safetensors"
    before = read_submitted_codes(path.parent, splits())
    flip_a_byte(path, path.stat().st_size - 700)
    assert call(verify, "submissions") == 1
    said = capsys.readouterr().out
    assert "codes.safetensors is damaged (cifar10_" in said
    (cell,) = [cell for cell in before if cell.name in said]
    assert f"{cell.name}: bit " in said
    assert "is flipped); restore it from git" in said


def splits():
    return {path.stem: read_split(path) for path in Layout("quick").split("x").parent.glob("*.safetensors")}


@pytest.mark.parametrize("part", [0, 1])
def test_the_bit_that_is_named_is_the_one_that_was_flipped(clone, part, capsys):
    submitted()
    folder = clone / "submissions" / "mine"
    ((cell, pair),) = read_submitted_codes(folder, splits()).items()
    path = folder / "codes.safetensors"
    packed = pair[part].packed
    at = path.read_bytes().find(packed.tobytes())
    rng = np.random.default_rng(part)
    item, bit = int(rng.integers(len(packed))), int(rng.integers(16))
    content = bytearray(path.read_bytes())
    content[at + 2 * item + bit // 8] ^= 0x80 >> bit % 8
    path.write_bytes(bytes(content))
    assert call(verify, "submissions") == 1
    assert f"{cell.name}: bit {bit} of {('query', 'database')[part]} item {item} is flipped" in capsys.readouterr().out


def test_codes_replaced_through_the_projects_own_functions_are_named(clone, capsys):
    submitted()
    folder = clone / "submissions" / "mine"
    notes, records = read_notes(folder), read_submitted(folder)
    ((cell, (query, database)),) = read_submitted_codes(folder, splits()).items()
    turned = type(database)(database.packed ^ 1, database.n_bits, database.rows)
    write_submission(folder, notes, records, {cell: (query, turned)})
    assert call(verify, "submissions") == 1
    said = capsys.readouterr().out
    assert f"{cell.name}: the codes are not those that the record was made from" in said
    assert f"{cell.name}: map is not what codes and labels give" in said


def test_a_record_that_was_changed_is_named(clone, capsys):
    submitted()
    path = clone / "submissions" / "mine" / "records.jsonl"
    (record,) = read_submitted(path.parent)
    better = record.model_copy(update={"evaluation": record.evaluation.model_copy(update={"map": 0.99})})
    write_records(path, [better])
    assert call(verify, "submissions") == 1
    assert f"{record.cell.name}: map is not what codes and labels give" in capsys.readouterr().out
    flip_a_byte(path, 60)
    assert call(verify, "submissions") == 1
    assert "records.jsonl is damaged (line 1" in capsys.readouterr().out


def test_another_evaluator_is_stale_refused_by_the_table_and_mended_by_submitting_again(clone, capsys):
    submitted()
    path = clone / "submissions" / "mine" / "records.jsonl"
    (record,) = read_submitted(path.parent)
    write_records(path, [record.model_copy(update={"evaluator": "0" * 12})])
    assert call(verify, "submissions") == 1
    assert "stale, evaluated by sources of digest 000000000000" in capsys.readouterr().out
    with pytest.raises(
        HashbenchError, match="the submission mine on cifar10_6000 has another evaluator \\(000000000000\\)"
    ):
        call(table, "table1")
    call(submit, "submissions/mine")
    assert call(verify, "submissions") == 0
    call(table, "table1")


def test_runs_evaluated_by_different_programs_do_not_stand_in_one_table(clone):
    path = Layout("quick").records
    first, *others = read_records(path)
    write_records(path, [first.model_copy(update={"evaluator": "0" * 12}), *others])
    with pytest.raises(HashbenchError, match=r"differ in evaluator \(000000000000, "):
        call(table, "table1")


def test_a_submission_changes_no_rank_and_no_number_of_the_others(clone):
    before = tables(clone)
    submitted(codes(64), bits="64", backbone="my_own_network")
    for old, new in zip(before, tables(clone), strict=True):
        kept = [row for row in new.rows if not any("submitted" in cell.marks for cell in row.cells)]
        assert tuple(kept) == old.rows
        (row,) = [row for row in new.rows if row not in old.rows]
        assert "(my_own_network; submitted)" in row.heading.label


def tables(clone):
    params = report_params(load_params(), "quick", "methods")
    return tables_of(tables_bundle_of(params, Layout("quick")))[:2]


def changed(**arrays):
    return codes() | arrays


@pytest.mark.parametrize(
    ("arrays", "options", "said"),
    [
        (codes(32), {}, "its query codes have 32 bits, not 16 as --bits says"),
        (changed(query_labels=codes()["query_labels"][::-1]), {}, "split cifar10_200_1000_4800 (queries whose"),
        (changed(db_codes=codes()["db_codes"][:-1], db_labels=codes()["db_labels"][:-1]), {}, "database of 4,799"),
        (changed(query_rows=np.arange(200), db_rows=np.arange(4800)), {}, "its query rows are not those of the split"),
        (None, {"protocol": "cifar10_1000_5000_54000"}, "profile quick has the protocols cifar10_200"),
        (None, {"method": "My Method"}, "--method 'My Method' is not a name of small letters, digits and _"),
        (None, {"method": "itq"}, "params.yaml has a method itq: give the submission a name of its own"),
        (None, {"seed": "-1"}, "--seed must be a whole number from 0"),
        (None, {"paper": ""}, "key 'paper'"),
        (None, {"note": "two\nlines"}, "key 'note'"),
        (None, {"profile": "paper"}, "profile paper has no splits"),
    ],
)  # fmt: skip
def test_what_does_not_fit_the_split_or_the_rules_is_refused(clone, arrays, options, said):
    with pytest.raises(HashbenchError) as error:
        submitted(arrays, **options)
    assert said in str(error.value)
    assert not (clone / "submissions").exists()


def test_a_submission_stays_as_it_is(clone):
    submitted()
    with pytest.raises(
        HashbenchError,
        match="has codes of cifar10_6000-tf_efficientnet_lite0_96px-mine-16-0: a submission stays as it is",
    ):
        submitted(codes(seed=1))
    with pytest.raises(HashbenchError, match="says something else of the method"):
        submitted(codes(seed=1), seed="1", paper="another")
    with pytest.raises(HashbenchError, match="submit needs --method, --paper, --protocol, --backbone, --bits, --seed"):
        call(submit, "codes.npz")
    with pytest.raises(HashbenchError, match="--refit is for results"):
        call(verify, "submissions", "--refit", "mine")
