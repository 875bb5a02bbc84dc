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
import yaml

from hashbench import store
from hashbench.commands.cite import cite
from hashbench.commands.listing import list_all
from hashbench.commands.refit import differences
from hashbench.commands.show import show
from hashbench.commands.verify import verify
from hashbench.errors import HashbenchError
from hashbench.layout import Cell, Layout, cells_of
from hashbench.params import load_params
from hashbench.stages import evaluate, fetch, report, split
from hashbench.types import Array, Codes

ROOT = Path(__file__).resolve().parents[2]
LAYOUT = Layout("quick")
KEPT = ("runs", "queries", "codes", "splits", "ablations")


def write_params() -> None:
    """params.yaml of a profile of two methods and one ablation on the digits."""
    params = yaml.safe_load((ROOT / "params.yaml").read_text())
    params["profiles"] = {"quick": params["profiles"]["quick"] | {"datasets": ["digits"], "bits": [16, 32]}}
    params["profiles"]["quick"] |= {"seeds": [0, 1], "overrides": {}}
    params["methods"] = {name: params["methods"][name] for name in ("nsh", "lsh")}
    params["ablations"], params["controls"] = {"nsh_m1": params["ablations"]["nsh_m1"]}, ["lsh"]
    params["claims"] = [{"winners": ["nsh"], "losers": ["lsh"]}]
    Path("params.yaml").write_text(yaml.safe_dump(params, sort_keys=False))


def write_codes() -> None:
    """Codes of every cell, as the fit stage leaves them: random projections of the pixels, biased towards class 0."""
    params = load_params()
    parts = store.read_split(LAYOUT.split("digits"))
    images = np.load(LAYOUT.dataset("digits") / "images.npy")[..., 0].reshape(len(parts.labels), -1) - 128.0
    store.write_sealed(LAYOUT.features_record("digits", "vit_micro"), {"title": "Pixels", "digest": "0" * 12})
    for layout, methods in ((LAYOUT, params.methods), (replace(LAYOUT, group="ablations"), params.ablations)):
        for cell in (cell for name in methods for cell in cells_of(params, "quick", name)):
            rng = np.random.default_rng(cell.derived_seed(0))
            bits = images @ rng.standard_normal((images.shape[1], cell.bits)) > 0
            codes = {
                part: Codes.pack(bits[getattr(parts, part)], getattr(parts, part)) for part in ("query", "database")
            }
            block = params.method(cell.method, "quick")
            said = {
                "fingerprint": "f", "made_from": {"seed": cell.derived_seed(0)}, "method_title": cell.method.upper(),
                "hyperparameters": {name: entry.model_dump() for name, entry in block.hyperparameters.items()},
                "deviations": [], "curves": {"loss": [2.0, 1.0]}, "remarks": [], "versions": {"numpy": "2"},
                "device": "CPU", "seconds": {"fit": 0.5 * cell.bits, "encode": 0.1},
            }  # fmt: skip
            store.write_tensors(layout.codes(cell), {part: value.packed for part, value in codes.items()}, said)


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """The folder of a project whose pipeline has run."""
    folder = tmp_path_factory.mktemp("project")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        for name in ("src", "baselines"):
            Path(name).symlink_to(ROOT / name)
        Path("results").mkdir()
        shutil.copy(ROOT / "results" / "published.csv", "results")
        write_params()
        fetch.main("quick")
        split.main("quick")
        write_codes()
        evaluate.main("quick", "methods")
        evaluate.main("quick", "ablations")
        report.main("quick")
        yield folder


@pytest.fixture
def results(made: Path, tmp_path: Path) -> Iterator[Path]:
    """results/quick, put back as it was when the test is over."""
    shutil.copytree(made / "results", tmp_path / "kept")
    yield LAYOUT.results
    shutil.rmtree("results")
    shutil.copytree(tmp_path / "kept", "results")


def alter(path: Path, pattern: str, digit: int) -> None:
    """Change digit number `digit` of the first text that `pattern` finds."""
    text = path.read_text(encoding="utf-8")
    found = re.search(pattern, text)
    assert found, path
    place = found.start() + [m.start() for m in re.finditer(r"\d", found[0])][digit]
    path.write_text(f"{text[:place]}{(int(text[place]) + 1) % 10}{text[place + 1 :]}", encoding="utf-8")


