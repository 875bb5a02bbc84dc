"""The command line: a user's mistake ends in one sentence and exit status 2, without a traceback."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from hashbench.commands.fit import block_with
from hashbench.params import load_params

ROOT = Path(__file__).resolve().parents[1]


def hashbench(*arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", "from hashbench.cli import main; main()", *arguments],
        cwd=ROOT,
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


def refused(done: subprocess.CompletedProcess[str]) -> str:
    """The one line of a call that was refused."""
    assert done.returncode == 2, done.stdout + done.stderr
    assert "Traceback" not in done.stderr
    lines = [line for line in done.stderr.splitlines() if line.startswith("hashbench:")]
    assert len(lines) == 1, done.stderr
    return lines[0]


def test_unknown_method_gets_a_suggestion() -> None:
    message = refused(hashbench("fit", "itqq"))
    assert "itqq" in message
    assert "did you mean 'itq'?" in message


def test_unknown_profile_lists_the_known_ones() -> None:
    assert "quick" in refused(hashbench("check", "quik"))


def test_fractional_bits() -> None:
    done = hashbench("fit", "itq", "--bits", "24.5")
    assert done.returncode == 2
    assert "'24.5' is not a whole number" in done.stderr
    assert "Traceback" not in done.stderr


def test_missing_file(tmp_path: Path) -> None:
    assert "nowhere.npz" in refused(hashbench("evaluate", str(tmp_path / "nowhere.npz"), "--k", "5"))


def test_corrupt_zip(tmp_path: Path) -> None:
    (tmp_path / "cifar10-jpeg.zip").write_bytes(b"PK\x03\x04 this is no zip")
    assert "cifar10-jpeg.zip" in refused(hashbench("fetch", "cifar10_jpeg", HASHBENCH_DATA=str(tmp_path)))


def test_no_network(tmp_path: Path) -> None:
    message = refused(hashbench("fetch", "cifar10", HASHBENCH_DATA=str(tmp_path), HASHBENCH_OFFLINE="1"))
    assert "cifar-10-python.tar.gz" in message


def test_wrong_params_are_answered_before_any_import_of_torch(tmp_path: Path) -> None:
    params = tmp_path / "params.yaml"
    params.write_text((ROOT / "params.yaml").read_text().replace("bits: [16, 32, 64]", "bits: [16, 24.5]"))
    assert "24.5" in refused(hashbench("list", HASHBENCH_PARAMS=str(params)))


def test_evaluate_prints_json(tmp_path: Path) -> None:
    import json

    path = tmp_path / "codes.npz"
    codes = np.array([[0, 0, 0, 0], [0, 0, 0, 1], [0, 1, 1, 1]])
    np.savez(path, query_codes=codes[:1], db_codes=codes, query_labels=[0], db_labels=[0, 1, 0])
    done = hashbench("evaluate", str(path), "--json")
    assert done.returncode == 0, done.stderr
    # Ranks: relevant, other, relevant: (1/1 + 2/3) / 2.
    assert json.loads(done.stdout)["map"] == pytest.approx(5 / 6)


def test_list_names_every_profile() -> None:
    done = hashbench("list", COLUMNS="200")
    assert done.returncode == 0, done.stderr
    for profile in ("quick", "cpu", "cifar10-jpeg", "paper"):
        assert profile in done.stdout


@pytest.mark.parametrize(
    ("text", "value"),
    [("3e-3", 3e-3), ("0.5", 0.5), ("64", 64), ("true", True), ("no", False), ("softsort", "softsort")],
)
def test_a_setting_is_read_as_the_value_it_looks_like(text, value):
    block = block_with("nsh", load_params(), "quick", [f"temperature={text}"])
    found = block.hyperparameters["temperature"].value
    assert found == value
    assert type(found) is type(value)


def test_check_says_that_nothing_is_missing() -> None:
    done = hashbench("check", "quick")
    assert done.returncode == 0, done.stderr
    assert "nothing is missing" in done.stdout


def test_check_names_everything_that_is_missing_at_once(tmp_path: Path) -> None:
    nowhere = {"HASHBENCH_DATA": str(tmp_path), "HASHBENCH_WEIGHTS": str(tmp_path), "HASHBENCH_OFFLINE": "1"}
    message = refused(hashbench("check", "paper", **nowhere, CUDA_VISIBLE_DEVICES=""))
    for lacking in ("no CUDA GPU", "vgg16", "NUS-WIDE-21", "MS-COCO"):
        assert lacking in message


def test_hyperparameters_are_listed_with_their_sources() -> None:
    done = hashbench("list", "--hyperparameters", COLUMNS="250")
    assert done.returncode == 0, done.stderr
    assert "third-party" in done.stdout


def test_an_option_that_the_method_does_not_take_gets_a_suggestion() -> None:
    assert "did you mean 'iterations'?" in refused(hashbench("validate", "itq", "--set", "iteration=5"))
