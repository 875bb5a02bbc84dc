"""A changed byte is found, by the file's name, before a number is printed; the damaged part alone is made again."""

from __future__ import annotations

import random
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from helpers import content_of_results, differing, every_stage, make_checkout, run_warm

from hashbench.artefacts import fits, records, store
from hashbench.artefacts.array_builder import ArrayBuilder
from hashbench.artefacts.dataset import read_dataset
from hashbench.artefacts.features import open_features, read_record
from hashbench.artefacts.layout import Layout
from hashbench.artefacts.manifest import read_manifest
from hashbench.artefacts.params import read_params
from hashbench.artefacts.split import read_split
from hashbench.artefacts.weights import read_weights_record
from hashbench.config.selection import EvaluateParams
from hashbench.errors import HashbenchError
from hashbench.execution.sessions import CheckpointFiles
from hashbench.verification.dvclock import differing_outputs
from hashbench.verification.files import check_manifest
from hashbench.verification.findings import Findings

LARGE = {"methods": ["lsh", "itq"], "datasets": ["digits", "digits_mosaic"], "bits": [16, 32], "seeds": [0, 1]}
EVERYTHING = frozenset({"pooled", "token_mean", "views", "view_tokens"})
LAYOUT = Layout("quick")

Reader = Callable[[], object]
Target = tuple[str, Path, Reader]  # kind, file, and what reads it in the stages and commands


def artefacts() -> list[Target]:
    """The artefacts of every kind, sidecars included: whoever reads one finds a changed byte."""
    params = read_params(LAYOUT, "evaluate/methods", EvaluateParams)
    found: list[Target] = []

    def add(kind: str, path: Path, read: Reader, with_sidecar: bool = True) -> None:
        found.extend((kind, file, read) for file in [path, store.sidecar(path)][: 1 + with_sidecar])

    for name in params.cutoffs:
        for file, kind in (("images.npy", "images"), ("labels.safetensors", "labels")):
            add(kind, LAYOUT.dataset(name) / file, lambda name=name: read_dataset(LAYOUT, name))
        add("splits", LAYOUT.split(name), lambda name=name: read_split(LAYOUT.split(name)), with_sidecar=False)
        for pair in ((name, backbone) for backbone in params.backbones):
            weights, folder = LAYOUT.trained_weights(*pair), LAYOUT.features(*pair)
            add("weights", weights, lambda weights=weights: store.read_tensors(weights))
            record = LAYOUT.weights_record(*pair)
            add("weights", record, lambda pair=pair: read_weights_record(LAYOUT, *pair), with_sidecar=False)
            for path in sorted(folder.glob("*.npy")):
                add("features", path, lambda pair=pair: open_features(LAYOUT, *pair, EVERYTHING))
            add("features", folder / "features.json", lambda pair=pair: read_record(LAYOUT, *pair), with_sidecar=False)
    for cell in params.cells():
        model, evaluation = LAYOUT.model(cell), LAYOUT.evaluation(cell)
        add("models", model, lambda model=model: store.read_tensors(model))
        split = read_split(LAYOUT.split(cell.dataset))
        add("codes", LAYOUT.codes(cell), lambda cell=cell, split=split: fits.read_codes(LAYOUT, cell, split))
        add("evaluations", evaluation, lambda evaluation=evaluation: store.read_tensors(evaluation))
    return found


def results() -> list[Target]:
    """Every file of the results: `hashbench verify` finds a changed byte."""
    found: list[Target] = []
    for path in sorted(LAYOUT.results.rglob("*")):
        name = path.relative_to(LAYOUT.results)
        if path.is_file() and "cost" not in name.parts and name.parts[0] != "splits":
            found.append(("results", path, by_the_lock if path == LAYOUT.manifest else by_the_manifest))
    splits = {path.stem: read_split(path) for path in sorted(LAYOUT.split("any").parent.glob("*.safetensors"))}
    found.append(("results", LAYOUT.queries, lambda: records.read_queries(LAYOUT.queries)))
    found.append(("results", LAYOUT.records, lambda: records.read_records(LAYOUT.records)))
    for path in sorted(LAYOUT.kept_codes("any").parent.glob("*")):
        found.append(("results", path, lambda path=path: records.read_kept_codes(path, splits)))
    return found


def by_the_manifest() -> None:
    """Raise an error that names the first file of the results that is not what the manifest says."""
    findings = Findings()
    check_manifest(LAYOUT, read_manifest(LAYOUT), findings)
    if findings.faults:
        raise HashbenchError(findings.faults[0])


def by_the_lock() -> None:
    """Raise an error that names the outputs that are not what `dvc.lock` says."""
    if others := list(differing_outputs(LAYOUT)):
        raise HashbenchError(" ".join(others))


def flipped(path: Path, rng: random.Random) -> bytes:
    """Change one random byte of a file; what it was before."""
    whole = path.read_bytes()
    place = rng.randrange(len(whole))
    path.chmod(0o644)
    path.write_bytes(whole[:place] + bytes([whole[place] ^ rng.randrange(1, 256)]) + whole[place + 1 :])
    return whole


def part_of(path: Path) -> str:
    """What is made again together: a cell's model and codes, else one file; each with its sidecar."""
    name = path.name.removesuffix(".json").partition(".")[0]
    if "fits" in path.parts:
        return name
    return str(path.parent / name)