def test_what_is_deleted_comes_back_byte_by_byte(results: Path) -> None:
    before = {path: path.read_bytes() for path in results.rglob("*") if path.is_file()}
    for path in results.iterdir():
        if path.name not in KEPT:
            shutil.rmtree(path) if path.is_dir() else path.unlink()
    report.main("quick")
    assert {path for path in results.rglob("*") if path.is_file()} == before.keys()
    assert [path.name for path, content in before.items() if path.read_bytes() != content] == []
    assert {"table1.tex", "ablation.md", "report.html", "metrics.json", "map_by_bits.csv", "map_by_bits.png"} <= {
        path.name for path in before
    }


def test_verify_finds_nothing_in_a_bare_clone(results: Path, capsys: pytest.CaptureFixture[str]) -> None:
    shutil.rmtree("artefacts")
    assert verify("results/quick", None) == 0
    assert capsys.readouterr().out == "results/quick: 12 of 12 runs checked, no differences\n"


def test_verify_names_every_altered_digit_of_a_table(results: Path, capsys: pytest.CaptureFixture[str]) -> None:
    alter(results / "table1.md", r"\| NSH \|.*", 3)
    alter(results / "table1.tex", r"LSH &.*", -1)
    alter(results / "table1.csv", r"digits,vit_micro,nsh,32,mAP@100,[\d.]+", -1)
    alter(results / "table2.html", r">LSH</th>.*", -5)
    alter(results / "ablation.md", r"\| control \|.*", -1)
    alter(results / "report.html", r'>NSH</th><td class="number" data-value="[\d.]+', -1)
    alter(results / "table3.bib", r"digest \w+", 0)
    alter(results / "figures" / "map_by_bits.csv", r"lsh,16,.*", 7)
    assert verify("results/quick", None) == 1
    *told, last = capsys.readouterr().out.splitlines()
    assert last == "results/quick: 12 of 12 runs checked, 8 differences"
    starts = [
        "table1.md, NSH, Digits, mAP@100, 16 bits: is ",
        "table1.tex, LSH, Digits, mAP@100, 32 bits: is ",
        "table1.csv, digits, vit_micro, nsh, 32 bits, mAP@100, value: is ",
        "table2.html, Digits, 16 bits, LSH, mAP by order inside ties, best: is ",
        "table3.bib, line ",
        "ablation.md, NSH, LSH, Digits, mAP@100, 32 bits: is ",
        "figures/map_by_bits.csv, line ",
        "report.html, NSH, Digits, mAP@100, 16 bits: is ",
    ]
    for line, start in zip(sorted(told), sorted(starts), strict=True):
        assert line.startswith(start)
        assert ", the run records give " in line


@pytest.mark.parametrize("group", ["methods", "ablations"])
@pytest.mark.parametrize("resealed", [False, True], ids=["checksum kept", "checksum adjusted"])
def test_verify_names_the_cell_of_an_altered_bit(
    results: Path, capsys: pytest.CaptureFixture[str], group: str, resealed: bool
) -> None:
    layout, method = (LAYOUT, "lsh") if group == "methods" else (replace(LAYOUT, group="ablations"), "nsh_m1")
    cell = next(cells_of(load_params(), "quick", method))
    path = layout.codes(cell)
    arrays, said = store.read_tensors(path), store.about(path)
    said.pop("sha256")
    arrays["query"][0, 0] ^= 1
    sidecar = store.sidecar(path).read_bytes()
    store.write_tensors(path, arrays, said)
    if not resealed:
        store.sidecar(path).write_bytes(sidecar)
    assert verify("results/quick", None) == 1
    told = capsys.readouterr().out.splitlines()[:-1]
    assert told
    assert all(line.startswith(f"{cell.name}: ") for line in told)
    assert resealed == any("map is 0." in line and "from the codes and labels" in line for line in told)


