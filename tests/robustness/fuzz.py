"""A coverage-guided fuzzer (atheris, that is libFuzzer) on everything that hashbench parses and others may write.

    python tests/robustness/fuzz.py params --minutes 10

Whatever a file holds, a parser returns or raises HashbenchError with one printable line, within 3 seconds
(of CPU time, imports and compilation aside). An input
that makes it do anything else is a finding: it is written to `tests/robustness/found/<target>/`, where `test_fuzz.py`
tries it again in every run of the tests.
"""

from __future__ import annotations

import argparse
import contextlib
import copy
import functools
import hashlib
import importlib
import io
import json
import re
import subprocess
import sys
import tempfile
import time
import traceback
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
FOUND = Path(__file__).resolve().parent / "found"
SECONDS = 3.0

# What libFuzzer sees the coverage of; none of it may be imported at the top of this file. numba cannot compile
# instrumented functions, so the engines stay as they are.
INSTRUMENTED = ["hashbench", "yaml", "zipfile", "numpy.lib._format_impl", "numpy.lib._npyio_impl", "numpy.lib.format"]
MODULES = [
    "hashbench.config.params",
    "hashbench.artefacts.records",
    "hashbench.evaluation.command",
    "hashbench.evaluation.readers.codes",
    "hashbench.evaluation.readers.labels",
    "hashbench.evaluation.readers.names",
    "hashbench.evaluation.readers.numpy_files",
    "hashbench.evaluation.readers.shapes",
    "hashbench.report.published",
]
COMPILED = ["hashbench.evaluation.hamming", "hashbench.evaluation.metrics"]


def parse_params(path: Path) -> None:
    """params.yaml, as every command reads it first."""
    from hashbench.config.params import load_params

    load_params(path)


def parse_record(path: Path) -> None:
    """A line of records.jsonl, as the report and `hashbench show` and `verify` read it."""
    from hashbench.artefacts.records import read_records

    read_records(path)


def parse_queries(path: Path) -> None:
    """A file of tensors with a seal, as codes, splits and values of queries are kept."""
    from hashbench.artefacts.records import read_queries

    read_queries(path)


def parse_codes(path: Path) -> None:
    """A codes file of anyone's, as `hashbench evaluate` reads it."""
    from hashbench.evaluation.command import Asked, run
    from hashbench.evaluation.readers import Reading, Sources

    run(Sources(str(path)), Reading(), Asked(ks=(5,), form="json"))


def parse_published(path: Path) -> None:
    """published.csv, as the report reads it."""
    from hashbench.report.published import open_published

    open_published(path)


NAMES = ("query_codes", "db_codes", "query_labels", "db_labels")
SUFFIXES = {"codes": ".npz"}  # where a reader looks at a file's name
RAW, BUILT = b"\0", b"\1"
TARGETS: dict[str, Callable[[Path], None]] = {
    "params": parse_params,
    "record": parse_record,
    "queries": parse_queries,
    "codes": parse_codes,
    "published": parse_published,
}


def complaint(target: str, content: bytes, folder: Path) -> str | None:
    """What is wrong with how the parser takes `content`: None where it returns or refuses as it must."""
    from hashbench.errors import HashbenchError

    path = folder / f"{target}{SUFFIXES.get(target, '.input')}"
    warm_up(target)
    path.write_bytes(content)
    start = time.process_time()
    try:
        TARGETS[target](path)
    except HashbenchError as error:
        if not str(error).isprintable():
            return f"the message is not one printable line: {str(error)[:200]!r}"
    except Exception as error:
        frames = [frame for frame in traceback.extract_tb(error.__traceback__) if "hashbench" in frame.filename]
        where = f"{Path(frames[-1].filename).name} in {frames[-1].name}" if frames else "outside hashbench"
        return f"{type(error).__name__} from {where}: {str(error)[:200]}"
    seconds = time.process_time() - start
    return f"took {seconds:.1f} s" if seconds > SECONDS else None


@functools.cache
def warm_up(target: str) -> None:
    """Import and compile what the parser needs, which is no matter of its input."""
    from hashbench.errors import HashbenchError

    with tempfile.NamedTemporaryFile(suffix=SUFFIXES.get(target, "")) as file:
        file.write(as_file(target, next(seeds(target))))
        file.flush()
        with contextlib.suppress(HashbenchError):
            TARGETS[target](Path(file.name))