def written(folder: Path) -> dict[Path, int]:
    """When every artefact and sidecar was last written."""
    files = [*(folder / "artefacts").rglob("*"), *(folder / "results" / "quick" / "splits").iterdir()]
    chosen = (path for path in files if path.suffix in (".npy", ".safetensors", ".json"))
    return {path.relative_to(folder): path.stat().st_mtime_ns for path in chosen}


@pytest.mark.slow
def test_every_changed_byte_is_named_and_mended(
    tmp_path: Path,
    long: bool,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    finished: Callable[[Path], Path],
    figures: Callable[..., None],
) -> None:
    if long:
        folder = make_checkout(tmp_path / "checkout", **LARGE)
        run_warm(folder, "dvc", "repro")
    else:
        folder = finished(tmp_path / "checkout")
    expected, rng = content_of_results(folder), random.Random(0)
    monkeypatch.chdir(folder)
    targets = [*artefacts(), *results()]
    kinds = list(dict.fromkeys(kind for kind, _, _ in targets))
    count = 200 if long else 60
    chosen = [*targets, *rng.choices(targets, k=max(0, count - len(targets)))]
    found_by_kind: dict[str, int] = dict.fromkeys(kinds, 0)
    for kind, file, read in chosen:
        whole = flipped(file, rng)
        caplog.clear()
        with pytest.raises(HashbenchError) as error:
            read()
        assert str(file) in f"{error.value}{caplog.text}", f"{file}: {error.value}"
        found_by_kind[kind] += 1
        file.write_bytes(whole)
        read()

    batches, mended = (2, 25) if long else (1, 8)
    for _ in range(batches):
        parts: dict[str, Path] = {}
        for _, file, _ in rng.sample(artefacts(), len(artefacts())):
            parts.setdefault(part_of(file), file)
        damaged = sorted(parts.values(), key=lambda file: rng.random())[:mended]
        gathered = rng.sample([file for _, file, _ in results()], 3)
        for file in (*damaged, *gathered):
            flipped(file, rng)
        before = written(folder)
        said = run_warm(folder, "dvc", "repro").stderr if long else every_stage(folder)
        assert [file for file in damaged if f"{file} is damaged" not in said] == []
        rewritten = {part_of(path) for path in differing(before, written(folder))}
        rewritten -= {str(path.with_suffix("")) for path in LAYOUT.artefacts.glob("locks/*")}
        rewritten = {part for part in rewritten if "/seconds/" not in part}  # what was made again took its time
        assert rewritten <= {part_of(file) for file in damaged}
        assert differing(expected, content_of_results(folder)) == set()

    caches = sum(damage_in_a_cache_is_found(tmp_path / f"cache{number}", rng, caplog) for number in range(20))
    figures(
        "corruption",
        title="Corruption",
        says=(
            "One random byte of a finished pipeline's file was changed to another random value, and the file read as "
            "the next stage or command reads it; then the byte was put back. Data files, sidecars and results alike, "
            f"{len(targets)} files. After that, {mended} artefacts and 3 results at a time were left damaged and "
            "`dvc repro` was run."
        ),
        figures={
            "bytes changed": len(chosen) + 20,
            "found, and the file named": sum(found_by_kind.values()) + caches,
            **{f"of these in {kind}": count for kind, count in found_by_kind.items()},
            "of these in checkpoints and unfinished features": caches,
            "artefacts damaged, named and mended by `dvc repro`": batches * mended,
            "results damaged and mended by it": batches * 3,
            "undamaged artefacts that it wrote again": 0,
            "results that differ afterwards": 0,
        },
        remarks=[
            "A cell's model and codes are one part: damage in one fits that cell again.",
            "DVC looks at a file again when its size or time of change differ. Damage that leaves both alone is found "
            "by whoever reads the file, and by `hashbench verify`, not by a `dvc repro` that has nothing to do.",
            "Results are gathered from artefacts: they are written anew wherever they are not what these give.",
        ],
    )


def damage_in_a_cache_is_found(folder: Path, rng: random.Random, caplog: pytest.LogCaptureFixture) -> int:
    """Change a byte of a checkpoint or of an unfinished array: 1 if it is named and not used."""
    caplog.clear()
    if rng.random() < 0.5:
        checkpoint = CheckpointFiles(folder / "cell.safetensors", "print")
        checkpoint.write({"weights": np.arange(50.0)}, {"epoch": 1})
        checkpoint.write({"weights": np.arange(50.0) + 1}, {"epoch": 2})
        file = rng.choice(sorted(folder.iterdir()))
        flipped(file, rng)
        state = CheckpointFiles(folder / "cell.safetensors", "print").read()
        assert state is not None
        assert (state[0]["weights"][0], state[1]["epoch"]) in ((0.0, 1), (1.0, 2))
    else:
        rows = np.arange(400.0).reshape(100, 4)
        builder = ArrayBuilder(folder / "a.npy", rows.shape, float, {})
        for start in range(0, 100, 20):
            builder.add(rows[start : start + 20])
        file = rng.choice(sorted(folder.iterdir()))
        flipped(file, rng)
        builder = ArrayBuilder(folder / "a.npy", rows.shape, float, {})
        assert builder.done < 100
        for start in range(builder.done, 100, 20):
            builder.add(rows[start : start + 20])
        builder.finish()
        assert np.array_equal(store.open_array(folder / "a.npy"), rows)
    assert str(file) in caplog.text
    return 1
