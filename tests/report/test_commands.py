"""A whole small profile: its report comes back byte by byte, `hashbench verify` names whatever was altered, and
`list`, `show` and `cite` tell what is there."""

from __future__ import annotations

import re
import shutil
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from helpers import ROOT, dvc, flip_a_byte, read_params, run_warm, write_params

from hashbench.artefacts import fits, records, store
from hashbench.artefacts.codes import StoredCodes
from hashbench.artefacts.layout import Layout
from hashbench.artefacts.split import read_split, write_split
from hashbench.cells import Cell
from hashbench.commands.cite import cite
from hashbench.commands.list import list_all
from hashbench.commands.show import show
from hashbench.config.params import load_params
from hashbench.errors import HashbenchError
from hashbench.evaluation.summary import EvaluationRules, evaluate_codes
from hashbench.execution.pipelines import open_beside
from hashbench.stages import report
from hashbench.types import Array, Codes
from hashbench.verification import refit
from hashbench.verification.findings import Findings
from hashbench.verification.verify import verify

LAYOUT = Layout("quick")
ABLATIONS = replace(LAYOUT, group="ablations")
KEPT = ("records.jsonl", "queries.safetensors", "codes", "splits", "cost", "ablations")
LSH = Cell("digits", "vit_micro", "lsh", 16, 0)

WITH_ABLATIONS = """
from hashbench.execution.command import set_up_log
from hashbench.stages import evaluate, fit, params, report
set_up_log()
params.main("quick")
fit.main("quick", "ablations", "nsh_m1")
evaluate.main("quick", "ablations")
for group in ("methods", "ablations"):
    report.main("quick", group)
"""


