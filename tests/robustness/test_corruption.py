"""A changed byte is found, by the file's name, before a number is printed; the damaged part alone is made again."""

from __future__ import annotations

import random
import subprocess
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from hashbench import store
from hashbench.errors import HashbenchError
from hashbench.layout import Cell, Layout, cells_of
from hashbench.params import Params, load_params
from hashbench.stages.evaluate import read_codes, read_record
from hashbench.stages.provide import open_dataset, open_features, weights_path
from hashbench.stages.sessions import CheckpointFiles

SMALL = {"methods": ["lsh"], "datasets": ["digits"], "bits": [16, 32], "seeds": [0], "epochs": 1}
LARGE = {"methods": ["lsh", "itq"], "datasets": ["digits", "digits_mosaic"], "bits": [16, 32], "seeds": [0, 1]}
EVERYTHING = frozenset({"pooled", "token_mean", "views", "view_tokens"})

Reader = Callable[[], object]


def readers(params: Params, layout: Layout) -> dict[str, list[tuple[Path, Reader]]]:
    """The artefacts of every kind, each with what reads it in the stages and commands."""
    chosen = params.profile(layout.profile)
    found: dict[str, list[tuple[Path, Reader]]] = {
        kind: [] for kind in ("images", "labels", "splits", "weights", "features", "models", "codes", "per-query files")
    }
    found["records"] = []
    for name in chosen.datasets:
        for file, kind in (("images.npy", "images"), ("labels.safetensors", "labels")):
            found[kind].append((layout.dataset(name) / file, lambda name=name: open_dataset(params, "quick", name)))
        found["splits"].append((layout.split(name), lambda name=name: store.read_split(layout.split(name))))
        for backbone in chosen.backbones:
            pair = (name, backbone)
            weights = layout.trained_weights(*pair), lambda pair=pair: weights_path(params, layout, *pair)
            found["weights"].append(weights)
            for path in sorted(layout.features(*pair).glob("*.npy")):
                read = lambda pair=pair: open_features(params, "quick", *pair, EVERYTHING)  # noqa: E731
                found["features"].append((path, read))
    for cell in (cell for method in params.methods for cell in cells_of(params, "quick", method)):
        model = layout.model(cell)
        found["models"].append((model, lambda model=model: store.read_tensors(model)))
        found["codes"].append((layout.codes(cell), lambda cell=cell: codes_of(layout, cell)))
        query = layout.per_query(cell)
        found["per-query files"].append((query, lambda query=query: store.read_tensors(query)))
        record = layout.record(cell)
        found["records"].append((record, lambda record=record: read_record(record)))
    return found


def codes_of(layout: Layout, cell: Cell) -> object:
    return read_codes(layout, cell, store.read_split(layout.split(cell.dataset)))


def flipped(path: Path, rng: random.Random) -> bytes:
    """Change one random byte of a file; what it was before."""
    whole = path.read_bytes()
    place = rng.randrange(len(whole))
    path.write_bytes(whole[:place] + bytes([whole[place] ^ rng.randrange(1, 256)]) + whole[place + 1 :])
    return whole


def part_of(path: Path) -> str:
    """What is made again together: a cell's model and codes, else one file; each with its sidecar."""
    name = path.name.removesuffix(".json").partition(".")[0]
    if "models" in path.parts or "codes" in path.parts:
        return name
    return str(path.parent / name)


def written(folder: Path) -> dict[Path, int]:
    """When every artefact, record and sidecar was last written."""
    files = [*(folder / "artefacts").rglob("*"), *(folder / "results" / "quick").rglob("*")]
    chosen = (
        path for path in files if path.suffix in (".npy", ".safetensors", ".json") and path.name != "metrics.json"
    )
    return {path.relative_to(folder): path.stat().st_mtime_ns for path in chosen}


@pytest.mark.slow
def test_every_changed_byte_is_named_and_mended(
    tmp_path: Path,
    long: bool,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    checkout: Callable[..., Path],
    dvc: Callable[..., subprocess.CompletedProcess[str]],
    every_stage: Callable[[Path], str],
    untimed: Callable[[Path], dict[str, bytes]],
    figures: Callable[..., None],
) -> None:
    folder = checkout(tmp_path / "checkout", **(LARGE if long else SMALL))
    if long:
        dvc(folder, "repro")
    else:
        every_stage(folder)
    expected, rng = untimed(folder), random.Random(0)
    monkeypatch.chdir(folder)
    params, layout = load_params(), Layout("quick")
    by_kind = readers(params, layout)
    targets = [
        (kind, file, read)
        for kind, artefacts in by_kind.items()
        for path, read in artefacts
        for file in ([path] if kind == "records" else [path, store.sidecar(path)])
    ]
    count = 200 if long else 60
    chosen = [*targets, *rng.choices(targets, k=max(0, count - len(targets)))][: max(count, len(by_kind))]
    found_by_kind: dict[str, int] = dict.fromkeys(by_kind, 0)
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
        for _, file, _ in rng.sample(targets, len(targets)):
            parts.setdefault(part_of(file), file)
        damaged = sorted(parts.values(), key=lambda file: rng.random())[:mended]
        for file in damaged:
            flipped(file, rng)
        before = written(folder)
        said = dvc(folder, "repro").stderr if long else every_stage(folder)
        assert [file for file in damaged if f"{file} is damaged" not in said] == []
        rewritten = {part_of(path) for path, when in written(folder).items() if before.get(path) != when}
        rewritten -= {str(path.with_suffix("")) for path in layout.artefacts.glob("locks/*")}
        assert rewritten <= {part_of(file) for file in damaged}
        assert untimed(folder) == expected

    caches = sum(damage_in_a_cache_is_found(tmp_path / f"cache{number}", rng, caplog) for number in range(20))
    figures(
        "corruption",
        title="Corruption",
        says=(
            "One random byte of a finished pipeline's file was changed to another random value, and the file read as "
            "the next stage or command reads it; then the byte was put back. Data files and sidecars alike, "
            f"{len(targets)} files. After that, {mended} files at a time were left damaged and `dvc repro` was run."
        ),
        figures={
            "bytes changed": len(chosen) + 20,
            "found, and the file named": sum(found_by_kind.values()) + caches,
            **{f"of these in {kind}": count for kind, count in found_by_kind.items()},
            "of these in checkpoints and unfinished features": caches,
            "files damaged and mended by `dvc repro`": batches * mended,
            "of these named in its log": batches * mended,
            "undamaged artefacts that it wrote again": 0,
            "results that differ afterwards": 0,
        },
        remarks=[
            "A cell's model and codes are one part: damage in one fits that cell again.",
            "DVC looks at a file again when its size or time of change differ. Damage that leaves both alone is found "
            "by whoever reads the file, and by `hashbench verify`, not by a `dvc repro` that has nothing to do.",
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
        builder = store.ArrayBuilder(folder / "a.npy", rows.shape, float, {})
        for start in range(0, 100, 20):
            builder.add(rows[start : start + 20])
        file = rng.choice(sorted(folder.iterdir()))
        flipped(file, rng)
        builder = store.ArrayBuilder(folder / "a.npy", rows.shape, float, {})
        assert builder.done < 100
        for start in range(builder.done, 100, 20):
            builder.add(rows[start : start + 20])
        builder.finish()
        assert np.array_equal(store.open_array(folder / "a.npy"), rows)
    assert str(file) in caplog.text
    return 1
