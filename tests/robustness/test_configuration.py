"""A wrong params.yaml ends in one sentence that names the key, the value and what is allowed, with exit status 2."""

from __future__ import annotations

import copy
import json
import os
import resource
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from hashbench.config.params import load_params
from hashbench.errors import HashbenchError

ROOT = Path(__file__).resolve().parents[2]
# Through JSON, so that blocks which share an alias can be changed one at a time.
GOOD: dict[str, Any] = json.loads(json.dumps(yaml.safe_load((ROOT / "params.yaml").read_text())))
SECONDS = 3.0

Keys = tuple[str | int, ...]


@dataclass(frozen=True)
class Case:
    """A wrong params.yaml: its kind of mistake, the text that the message must hold, and what else stands in it."""

    kind: str
    params: dict[str, Any] = field(repr=False)
    names: tuple[str, ...]


def places(value: Any, keys: Keys = ()) -> list[Keys]:
    """Every key of params.yaml whose absence, name, type or value is checked."""
    found = [keys] if keys and keys[-1] not in ("note", "overrides", "arguments") else []
    if isinstance(value, dict) and (not keys or keys[-1] not in ("overrides", "arguments", "official", "spaces")):
        found += [place for key, inner in value.items() for place in places(inner, (*keys, key))]
    return found


PLACES = places(GOOD)
# Blocks under these may have any name, so that a missing or new one is no mistake by itself.
FREE = ("profiles", "datasets", "augmentations", "backbones", "methods", "ablations")
OPTIONAL = ("hub", "revision", "sha256", "crop_pct", "labels", "min_tag_images", "on_bad_image", "note")
OPTIONAL += ("arguments", "under_study", "bytes", "tensors_sha256", "log")
REQUIRED = [keys for keys in PLACES if keys[-1] not in OPTIONAL and not (len(keys) == 2 and keys[0] in FREE)]
# What a variant does not say is that of its method.
INHERITED = [keys for keys in PLACES if len(keys) == 3 and keys[0] == "ablations" and keys[2] != "of"]


def at(params: Any, keys: Keys) -> Any:
    for key in keys:
        params = params[key]
    return params


def changed(keys: Keys, change: Callable[[Any, Any], None]) -> dict[str, Any]:
    """A copy of params.yaml after `change(container, key)` at a place."""
    params = copy.deepcopy(GOOD)
    change(at(params, keys[:-1]), keys[-1])
    return params


def dotted(keys: Keys) -> str:
    return ".".join(map(str, keys))


def put(value: Any) -> Callable[[Any, Any], None]:
    return lambda container, key: container.__setitem__(key, value)


@st.composite
def missing(draw: st.DrawFn) -> Case:
    keys = draw(st.sampled_from([keys for keys in REQUIRED if keys not in INHERITED]))
    return Case("missing", changed(keys, lambda container, key: container.pop(key)), (dotted(keys), "missing"))


@st.composite
def misspelt(draw: st.DrawFn) -> Case:
    keys = draw(st.sampled_from([keys for keys in REQUIRED if len(str(keys[-1])) > 3]))
    name = str(keys[-1])
    place = draw(st.integers(0, len(name) - 2))
    wrong = draw(
        st.sampled_from(
            [
                name[:place] + name[place + 1 :],
                name[:place] + name[place] + name[place:],
                name[:place] + name[place + 1] + name[place] + name[place + 2 :],
                name[:place] + "x" + name[place + 1 :],
            ]
        ).filter(lambda wrong: wrong != name and wrong not in at(GOOD, keys[:-1]))
    )

    def rename(container: Any, key: Any) -> None:
        container[wrong] = container.pop(key)

    return Case("misspelt", changed(keys, rename), (dotted((*keys[:-1], wrong)), f"did you mean '{name}'?"))


WRONG_TYPES: dict[type, list[Any]] = {
    bool: ["perhaps", 3, [True], {"a": 1}],
    int: ["many", 1.5, [1], {"a": 1}, True],
    float: ["many", [1.0], {"a": 1}],
    str: [3, 0.5, ["a"], {"a": 1}],
    list: ["many", 3, {"a": 1}],
    dict: ["many", 3, [1]],
}