def seeds(target: str) -> Iterator[bytes]:
    """Small inputs that mutation starts from; `as_file` tells what their first byte means."""
    import numpy as np

    match target:
        case "params" | "record":
            yield RAW + as_text(target, documents(target))
            yield from (RAW + b"a: &a [1, 2]\nb: {<<: {c: *a}}\n", RAW + b"[" * 2000, RAW + b"9" * 5000)
            yield RAW + b'{"a":' * 500 + b"1" + b"}" * 500
            yield from (BUILT + bytes([0, step, step]) for step in range(0, 256, 16))
        case "codes":
            for codes, labels in (
                (np.array([[0, 0], [0, 1], [1, 1]], np.uint8), np.array([0, 1, 0])),
                (np.array([[-1.0, 1.0], [1.0, 1.0]], np.float32), np.eye(2, dtype=np.bool_)),
            ):
                arrays = (codes[:1], codes, labels[:1], labels)
                buffer = io.BytesIO()
                np.savez(buffer, **dict(zip(NAMES, arrays, strict=True)))
                yield RAW + buffer.getvalue()
                yield BUILT + b"".join(map(member, arrays))
        case "queries":
            yield RAW + as_tensors(documents(target))
            yield from (BUILT + bytes([0, step, step]) for step in range(0, 256, 16))
        case "published":
            yield RAW + b"".join((ROOT / "results" / "published.csv").read_bytes().splitlines(keepends=True)[:4])


def member(array: Any) -> bytes:
    """An array as the .npy file it is inside an .npz, after its length in two bytes."""
    import numpy as np

    buffer = io.BytesIO()
    np.save(buffer, array)
    return len(buffer.getvalue()).to_bytes(2, "little") + buffer.getvalue()


@functools.cache
def documents(target: str) -> Any:
    """A small valid params.yaml, run record or header of a file of tensors."""
    if target == "record":
        with (ROOT / "results" / "quick" / "records.jsonl").open(encoding="utf-8") as file:
            record = shortened(json.loads(next(file)))
        return {key: value for key, value in record.items() if key != "seal"}
    if target == "queries":
        tensor = {"dtype": "F64", "shape": [2], "data_offsets": [0, 16]}
        return {"about": {"a": 1}, "tensors": {"digits/vit/lsh/16/0/ap": tensor}}
    import yaml

    whole = yaml.safe_load((ROOT / "params.yaml").read_text())
    tiny = {"datasets": ["digits"], "backbones": ["vit_micro"], "settings_of": None, "most_steps": None}
    profile, names = whole["profiles"]["quick"] | tiny, list(whole["methods"])[:3]
    backbone, dataset = profile["backbones"][0], whole["datasets"]["digits"]
    return {
        **whole,
        "profiles": {"quick": profile},
        "datasets": {"digits": dataset},
        "augmentations": {dataset["augmentation"]: whole["augmentations"][dataset["augmentation"]]},
        "backbones": {backbone: whole["backbones"][backbone]},
        "methods": {name: whole["methods"][name] for name in names},
        "official": {name: whole["official"][name] for name in names if name in whole["official"]},
        "search": whole["search"] | {"spaces": {name: whole["search"]["spaces"][name] for name in names}},
        "ablations": {},
        "references": names[1:],
    }


def shortened(value: Any) -> Any:
    """A JSON value with at most two items in each list, so that most places are of another kind."""
    if isinstance(value, dict):
        return {key: shortened(inner) for key, inner in value.items()}
    return [shortened(inner) for inner in value[:2]] if isinstance(value, list) else value


def as_file(target: str, mutated: bytes) -> bytes:
    """What the parser is given for a mutated input.

    Bytes changed at random rarely get past a parser's first layer: a zip's checksum, YAML's grammar. So an input whose
    first byte is odd is a recipe instead: four .npy files to be zipped, or edits of a valid document.
    """
    if not mutated or mutated[0] % 2 == 0 or target == "published":
        return mutated[1:]
    if target == "codes":
        return zipped(mutated[1:])
    return as_text(target, edited(documents(target), mutated[1:]))


def as_text(target: str, document: Any) -> bytes:
    """A document as its file, with the seal that it would have if it had been written like that."""
    from hashbench.artefacts import records

    if target == "queries":
        return as_tensors(document)
    if target == "record" and isinstance(document, dict):
        return records._sealed(document).encode()
    return json.dumps(document).encode()


def as_tensors(document: Any) -> bytes:
    """A file of two numbers with such a header, sealed as if it had been written like that."""
    from hashbench.artefacts import store

    about, tensors = (document.get(part) if isinstance(document, dict) else document for part in ("about", "tensors"))
    said = {**about, store._SEAL: store._NO_SEAL} if isinstance(about, dict) else about
    named = tensors if isinstance(tensors, dict) else {"a": tensors}
    header = json.dumps({"__metadata__": {"about": json.dumps(said)}, **named}).encode()
    content = len(header).to_bytes(8, "little") + header + bytes(16)
    return content.replace(store._NO_SEAL.encode(), hashlib.sha256(content).hexdigest().encode(), 1)


def zipped(recipe: bytes) -> bytes:
    """An .npz of four members, each given after its length in two bytes."""
    import zipfile

    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for name in NAMES:
            length = int.from_bytes(recipe[:2], "little")
            archive.writestr(f"{name}.npy", recipe[2 : 2 + length])
            recipe = recipe[2 + length :]
    return buffer.getvalue()