@pytest.fixture(scope="module")
def made(finished: Callable[[Path], Path], tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """The folder of a project whose pipeline has run, with one ablation and a control."""
    folder = finished(tmp_path_factory.mktemp("commands") / "project")
    ablations = {"nsh_m1": {**read_params(ROOT)["ablations"]["nsh_m1"], "against": "nsh"}}
    write_params(folder, {**read_params(folder), "ablations": ablations, "controls": ["lsh"], "references": []})
    run_warm(folder, "python", "-c", WITH_ABLATIONS)
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        open_beside("quick", "ablations")
        dvc(folder, "commit", "--force", "--quiet")
        yield folder


@pytest.fixture
def results(made: Path, tmp_path: Path) -> Iterator[Path]:
    """results/quick; it and the artefacts are put back as they were when the test is over."""
    for name in ("results", "artefacts"):
        shutil.copytree(made / name, tmp_path / name)
    yield LAYOUT.results
    for name in ("results", "artefacts"):
        shutil.rmtree(name, ignore_errors=True)
        shutil.copytree(tmp_path / name, name)


def told_by_verify(capsys: pytest.CaptureFixture[str], group: Layout = LAYOUT, status: int = 1) -> list[str]:
    """What verify says of a folder of results, line by line, but for the summary, which counts all."""
    assert verify(str(group.results), None) == status
    *told, last = capsys.readouterr().out.splitlines()
    more = [int(found[1]) for line in told if (found := re.search(r": and (\d+) more$", line))]
    count = sum(not line.startswith("note: ") for line in told) - len(more) + sum(more)
    assert last.endswith(f", {count or 'no'} difference{'' if count == 1 else 's'}")
    return told


def alter(path: Path, pattern: str, digit: int) -> None:
    """Change digit number `digit` of the first text that `pattern` finds."""
    text = path.read_text(encoding="utf-8")
    found = re.search(pattern, text)
    assert found, path
    place = found.start() + [m.start() for m in re.finditer(r"\d", found[0])][digit]
    path.write_text(f"{text[:place]}{(int(text[place]) + 1) % 10}{text[place + 1 :]}", encoding="utf-8")


@pytest.mark.parametrize(("group", "some"), [("methods", "table1.tex"), ("ablations", "ablation.md")])
def test_what_is_deleted_comes_back_byte_by_byte(results: Path, group: str, some: str) -> None:
    folder = replace(LAYOUT, group=group).results  # type: ignore[arg-type]
    before = {path: path.read_bytes() for path in results.rglob("*") if path.is_file()}
    assert folder / some in before
    for path in [*folder.iterdir(), *(folder / "cost").iterdir()]:
        if path.name not in (*KEPT, "seconds.csv"):
            shutil.rmtree(path) if path.is_dir() else path.unlink()
    assert not (folder / some).exists()
    report.main("quick", group)  # type: ignore[arg-type]
    assert {path for path in results.rglob("*") if path.is_file()} == before.keys()
    assert [path.name for path, content in before.items() if path.read_bytes() != content] == []
    assert {"report.html", "map_by_bits.csv", "map_by_bits.svg", "table3.md", "MANIFEST.json"} <= {
        path.name for path in before
    }


def test_verify_finds_nothing_without_artefacts(results: Path, capsys: pytest.CaptureFixture[str]) -> None:
    shutil.rmtree("artefacts")
    for folder, cells in (("results/quick", 4), ("results/quick/ablations", 2)):
        assert verify(folder, None) == 0
        said = f"{folder}: {cells} of {cells} runs recomputed from their codes, no differences\n"
        assert capsys.readouterr().out == said


def test_verify_finds_nothing_in_a_bare_clone(results: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The metrics, and the codes of variants, lie in DVC's cache and not in git."""
    for folder in (Path("artefacts"), results / "metrics", ABLATIONS.results / "codes"):
        shutil.rmtree(folder)
    assert verify("results/quick", None) == 0
    assert capsys.readouterr().out == "results/quick: 4 of 4 runs recomputed from their codes, no differences\n"
    assert verify("results/quick/ablations", None) == 0
    note, verdict = capsys.readouterr().out.splitlines()
    assert note.startswith("note: 2 runs were checked by the average precision of their queries alone")
    assert verdict == "results/quick/ablations: 0 of 2 runs recomputed from their codes, no differences"


def test_verify_names_every_altered_digit_of_a_table(results: Path, capsys: pytest.CaptureFixture[str]) -> None:
    alter(results / "table1.md", r"\| NSH \|.*", 3)
    alter(results / "table1.tex", r"LSH.*&.*", -1)
    alter(results / "table1.csv", r"digits,vit_micro,nsh,32,mAP@100,[\d.]+", -1)
    alter(results / "report.html", r'>NSH</th><td class="number" data-value="[\d.]+', -1)
    alter(results / "cost" / "table3.bib", r"digest \w+", 0)
    alter(results / "figures" / "map_by_bits.csv", r"lsh,16,.*", 7)
    told = told_by_verify(capsys)
    starts = [
        "table1.md, NSH, Digits, mAP@100, 16 bits: is ",
        "table1.tex, LSH, Digits, mAP@100, 32 bits: is ",
        "table1.csv, digits, vit_micro, nsh, 32 bits, mAP@100, value: is ",
        "cost/table3.bib, line ",
        "figures/map_by_bits.csv, line ",
        "report.html, NSH, Digits, mAP@100, 16 bits: is ",
    ]
    by_content = [line for line in told if ", the run records give " in line]
    for line, start in zip(sorted(by_content), sorted(starts), strict=True):
        assert line.startswith(start)
    for name in ("table1.md", "table1.tex", "table1.csv", "report.html", "figures/map_by_bits.csv"):
        assert f"{results / name} is not the file that MANIFEST.json names" in told

    alter(ABLATIONS.results / "ablation.md", r"\| latent head, sorted, m = 1 \|.*", -1)
    told = told_by_verify(capsys, ABLATIONS)
    place = "ablation.md, NSH, latent head, sorted, m = 1, Digits, mAP@100, difference: is "
    assert any(line.startswith(place) for line in told)


def cell_of(group: Layout) -> Cell:
    return LSH if group == LAYOUT else LSH._replace(method="nsh_m1")


@pytest.mark.parametrize("group", [LAYOUT, ABLATIONS], ids=["methods", "ablations"])
@pytest.mark.parametrize("resealed", [False, True], ids=["checksum kept", "checksum adjusted"])
def test_verify_names_the_cell_of_an_altered_code(
    results: Path, capsys: pytest.CaptureFixture[str], group: Layout, resealed: bool
) -> None:
    cell = cell_of(group)
    path = group.kept_codes(cell.method)
    if resealed:
        arrays, said = store.read_plain_tensors(path)
        name = "/".join(map(str, cell)) + "/query"
        changed = arrays[name].copy()
        changed[0, 0] ^= 0xFF
        store.write_plain_tensors(path, {**arrays, name: changed}, said)
    else:
        flip_a_byte(path)
    told = told_by_verify(capsys, group)
    of_cells = [line for line in told if line.startswith("digits-")]
    assert any(line.startswith(f"{cell.name}: ") for line in of_cells)
    named = cell.name if resealed else f"digits-vit_micro-{cell.method}-"
    assert all(line.startswith(named) for line in of_cells)
    rest = [line for line in told if line not in of_cells and f"records.jsonl, {cell.method}: and " not in line]
    assert all(line.startswith("note: ") or str(path.parent) in line for line in rest)
    assert resealed == any("map is 0." in line and "from codes and labels" in line for line in told)
    assert resealed or any(f"{path} is damaged" in line for line in told)


def test_verify_names_an_altered_label(results: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = LAYOUT.split("digits")
    split = read_split(path)
    labels = split.labels.copy()
    item, old = int(split.query[0]), int(labels[split.query[0]].argmax())
    new = (old + 1) % 10
    labels[item] = np.eye(10, dtype=bool)[new]
    whole = path.read_bytes()
    write_split(path, replace(split, labels=labels))
    told = "\n".join(told_by_verify(capsys))
    assert f"{path}: item {item} is labelled {new}, the data set says {old}\n" in told
    assert re.search(r"digits-vit_micro-lsh-16-0: map is 0\.\d+ in the record, 0\.\d+ from codes and labels", told)

    # The same label below the old seal: the split is damaged.
    path.write_bytes(whole)
    flip_a_byte(path, whole.index(b"labels") + 600)
    told = "\n".join(told_by_verify(capsys))
    assert f"{path} is damaged" in told
    assert "no run on digits can be checked" in told


def test_verify_says_how_to_get_codes_that_are_not_in_git(results: Path, capsys: pytest.CaptureFixture[str]) -> None:
    shutil.rmtree("artefacts")
    shutil.rmtree(results / "codes")
    told = told_by_verify(capsys)
    for method in ("lsh", "nsh"):
        assert f"{results / 'codes' / method}.safetensors is missing" in told
        assert any(f"-{method}-16-0 are neither in " in line and "`dvc pull` or `dvc repro`" in line for line in told)


def test_verify_refuses_what_is_no_results_folder(results: Path) -> None:
    with pytest.raises(HashbenchError, match="unknown name 'elsewhere'"):
        verify("results/elsewhere", None)
    LAYOUT.records.unlink()
    with pytest.raises(HashbenchError, match="holds no run records"):
        verify("results/quick", None)


def refitted(patch: pytest.MonkeyPatch, change: Callable[[Array], Array], processor: str | None = None) -> Findings:
    """What verify finds where a second fit, on this or another `processor`, gives the stored codes but for a change of
    those of the database."""
    split = read_split(LAYOUT.split("digits"))
    record = next(record for record in records.read_records(LAYOUT.records) if record.cell == LSH)
    query, database = StoredCodes(LAYOUT, {"digits": split}).read(LSH)
    again = Codes(change(database.packed), LSH.bits, database.rows)
    told = {
        "processor": processor or record.fit.processor,
        "codes": fits.codes_digest(query, again),
        "map": evaluate_codes(query, again, split, EvaluationRules(100, "relevant_in_top_k", "zero", [1])).map,
        "asymmetric_map": None,
        "curves": record.fit.curves,
        "remarks": record.fit.remarks,
    }

    def fit_again(folder: Path, *_: object) -> None:
        store.write_sealed(folder / f"{LSH.name}.json", told)

    patch.setattr(refit, "fit_again", fit_again)
    patch.setattr(refit, "run_side_by_side", lambda work, cells: (work(each) or each for each in cells))
    findings = Findings()
    refit.check_refit([LSH], load_params(), LAYOUT, {"digits": split}, findings)
    return findings


def with_one_code_inverted(packed: Array) -> Array:
    return np.concatenate([packed[:1] ^ 255, packed[1:]])


def at_other_items(packed: Array) -> Array:
    return np.roll(packed, 1, axis=0)


def test_a_refit_must_give_the_same_bits_here_and_a_near_map_elsewhere(
    results: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert refitted(monkeypatch, np.copy) == Findings()
    (fault,) = refitted(monkeypatch, with_one_code_inverted).faults
    assert fault.startswith(f"{LSH.name}: trained again, its codes are others than those of the record, mAP is 0.")

    elsewhere = refitted(monkeypatch, with_one_code_inverted, "another processor")
    assert elsewhere.faults == []
    assert elsewhere.notes[0].startswith(f"{LSH.name}: trained again on another processor, not on ")
    (far,) = refitted(monkeypatch, at_other_items, "another processor").faults
    assert far.startswith(f"{LSH.name}: trained again on another processor, not on ")
    assert ", not within 0.0100 of the mean 0." in far


def test_codes_without_a_part_are_told_as_damaged(results: Path) -> None:
    path = LAYOUT.codes(LSH)
    store.write_tensors(path, {"query": store.read_tensors(path)["query"]}, {})
    with pytest.raises(store.DamagedError, match=f"{re.escape(str(path))} is damaged .it has no 'database'."):
        fits.read_codes(LAYOUT, LSH, read_split(LAYOUT.split("digits")))


def test_list_tells_how_far_everything_is(
    results: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "250")
    recorded = records.read_records(LAYOUT.records)
    records.write_records(LAYOUT.records, [record for record in recorded if record.cell != LSH])
    LAYOUT.evaluation(LSH).unlink()
    list_all(hyperparameters=False)
    told = capsys.readouterr().out
    assert re.search(r"^quick .* 3 of 4 *$", told, re.MULTILINE)
    assert re.search(r"^digits .* quick *$", told, re.MULTILINE)
    assert re.search(r"^lsh .* quick 1 of 2 *$", told, re.MULTILINE)
    assert re.search(r"^nsh_m1 .* quick 2 of 2 *$", told, re.MULTILINE)


def test_show_prints_a_table_with_its_files_and_a_run(results: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for name, folder in (("table1", results), ("table3", results / "cost"), ("ablation", results / "ablations")):
        show(name, "quick")
        told = capsys.readouterr().out
        assert told.startswith((folder / f"{name}.md").read_text())
        assert f"  {folder / name}.tex\n" in told
    show("digits-vit_micro-nsh-16-0", "quick")
    told = capsys.readouterr().out
    for words in ("NSH, 16 bits, seed 0", "mAP@100", "by tie order", "temperature"):
        assert words in told
    with pytest.raises(HashbenchError, match="did you mean 'digits-vit_micro-nsh-16-0'"):
        show("digits-vit_micro-nsh-16-01", "quick")


@pytest.mark.parametrize(("table", "folder", "papers"), [("table1", ".", 2), ("ablation", "ablations", 1)])
def test_cite_names_the_digest_that_the_table_shows(
    results: Path, capsys: pytest.CaptureFixture[str], table: str, folder: str, papers: int
) -> None:
    cite(table, "quick")
    told = capsys.readouterr().out
    digest = re.search(r"content digest (\w{12})", (results / folder / f"{table}.md").read_text())
    assert digest
    assert f"@misc{{hashbench-quick-{table}-{digest[1]}," in told
    assert told.count("@inproceedings") == papers


def test_table_3_is_among_the_cost_files_for_every_command(results: Path, capsys: pytest.CaptureFixture[str]) -> None:
    cite("table3", "quick")
    assert "@misc{hashbench-quick-table3-" in capsys.readouterr().out