@st.composite
def wrong_type(draw: st.DrawFn) -> Case:
    typed = [keys for keys in PLACES if type(at(GOOD, keys)) in WRONG_TYPES and keys[-1] != "value"]
    values = [keys for keys in PLACES if keys[-1] == "value"]
    keys = draw(st.sampled_from(typed) | st.sampled_from(values))
    wrong = draw(st.sampled_from(WRONG_TYPES[type(at(GOOD, keys))]))
    return Case("wrong type", changed(keys, put(wrong)), (dotted(keys),))


# The last keys of a place, and values beyond what is allowed there.
RANGES: dict[Keys, list[Any]] = {
    ("base_seed",): [-1, 2**64],
    ("denominator",): ["relevant_in_topk", "all"],
    ("empty",): ["null", "skip"],
    ("ranks",): [[0], [-5], [], [1.5]],
    ("device",): ["gpu", "cpus", "tpu"],
    ("precision",): ["fp8", "float32"],
    ("bits",): [[0], [2], [16, 2048], [-16], [24.5], []],
    ("seeds",): [[-1], [0.5], []],
    ("views",): [0, 1, -3, 10**6],
    ("k",): [0, -1, 2.5],
    ("flip",): [1.5, -0.1],
    ("hue",): [0.6],
    ("crop_scale",): [[1.0, 0.5], [0.5, 2.0], [0.0, 1.0], [0.5]],
    ("blur_width",): [4, 0, 2.5],
    ("size",): [0, -16, 16.5],
    ("std",): [[0.0, 0.5, 0.5], [0.5, 0.5]],
    ("weights", "epochs"): [0, -1],
    ("weights", "warmup"): [1.0, -0.1],
    ("weights", "sha256"): ["abc"],
    ("interpolation",): ["nearest"],
    ("pool",): ["max"],
    ("epochs", "value"): [0, -1, 2.5],
    ("batch_size", "value"): [0, -64],
    ("hidden", "value"): [0, -1],
    ("temperature", "value"): [0, 0.0, -0.3, float("inf"), float("nan")],
    ("learning_rate", "value"): [0.0, -0.001, float("nan"), "0.001"],
    ("momentum", "value"): [1.0, 1.5, -0.9],
    ("weight_decay", "value"): [-1.0e-5],
    ("sorter", "value"): ["softsrt", "quick"],
    ("iterations", "value"): [0, -50],
    ("source",): ["a friend", "papers", ""],
}


@st.composite
def out_of_range(draw: st.DrawFn) -> Case:
    ending = draw(st.sampled_from(list(RANGES)))
    keys = draw(st.sampled_from([keys for keys in PLACES if keys[-len(ending) :] == ending]))
    wrong = draw(st.sampled_from(RANGES[ending]))
    return Case("out of range", changed(keys, put(wrong)), (dotted(keys),))


@st.composite
def contradictory(draw: st.DrawFn) -> Case:
    profile = draw(st.sampled_from(list(GOOD["profiles"])))
    method = draw(st.sampled_from(list(GOOD["methods"])))
    sorted_by = next(name for name, block in GOOD["methods"].items() if "m" in block)
    anchored = next(name for name, block in GOOD["methods"].items() if "anchors" in block)
    with_protocol = [name for name, block in GOOD["datasets"].items() if block["protocol"][-1].isdigit()]
    dataset = draw(st.sampled_from(with_protocol))
    batch = GOOD["methods"][sorted_by]["batch_size"]["value"]
    where: Keys = ("profiles", profile)
    keys, wrong, *also = draw(
        st.sampled_from(
            [
                ((*where, "bits"), [16, 16], "16"),
                ((*where, "seeds"), [0, 1, 0], "0"),
                ((*where, "datasets"), ["digits", "digits"], "digits"),
                ((*where, "datasets"), ["digitz"], "'digitz'", "did you mean 'digits'?"),
                ((*where, "backbones"), ["vgg61"], "'vgg61'", "did you mean 'vgg16'?"),
                ((*where, "overrides"), {f"{method}x": {}}, f"'{method}x'", "did you mean"),
                ((*where, "overrides"), {method: {"no_such": {"value": 1, "source": "ours"}}}, "'no_such'"),
                (("controls",), ["none_such"], "'none_such'"),
                (("references",), [f"{method}x"], f"'{method}x'", "did you mean"),
                (("references",), [method, method], method),
                (("datasets", dataset, "k"), 10**6, "1000000", "at most"),
                (("datasets", dataset, "augmentation"), "simclr_crop60", "'simclr_crop60'", "did you mean"),
                (
                    ("datasets", dataset, "protocol"),
                    "cifar10_1000_5000_5400",
                    "did you mean 'cifar10_1000_5000_54000'?",
                ),
                (("datasets", dataset, "kind"), "cifar11", "'cifar11'", "did you mean 'cifar10'?"),
                (("datasets", dataset, "no_option"), 1, "unknown key"),
                (("methods", sorted_by, "m", "value"), batch, "batch_size", str(batch)),
                (("methods", anchored, "nearest", "value"), 10**4, "anchors", "10000"),
                (("methods", method, "code"), "baselines/lsj.py", "'baselines/lsj.py'", "did you mean"),
                (("methods", method, "no_such"), {"value": 1, "source": "ours"}, "unknown key"),
                (("ablations", method), GOOD["methods"][method], method),
            ]
        )
    )
    return Case("contradictory", changed(keys, put(wrong)), (dotted(keys), *also))