def test_verify_names_an_altered_label(results: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = LAYOUT.split("digits")
    parts = store.read_split(path)
    labels = parts.labels.copy()
    item, old = int(parts.query[0]), int(labels[parts.query[0]].argmax())
    new = (old + 1) % 10
    labels[item] = np.eye(10, dtype=bool)[new]
    whole = path.read_bytes()
    store.write_split(path, replace(parts, labels=labels))
    assert verify("results/quick", None) == 1
    told = capsys.readouterr().out
    assert f"{path}: item {item} is labelled {new}, the data set says {old}\n" in told
    assert re.search(r"digits-vit_micro-lsh-16-0: map is 0\.\d+ in the record, 0\.\d+ from the codes and labels", told)

    # The same bytes below the old checksum: the split is damaged, and still the label is named.
    altered = path.read_bytes()
    path.write_bytes(whole)
    store.write_split(path, parts)
    path.write_bytes(altered)
    assert verify("results/quick", None) == 1
    told = capsys.readouterr().out
    assert f"{path}: item {item} is labelled {new}, the data set says {old}\n" in told
    assert "no run on digits can be checked" in told


def test_verify_says_how_to_get_codes_that_are_not_in_git(results: Path) -> None:
    shutil.rmtree(results / "codes")
    shutil.rmtree(results / "ablations" / "codes")
    with pytest.raises(HashbenchError, match=r"holds no codes.*nox -s reproduce_table1 -- --profile quick"):
        verify("results/quick", None)


def test_verify_refuses_what_is_no_results_folder(results: Path) -> None:
    with pytest.raises(HashbenchError, match="unknown name 'elsewhere'"):
        verify("results/elsewhere", None)
    shutil.rmtree(results / "runs")
    shutil.rmtree(results / "ablations")
    with pytest.raises(HashbenchError, match="holds no run records"):
        verify("results/quick", None)


def refitted(cell: Cell, change: Callable[[Array], Array]) -> list[str]:
    """What verify says of a cell whose second fit gives the stored codes but for a change of those of the database."""
    parts = store.read_split(LAYOUT.split("digits"))
    query, database = evaluate.read_codes(LAYOUT, cell, parts)
    again = Codes(change(database.packed), cell.bits, parts.database)
    return list(differences(cell, (query, again), LAYOUT))


def with_one_code_inverted(packed: Array) -> Array:
    return np.concatenate([packed[:1] ^ 255, packed[1:]])


def at_other_items(packed: Array) -> Array:
    return np.roll(packed, 1, axis=0)


def test_codes_without_a_part_are_told_as_damaged(results: Path) -> None:
    cell = next(cells_of(load_params(), "quick", "lsh"))
    path = LAYOUT.codes(cell)
    store.write_tensors(path, {"query": store.read_tensors(path)["query"]}, {})
    with pytest.raises(store.DamagedError, match=f"{re.escape(str(path))} is damaged .it has no 'database'."):
        evaluate.read_codes(LAYOUT, cell, store.read_split(LAYOUT.split("digits")))


def test_a_refit_must_give_the_same_bits_here_and_a_near_map_elsewhere(
    results: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    cell = next(cells_of(load_params(), "quick", "lsh"))
    assert refitted(cell, np.copy) == []
    assert refitted(cell, with_one_code_inverted) == []
    assert [message.partition(", mAP is")[0] for message in refitted(cell, at_other_items)] == [
        f"{cell.name}: trained again on another machine"
    ]
    record = evaluate.read_record(LAYOUT.record(cell))
    monkeypatch.setattr("hashbench.commands.refit.versions", lambda: record.versions)
    monkeypatch.setattr("hashbench.commands.refit.device_name", lambda: record.device)
    assert refitted(cell, with_one_code_inverted) == [f"{cell.name}: trained again, 16 bits of the codes differ"]


def test_list_tells_how_far_everything_is(
    results: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "250")
    next(iter(sorted((results / "runs").glob("*lsh*")))).unlink()
    list_all(hyperparameters=False)
    told = capsys.readouterr().out
    assert re.search(r"^quick .* 7 of 8 *$", told, re.MULTILINE)
    assert re.search(r"^digits .* quick *$", told, re.MULTILINE)
    assert re.search(r"^lsh .* quick 3 of 4 *$", told, re.MULTILINE)
    assert re.search(r"^nsh_m1 .* quick 4 of 4 *$", told, re.MULTILINE)


def test_show_prints_a_table_with_its_files_and_a_run(results: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for name in ("table1", "ablation"):
        show(name, "quick")
        told = capsys.readouterr().out
        assert told.startswith((results / f"{name}.md").read_text())
        assert f"  {results / name}.tex\n" in told
    show("digits-vit_micro-nsh-16-1", "quick")
    told = capsys.readouterr().out
    for words in ("NSH, 16 bits, seed 1", "mAP@100", "by tie order", "temperature"):
        assert words in told
    with pytest.raises(HashbenchError, match="did you mean 'digits-vit_micro-nsh-16-1'"):
        show("digits-vit_micro-nsh-16-11", "quick")


@pytest.mark.parametrize("table", ["table1", "ablation"])
def test_cite_names_the_digest_that_the_table_shows(
    results: Path, capsys: pytest.CaptureFixture[str], table: str
) -> None:
    cite(table, "quick")
    told = capsys.readouterr().out
    digest = re.search(r"content digest (\w{12})", (results / f"{table}.md").read_text())
    assert digest
    assert f"@misc{{hashbench-quick-{table}-{digest[1]}," in told
    assert told.count("@inproceedings") >= 2