STRANGE: tuple[Any, ...] = (
    None, True, False, 0, 1, -1, 2, 3, 16, 1000, 10**30, -0.0, 0.5, 1e308, float("nan"), float("inf"),
    "", "a", "quick", "cpu", "1.0e-3", "1e-3", "no\nline", "\u2028", "\x1b[2J", "../../x", "\ud800", "z" * 3000,
    [], {}, [[]], [0], [16, 16], ["digits"], {"value": 1, "source": "ours"}, {"a": {"b": [1]}},
)  # fmt: skip
DROP, RENAME, TWICE = len(STRANGE), len(STRANGE) + 1, len(STRANGE) + 2


def edited(document: Any, recipe: bytes) -> Any:
    """The document after up to 8 edits of three bytes each: which value, and what to do with it."""
    document = copy.deepcopy(document)
    for start in range(0, min(len(recipe), 24) - 2, 3):
        places = list(every_place(document))
        if not places:
            break
        parent, key = places[int.from_bytes(recipe[start : start + 2], "little") % len(places)]
        action = recipe[start + 2] % (len(STRANGE) + 3)
        if action < len(STRANGE):
            parent[key] = copy.deepcopy(STRANGE[action])
        elif action == TWICE and isinstance(parent, list):
            parent.append(parent[key])
        else:
            value = parent.pop(key)
            if action != DROP and isinstance(parent, dict):
                parent[str(key)[:-1]] = value
    return document


def every_place(value: Any) -> Iterator[tuple[Any, Any]]:
    """Every (container, key) of a JSON document."""
    for key in list(value) if isinstance(value, dict) else range(len(value)) if isinstance(value, list) else ():
        yield value, key
        yield from every_place(value[key])


def fuzz(target: str, seconds: int, folder: Path) -> None:
    """Fuzz one target in this process, which libFuzzer ends; findings go to FOUND."""
    import atheris

    with atheris.instrument_imports(include=INSTRUMENTED, exclude=COMPILED):
        for name in MODULES:
            importlib.import_module(name)
    seen: set[str] = set()

    def one_input(mutated: bytes) -> None:
        content = as_file(target, mutated)
        fault = complaint(target, content, folder)
        kind = fault and fault.partition(":")[0]
        if kind and kind not in seen:
            seen.add(kind)
            (FOUND / target).mkdir(parents=True, exist_ok=True)
            name = hashlib.sha256(content).hexdigest()[:12]
            (FOUND / target / name).write_bytes(content)
            print(f"FINDING {target} {name} {fault}", file=sys.stderr, flush=True)

    corpus = folder / "corpus"
    corpus.mkdir()
    for number, content in enumerate(seeds(target)):
        (corpus / f"seed{number}").write_bytes(content)
    options = [
        f"-max_total_time={seconds}",
        "-timeout=300",
        "-rss_limit_mb=4096",
        "-max_len=6000",
        "-print_final_stats=1",
    ]
    atheris.Setup([sys.argv[0], *options, str(corpus)], one_input)
    atheris.Fuzz()


def figures(target: str, minutes: float) -> dict[str, Any]:
    """Run one target in a process of its own and read what libFuzzer says of it."""
    with tempfile.TemporaryDirectory() as folder:
        command = [sys.executable, __file__, target, "--minutes", str(minutes), "--inside", folder]
        done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, errors="replace", check=False)
    executed = re.search(r"stat::number_of_executed_units:\s+(\d+)", done.stderr)
    covered = re.findall(r"cov: (\d+)", done.stderr)
    if executed is None or not covered or done.returncode:
        sys.exit(f"the fuzzer of {target} ended with status {done.returncode}:\n{done.stderr[-4000:]}")
    found = re.findall(rf"^FINDING {target} (\w+)", done.stderr, re.MULTILINE)
    return {
        "minutes": minutes,
        "inputs": int(executed[1]),
        "edges": int(covered[-1]),
        "findings": [finding for name in dict.fromkeys(found) if (finding := confirmed(FOUND / target / name))],
    }


def confirmed(path: Path) -> str | None:
    """What is wrong with an input that was found, tried without instrumentation, which makes everything slower.

    One that is taken as it must be is no finding and is removed.
    """
    with tempfile.TemporaryDirectory() as folder:
        fault = complaint(path.parent.name, path.read_bytes(), Path(folder))
    if fault is None:
        path.unlink()
        return None
    return f"{path.name} {fault}"


def main() -> None:
    """Fuzz one target and print its figures as JSON."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("target", choices=TARGETS)
    parser.add_argument("--minutes", type=float, default=10.0)
    parser.add_argument("--inside", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.inside:
        fuzz(arguments.target, round(arguments.minutes * 60), Path(arguments.inside))
    print(json.dumps(figures(arguments.target, arguments.minutes)))


if __name__ == "__main__":
    main()