CASES = st.one_of(missing(), misspelt(), wrong_type(), out_of_range(), contradictory())
REMEDIES = ("must be", "allowed:", "did you mean", "must", "each may stand once", "rename", "take one out", "missing")


def check_message(case: Case, message: str) -> None:
    """The sentence names the key, the value and what is allowed."""
    assert message.isprintable()
    assert "params.yaml: " in message
    for name in case.names:
        assert name in message, f"{name!r} is not in {message!r}"
    assert any(remedy in message for remedy in REMEDIES), message


@pytest.mark.timeout(3600)
def test_every_wrong_file_is_refused_in_one_sentence(tmp_path: Path, long: bool, figures: Callable[..., None]) -> None:
    seen: list[tuple[Case, str]] = []
    slowest = 0.0

    @settings(
        max_examples=300 if long else 30,
        deadline=None,
        database=None,
        derandomize=True,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    @given(case=CASES)
    def refuse(case: Case) -> None:
        nonlocal slowest
        path = tmp_path / "params.yaml"
        path.write_text(yaml.dump(case.params, Dumper=yaml.CSafeDumper, sort_keys=False))
        start = time.process_time()
        with pytest.raises(HashbenchError) as error:
            load_params(path)
        slowest = max(slowest, time.process_time() - start)
        check_message(case, str(error.value))
        seen.append((case, str(error.value)))

    refuse()
    assert slowest < SECONDS
    asked = seen[:: len(seen) // (30 if long else 3)]
    commands = [(case, *ask_command(tmp_path / "params.yaml", case)) for case, _ in asked]
    kinds = Counter(case.kind for case, _ in seen)
    figures(
        "configuration",
        title="Configuration",
        says="hypothesis wrote wrong copies of params.yaml. Each must be refused with one printable line that names "
        "the key, the value where there is one and what is allowed, and for a misspelt name the right one.",
        figures={
            "wrong files": len(seen),
            **{f"of these {kind}": kinds[kind] for kind in sorted(kinds)},
            "refused in one sentence": len(seen),
            "slowest, CPU seconds inside the process": slowest,
            "also through the command line": len(commands),
            "of these exit status 2, one line, no traceback": len(commands),
            "slowest command, CPU seconds with Python's start": max(cpu for _, cpu, _ in commands),
            "slowest command, seconds by the clock": max(wall for _, _, wall in commands),
        },
    )


def ask_command(path: Path, case: Case) -> tuple[float, float]:
    """CPU and clock seconds in which `hashbench list` refuses a wrong file."""
    path.write_text(yaml.dump(case.params, Dumper=yaml.CSafeDumper, sort_keys=False))
    before, start = resource.getrusage(resource.RUSAGE_CHILDREN), time.monotonic()
    done = subprocess.run(
        [sys.executable, "-c", "from hashbench.cli import main; main()", "list"],
        env={**os.environ, "HASHBENCH_PARAMS": str(path)},
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    wall, after = time.monotonic() - start, resource.getrusage(resource.RUSAGE_CHILDREN)
    assert done.returncode == 2, done.stderr
    assert not done.stdout
    assert done.stderr.startswith("hashbench: ")
    assert done.stderr.count("\n") == 1
    check_message(case, done.stderr.rstrip("\n"))
    cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    # The clock runs on while a loaded machine does other things; the CPU time is what hashbench takes.
    assert cpu < SECONDS
    return cpu, wall
